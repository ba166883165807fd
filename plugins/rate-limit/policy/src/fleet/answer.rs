//! What a response says about one of the descriptors of a call.

use portcullis_core::time::Nanos;

use super::lease::{Answer, Life, Verdict};
use super::messages::{AddedHeader, Code, Response, Status};

impl Answer {
    /// Reads the result of the descriptor at `index`, of `descriptors` in the call: whether its hits are granted,
    /// and what the service says about its limit. `None` if the service has not decided, which is a failed call.
    ///
    /// The overall code decides about the request, as for Envoy's own filter. If the service lets the whole call pass,
    /// every descriptor has passed, even one that is over its limit: then the service only watches that limit
    /// (`shadow_mode`, `quota_mode`). If the service refuses the call, statuses say which descriptors are over their
    /// limits. If none is, all are refused.
    ///
    /// Limitador sends no statuses. Started with `--rate-limit-headers DRAFT_VERSION_03`, it sends headers, which
    /// are used here if the call has one descriptor. Without them, nothing is known about windows.
    pub fn of(response: &Response, index: usize, descriptors: usize) -> Option<(Verdict, Self)> {
        let status = response.statuses.get(index);
        let verdict = match (response.overall_code, status.map(|status| status.code)) {
            (Code::Unknown, _) => return None,
            (Code::Ok, _) => Verdict::Granted,
            (Code::OverLimit, Some(Code::OverLimit)) => Verdict::Refused,
            (Code::OverLimit, Some(Code::Ok)) if names_a_limit(response) => Verdict::Granted,
            (Code::OverLimit, _) if descriptors == 1 => Verdict::Refused,
            (Code::OverLimit, _) => Verdict::RefusedTogether,
        };
        let answer = match status {
            Some(status) => Self::of_status(status, verdict),
            None if descriptors == 1 => Self::of_headers(&response.response_headers_to_add),
            None => Self::UNKNOWN,
        };
        Some((verdict, answer))
    }

    /// The service says nothing about its limit.
    pub(crate) const UNKNOWN: Self = Self {
        limit: None,
        unit: None,
        remaining: None,
        life: Life::Unknown,
    };

    fn of_status(status: &Status, verdict: Verdict) -> Self {
        let rest = status.duration_until_reset;
        let life = rest.map_or(Life::Unknown, Life::Window);
        match &status.current_limit {
            Some(limit) => Self {
                limit: Some(limit.requests_per_unit),
                unit: limit.unit,
                remaining: Some(status.limit_remaining),
                life,
            },
            None => Self {
                // What is refused has a limit.
                life: match verdict {
                    Verdict::Granted => Life::WithoutLimit,
                    Verdict::Refused | Verdict::RefusedTogether => life,
                },
                ..Self::UNKNOWN
            },
        }
    }

    /// `x-ratelimit-limit: 1000, 1000;w=60`, `x-ratelimit-remaining: 940`, `x-ratelimit-reset: 42`.
    fn of_headers(headers: &[AddedHeader]) -> Self {
        let value = |name: &str| {
            let header = headers.iter().find(|header| header.name == name)?;
            std::str::from_utf8(&header.value).ok()
        };
        let number = |text: &str| text.trim().parse::<u32>().ok();
        let mut limits = value("x-ratelimit-limit").unwrap_or_default().split(',');
        let limit = limits.next().and_then(number);
        // The first policy is that of the limit; several policies are several windows, and none of them is safe.
        let window = limits.next().and_then(|policy| {
            let mut parameters = policy.split(';').map(str::trim);
            parameters.find_map(|parameter| number(parameter.strip_prefix("w=")?))
        });
        let rest = value("x-ratelimit-reset").and_then(number);
        let rest = rest.filter(|_| limits.next().is_none());
        let seconds = |seconds: u32| Nanos::from_secs(seconds.into());
        Self {
            limit,
            unit: window.map(seconds).filter(|unit| *unit > Nanos::ZERO),
            remaining: value("x-ratelimit-remaining").and_then(number),
            life: rest.map(seconds).map_or(Life::Unknown, Life::Window),
        }
    }

    /// The time until the window ends, which is not longer than the window; `None` if that is unknown. `per` is the
    /// length of a window if the service does not say it.
    pub fn rest(&self, per: Nanos) -> Option<Nanos> {
        match self.life {
            Life::Window(rest) => Some(rest.min(self.unit.unwrap_or(per))),
            Life::Hold(_) | Life::WithoutLimit | Life::Unknown => None,
        }
    }

    /// How long a request should wait that the service has refused: until the window ends. If that is unknown, a
    /// second. `per` is as for [`rest`](Self::rest).
    pub fn retry_after(&self, per: Nanos) -> Nanos {
        self.rest(per).unwrap_or(Nanos::SECOND)
    }

    /// Whether the service's limit is another one than this rate. The service's counts; the caller should warn.
    pub fn differs(&self, requests: u32, per: Nanos) -> bool {
        let scaled = |requests: u32, per: Nanos| u128::from(requests) * u128::from(per.get());
        match (self.limit, self.unit) {
            (Some(limit), Some(unit)) => scaled(limit, per) != scaled(requests, unit),
            (Some(limit), None) => limit != requests,
            (None, _) => false,
        }
    }
}

/// Whether a response says which descriptor is over its limit.
fn names_a_limit(response: &Response) -> bool {
    let mut statuses = response.statuses.iter();
    statuses.any(|status| status.code == Code::OverLimit)
}
