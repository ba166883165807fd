//! Sequences of steps on one ledger, compared with the model and with the bound.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::START;
use super::account::{Book, RULES};
use super::model::{Model, Ticket};
use crate::account::{Closing, Entry};
use crate::ledger::{Ledger, Reservation, Rules};
use portcullis_core::time::Nanos;
use portcullis_table::State;

#[derive(Clone, Debug)]
enum Step {
    Request {
        wanted: u32,
    },
    InboundRetry,
    CountedRetry,
    /// A request ends.
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

/// Takes the steps on the ledger and on the model, and compares them after each step.
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

    /// Requests and denied retries, with any refunds at any time.
    #[test]
    fn no_interval_has_more_retries_than_it_may(rules in rules(), steps in steps()) {
        let steps: Vec<_> = steps
            .into_iter()
            .filter(|step| !matches!(step, Step::CountedRetry))
            .collect();
        let model = compare(rules, &steps)?;
        prop_assert!(model.greatest_excess() <= 0, "{}", model.greatest_excess());
    }

    /// So errors cannot add up over a long time.
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
        // Bytes of unknown origin are counts like any others.
        for now in [Nanos::ZERO, START, Nanos::MAX] {
            ledger = ledger.at(&RULES, now);
            ledger.deposit();
            let reserved = ledger.withdraw(&RULES, 10);
            ledger.refund(&reserved, 10);
            ledger.overdraw(u32::MAX);
        }
    }
}

/// Takes the steps, and returns the result of each.
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
