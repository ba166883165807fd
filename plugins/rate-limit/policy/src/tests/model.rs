//! Models of the algorithms that keep the whole history of admitted requests.

use portcullis_core::time::Nanos;

/// All requests admitted under one key: time and cost.
#[derive(Clone, Debug, Default)]
pub(super) struct History(pub(super) Vec<(Nanos, u32)>);

/// A rate with a burst.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub(super) requests: u32,
    pub(super) per: Nanos,
    pub(super) burst: u32,
}

impl History {
    /// Whether, with this cost admitted, no interval of length *t* has more than burst + *t* / *T*, where *T* is the
    /// time of one request in whole nanoseconds.
    pub(super) fn gcra_admits(&self, rate: Rate, now: Nanos, cost: u32) -> bool {
        let time_of_one = i128::from(rate.per.get().div_ceil(rate.requests.into()));
        let allowed = |length: i128| i128::from(rate.burst) * time_of_one + length;
        let mut admitted = i128::from(cost);
        if admitted * time_of_one > allowed(0) {
            return false;
        }
        self.0.iter().rev().all(|(time, earlier)| {
            admitted += i128::from(*earlier);
            admitted * time_of_one <= allowed(i128::from(now.get()) - i128::from(time.get()))
        })
    }

    /// Whether the interpolation from the current and the previous window has room for a cost. A request after one
    /// in a later window counts at the beginning of that window.
    pub(super) fn sliding_window_admits(&self, rate: Rate, now: Nanos, cost: u32) -> bool {
        let (counts, window) = self.windows(rate, now);
        let count = |window: Option<u64>| -> u128 {
            let counts = counts.iter().filter(|(own, _)| Some(*own) == window);
            counts.map(|(_, cost)| u128::from(*cost)).sum()
        };
        let elapsed = now - rate.per * window;
        let used = count(Some(window)) * u128::from(rate.per.get())
            + count(window.checked_sub(1)) * u128::from((rate.per - elapsed).get());
        used + u128::from(cost) * u128::from(rate.per.get())
            <= u128::from(rate.requests) * u128::from(rate.per.get())
    }

    /// Whether the current window has room for a cost.
    pub(super) fn fixed_window_admits(&self, rate: Rate, now: Nanos, cost: u32) -> bool {
        let (counts, window) = self.windows(rate, now);
        let current = counts.iter().filter(|(own, _)| *own == window);
        let used: u64 = current.map(|(_, cost)| u64::from(*cost)).sum();
        used + u64::from(cost) <= u64::from(rate.requests)
    }

    /// Each cost with its window, and the current window.
    fn windows(&self, rate: Rate, now: Nanos) -> (Vec<(u64, u32)>, u64) {
        let mut latest = 0;
        let mut counts = Vec::new();
        for (time, cost) in &self.0 {
            latest = latest.max(time.get() / rate.per.get());
            counts.push((latest, *cost));
        }
        (counts, latest.max(now.get() / rate.per.get()))
    }

    /// The greatest excess of an interval over what the rate allows for its length plus `slack`. The unit is 1 / `per`
    /// of a request; compare the result with the burst.
    pub(super) fn greatest_excess(&self, rate: Rate, slack: Nanos) -> i128 {
        let mut greatest = i128::MIN;
        for (i, (start, _)) in self.0.iter().enumerate() {
            let mut admitted = 0;
            for (end, cost) in &self.0[i..] {
                admitted += i128::from(*cost);
                let [start, end, slack] = [*start, *end, slack].map(|time| i128::from(time.get()));
                let length = end - start + slack;
                let excess =
                    admitted * i128::from(rate.per.get()) - length * i128::from(rate.requests);
                greatest = greatest.max(excess);
            }
        }
        greatest
    }
}
