//! The state of each key, as the table stores it.
//!
//! # Layout
//!
//! | bytes | content |
//! |---|---|
//! | 1 | phase: 0 closed, 1 half-open, 2 open; any other byte is read as closed |
//! | 3 | the last trip: cause, failure rate, slow rate |
//! | 2 | trips in a row |
//! | 4 | failures in a row |
//! | 8 | generation |
//! | 8 | end of the open phase |
//! | 8 | the latest time that `Retry-After` of a failure in this generation asked to wait for |
//! | 12 | results of probes: all, failed, slow |
//! | 28 | probes that are out, see [`leases`](super::leases) |
//! | 28 | probes with incomplete requests |
//! | 28 | probes whose responses have begun well and end with trailers |
//! | 8 | time since which requests under way are counted |
//! | 28 | requests under way |
//! | 129 | the [`window`] |
//!
//! Numbers are little-endian. Any bytes are a state; all 0 is the state of a new key.

use super::codec::{Reader, Writer};
use super::leases::Leases;
use super::window::{self, Counts, Window};
use portcullis_core::breaker_snapshot::Phase;
use portcullis_core::label::Label;
use portcullis_core::time::Nanos;

const SIZE: usize = 1 + 3 + 2 + 4 + 3 * 8 + 12 + 3 * 28 + 8 + 28 + window::SIZE;

/// Why a circuit opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The failure rate was reached.
    Rate,
    /// The slow rate was reached.
    Slow,
    /// The number of failures in a row was reached.
    Consecutive,
    /// The probes of a half-open circuit failed.
    Probe,
}

/// The value of the metric label `reason`.
impl Label for Cause {
    const ALL: &'static [Self] = &[Self::Rate, Self::Slow, Self::Consecutive, Self::Probe];

    fn label(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Slow => "slow",
            Self::Consecutive => "consecutive",
            Self::Probe => "probe",
        }
    }
}

impl Cause {
    fn to_byte(cause: Option<Self>) -> u8 {
        match cause {
            None => 0,
            Some(Self::Rate) => 1,
            Some(Self::Slow) => 2,
            Some(Self::Consecutive) => 3,
            Some(Self::Probe) => 4,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Rate),
            2 => Some(Self::Slow),
            3 => Some(Self::Consecutive),
            4 => Some(Self::Probe),
            _ => None,
        }
    }
}

/// The last time that a circuit opened, for the status view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trip {
    /// `None` if it never opened.
    pub(crate) cause: Option<Cause>,
    /// In percent.
    pub(crate) failure_rate: u8,
    /// In percent.
    pub(crate) slow_rate: u8,
}

/// The state of one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    pub(crate) last_trip: Trip,
    /// How often it opened since it was last closed.
    pub(crate) trips: u16,
    /// Failures in a row.
    pub(crate) consecutive: u32,
    /// The time at which the phase began, as a number that grows with each phase. 0 is the first.
    pub(crate) generation: u64,
    pub(crate) open_until: Nanos,
    /// The latest time that `Retry-After` of a failure in this generation asked to wait for.
    pub(super) retry_after_until: Nanos,
    /// Results of probes.
    pub(crate) probed: Counts,
    /// Permits of probes with complete requests.
    pub(super) probes: Leases,
    /// Permits of probes with incomplete requests.
    pub(super) uploads: Leases,
    /// Permits of probes whose responses have begun well.
    pub(super) answered: Leases,
    /// Since when requests under way are counted; 0: never. It distinguishes them from requests that were counted
    /// before the key was evicted.
    pub(super) counting_since: Nanos,
    pub(super) under_way: Leases,
    pub(super) window: Window,
}

impl portcullis_table::State for State {
    type Bytes = [u8; SIZE];

    const HAS_FLOOR: bool = false;

    fn to_bytes(self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let mut writer = Writer::new(&mut bytes);
        let trip = self.last_trip;
        writer.put([self.phase.to_byte()]);
        writer.put([
            Cause::to_byte(trip.cause),
            trip.failure_rate,
            trip.slow_rate,
        ]);
        writer.put(self.trips.to_le_bytes());
        writer.put(self.consecutive.to_le_bytes());
        writer.put(self.generation.to_le_bytes());
        writer.put_time(self.open_until);
        writer.put_time(self.retry_after_until);
        self.probed.write(&mut writer);
        for leases in [&self.probes, &self.uploads, &self.answered] {
            leases.write(&mut writer);
        }
        writer.put_time(self.counting_since);
        self.under_way.write(&mut writer);
        writer.put(self.window.0);
        bytes
    }

    fn from_bytes(bytes: [u8; SIZE]) -> Self {
        let mut reader = Reader::new(&bytes);
        let [phase, cause, failure_rate, slow_rate] = reader.take();
        Self {
            phase: Phase::from_byte(phase),
            last_trip: Trip {
                cause: Cause::from_byte(cause),
                failure_rate,
                slow_rate,
            },
            trips: u16::from_le_bytes(reader.take()),
            consecutive: u32::from_le_bytes(reader.take()),
            generation: u64::from_le_bytes(reader.take()),
            open_until: reader.take_time(),
            retry_after_until: reader.take_time(),
            probed: Counts::read(&mut reader),
            probes: Leases::read(&mut reader),
            uploads: Leases::read(&mut reader),
            answered: Leases::read(&mut reader),
            counting_since: reader.take_time(),
            under_way: Leases::read(&mut reader),
            window: Window(reader.take()),
        }
    }
}
