//! The messages of `kuadrant.service.ratelimit.v1.RateLimitService`, which Limitador offers since September 2026.
//!
//! `Reserve` holds an amount until it is committed, its time is over, or the window ends. All holds together never exceed
//! the limit, so concurrent calls cannot both get the last of it. `Commit` counts the actual amount and ends the hold. It
//! counts also if the hold is over, and each time that it arrives. The service's other calls do not see holds: descriptors
//! that are reserved must not also be limited with `ShouldRateLimit`.

use portcullis_core::protobuf::{Fields, Malformed, Message};
use portcullis_core::time::Nanos;

use super::messages::{Code, Entry, encoded_entries};

/// The gRPC service.
pub const SERVICE: &str = "kuadrant.service.ratelimit.v1.RateLimitService";
/// The method that takes a [`Reservation`].
pub const RESERVE: &str = "Reserve";
/// The method that ends one.
pub const COMMIT: &str = "Commit";

/// The longest identifier of a reservation, in bytes.
const MAX_ID: usize = 256;

/// The time for a late tick between the end of a lease and its commit.
pub const MARGIN: Nanos = Nanos::from_secs(2);

/// How long the service must hold an amount that is used for this long, if a call takes at most `timeout`.
pub fn ttl(used_for: Nanos, timeout: Nanos) -> Nanos {
    used_for + MARGIN + timeout * 2
}

/// Encodes the fields that both requests begin with.
pub fn encode_target(domain: &str, entries: &[Entry<'_>]) -> Vec<u8> {
    let mut target = Message::default();
    target.text(1, domain).message(2, &encoded_entries(entries));
    target.into_bytes()
}

/// Encodes a `ReserveRequest` for a target.
pub fn encode_reserve(target: &[u8], amount: u32, ttl: Nanos) -> Vec<u8> {
    let mut duration = Message::default();
    duration
        .number(1, ttl.floor_secs())
        .number(2, (ttl - Nanos::from_secs(ttl.floor_secs())).get());
    let mut request = Message::default();
    request.number(3, amount.into()).message(4, &duration);
    [target, &request.into_bytes()].concat()
}

/// Encodes a `CommitRequest` for the target of a reservation.
pub fn encode_commit(target: &[u8], id: &str, actual: u32) -> Vec<u8> {
    let mut request = Message::default();
    request.text(3, id).number(4, actual.into());
    [target, &request.into_bytes()].concat()
}

/// A `ReserveResponse`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reservation {
    /// Whether the amount is held.
    pub code: Code,
    /// The identifier for the commit. It is empty unless the amount is held, and also if the service has no limit for the
    /// descriptor.
    pub id: String,
}

impl Reservation {
    /// Decodes the answer to a reservation.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reservation = Self::default();
        for field in Fields::of(bytes) {
            match field? {
                (1, code) => reservation.code = Code::of(code.number()?),
                (2, id) => match id.text()? {
                    id if id.len() <= MAX_ID => reservation.id = id.to_owned(),
                    _ => return Err(Malformed),
                },
                _ => {}
            }
        }
        Ok(reservation)
    }
}

/// Decodes a `CommitResponse`: whether the hold was still there. If not, its time was over; the actual amount counts
/// all the same.
pub fn decode_commit(bytes: &[u8]) -> Result<bool, Malformed> {
    let mut released = false;
    for field in Fields::of(bytes) {
        if let (1, flag) = field? {
            released = flag.number()? != 0;
        }
    }
    Ok(released)
}
