//! Several proxies, and one service that holds amounts.

use proptest::prelude::*;

use super::*;

/// What happens to one of two proxies.
#[derive(Clone, Copy, Debug)]
enum Event {
    Send,
    /// The service answers one of the calls.
    Answer(usize),
    /// One of the calls does not arrive.
    Fail(usize),
    /// The answer to one of the calls is lost.
    Lose(usize),
    /// One of the waiting requests is looked at again.
    Resume(usize),
    /// The client of one of the waiting requests goes.
    Leave(usize),
    /// Milliseconds pass for both.
    Wait(u64),
    /// The answers to commits are lost from now on, or are not.
    LoseCommits(bool),
}

fn events(longest: u64) -> impl Strategy<Value = Vec<(usize, Event)>> {
    let event = prop_oneof![
        12 => Just(Event::Send),
        8 => any::<usize>().prop_map(Event::Answer),
        1 => any::<usize>().prop_map(Event::Fail),
        1 => any::<usize>().prop_map(Event::Lose),
        8 => any::<usize>().prop_map(Event::Resume),
        1 => any::<usize>().prop_map(Event::Leave),
        3 => (0..longest).prop_map(Event::Wait),
        1 => any::<bool>().prop_map(Event::LoseCommits),
    ];
    prop::collection::vec((0..2_usize, event), 0..400)
}

/// A small limit, so that it is used up.
const LIMIT: u32 = 60;

struct Run {
    proxies: [Fleet; 2],
    waiting: [Vec<Evaluation>; 2],
    service: Reserving,
    /// The requests that passed.
    used: u32,
    loses_commits: bool,
    /// How often a hold was committed with an answer that arrived.
    committed: Vec<String>,
}

impl Run {
    fn new(mode: &str) -> Self {
        let proxy = || {
            let mut limit = limit("k", json!({"mode": mode, "on_outage": "deny"}));
            if mode == "lease" {
                limit["fleet"]["lease"] = json!({"max": LIMIT, "share": 100});
            }
            limit["rate"]["requests"] = json!(LIMIT);
            Fleet::new(reserving(vec![limit]))
        };
        let mut service = Reserving::default();
        service.limit = LIMIT;
        Self {
            proxies: [proxy(), proxy()],
            waiting: [vec![], vec![]],
            service,
            used: 0,
            loses_commits: false,
            committed: Vec::new(),
        }
    }

    fn act(&mut self, at: usize, event: Event) {
        let pick = |of: usize, among: usize| (among > 0).then(|| of % among.max(1));
        let proxy = &mut self.proxies[at];
        match event {
            Event::Send => {
                let evaluation = proxy.send("a");
                self.decided(at, evaluation);
            }
            Event::Answer(of) | Event::Fail(of) | Event::Lose(of) => {
                if let Some(of) = pick(of, proxy.calls.len()) {
                    let call = proxy.calls.swap_remove(of);
                    let is_counted = !matches!(event, Event::Fail(_));
                    let now = proxy.now;
                    let answer = is_counted.then(|| self.service.reserve(call.message(), now));
                    match event {
                        Event::Lose(_) => {}
                        _ => proxy.report(&call, answer.as_deref()),
                    }
                }
            }
            Event::Resume(of) => {
                if let Some(of) = pick(of, self.waiting[at].len()) {
                    let evaluation = self.waiting[at].swap_remove(of);
                    let evaluation = proxy.resume(evaluation);
                    self.decided(at, evaluation);
                }
            }
            Event::Leave(of) => {
                if let Some(of) = pick(of, self.waiting[at].len()) {
                    let mut evaluation = self.waiting[at].swap_remove(of);
                    proxy.cancel(&mut evaluation);
                }
            }
            Event::Wait(milliseconds) => {
                // With a tick in each second.
                for _ in 0..milliseconds / 500 {
                    self.wait(Nanos::from_millis(500));
                }
                self.wait(Nanos::from_millis(milliseconds % 500));
            }
            Event::LoseCommits(lost) => self.loses_commits = lost,
        }
    }

    fn wait(&mut self, time: Nanos) {
        for proxy in &mut self.proxies {
            proxy.now += time;
            // In an outage, holds can end before their commit.
            proxy.host.states = Default::default();
            for (hold, message) in proxy.commits() {
                let answer = self.service.commit(&message, proxy.now);
                let id = self.service.commits.last().unwrap().0.clone();
                let answer = (!self.loses_commits).then_some(answer);
                proxy.committed(&hold, answer.as_deref());
                if answer.is_some() {
                    self.committed.push(id);
                }
            }
        }
    }

    fn decided(&mut self, at: usize, evaluation: Evaluation) {
        if evaluation.is_pending() {
            self.waiting[at].push(evaluation);
        } else if !evaluation.is_denied() {
            self.used += 1;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Within one window, with calls and answers that are lost, and commits that count twice.
    #[test]
    fn proxies_never_admit_more_than_the_limit(events in events(4_000), is_lease in any::<bool>()) {
        let mut run = Run::new(if is_lease { "lease" } else { "each" });
        for (at, event) in events {
            run.act(at, event);
            if run.proxies[0].now >= START + Nanos::from_secs(60) {
                break;
            }
            prop_assert!(run.used <= LIMIT, "{}", run.used);
        }
        // All holds are committed in the end, each of them once.
        run.loses_commits = false;
        for _ in 0..30 {
            run.wait(Nanos::SECOND);
        }
        let committed = run.committed.len();
        run.committed.sort();
        run.committed.dedup();
        prop_assert_eq!(run.committed.len(), committed);
        prop_assert!(run.proxies.iter().all(|proxy| proxy.holds.is_empty()));
    }
}
