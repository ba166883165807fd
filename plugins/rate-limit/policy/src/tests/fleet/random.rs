//! Requests, answers, failures and departures in any order: no hit is used twice, and none is lost without a trace.

use proptest::prelude::*;

use super::*;
use crate::CommitResult;
use crate::fleet::lease::Take;
use crate::fleet_limits::Counted;
use crate::limiter::Action;
use portcullis_core::key::{Key, Missing};
use portcullis_table::{KeyHash, Store as _};

#[derive(Clone, Copy, Debug)]
enum Event {
    /// A request with one of three keys.
    Send(usize),
    /// The service answers one of the calls.
    Answer(usize),
    /// One of the calls fails.
    Fail(usize),
    /// The answer to one of the calls is lost, and nothing reports it.
    Lose(usize),
    /// One of the waiting requests is looked at again.
    Resume(usize),
    /// The client of one of the waiting requests goes.
    Leave(usize),
    /// A response shows a smaller cost than was reserved.
    Refund(usize),
    /// Commits that are due are sent. This answer arrives, or is lost, or the service does not answer.
    Commit(Fate),
    Wait(u64),
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Answered,
    AnswerLost,
    Failed,
}

fn events(longest: u64) -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (0..3_usize).prop_map(Event::Send),
        5 => any::<usize>().prop_map(Event::Answer),
        1 => any::<usize>().prop_map(Event::Fail),
        1 => any::<usize>().prop_map(Event::Lose),
        5 => any::<usize>().prop_map(Event::Resume),
        1 => any::<usize>().prop_map(Event::Leave),
        1 => any::<usize>().prop_map(Event::Refund),
        2 => prop_oneof![
            4 => Just(Fate::Answered),
            1 => Just(Fate::AnswerLost),
            1 => Just(Fate::Failed),
        ].prop_map(Event::Commit),
        3 => (0..longest).prop_map(Event::Wait),
    ];
    prop::collection::vec(event, 0..200)
}

const KEYS: [&str; 3] = ["a", "b", "c"];
const COST: u32 = 2;
/// The limits with leases.
const LEASES: [LimitId; 2] = [LimitId(0), LimitId(2)];

/// The limits: two with leases, of different services, and a local one.
fn limits() -> Vec<Value> {
    let with_cost = |name, service| {
        let fleet = json!({"service": service, "on_outage": "deny"});
        let mut limit = limit(name, fleet);
        limit["cost"] = json!(COST);
        limit["charge_response"] = json!({"header": "x-cost"});
        limit
    };
    vec![
        with_cost("k", "main"),
        local("all", 70),
        with_cost("l", "other"),
    ]
}

struct Run {
    fleet: Fleet,
    waiting: Vec<(usize, Evaluation)>,
    /// With the time at which they passed.
    passed: Vec<Evaluation>,
    /// What each of the two limits has admitted.
    used: u32,
    requests: u32,
}

impl Run {
    fn act(&mut self, event: Event) {
        let fleet = &mut self.fleet;
        let pick = |of: usize, among: usize| (among > 0).then(|| of % among.max(1));
        match event {
            Event::Send(key) => {
                let evaluation = fleet.send(KEYS[key]);
                self.decided(key, evaluation);
            }
            Event::Answer(of) => {
                if let Some(at) = pick(of, fleet.calls.len()) {
                    let call = fleet.calls.swap_remove(at);
                    let answer = fleet.answer_to(&call);
                    fleet.report(&call, Some(&answer));
                }
            }
            Event::Fail(of) => {
                if let Some(at) = pick(of, fleet.calls.len()) {
                    let call = fleet.calls.swap_remove(at);
                    fleet.report(&call, None);
                }
            }
            Event::Lose(of) => {
                if let Some(at) = pick(of, fleet.calls.len()) {
                    fleet.calls.swap_remove(at);
                }
            }
            Event::Resume(of) => {
                if let Some(at) = pick(of, self.waiting.len()) {
                    let (key, evaluation) = self.waiting.swap_remove(at);
                    let headers = [("x-api-key", KEYS[key])];
                    let evaluation = fleet.resume_with(&headers, evaluation);
                    self.decided(key, evaluation);
                }
            }
            Event::Leave(of) => {
                if let Some(at) = pick(of, self.waiting.len()) {
                    let (_, mut evaluation) = self.waiting.swap_remove(at);
                    fleet.cancel(&mut evaluation);
                }
            }
            Event::Refund(of) => {
                if let Some(at) = pick(of, self.passed.len()) {
                    let mut evaluation = self.passed.swap_remove(at);
                    let mut response = header_map(&[("x-cost", "1")]);
                    let (store, host) = (&mut fleet.store, &mut fleet.host);
                    fleet.policy.on_response(
                        &mut evaluation,
                        &mut response,
                        fleet.now,
                        store,
                        host,
                    );
                    self.used -= COST - 1;
                }
            }
            Event::Commit(fate) => {
                for (hold, message) in fleet.commits() {
                    let answer = match fate {
                        Fate::Failed => None,
                        _ => Some(fleet.reserving.commit(&message, fleet.now)),
                    };
                    let answer = answer.filter(|_| matches!(fate, Fate::Answered));
                    fleet.committed(&hold, answer.as_deref());
                }
            }
            Event::Wait(milliseconds) => fleet.now += Nanos::from_millis(milliseconds),
        }
    }

    fn decided(&mut self, key: usize, evaluation: Evaluation) {
        if evaluation.is_pending() {
            self.waiting.push((key, evaluation));
        } else if !evaluation.is_denied() {
            self.requests += 1;
            self.used += COST;
            self.passed.push(evaluation);
        }
    }

    /// All that waits is decided, and all calls are answered.
    fn end(&mut self) {
        while let Some((key, evaluation)) = self.waiting.pop() {
            self.fleet.now += Nanos::from_millis(50);
            let headers = [("x-api-key", KEYS[key])];
            let evaluation = self.fleet.resume_with(&headers, evaluation);
            assert!(!evaluation.is_pending());
            self.decided(key, evaluation);
        }
        self.fleet.answer();
        // Those that hand out nothing are over.
        self.fleet.commits();
    }

    /// Looks at every key, so that dead tokens are found. Returns the tokens of each limit that can still be used.
    fn held(&mut self) -> [u32; 2] {
        LEASES.map(|limit| {
            let taken = KEYS.map(|key| {
                (0..)
                    .take_while(|_| self.fleet.take_one(limit, key))
                    .count()
            });
            u32::try_from(taken.iter().sum::<usize>()).unwrap()
        })
    }
}

impl Fleet {
    /// Takes a token of a lease, if there is one.
    fn take_one(&mut self, limit: LimitId, key: &str) -> bool {
        let fleet = self.policy.fleet(limit).unwrap();
        let (leases, table, blocks) = (fleet.leases.unwrap(), fleet.table, fleet.blocks);
        let key = self.key(limit, key);
        let now = self.now;
        let applied = self.store.update(table, key.block(blocks), |block| {
            leases.apply(block, key.tag(), now, |lease| {
                leases.take(lease, 1, false, now, now)
            })
        });
        let Ok(applied) = applied else {
            return false;
        };
        self.host.count(limit, FleetEvent::Wasted(applied.wasted));
        matches!(applied.outcome, Take::Taken(_))
    }

    /// Takes one of the local limit, if there is one.
    fn take_locally(&mut self) -> bool {
        let limit = LimitId(1);
        let counted = Counted {
            limit,
            key: self.key(limit, ""),
            cost: 1,
            requests: 70,
        };
        let (now, store) = (self.now, &mut self.store);
        let check = self
            .policy
            .check_local(counted, Action::Reserve, now, store);
        check.decision() == Decision::Admitted
    }

    pub(super) fn key(&self, limit: LimitId, value: &str) -> KeyHash {
        let parts = &self.policy.get(limit).unwrap().limit.key;
        with_request(&[("x-api-key", value)], |request| {
            match Key::of(request, parts, Missing::Share, self.store.seed()) {
                Key::Hash(key) => key,
                other => panic!("{other:?}"),
            }
        })
    }

    fn sum(&self, limit: LimitId, of: impl Fn(FleetEvent) -> u32) -> u32 {
        let events = self.host.events.iter();
        let events = events.filter(|(other, _)| *other == limit);
        events.map(|(_, event)| of(*event)).sum()
    }
}

fn run(config: Value, events: Vec<Event>) -> Run {
    let mut run = Run {
        fleet: Fleet::new(config),
        waiting: Vec::new(),
        passed: Vec::new(),
        used: 0,
        requests: 0,
    };
    for event in events {
        run.act(event);
    }
    run.end();
    run
}

fn nothing_is_lost(mut run: Run) -> Result<(), TestCaseError> {
    let given_up = FleetEvent::Committed(CommitResult::GivenUp);
    // Its use is owed, so a later call takes it again.
    prop_assume!(
        !run.fleet
            .host
            .events
            .iter()
            .any(|(_, event)| *event == given_up)
    );
    let held = run.held();
    for (held, limit) in held.into_iter().zip(LEASES) {
        let taken = run.fleet.sum(limit, |event| match event {
            FleetEvent::Taken(hits) => hits,
            _ => 0,
        });
        let wasted = run.fleet.sum(limit, |event| match event {
            FleetEvent::Wasted(hits) => hits,
            _ => 0,
        });
        let released = run.fleet.sum(limit, |event| match event {
            FleetEvent::Released(hits) => hits,
            _ => 0,
        });
        let found = run.used + wasted + held + released;
        prop_assert_eq!(taken, found, "limit {:?}", limit);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Within one window.
    #[test]
    fn nothing_is_lost_in_a_window(events in events(200), holds in any::<bool>()) {
        let run = run(config(holds), events);
        prop_assert!(run.fleet.now < START + Nanos::from_secs(58));
        // The local limit has what the requests left that passed.
        let mut fleet = run.fleet;
        let mut left = 0;
        while fleet.take_locally() {
            left += 1;
        }
        prop_assert_eq!(left + run.requests, 70);
    }

    #[test]
    fn every_hit_is_accounted_for(events in events(200), holds in any::<bool>()) {
        nothing_is_lost(run(config(holds), events))?;
    }

    /// Leases die while requests wait, and windows end.
    #[test]
    fn every_hit_is_accounted_for_in_any_time(events in events(20_000), holds in any::<bool>()) {
        nothing_is_lost(run(config(holds), events))?;
    }
}

fn config(holds: bool) -> Value {
    match holds {
        true => reserving(limits()),
        false => with_services(limits()),
    }
}
