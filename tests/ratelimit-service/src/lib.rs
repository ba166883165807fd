//! A rate-limit service for tests and for the demo: it speaks `envoy.service.ratelimit.v3.RateLimitService` and counts
//! on a real Redis, as [envoyproxy/ratelimit](https://github.com/envoyproxy/ratelimit) does with fixed windows:
//!
//! - Windows begin at multiples of the unit, by the service's clock. A counter is a key with the time of its window.
//! - `INCRBY` and `EXPIRE` in one pipeline for all descriptors of a call, and then the comparison: a denied call counts.
//! - `hits_addend` of a descriptor counts before that of the request, in which 0 stands for 1.
//! - A status has the limit, the rest of it, and the whole seconds until the window ends.
//! - If Redis fails, the call's status is `UNKNOWN`.
//!
//! It also speaks `Reserve` and `Commit` of `kuadrant.service.ratelimit.v1.RateLimitService`, as
//! [Limitador](https://github.com/Kuadrant/limitador) does: see `reservations.rs`. The counters are the same; as there,
//! `ShouldRateLimit` does not see what is held.
//!
//! It has no wildcards, no overrides of limits by the caller, no shadow mode and no jitter. In return it fails on request:
//! see [`Fault`].

mod faults;
mod limits;
mod redis;
mod reservations;
mod server;
mod service;

pub use faults::{Control, Fault};
pub use limits::Limits;
pub use server::Server;
