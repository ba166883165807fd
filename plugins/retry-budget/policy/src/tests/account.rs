//! One ledger against the model, and against the bound.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use proptest::prelude::*;

use super::START;
use super::model::{Model, Ticket};
use crate::account::{Account, Closing, Entry};
use crate::ledger::{Ledger, Reservation, Rules};
use portcullis_core::time::Nanos;
use portcullis_table::{SLOTS, State};

const TAG: u64 = 7;

/// A ledger in its block.
struct Book {
    rules: Rules,
    now: Nanos,
    block: Vec<u8>,
}

impl Book {
    fn new(rules: Rules) -> Self {
        Self {
            rules,
            now: START,
            block: Vec::new(),
        }
    }

    fn of(&self, tag: u64) -> Account {
        Account {
            rules: self.rules,
            now: self.now,
            tag,
        }
    }

    fn enter(&mut self, entry: Entry) -> (Reservation, u32) {
        let (reserved, statement) = self.of(TAG).enter(entry, &mut self.block).outcome;
        (reserved, statement.balance)
    }

    fn close(&mut self, closing: Closing) -> u32 {
        let account = self.of(TAG);
        account.close(closing, &mut self.block).outcome.balance
    }

    /// A request that would use these retries if it had them, and then pays.
    fn request(&mut self, wanted: u32) -> Reservation {
        let reserved = self.enter(Entry::Request { wanted }).0;
        self.close(PAYS);
        reserved
    }

    fn refund(&mut self, reserved: Reservation, retries: u32) -> u32 {
        self.close(Closing {
            deposits: false,
            unused: Some((reserved, retries)),
        })
    }

    fn balance(&mut self) -> u32 {
        self.close(Closing {
            deposits: false,
            unused: None,
        })
    }
}

/// A request that had nothing, or has used it.
const PAYS: Closing = Closing {
    deposits: true,
    unused: None,
};

const RULES: Rules = Rules {
    ratio: 20,
    window: Nanos::from_secs(10),
    min_retries_per_second: 3,
};

const NO_RESERVE: Rules = Rules {
    min_retries_per_second: 0,
    ..RULES
};

#[derive(Clone, Debug)]
enum Step {
    Request {
        wanted: u32,
    },
    InboundRetry,
    CountedRetry,
    /// An entry comes to its end.
    Close {
        which: prop::sample::Index,
        retries: usize,
        deposits: bool,
    },
    Pass(Nanos),
    Back(Nanos),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    const SECOND: u64 = Nanos::SECOND.get();
    let pass = |time| Step::Pass(Nanos::new(time));
    let close = (any::<prop::sample::Index>(), 0..4_usize, any::<bool>());
    let close = close.prop_map(|(which, retries, deposits)| Step::Close {
        which,
        retries,
        deposits,
    });
    let step = prop_oneof![
        6 => (0..4_u32).prop_map(|wanted| Step::Request { wanted }),
        1 => Just(Step::InboundRetry),
        1 => Just(Step::CountedRetry),
        6 => close,
        3 => (0..2 * SECOND).prop_map(pass),
        1 => (0..30 * SECOND).prop_map(pass),
        1 => (0..SECOND / 10).prop_map(|time| Step::Back(Nanos::new(time))),
    ];
    prop::collection::vec(step, 0..120)
}

fn rules() -> impl Strategy<Value = Rules> {
    let ratio = prop_oneof![Just(0_u32), Just(20), Just(33), Just(100), 0..=1_000_u32];
    let window = prop_oneof![
        Just(Nanos::SECOND),
        Just(Nanos::from_secs(10)),
        Just(Nanos::from_secs(3_600))
    ];
    (ratio, window, 0..4_u32).prop_map(|(ratio, window, min_retries_per_second)| Rules {
        ratio,
        window,
        min_retries_per_second,
    })
}

/// Takes the steps on both, and compares them after each.
fn compare(rules: Rules, steps: &[Step]) -> Result<Model, TestCaseError> {
    let mut book = Book::new(rules);
    let mut model = Model::new(rules);
    let mut tickets: Vec<(Reservation, Ticket)> = Vec::new();
    for step in steps {
        let entered = |book: &mut Book, entry| Some(book.enter(entry));
        let (entered, ticket) = match step {
            Step::Request { wanted } => {
                let entered = entered(&mut book, Entry::Request { wanted: *wanted });
                (entered, model.withdraw(book.now, *wanted, false))
            }
            Step::InboundRetry => {
                let entered = entered(&mut book, Entry::InboundRetry);
                (entered, model.withdraw(book.now, 1, false))
            }
            Step::CountedRetry => {
                let entered = entered(&mut book, Entry::CountedRetry);
                (entered, model.withdraw(book.now, 1, true))
            }
            Step::Close {
                which,
                retries,
                deposits,
            } if !tickets.is_empty() => {
                let (reserved, ticket) = tickets.swap_remove(which.index(tickets.len()));
                let unused = (*retries).min(ticket.len());
                model.refund(book.now, &ticket, unused);
                if *deposits {
                    model.deposit(book.now);
                }
                let balance = book.close(Closing {
                    deposits: *deposits,
                    unused: Some((reserved, unused as u32)),
                });
                prop_assert_eq!(balance, model.balance(book.now));
                continue;
            }
            Step::Close { .. } => continue,
            Step::Pass(time) => {
                book.now += *time;
                continue;
            }
            Step::Back(time) => {
                book.now = book.now - *time;
                continue;
            }
        };
        if let Some((reserved, balance)) = entered {
            prop_assert_eq!(reserved.retries() as usize, ticket.len());
            prop_assert_eq!(balance, model.balance(book.now));
            tickets.push((reserved, ticket));
        }
    }
    Ok(model)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_ledger_does_what_the_model_does(rules in rules(), steps in steps()) {
        compare(rules, &steps)?;
    }

    /// Requests, and retries that are denied if there is nothing for them, whatever is refunded when.
    #[test]
    fn no_interval_has_more_retries_than_it_may(rules in rules(), steps in steps()) {
        let steps: Vec<_> = steps
            .into_iter()
            .filter(|step| !matches!(step, Step::CountedRetry))
            .collect();
        let model = compare(rules, &steps)?;
        prop_assert!(model.greatest_excess() <= 0, "{}", model.greatest_excess());
    }

    /// So nothing can add up over a long time.
    #[test]
    fn after_a_window_nothing_is_left(rules in rules(), before in steps(), after in steps()) {
        let mut used = Book::new(rules);
        let mut unused = Book::new(rules);
        take(&mut used, &before);
        used.now += rules.window + Nanos::SECOND;
        unused.now = used.now;
        prop_assert_eq!(take(&mut used, &after), take(&mut unused, &after));
    }

    #[test]
    fn every_ledger_can_be_read_back(bytes in prop::collection::vec(any::<u8>(), 108)) {
        let bytes: [u8; 108] = bytes.try_into().unwrap();
        let mut ledger = Ledger::from_bytes(bytes);
        prop_assert_eq!(ledger.to_bytes(), bytes);
        // Bytes of which nobody knows where they come from are counts like others.
        for now in [Nanos::ZERO, START, Nanos::MAX] {
            ledger = ledger.at(&RULES, now);
            ledger.deposit();
            let reserved = ledger.withdraw(&RULES, 10);
            ledger.refund(&reserved, 10);
            ledger.overdraw(u32::MAX);
        }
    }
}

/// Takes the steps, and says what came of each.
fn take(book: &mut Book, steps: &[Step]) -> Vec<u32> {
    let mut reservations = Vec::new();
    let mut seen = Vec::new();
    for step in steps {
        let entry = match step {
            Step::Request { wanted } => Entry::Request { wanted: *wanted },
            Step::InboundRetry => Entry::InboundRetry,
            Step::CountedRetry => Entry::CountedRetry,
            Step::Close {
                which,
                retries,
                deposits,
            } if !reservations.is_empty() => {
                let index = which.index(reservations.len());
                let reserved: Reservation = reservations.swap_remove(index);
                let unused = reserved.retries().min(*retries as u32);
                seen.push(book.close(Closing {
                    deposits: *deposits,
                    unused: Some((reserved, unused)),
                }));
                continue;
            }
            Step::Pass(time) => {
                book.now += *time;
                continue;
            }
            Step::Close { .. } | Step::Back(_) => continue,
        };
        let (reserved, balance) = book.enter(entry);
        seen.extend([reserved.retries(), balance]);
        reservations.push(reserved);
    }
    seen
}

/// Requests of which each would use every retry that it can get: what they get is what the ratio and the
/// reserve are worth, but for a retry in each window: what the last request of a bucket pays for is
/// withdrawn in the next one, and stays withdrawn when the deposit has left the window.
#[test]
fn a_long_run_gains_nothing_and_loses_hardly_anything() {
    const STEPS: u64 = 200_000;
    let mut book = Book::new(Rules { ratio: 33, ..RULES });
    let mut retries = 0;
    for step in 1..=STEPS {
        book.now += Nanos::SECOND / 100;
        retries += u64::from(book.request(2).retries());
        let seconds = step / 100 + 1;
        // The last one pays for those after it.
        let worth = (step - 1) * 33 / 100 + seconds * 3;
        if step % 10_000 == 0 {
            let (missing, windows) = (worth - retries, step / 1_000);
            assert!(missing <= 2 + windows, "{retries} of {worth} after {step}");
        }
    }
}

#[test]
fn what_finds_nothing_writes_nothing() {
    let mut book = Book::new(NO_RESERVE);
    for entry in [
        Entry::Request { wanted: 0 },
        Entry::Request { wanted: 3 },
        Entry::InboundRetry,
    ] {
        assert!(!book.of(TAG).enter(entry, &mut book.block).changed);
    }
    let nothing = Closing {
        deposits: false,
        unused: None,
    };
    assert!(!book.of(TAG).close(nothing, &mut book.block).changed);
    assert!(book.block.is_empty() || !book.block.contains(&(TAG as u8)));
    assert!(book.of(TAG).close(PAYS, &mut book.block).changed);
}

#[test]
fn a_ledger_that_had_to_make_room_comes_back_for_a_deposit_only() {
    let mut book = Book::new(RULES);
    let reserved = book.enter(Entry::Request { wanted: 2 }).0;
    book.block.clear();
    for (deposits, is_back) in [(false, false), (true, true)] {
        let closing = Closing {
            deposits,
            unused: Some((reserved, 2)),
        };
        let edit = book.of(TAG).close(closing, &mut book.block);
        assert_eq!(
            (edit.changed, edit.outcome.table.occupied),
            (is_back, is_back)
        );
        // Of the reserve nothing is taken in the ledger that has begun again.
        assert_eq!(edit.outcome.balance, 3);
    }
}

#[test]
fn deposits_pay_for_a_window_and_no_longer() {
    let mut book = Book::new(NO_RESERVE);
    for _ in 0..50 {
        book.request(0);
    }
    assert_eq!(book.balance(), 10);
    book.now += Nanos::from_secs(10) - Nanos::new(1);
    assert_eq!(book.balance(), 10);
    book.now += Nanos::new(1);
    assert_eq!(book.balance(), 0);
}

#[test]
fn the_reserve_is_there_each_second_and_does_not_add_up() {
    let mut book = Book::new(Rules { ratio: 0, ..RULES });
    assert_eq!(book.request(2).retries(), 2);
    assert_eq!(book.request(2).retries(), 1);
    assert_eq!(book.request(2).retries(), 0);
    book.now += Nanos::from_secs(100);
    assert_eq!(book.request(10).retries(), 3);
}

#[test]
fn what_is_given_back_late_is_gone() {
    let mut book = Book::new(RULES);
    for _ in 0..20 {
        book.request(0);
    }
    // Four from deposits, three from the reserve of this second.
    let reserved = book.request(7);
    assert_eq!(reserved.retries(), 7);
    book.now += Nanos::SECOND;
    // The next second has its own reserve.
    assert_eq!(book.balance(), 3);
    assert_eq!(book.refund(reserved, 7), 4 + 3);
    let reserved = book.request(7);
    book.now += Nanos::from_secs(10);
    assert_eq!(book.refund(reserved, 7), 3);
}

#[test]
fn a_refund_means_nothing_to_a_ledger_that_was_begun_anew() {
    let mut book = Book::new(NO_RESERVE);
    for _ in 0..10 {
        book.request(0);
    }
    let reserved = book.request(2);
    assert_eq!(reserved.retries(), 2);
    // Others fill the block, and the ledger has to make room.
    book.now += Nanos::new(1);
    let others = (100..).take(SLOTS + 1);
    for tag in others {
        for _ in 0..20 {
            book.of(tag).close(PAYS, &mut book.block);
        }
    }
    assert_eq!(book.refund(reserved, 2), 0);
    for _ in 0..40 {
        book.request(0);
    }
    book.request(8);
    assert_eq!(book.balance(), 0);
    assert_eq!(book.refund(reserved, 2), 0);
}

#[test]
fn the_ledger_with_the_fewest_events_makes_room() {
    let mut book = Book::new(RULES);
    let mut enter = |tag: u64, requests: usize| {
        let enter = |_| book.of(tag).close(PAYS, &mut book.block).outcome.table;
        (0..requests).map(enter).last().unwrap()
    };
    for tag in 0..SLOTS as u64 {
        assert!(enter(tag, 1).occupied);
        enter(tag, 5 + tag as usize);
    }
    let events = enter(100, 1);
    assert!(events.evicted && !events.occupied);
    // The newcomer has fewer.
    assert!(enter(101, 1).evicted);
    // And those with the most are still there.
    assert!(!enter(15, 1).evicted && !enter(1, 1).evicted);
}
