//! A service that holds amounts, as Limitador does.

use std::collections::HashMap;

use portcullis_core::protobuf::{Fields, Message, Value};
use portcullis_core::time::Nanos;

const WINDOW: Nanos = Nanos::from_secs(60);

/// A counter, whose window begins with the first call.
#[derive(Clone, Debug, Default)]
struct Counter {
    ends: Nanos,
    count: u32,
    /// By identifier: the amount, and when it ends.
    holds: HashMap<String, (u32, Nanos)>,
}

#[derive(Clone, Debug)]
pub(super) struct Reserving {
    counters: HashMap<String, Counter>,
    pub(super) limit: u32,
    reservations: u32,
    /// Identifiers and amounts, and whether the hold was still there.
    pub(super) commits: Vec<(String, u32, bool)>,
}

impl Default for Reserving {
    fn default() -> Self {
        Self {
            counters: HashMap::new(),
            limit: 100,
            reservations: 0,
            commits: Vec::new(),
        }
    }
}

impl Reserving {
    /// The count of a descriptor, and what is held.
    pub(super) fn count(&mut self, descriptor: &str, now: Nanos) -> (u32, u32) {
        let counter = self.counter(descriptor, now);
        let held = counter.holds.values().map(|(amount, _)| amount);
        (counter.count, held.sum())
    }

    pub(super) fn reservations(&self) -> u32 {
        self.reservations
    }

    fn counter(&mut self, descriptor: &str, now: Nanos) -> &mut Counter {
        let counter = self.counters.entry(descriptor.to_owned()).or_default();
        if now >= counter.ends {
            *counter = Counter {
                ends: now + WINDOW,
                ..Counter::default()
            };
        }
        counter.holds.retain(|_, (_, ends)| now < *ends);
        counter
    }

    pub(super) fn reserve(&mut self, message: &[u8], now: Nanos) -> Vec<u8> {
        let (descriptor, [third, fourth]) = decode(message);
        let amount = third.number32().unwrap();
        let mut ttl = Fields::of(fourth.bytes().unwrap());
        let seconds = ttl.next().unwrap().unwrap().1.number().unwrap();
        let limit = self.limit;
        self.reservations += 1;
        let id = format!("{descriptor}-{}", self.reservations);
        let counter = self.counter(&descriptor, now);
        let held: u32 = counter.holds.values().map(|(amount, _)| amount).sum();
        let mut answer = Message::default();
        match counter.count + held + amount <= limit {
            true => {
                let ends = (now + Nanos::from_secs(seconds)).min(counter.ends);
                counter.holds.insert(id.clone(), (amount, ends));
                answer.number(1, 1).text(2, &id);
            }
            false => {
                answer.number(1, 2);
            }
        }
        answer.into_bytes()
    }

    pub(super) fn commit(&mut self, message: &[u8], now: Nanos) -> Vec<u8> {
        let (descriptor, [id, actual]) = decode(message);
        let id = id.text().unwrap().to_owned();
        let actual = actual.number32().unwrap();
        let counter = self.counter(&descriptor, now);
        counter.count += actual;
        let released = counter.holds.remove(&id).is_some();
        self.commits.push((id, actual, released));
        let mut answer = Message::default();
        answer.number(1, released.into());
        answer.into_bytes()
    }
}

/// The descriptor, and the two fields that follow.
fn decode(message: &[u8]) -> (String, [Value<'_>; 2]) {
    let mut descriptor = String::new();
    let mut rest = [Value::Number(0); 2];
    for field in Fields::of(message) {
        match field.unwrap() {
            (2, entries) => {
                for entry in Fields::of(entries.bytes().unwrap()) {
                    let entry = entry.unwrap().1.bytes().unwrap();
                    let texts: Vec<&str> = Fields::of(entry)
                        .map(|field| field.unwrap().1.text().unwrap())
                        .collect();
                    descriptor += &texts.join("=");
                }
            }
            (3, value) => rest[0] = value,
            (4, value) => rest[1] = value,
            _ => {}
        }
    }
    (descriptor, rest)
}
