//! One limit for a fleet of proxies, counted by a rate-limit service.
//!
//! Everything here is pure, and about one key of one limit. `fleet_limits` follows the steps below for a request with
//! any limits; the host makes the calls and keeps the states. docs/fleet.md says what users get, and which bounds hold.
//!
//! | module | content |
//! |---|---|
//! | [`config`] | the services, and the `fleet` of a limit; what a descriptor contains |
//! | [`lease`] | the state of a key in the shared table: tokens that were taken ahead |
//! | [`outage`] | the state of a service, for all workers: whether it can be called |
//! | [`messages`], [`reserve`] | the messages of the services |
//!
//! # What the policy and its host do
//!
//! For a **request** under a limit with leases, after `match`, key and cost are known as for any other limit:
//!
//! 1. `can_ask` is whether [`Health::access`](outage::Health::access) is not `No`. A copy that is some time old will do.
//! 2. [`Leases::take`](lease::Leases::take) in the table of the leases, through [`apply`](lease::Leases::apply):
//!    - `Taken`: the request passes. `TakenAndRenew`: it passes, and the host makes the call.
//!    - `Ask`: the host makes the call, and the request waits for it.
//!    - `WaitForOther`: the request waits. The host tries again when a call for this key returns to this worker, and
//!      otherwise every few milliseconds, because no worker can wake another one. When its `timeout` is over,
//!      `on_outage` decides.
//!    - `Denied`: the request is denied until the time given.
//!    - `NoService`: `on_outage` decides.
//!
//! For a **call**: while the service is out, [`claim`](outage::Health::claim) it first; if that fails, report
//! [`failed`](lease::Leases::failed) and let `on_outage` decide. Then send
//! [`encode_request`](messages::encode_request) with the ticket's hits and [`entries`](config::Fleet::entries). Calls
//! for several limits can be one call with several descriptors, unless the service sends no statuses (Limitador).
//!
//! For an **answer**, with the time read before the state: [`Response::decode`](messages::Response::decode), then
//! [`Answer::of`](lease::Answer::of) for each descriptor.
//!
//! - Granted: [`granted`](lease::Leases::granted). The waiting request passes with `Grant::taken`.
//! - Refused: [`refused`](lease::Leases::refused), or [`refused_together`](lease::Leases::refused_together) if the service
//!   does not say which descriptor is over its limit. `AskLess` is another call, and the request goes on waiting.
//! - No answer within the timeout, an error, a message that cannot be read, or no decision:
//!   [`failed`](lease::Leases::failed), and `on_outage` decides about the waiting request.
//!
//! Report each answer or failure to [`Health`](outage::Health) as well, once for each call. Each ticket is reported
//! exactly once. A request whose client is gone still reports its ticket, and gives the tokens back.
//!
//! If **another limit denies** the request, [`give_back`](lease::Leases::give_back) what was taken. If the **response**
//! costs less, give back the difference; if it costs more, [`owe`](lease::Leases::owe) it.
//!
//! With **`on_outage: local`**: [`go_local`](lease::Leases::go_local). If it says what is used, raise the local limiter
//! of the key to that, at most its capacity. Unless the cost exceeds what is left, reserve it there. If it is admitted,
//! [`admit`](lease::Leases::admit) it, which makes it a debt; if that fails, others were faster: refund it, and deny.
//! If another limit denies the request, or the response costs less, [`forgive`](lease::Leases::forgive) the debt.
//!
//! With the **mode `each`**, there is no state: a call for the cost of the request, whose answer decides. If it is
//! denied, [`retry_after`](lease::Answer::retry_after) says how long to wait.
//!
//! With **`Reserve`**: what is granted is held for [`ttl`](lease::Leases::ttl). When it [is due](lease::Leases::closes), or
//! replaced by the next hold, [`close`](lease::Leases::close) its lease and commit the hits without the unused ones. Who
//! receives the answer keeps its identifier and its [`Lot`](lease::Lot).

mod answer;
pub mod config;
pub mod lease;
pub mod messages;
pub mod outage;
pub mod reserve;
#[cfg(test)]
mod tests;
mod value;
