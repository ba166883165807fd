//! A model of a ledger that keeps all events.

use crate::ledger::Rules;
use portcullis_core::time::Nanos;

/// All events of one key.
#[derive(Clone, Debug)]
pub(super) struct Model {
    rules: Rules,
    /// The time of the last event.
    latest: Nanos,
    /// The current time of the ledger.
    at: Nanos,
    requests: Vec<Nanos>,
    retries: Vec<Retry>,
}

/// A retry that was withdrawn, at some time.
#[derive(Clone, Copy, Debug)]
struct Retry {
    at: Nanos,
    source: Source,
    is_refunded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Deposits,
    Reserve,
}

/// The retries of one request, by their position in the list.
#[derive(Clone, Debug)]
pub(super) struct Ticket(Vec<usize>);

impl Ticket {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Model {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            latest: Nanos::ZERO,
            at: Nanos::ZERO,
            requests: Vec::new(),
            retries: Vec::new(),
        }
    }

    /// An event with an earlier time than the last one counts at the time of the last one.
    fn look(&mut self, now: Nanos) {
        self.at = self.latest.max(now);
    }

    pub(super) fn deposit(&mut self, now: Nanos) {
        self.look(now);
        self.latest = self.at;
        self.requests.push(self.at);
    }

    /// Withdraws as many of the wanted retries as the balance allows, or all of them with `must`.
    pub(super) fn withdraw(&mut self, now: Nanos, wanted: u32, must: bool) -> Ticket {
        self.look(now);
        let at = self.at;
        let mut ticket = Ticket(Vec::new());
        for _ in 0..wanted {
            let source = match (self.in_deposits() > 0, self.in_reserve() > 0) {
                (false, true) => Source::Reserve,
                (false, false) if !must => break,
                _ => Source::Deposits,
            };
            ticket.0.push(self.retries.len());
            self.retries.push(Retry {
                at,
                source,
                is_refunded: false,
            });
        }
        // A withdrawal of nothing is no event.
        if ticket.len() > 0 {
            self.latest = at;
        }
        ticket
    }

    /// Refunds this number of retries, first those from deposits.
    pub(super) fn refund(&mut self, now: Nanos, ticket: &Ticket, count: usize) {
        self.look(now);
        let is_kept = !self.requests.is_empty() || !self.retries.is_empty();
        if is_kept {
            self.latest = self.at;
        }
        for index in ticket.0.iter().take(count) {
            self.retries[*index].is_refunded = true;
        }
    }

    pub(super) fn balance(&mut self, now: Nanos) -> u32 {
        self.look(now);
        let balance = self.in_deposits() + self.in_reserve();
        u32::try_from(balance).unwrap()
    }

    fn in_deposits(&self) -> i64 {
        let requests = self.requests.iter().filter(|at| self.is_in_window(**at));
        let retries = self.used(Source::Deposits);
        let retries = retries.filter(|retry| self.is_in_window(retry.at));
        let hundredths =
            requests.count() as i64 * i64::from(self.rules.ratio) - retries.count() as i64 * 100;
        hundredths.max(0) / 100
    }

    fn in_reserve(&self) -> i64 {
        let this_second = self
            .used(Source::Reserve)
            .filter(|retry| retry.at.floor_secs() == self.at.floor_secs());
        i64::from(self.rules.min_retries_per_second) - this_second.count() as i64
    }

    fn used(&self, source: Source) -> impl Iterator<Item = &Retry> {
        let retries = self.retries.iter();
        retries.filter(move |retry| retry.source == source && !retry.is_refunded)
    }

    fn is_in_window(&self, at: Nanos) -> bool {
        let bucket = (self.rules.window / 10).get();
        self.at.get() / bucket - at.get() / bucket < 10
    }

    /// The largest excess of the retries in any interval over the bound, in hundredths of a retry. Only intervals that
    /// begin and end with a retry matter.
    pub(super) fn greatest_excess(&self) -> i64 {
        let used: Vec<Nanos> = self
            .retries
            .iter()
            .filter(|retry| !retry.is_refunded)
            .map(|retry| retry.at)
            .collect();
        let mut greatest = i64::MIN;
        for (i, start) in used.iter().enumerate() {
            for (j, end) in used.iter().enumerate().skip(i) {
                let requests = self.requests.iter();
                let requests =
                    requests.filter(|at| **at + self.rules.window > *start && *at <= end);
                let seconds = end.floor_secs() - start.floor_secs() + 1;
                let allowed = requests.count() as i64 * i64::from(self.rules.ratio)
                    + seconds as i64 * i64::from(self.rules.min_retries_per_second) * 100;
                greatest = greatest.max((j - i + 1) as i64 * 100 - allowed);
            }
        }
        greatest
    }
}
