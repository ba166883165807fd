//! `Reserve` and `Commit`, each in one script that Redis runs atomically, so that several services can share a Redis.
//!
//! - A reservation is granted if the counter, all holds and the amount are within the limit. Then it is held until its
//!   time is over, it is committed, or the window ends.
//! - A commit adds to the counter of the current window, whether or not the hold is still there.
//! - A descriptor without a limit is granted, without an identifier.
//!
//! Unlike Limitador's, the windows begin at multiples of the unit, and `ttl` has no upper bound.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use envoy_types::pb::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::Code;
use envoy_types::pb::google::protobuf::Duration;
use prost::Message;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http;
use tonic::server::{Grpc, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::limits::Limits;
use crate::redis::Redis;
use crate::service::{key, unix_seconds};

const PREFIX: &str = "/kuadrant.service.ratelimit.v1.RateLimitService/";

/// Keys: the counter, its holds. Arguments: limit, amount, milliseconds, identifier, seconds of the window.
const RESERVE: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local used = tonumber(redis.call('GET', KEYS[1]) or 0)
local holds = redis.call('HGETALL', KEYS[2])
for i = 1, #holds, 2 do
  local amount, ends = string.match(holds[i + 1], '(%d+) (%d+)')
  if tonumber(ends) > now then
    used = used + amount
  else
    redis.call('HDEL', KEYS[2], holds[i])
  end
end
if used + ARGV[2] > tonumber(ARGV[1]) then
  return 0
end
redis.call('HSET', KEYS[2], ARGV[4], ARGV[2] .. ' ' .. string.format('%.0f', now + ARGV[3]))
redis.call('EXPIRE', KEYS[2], ARGV[5])
return 1";

/// Keys: the counter, its holds. Arguments: actual amount, identifier, seconds of the window. Returns whether the hold was
/// there; one whose time was over may be, until the next reservation.
const COMMIT: &str = "
redis.call('INCRBY', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return redis.call('HDEL', KEYS[2], ARGV[2])";

#[derive(Clone, PartialEq, Message)]
struct ReserveRequest {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(message, repeated, tag = "2")]
    descriptors: Vec<RateLimitDescriptor>,
    #[prost(uint64, tag = "3")]
    amount: u64,
    #[prost(message, optional, tag = "4")]
    ttl: Option<Duration>,
}

#[derive(Clone, PartialEq, Message)]
struct ReserveResponse {
    #[prost(enumeration = "Code", tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    reservation_id: String,
}

#[derive(Clone, PartialEq, Message)]
struct CommitRequest {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(message, repeated, tag = "2")]
    descriptors: Vec<RateLimitDescriptor>,
    #[prost(string, tag = "3")]
    reservation_id: String,
    #[prost(uint64, tag = "4")]
    actual_amount: u64,
}

#[derive(Clone, PartialEq, Message)]
struct CommitResponse {
    #[prost(bool, tag = "1")]
    reservation_released: bool,
}

/// What all calls share.
#[derive(Clone)]
pub(crate) struct Reservations(Arc<Shared>);

struct Shared {
    limits: Limits,
    redis: Redis,
    /// Distinguishes this process from others with the same Redis.
    name: u64,
    next: AtomicU64,
}

impl Reservations {
    pub(crate) fn new(limits: Limits, redis: SocketAddr) -> Self {
        // Randomly seeded.
        let name = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
        Self(Arc::new(Shared {
            limits,
            redis: Redis::new(redis),
            name,
            next: AtomicU64::new(0),
        }))
    }

    async fn reserve(
        self,
        request: Request<ReserveRequest>,
    ) -> Result<Response<ReserveResponse>, Status> {
        let request = request.into_inner();
        let Some((keys, limit, seconds)) = self.keys(&request.domain, &request.descriptors)? else {
            return Ok(Response::new(ReserveResponse {
                code: Code::Ok.into(),
                ..ReserveResponse::default()
            }));
        };
        let ttl = request.ttl.unwrap_or_default();
        let ttl = ttl.seconds * 1_000 + i64::from(ttl.nanos) / 1_000_000;
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:016x}-{number}", self.0.name);
        let arguments = [
            limit.to_string(),
            request.amount.to_string(),
            ttl.to_string(),
            id.clone(),
            seconds.to_string(),
        ];
        let is_granted = self.run(RESERVE, keys, &arguments).await?;
        Ok(Response::new(match is_granted {
            true => ReserveResponse {
                code: Code::Ok.into(),
                reservation_id: id,
            },
            false => ReserveResponse {
                code: Code::OverLimit.into(),
                ..ReserveResponse::default()
            },
        }))
    }

    async fn commit(
        self,
        request: Request<CommitRequest>,
    ) -> Result<Response<CommitResponse>, Status> {
        let request = request.into_inner();
        let keys = self.keys(&request.domain, &request.descriptors)?;
        let Some((keys, _, seconds)) = keys else {
            return Ok(Response::new(CommitResponse::default()));
        };
        let arguments = [
            request.actual_amount.to_string(),
            request.reservation_id,
            seconds.to_string(),
        ];
        let reservation_released = self.run(COMMIT, keys, &arguments).await?;
        Ok(Response::new(CommitResponse {
            reservation_released,
        }))
    }

    /// The keys of the counter and of its holds, the limit, and the seconds of the window.
    #[allow(clippy::result_large_err, reason = "tonic's own error")]
    fn keys(
        &self,
        domain: &str,
        descriptors: &[RateLimitDescriptor],
    ) -> Result<Option<([String; 2], u32, u64)>, Status> {
        let [descriptor] = descriptors else {
            return Err(Status::invalid_argument("one descriptor is expected"));
        };
        let found = self.0.limits.find(domain, &descriptor.entries);
        Ok(found.map(|limit| {
            let counter = key(domain, &descriptor.entries, limit, unix_seconds());
            let holds = format!("{counter}_holds");
            let seconds = limit.unit.seconds();
            ([counter, holds], limit.requests_per_unit, seconds)
        }))
    }

    async fn run(
        &self,
        script: &str,
        keys: [String; 2],
        arguments: &[String],
    ) -> Result<bool, Status> {
        let words = ["EVAL", script, "2"].map(str::to_owned);
        let words = words.into_iter().chain(keys);
        let command = words.chain(arguments.iter().cloned()).collect();
        let replies = self.0.redis.pipeline(&[command]).await;
        let replies = replies.map_err(|error| Status::unavailable(format!("Redis: {error}")))?;
        Ok(replies == [1])
    }
}

/// Chooses by the path between the reservations and the other service.
#[derive(Clone)]
pub(crate) struct Both<S> {
    pub(crate) reservations: Reservations,
    pub(crate) other: S,
}

type Answer = Result<http::Response<Body>, Infallible>;

impl<S> Service<http::Request<Body>> for Both<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.other.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let Some(method) = request.uri().path().strip_prefix(PREFIX) else {
            return Box::pin(self.other.call(request));
        };
        let reservations = self.reservations.clone();
        match method {
            "Reserve" => Box::pin(async move {
                let mut grpc = Grpc::new(ProstCodec::<ReserveResponse, ReserveRequest>::default());
                Ok(grpc.unary(Reserve(reservations), request).await)
            }),
            "Commit" => Box::pin(async move {
                let mut grpc = Grpc::new(ProstCodec::<CommitResponse, CommitRequest>::default());
                Ok(grpc.unary(Commit(reservations), request).await)
            }),
            _ => Box::pin(ready(Ok(
                Status::unimplemented("no such method").into_http()
            ))),
        }
    }
}

struct Reserve(Reservations);

impl UnaryService<ReserveRequest> for Reserve {
    type Response = ReserveResponse;
    type Future = Pin<Box<dyn Future<Output = Result<Response<ReserveResponse>, Status>> + Send>>;

    fn call(&mut self, request: Request<ReserveRequest>) -> Self::Future {
        Box::pin(self.0.clone().reserve(request))
    }
}

struct Commit(Reservations);

impl UnaryService<CommitRequest> for Commit {
    type Response = CommitResponse;
    type Future = Pin<Box<dyn Future<Output = Result<Response<CommitResponse>, Status>> + Send>>;

    fn call(&mut self, request: Request<CommitRequest>) -> Self::Future {
        Box::pin(self.0.clone().commit(request))
    }
}
