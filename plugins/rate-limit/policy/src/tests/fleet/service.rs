//! A service that speaks the protocol, and counts as envoyproxy/ratelimit does.

use std::collections::HashMap;

use portcullis_core::protobuf::{Fields, Message, Value};
use portcullis_core::time::Nanos;

/// A descriptor: its entries as `name=value`, and its hits.
pub(super) type Descriptor = (String, u32);

#[derive(Debug, Default)]
pub(super) struct Service {
    counts: HashMap<(String, u64), u32>,
    /// The limits by the name of the first entry, where they are not 100.
    pub(super) limits: HashMap<String, u32>,
    /// The calls so far.
    pub(super) calls: Vec<Vec<Descriptor>>,
    /// Appended to each answer.
    pub(super) additions: Vec<u8>,
    /// Sends no statuses, as Limitador.
    pub(super) is_terse: bool,
    /// Does not count what it refuses.
    pub(super) compares_first: bool,
}

impl Service {
    /// The count of a descriptor in the window of this time.
    pub(super) fn count(&self, descriptor: &str, now: Nanos) -> u32 {
        let window = now.floor_secs() / 60;
        let count = self.counts.get(&(descriptor.to_owned(), window));
        count.copied().unwrap_or_default()
    }

    pub(super) fn answer(&mut self, call: &[u8], now: Nanos) -> Vec<u8> {
        let descriptors = decode(call);
        let window = now.floor_secs() / 60;
        let mut answer = Message::default();
        let mut is_over_limit = false;
        for (name, hits) in &descriptors {
            let first = name.split('=').next().unwrap();
            let limit = self.limits.get(first).copied().unwrap_or(100);
            let count = self.counts.entry((name.clone(), window)).or_default();
            let is_over = *count + hits > limit;
            if !is_over || !self.compares_first {
                *count += hits;
            }
            is_over_limit |= is_over;
            let mut current = Message::default();
            current.number(1, limit.into()).number(2, 2);
            let mut reset = Message::default();
            reset.number(1, 60 - now.floor_secs() % 60);
            let mut status = Message::default();
            status
                .number(1, 1 + u64::from(is_over))
                .message(2, &current)
                .number(3, limit.saturating_sub(*count).into())
                .message(4, &reset);
            if !self.is_terse {
                answer.message(2, &status);
            }
        }
        answer.number(1, 1 + u64::from(is_over_limit));
        self.calls.push(descriptors);
        let mut answer = answer.into_bytes();
        answer.extend(&self.additions);
        answer
    }
}

fn decode(call: &[u8]) -> Vec<Descriptor> {
    let mut descriptors = Vec::new();
    let mut common = 0;
    for field in Fields::of(call) {
        match field.unwrap() {
            (2, descriptor) => {
                let (mut entries, mut hits) = (Vec::new(), None);
                for field in Fields::of(descriptor.bytes().unwrap()) {
                    match field.unwrap() {
                        (1, entry) => {
                            let texts: Vec<&str> = Fields::of(entry.bytes().unwrap())
                                .map(|field| field.unwrap().1.text().unwrap())
                                .collect();
                            entries.push(texts.join("="));
                        }
                        (3, wrapped) => {
                            let number = Fields::of(wrapped.bytes().unwrap()).next();
                            let number = number.map_or(Value::Number(0), |field| field.unwrap().1);
                            hits = Some(number.number32().unwrap());
                        }
                        _ => {}
                    }
                }
                descriptors.push((entries.join(","), hits));
            }
            (3, hits) => common = hits.number32().unwrap(),
            _ => {}
        }
    }
    let descriptors = descriptors.into_iter();
    descriptors
        .map(|(entries, hits)| (entries, hits.unwrap_or(common)))
        .collect()
}

/// An encoded header in the field of the answer with this number.
pub(super) fn header(field: u32, name: &str, value: &str) -> Vec<u8> {
    let mut header = Message::default();
    header.text(1, name).text(2, value);
    let mut message = Message::default();
    message.message(field, &header);
    message.into_bytes()
}
