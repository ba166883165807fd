//! One ledger in its block.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::START;
use crate::account::{Account, Closing, Entry};
use crate::ledger::{Reservation, Rules};
use portcullis_core::time::Nanos;
use portcullis_table::SLOTS;

const TAG: u64 = 7;

/// A ledger in its block.
pub(super) struct Book {
    pub(super) rules: Rules,
    pub(super) now: Nanos,
    block: Vec<u8>,
}

impl Book {
    pub(super) fn new(rules: Rules) -> Self {
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

    pub(super) fn enter(&mut self, entry: Entry) -> (Reservation, u32) {
        let (reserved, statement) = self.of(TAG).enter(entry, &mut self.block).outcome;
        (reserved, statement.balance)
    }

    pub(super) fn close(&mut self, closing: Closing) -> u32 {
        let account = self.of(TAG);
        account.close(closing, &mut self.block).outcome.balance
    }

    /// A request that uses as many of these retries as it gets, and then pays.
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

/// The end of a request without unused retries.
const PAYS: Closing = Closing {
    deposits: true,
    unused: None,
};

pub(super) const RULES: Rules = Rules {
    ratio: 20,
    window: Nanos::from_secs(10),
    min_retries_per_second: 3,
};

const NO_RESERVE: Rules = Rules {
    min_retries_per_second: 0,
    ..RULES
};

/// Each request uses every retry that it can get. Together they get what the ratio and the reserve pay for, except for
/// one retry in each window: the retry that the last request of a bucket pays for is withdrawn in the next bucket, and
/// stays withdrawn when the deposit has left the window.
#[test]
fn a_long_run_gains_nothing_and_loses_hardly_anything() {
    const STEPS: u64 = 200_000;
    let mut book = Book::new(Rules { ratio: 33, ..RULES });
    let mut retries = 0;
    for step in 1..=STEPS {
        book.now += Nanos::SECOND / 100;
        retries += u64::from(book.request(2).retries());
        let seconds = step / 100 + 1;
        // The last request pays for those after it.
        let worth = (step - 1) * 33 / 100 + seconds * 3;
        if step % 10_000 == 0 {
            let (missing, windows) = (worth - retries, step / 1_000);
            assert!(missing <= 2 + windows, "{retries} of {worth} after {step}");
        }
    }
}

#[test]
fn an_entry_without_effect_writes_nothing() {
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
fn an_evicted_ledger_returns_only_for_a_deposit() {
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
        // Nothing is taken from the reserve of the new ledger.
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
fn a_late_refund_is_lost() {
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
fn a_refund_does_not_change_a_new_ledger() {
    let mut book = Book::new(NO_RESERVE);
    for _ in 0..10 {
        book.request(0);
    }
    let reserved = book.request(2);
    assert_eq!(reserved.retries(), 2);
    // Other keys fill the block and evict the ledger.
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
    // The new key has fewer events.
    assert!(enter(101, 1).evicted);
    // The keys with the most events are still there.
    assert!(!enter(15, 1).evicted && !enter(1, 1).evicted);
}
