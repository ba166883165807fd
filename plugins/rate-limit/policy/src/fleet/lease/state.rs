//! The state of a key, and its bytes in the table.

use portcullis_core::time::Nanos;
use portcullis_table::State;

use super::Lot;

/// The state of a key. The default is that of a key that was never seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// The tokens that are left.
    pub(super) tokens: u32,
    /// When they can no longer be used: not after the end of the window that they were counted in.
    pub(super) dies: Nanos,
    pub(super) lot: Lot,
    /// The size by use.
    pub(super) size: u32,
    /// When the last lease was granted, in milliseconds, without the upper bits.
    pub(super) granted_at: u32,
    /// When the call was made that others wait for; 0 if there is none.
    pub(super) asked_at: Nanos,
    /// Not before the end of the window: `denied`, `remaining` and `owed` are about this window.
    pub(super) resets: Nanos,
    /// The smallest number of hits that was refused in this window.
    pub(super) denied: Option<u32>,
    /// What the service said was left in this window.
    pub(super) remaining: Option<u32>,
    /// The service's limit.
    pub(super) limit: Option<u32>,
    /// The cost that was admitted in this window and that the service does not know.
    pub(super) owed: u32,
    /// The same for costs that may belong to the next window: in the last moments before `resets`, or while no
    /// window is known.
    pub(super) owed_late: u32,
    /// How many calls have paid debts so far, without the upper bits: a debt from before the last one may be paid.
    pub(super) payments: u8,
    /// How many times faster the service's counter moves than by this proxy alone.
    pub(super) peers: u8,
    /// Whether answers come back with leases that are dead.
    pub(super) is_futile: bool,
    /// Whether the local limiter counts for this key.
    pub(super) is_local: bool,
}

const HAS_DENIED: u8 = 1;
const HAS_REMAINING: u8 = 2;
const HAS_LIMIT: u8 = 4;
const IS_FUTILE: u8 = 8;
const IS_LOCAL: u8 = 16;

impl Lease {
    /// Whether its tokens can be handed out.
    pub(super) fn is_live(&self, now: Nanos) -> bool {
        now < self.dies
    }

    /// The window that it is in; none if that is not known to last.
    pub(super) fn window(&self, now: Nanos) -> Lot {
        match self.is_live(now) {
            true => self.lot,
            false => Lot::NONE,
        }
    }

    /// Whether a lease was granted after this time, at least a millisecond.
    pub(super) fn was_granted_since(&self, since: Nanos, now: Nanos) -> bool {
        let age = |at: u32| milliseconds(now).wrapping_sub(at);
        self.granted_at != 0 && age(self.granted_at) < age(milliseconds(since))
    }

    /// What the service does not know.
    pub(super) fn debt(&self) -> u32 {
        self.owed.saturating_add(self.owed_late)
    }

    /// The tokens that it holds, including those of a dead lease that nobody has touched since.
    pub fn tokens(self) -> u32 {
        self.tokens
    }
}

/// Without the upper bits, so it is wrong after 49 days: the next lease may then have a wrong size, and a request may make a
/// call of its own.
pub(super) fn milliseconds(time: Nanos) -> u32 {
    (time.get() / Nanos::MILLISECOND.get()) as u32
}

impl State for Lease {
    type Bytes = [u8; 63];

    /// A lost state admits nothing, so a new key need not inherit any.
    const HAS_FLOOR: bool = false;

    fn to_bytes(self) -> [u8; 63] {
        let flag = |flag, is_set| if is_set { flag } else { 0 };
        let flags = flag(HAS_DENIED, self.denied.is_some())
            | flag(HAS_REMAINING, self.remaining.is_some())
            | flag(HAS_LIMIT, self.limit.is_some())
            | flag(IS_FUTILE, self.is_futile)
            | flag(IS_LOCAL, self.is_local);
        let times = [self.dies, self.asked_at, self.resets];
        let numbers = [
            self.tokens,
            self.lot.0,
            self.size,
            self.granted_at,
            self.denied.unwrap_or_default(),
            self.remaining.unwrap_or_default(),
            self.limit.unwrap_or_default(),
            self.owed,
            self.owed_late,
        ];
        let times = times.into_iter().flat_map(|time| time.get().to_le_bytes());
        let numbers = numbers.into_iter().flat_map(u32::to_le_bytes);
        let encoded = times
            .chain(numbers)
            .chain([self.payments, self.peers, flags]);
        let mut bytes = [0; 63];
        bytes
            .iter_mut()
            .zip(encoded)
            .for_each(|(to, from)| *to = from);
        bytes
    }

    fn from_bytes(bytes: [u8; 63]) -> Self {
        let mut rest = &bytes[..];
        let mut times = [0; 3];
        times.fill_with(|| u64::from_le_bytes(next(&mut rest)));
        let mut numbers = [0; 9];
        numbers.fill_with(|| u32::from_le_bytes(next(&mut rest)));
        let [payments, peers, flags] = next(&mut rest);
        let [dies, asked_at, resets] = times.map(Nanos::new);
        let [
            tokens,
            lot,
            size,
            granted_at,
            denied,
            remaining,
            limit,
            owed,
            owed_late,
        ] = numbers;
        let has = |flag| flags & flag != 0;
        Self {
            tokens,
            dies,
            lot: Lot(lot),
            size,
            granted_at,
            asked_at,
            resets,
            denied: has(HAS_DENIED).then_some(denied),
            remaining: has(HAS_REMAINING).then_some(remaining),
            limit: has(HAS_LIMIT).then_some(limit),
            owed,
            owed_late,
            payments,
            peers,
            is_futile: has(IS_FUTILE),
            is_local: has(IS_LOCAL),
        }
    }
}

/// The next bytes; zeros at the end.
fn next<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    match rest.split_first_chunk() {
        Some((array, after)) => {
            *rest = after;
            *array
        }
        None => [0; N],
    }
}
