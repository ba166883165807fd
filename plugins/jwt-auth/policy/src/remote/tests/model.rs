//! Workers that do anything at any time, compared with a model that keeps account of all events.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// A worker's next action.
#[derive(Clone, Debug)]
enum Action {
    Ask(Trigger),
    /// Asks, but knows another document than the stored one.
    AskLate(Trigger),
    /// One of the open fetches ends.
    Answer(prop::sample::Index, Answer),
    /// The worker of an open fetch crashes.
    Crash(prop::sample::Index),
}

#[derive(Clone, Debug)]
enum Answer {
    Good(u8),
    Empty,
    Failure { retry_after: Option<Nanos> },
}

#[derive(Clone, Debug)]
struct Step {
    /// Time that passes first.
    pause: Nanos,
    /// How far this worker's clock is behind.
    behind: Nanos,
    action: Action,
    random: u64,
}

fn below(end: Nanos) -> impl Strategy<Value = Nanos> {
    (0..end.get()).prop_map(Nanos::new)
}

fn answers() -> impl Strategy<Value = Answer> {
    prop_oneof![
        2 => (1..4_u8).prop_map(Answer::Good),
        1 => Just(Answer::Empty),
        2 => prop::option::of(below(MINUTE * 10))
            .prop_map(|retry_after| Answer::Failure { retry_after }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pause = prop_oneof![
        Just(Nanos::ZERO),
        below(MILLISECOND * 5),
        below(SECOND * 2),
        below(MINUTE),
        below(MINUTE * 20),
    ];
    let action = prop_oneof![
        4 => Just(Action::Ask(Trigger::Due)),
        4 => Just(Action::Ask(Trigger::Miss)),
        1 => prop::sample::select(&[Trigger::Due, Trigger::Miss][..]).prop_map(Action::AskLate),
        4 => (any::<prop::sample::Index>(), answers())
            .prop_map(|(which, answer)| Action::Answer(which, answer)),
        1 => any::<prop::sample::Index>().prop_map(Action::Crash),
    ];
    let step = (pause, below(MILLISECOND), action, any::<u64>());
    let step = step.prop_map(|(pause, behind, action, random)| Step {
        pause,
        behind,
        action,
        random,
    });
    prop::collection::vec(step, 0..80)
}

fn schedules() -> impl Strategy<Value = Schedule> {
    (
        prop::sample::select(vec![SECOND, SECOND * 30, MINUTE * 10]),
        prop::sample::select(vec![Nanos::ZERO, MINUTE * 60]),
        prop::sample::select(vec![SECOND, SECOND * 30]),
        prop::sample::select(vec![MILLISECOND * 100, SECOND * 2]),
    )
        .prop_map(
            |(refresh, keep_stale, min_refetch_interval, timeout)| Schedule {
                refresh,
                keep_stale,
                min_refetch_interval,
                timeout,
            },
        )
}

/// The model: states what must be true from everything that has happened.
#[derive(Clone)]
struct Account {
    schedule: Schedule,
    /// The latest fetch: its start, and whether its end is known.
    latest: Option<(Nanos, bool)>,
    /// Open fetches.
    under_way: Vec<Ticket>,
    /// The start of the latest fetch that only a miss can have caused, and of the latest that a miss may have caused.
    certain_miss: Option<Nanos>,
    possible_miss: Option<Nanos>,
    failures: u32,
    /// The last failure, and the pause that the server asked for.
    failed: (Nanos, Nanos),
    stored: Option<(Nanos, u8)>,
}

impl Account {
    fn new(schedule: Schedule) -> Self {
        Self {
            schedule,
            latest: None,
            under_way: Vec::new(),
            certain_miss: None,
            possible_miss: None,
            failures: 0,
            failed: (Nanos::ZERO, Nanos::ZERO),
            stored: None,
        }
    }

    fn lease_end(&self) -> Option<Nanos> {
        let (start, has_ended) = self.latest?;
        (!has_ended).then_some(start + self.schedule.timeout + SECOND)
    }

    /// A lease that ran out counts as a failure.
    fn note_lost_fetch(&mut self, now: Nanos) {
        if let Some(end) = self.lease_end().filter(|end| now >= *end) {
            self.fail(end, Nanos::ZERO);
        }
    }

    fn fail(&mut self, at: Nanos, retry_after: Nanos) {
        self.failures += 1;
        self.failed = (at, retry_after);
        self.latest = self.latest.map(|(start, _)| (start, true));
    }

    /// The ends of the shortest and of the longest pause after the last failure.
    fn back_off(&self) -> [Nanos; 2] {
        if self.failures == 0 {
            return [Nanos::ZERO; 2];
        }
        let longest = self.schedule.refresh.min(MINUTE * 5);
        let full = (SECOND * (1 << (self.failures - 1).min(20))).min(longest);
        let (at, retry_after) = self.failed;
        [full / 2, full].map(|pause| at + pause.max(retry_after.min(longest)))
    }

    /// The earliest and the latest time at which a refresh can be due.
    fn refresh(&self) -> [Nanos; 2] {
        let Some((fetched_at, _)) = self.stored else {
            return [Nanos::ZERO; 2];
        };
        [8, 9].map(|tenths| fetched_at + self.schedule.refresh / 10 * tenths)
    }

    fn check_fetch(&mut self, is_miss: bool, ticket: Ticket, now: Nanos) {
        assert_eq!(self.lease_end(), None, "somebody fetches already");
        assert!(now >= self.back_off()[0], "the back-off is not over");
        assert!(ticket.0 >= now && self.latest.is_none_or(|(start, _)| ticket.0 > start));
        if now < self.refresh()[0] {
            assert!(is_miss, "nothing is due");
            let interval = self.schedule.min_refetch_interval;
            let is_too_soon = |last| now < last + interval;
            assert!(!self.certain_miss.is_some_and(is_too_soon), "two misses");
            self.certain_miss = Some(now);
        }
        if is_miss {
            self.possible_miss = Some(now);
        }
        self.latest = Some((ticket.0, false));
        self.under_way.push(ticket);
    }

    fn check_not_before(&self, is_miss: bool, time: Nanos, now: Nanos) {
        assert!(time > now);
        assert_eq!(self.lease_end(), None);
        let interval = self.schedule.min_refetch_interval;
        let next_miss = self
            .possible_miss
            .map_or(Nanos::ZERO, |last| last + interval);
        let refresh = self.refresh()[1];
        let wanted = if is_miss {
            next_miss.min(refresh)
        } else {
            refresh
        };
        assert!(time <= wanted.max(self.back_off()[1]), "too long a pause");
    }

    fn check_success(&mut self, outcome: StoreResult, ticket: Ticket, body: u8) {
        let expected = match self.stored {
            Some((newer, _)) if newer >= ticket.0 => StoreResult::Late,
            Some((_, same)) if same == body => StoreResult::Unchanged,
            _ => StoreResult::Changed,
        };
        assert_eq!(outcome, expected);
        if outcome == StoreResult::Late {
            return;
        }
        self.stored = Some((ticket.0, body));
        self.failures = 0;
        if self.latest.is_some_and(|(start, _)| start == ticket.0) {
            self.latest = Some((ticket.0, true));
        }
    }

    fn note_failure(&mut self, ticket: Ticket, now: Nanos, retry_after: Option<Nanos>) -> bool {
        let counts = self.latest == Some((ticket.0, false));
        if counts {
            self.fail(now, retry_after.unwrap_or_default());
        }
        counts
    }

    fn check_view(&self, world: &World) {
        let view = world.view();
        let body = self.stored.map(|(_, body)| body);
        assert_eq!(view.body, body.as_slice());
        assert_eq!(view.generation > 0, body.is_some());
        let used_until = self
            .stored
            .map(|(fetched_at, _)| fetched_at + self.schedule.refresh + self.schedule.keep_stale);
        let is_usable = used_until.is_some_and(|end| world.now < end);
        assert_eq!(world.freshness().is_usable(), is_usable);
    }
}

/// Asks whether to fetch, and checks the answer.
fn ask(world: &mut World, account: &mut Account, trigger: Trigger) {
    let is_miss = trigger == Trigger::Miss;
    let now = world.now;
    match world.acquire(trigger) {
        Acquired::Changed => panic!("it is known"),
        Acquired::Held { until } => {
            assert_eq!(account.lease_end(), Some(until));
            assert!(now < until);
        }
        Acquired::NotBefore(time) => {
            // The holder may still answer, as long as nobody else fetches.
            let mut account = account.clone();
            account.note_lost_fetch(now);
            account.check_not_before(is_miss, time, now);
        }
        Acquired::Fetch { ticket, .. } => {
            account.note_lost_fetch(now);
            account.check_fetch(is_miss, ticket, now);
        }
    }
}

fn answer(world: &mut World, account: &mut Account, ticket: Ticket, answer: &Answer, random: u64) {
    let now = world.now;
    let body = match answer {
        Answer::Good(body) => &[*body][..],
        Answer::Empty | Answer::Failure { .. } => &[],
    };
    if let Answer::Failure { retry_after } = answer {
        let counts = world.fail_with(ticket, random, *retry_after);
        assert_eq!(counts, account.note_failure(ticket, now, *retry_after));
        return;
    }
    let outcome =
        world.edit(|schedule, value, now| schedule.succeed(value, ticket, now, body, random));
    match body {
        [body] => account.check_success(outcome, ticket, *body),
        _ => {
            assert_eq!(outcome, StoreResult::Refused);
            account.note_failure(ticket, now, None);
        }
    }
}

proptest! {
    /// At most one lease exists at a time; the schedule respects the back-off and `min_refetch_interval`, and no pause
    /// is longer than they require; the stored document is the newest good answer.
    #[test]
    fn whatever_workers_do_the_account_is_right(schedule in schedules(), steps in steps()) {
        let mut world = World { schedule, ..World::new() };
        let mut account = Account::new(schedule);
        let mut clock = START;
        let mut generation = 0;
        for Step { pause, behind, action, random } in steps {
            clock += pause;
            world.now = clock - behind;
            let body = world.view().body.to_vec();
            match action {
                Action::Ask(trigger) => ask(&mut world, &mut account, trigger),
                Action::AskLate(trigger) => {
                    let outcome = world.acquire_knowing(generation + 1, trigger);
                    prop_assert_eq!(outcome, Acquired::Changed);
                }
                Action::Answer(which, what) if !account.under_way.is_empty() => {
                    let which = which.index(account.under_way.len());
                    let ticket = account.under_way.swap_remove(which);
                    answer(&mut world, &mut account, ticket, &what, random);
                }
                Action::Crash(which) if !account.under_way.is_empty() => {
                    account.under_way.swap_remove(which.index(account.under_way.len()));
                }
                Action::Answer(..) | Action::Crash(_) => {}
            }
            account.check_view(&world);
            let view = world.view();
            prop_assert_eq!(view.generation != generation, view.body != body);
            prop_assert!(view.generation >= generation);
            generation = view.generation;
        }

        // After any history, the next fetch succeeds.
        world.now = clock + MINUTE * 15 + SECOND * 3;
        let ticket = world.fetch(Trigger::Due);
        prop_assert_ne!(world.succeed(ticket, &[9]), StoreResult::Late);
        prop_assert_eq!(world.view().body, &[9]);
        prop_assert_eq!(world.freshness(), Freshness::Fresh);
    }
}
