//! Counts as envoyproxy/ratelimit does: one counter for each key and window, first increased, then compared.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use envoy_types::pb::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::{
    Code, DescriptorStatus, RateLimit as EnvoyLimit,
};
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_service_server::RateLimitService;
use envoy_types::pb::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use envoy_types::pb::google::protobuf::Duration;
use tonic::{Request, Response, Status};

use crate::limits::{Limits, RateLimit};
use crate::redis::Redis;

pub(crate) struct Service {
    limits: Limits,
    redis: Redis,
}

/// The counter of a descriptor in the current window.
#[derive(Debug, PartialEq)]
struct Counter {
    key: String,
    hits: u64,
    limit: RateLimit,
}

impl Service {
    pub(crate) fn new(limits: Limits, redis: SocketAddr) -> Self {
        Self {
            limits,
            redis: Redis::new(redis),
        }
    }
}

#[tonic::async_trait]
impl RateLimitService for Service {
    async fn should_rate_limit(
        &self,
        request: Request<RateLimitRequest>,
    ) -> Result<Response<RateLimitResponse>, Status> {
        let request = request.into_inner();
        // The status of an error without one, as in the original.
        if request.domain.is_empty() {
            return Err(Status::unknown("rate limit domain must not be empty"));
        }
        if request.descriptors.is_empty() {
            return Err(Status::unknown(
                "rate limit descriptor list must not be empty",
            ));
        }
        let counters = counters(&self.limits, &request, unix_seconds());
        let commands = counters.iter().flatten().flat_map(commands);
        let commands: Vec<_> = commands.map(Vec::from).collect();
        let replies = match commands.is_empty() {
            true => Vec::new(),
            false => {
                let replies = self.redis.pipeline(&commands).await;
                replies.map_err(|error| Status::unknown(format!("Redis: {error}")))?
            }
        };
        // Like the original, it reads the clock again.
        let now = unix_seconds();
        let mut counts = replies.into_iter().step_by(2);
        let statuses = counters.iter().map(|counter| match counter {
            None => DescriptorStatus {
                code: Code::Ok.into(),
                ..DescriptorStatus::default()
            },
            Some(counter) => status(counter.limit, counts.next().unwrap_or_default(), now),
        });
        let statuses: Vec<_> = statuses.collect();
        let is_over = |status: &DescriptorStatus| status.code() == Code::OverLimit;
        let overall = match statuses.iter().any(is_over) {
            true => Code::OverLimit,
            false => Code::Ok,
        };
        Ok(Response::new(RateLimitResponse {
            overall_code: overall.into(),
            statuses,
            ..RateLimitResponse::default()
        }))
    }
}

/// For each descriptor, its counter, if it has a limit.
fn counters(limits: &Limits, request: &RateLimitRequest, now: u64) -> Vec<Option<Counter>> {
    let descriptors = request.descriptors.iter();
    let counters = descriptors.map(|descriptor| {
        let limit = limits.find(&request.domain, &descriptor.entries)?;
        let key = key(&request.domain, &descriptor.entries, limit, now);
        // 0 in the request stands for 1. In a descriptor, it is 0.
        let hits = match descriptor.hits_addend {
            Some(own) => own.value,
            None => request.hits_addend.max(1).into(),
        };
        Some(Counter { key, hits, limit })
    });
    counters.collect()
}

/// The name of a counter, with the time of its window.
pub(crate) fn key(domain: &str, entries: &[Entry], limit: RateLimit, now: u64) -> String {
    let mut key = format!("{domain}_");
    for entry in entries {
        key += &format!("{}_{}_", entry.key, entry.value);
    }
    key += &(now - now % limit.unit.seconds()).to_string();
    key
}

fn commands(counter: &Counter) -> [[String; 3]; 2] {
    let command =
        |name: &str, value: u64| [name.to_owned(), counter.key.clone(), value.to_string()];
    [
        command("INCRBY", counter.hits),
        command("EXPIRE", counter.limit.unit.seconds()),
    ]
}

fn status(limit: RateLimit, count: u64, now: u64) -> DescriptorStatus {
    let RateLimit {
        unit,
        requests_per_unit,
    } = limit;
    let remaining = u64::from(requests_per_unit).checked_sub(count);
    let code = match remaining {
        Some(_) => Code::Ok,
        None => Code::OverLimit,
    };
    let until_reset = unit.seconds() - now % unit.seconds();
    DescriptorStatus {
        code: code.into(),
        current_limit: Some(EnvoyLimit {
            name: String::new(),
            requests_per_unit,
            unit: unit.of_envoy().into(),
        }),
        limit_remaining: remaining.and_then(|left| left.try_into().ok()).unwrap_or(0),
        duration_until_reset: Some(Duration {
            seconds: until_reset.try_into().unwrap_or(i64::MAX),
            nanos: 0,
        }),
        ..DescriptorStatus::default()
    }
}

pub(crate) fn unix_seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
    use envoy_types::pb::google::protobuf::UInt64Value;

    use super::*;
    use crate::limits::Unit;

    fn descriptor(key: &str, value: &str, hits: Option<u64>) -> RateLimitDescriptor {
        RateLimitDescriptor {
            entries: vec![Entry {
                key: key.to_owned(),
                value: value.to_owned(),
            }],
            hits_addend: hits.map(|value| UInt64Value { value }),
            ..RateLimitDescriptor::default()
        }
    }

    /// Keys and hits of the counters of two descriptors, at 90 s.
    fn counted(hits_addend: u32, own: Option<u64>) -> Vec<Option<(String, u64)>> {
        let limits = "
domain: edge
descriptors:
  - {key: api_key, rate_limit: {unit: minute, requests_per_unit: 10}}
  - {key: user, rate_limit: {unit: second, requests_per_unit: 10}}
";
        let request = RateLimitRequest {
            domain: "edge".to_owned(),
            descriptors: vec![
                descriptor("api_key", "a", own),
                descriptor("nothing", "a", None),
                descriptor("user", "b", None),
            ],
            hits_addend,
        };
        let counters = counters(&Limits::from_yaml(limits).unwrap(), &request, 90);
        let pair = |counter: Counter| (counter.key, counter.hits);
        counters
            .into_iter()
            .map(|counter| counter.map(pair))
            .collect()
    }

    #[test]
    fn windows_are_multiples_of_the_unit() {
        let counted = counted(0, None);
        let expected = |key: &str| Some((key.to_owned(), 1));
        assert_eq!(
            counted,
            [
                expected("edge_api_key_a_60"),
                None,
                expected("edge_user_b_90")
            ]
        );
    }

    #[test]
    fn a_descriptors_own_hits_count_instead_of_the_requests() {
        let hits = |hits_addend, own| {
            let counted = counted(hits_addend, own).into_iter().flatten();
            counted.map(|(_, hits)| hits).collect::<Vec<_>>()
        };
        assert_eq!(hits(5, None), [5, 5]);
        assert_eq!(hits(5, Some(7)), [7, 5]);
        assert_eq!(hits(0, Some(0)), [0, 1]);
    }

    #[test]
    fn a_count_beyond_the_limit_is_over_it() {
        let limit = RateLimit {
            unit: Unit::Minute,
            requests_per_unit: 10,
        };
        let found = |count| {
            let status = status(limit, count, 70);
            (status.code(), status.limit_remaining)
        };
        assert_eq!(found(9), (Code::Ok, 1));
        assert_eq!(found(10), (Code::Ok, 0));
        assert_eq!(found(11), (Code::OverLimit, 0));
    }

    #[test]
    fn the_reset_is_in_whole_seconds_and_never_zero() {
        let limit = RateLimit {
            unit: Unit::Minute,
            requests_per_unit: 10,
        };
        let reset = |now| status(limit, 1, now).duration_until_reset.unwrap().seconds;
        assert_eq!(
            [reset(60), reset(61), reset(119), reset(120)],
            [60, 59, 1, 60]
        );
    }
}
