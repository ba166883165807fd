//! The interface between stories and the proxy that they run on.

use std::time::Duration;

use crate::{Cluster, Filter, Request, Response, Upstream};

/// The name of the route for all paths without another route.
pub const DEFAULT_ROUTE: &str = "default";
/// The name of the route for paths below [`SHOP_PREFIX`].
pub const SHOP_ROUTE: &str = "shop";
/// The prefix of paths on [`SHOP_ROUTE`].
pub const SHOP_PREFIX: &str = "/shop/";
/// The name of the route for paths below [`OTHER_PREFIX`].
pub const OTHER_ROUTE: &str = "other";
/// The prefix of paths on [`OTHER_ROUTE`], which leads to [`Cluster::Other`].
pub const OTHER_PREFIX: &str = "/other/";
/// The name of the route for paths below [`RETRIED_PREFIX`].
pub const RETRIED_ROUTE: &str = "retried";
/// The prefix of paths on [`RETRIED_ROUTE`], which immediately retries a request up to [`RETRIES`] times under the
/// conditions of [`RETRY_ON`].
pub const RETRIED_PREFIX: &str = "/retried/";
/// The retry conditions of [`RETRIED_ROUTE`].
pub const RETRY_ON: &str = "5xx,reset,connect-failure";
/// The maximum number of retries of [`RETRIED_ROUTE`].
pub const RETRIES: u32 = 3;
/// The name of the route for paths below [`SHORT_TIMEOUT_PREFIX`].
pub const SHORT_TIMEOUT_ROUTE: &str = "hasty";
/// The prefix of paths on [`SHORT_TIMEOUT_ROUTE`], which waits at most [`SHORT_TIMEOUT`] for a response.
pub const SHORT_TIMEOUT_PREFIX: &str = "/hasty/";
/// The timeout of [`SHORT_TIMEOUT_ROUTE`].
pub const SHORT_TIMEOUT: Duration = Duration::from_millis(300);
/// The prefix of paths on [`PUBLIC_ROUTE`] or [`PRIVATE_ROUTE`].
pub const TIER_PREFIX: &str = "/tier/";
/// The header that selects one of these routes.
pub const TIER_HEADER: &str = "x-tier";
/// The value of [`TIER_HEADER`] that selects [`PUBLIC_ROUTE`].
pub const PUBLIC_TIER: &str = "free";
/// The name of the route for paths below [`TIER_PREFIX`] with [`TIER_HEADER`]: [`PUBLIC_TIER`].
pub const PUBLIC_ROUTE: &str = "public";
/// The name of the route for all other paths below [`TIER_PREFIX`]. It leads to [`Cluster::Other`].
pub const PRIVATE_ROUTE: &str = "private";
/// The prefix of paths without a route.
pub const NO_ROUTE_PREFIX: &str = "/no-route/";

/// The maximum time between a [crash](World::crash) and the reload of the VM.
pub const RELOAD_TIME: Duration = Duration::from_secs(2);

/// A proxy with several workers and a chain of filters, between clients and services.
///
/// Every request uses a connection of its own, so that any worker may serve it.
pub trait World {
    /// Sets the behaviour of a service from now on. Initially, every service answers 200 with an empty body.
    fn serve(&mut self, cluster: Cluster, upstream: Upstream);

    /// Sets the behaviour of [`Cluster::Upstream`] from now on.
    fn upstream(&mut self, upstream: Upstream) {
        self.serve(Cluster::Upstream, upstream);
    }

    /// Sends a request and waits for the whole response for as long as necessary.
    ///
    /// # Panics
    /// If the response breaks off.
    fn send(&mut self, request: Request) -> Response;

    /// Sends a request and waits a few seconds for the whole response. If none arrives, the client disconnects and
    /// the result is `None`.
    fn try_send(&mut self, request: Request) -> Option<Response>;

    /// Sends requests at the same time and waits for all responses, which it returns in the order of the requests.
    ///
    /// # Panics
    /// If a response breaks off.
    fn send_together(&mut self, requests: Vec<Request>) -> Vec<Response>;

    /// Sends a request and leaves it pending, in a filter or in a service. [`World::arrivals`] shows whether it has
    /// reached a service.
    fn begin(&mut self, request: Request) -> PendingRequest;

    /// Waits for the response to a pending request for as long as necessary. The response may have [broken
    /// off](Response::broken_off).
    ///
    /// # Panics
    /// If no response arrives.
    fn finish(&mut self, request: PendingRequest) -> Response;

    /// Disconnects the client of a pending request, and waits until the filters have noticed.
    fn abandon(&mut self, request: PendingRequest);

    /// Waits until `count` requests have reached a service since the last call of this or [`World::received_by`], and
    /// returns them.
    ///
    /// # Panics
    /// If they do not arrive.
    fn arrivals(&mut self, cluster: Cluster, count: usize) -> Vec<Request>;

    /// The requests that have reached a service since the last call of this or [`World::arrivals`]. They include
    /// calls from filters, and every attempt of a retried request.
    fn received_by(&mut self, cluster: Cluster) -> Vec<Request>;

    /// The requests that [`Cluster::Upstream`] has [received](World::received_by).
    fn received(&mut self) -> Vec<Request> {
        self.received_by(Cluster::Upstream)
    }

    /// The value of a counter. `name` is the name that the plugin defined; see [`counter`].
    fn counter(&mut self, name: &str) -> u64;

    /// The sum of all counters whose names have this prefix; 0 if there are none.
    fn sum_of_counters(&mut self, prefix: &str) -> u64;

    /// All warnings and errors in the log.
    fn warnings(&mut self) -> Vec<String>;

    /// The value of a gauge. `name` is the name that the plugin defined; see [`counter`].
    fn gauge(&mut self, name: &str) -> u64;

    /// Lets time pass: virtual time on the native host, real time on Envoy.
    fn pass(&mut self, time: Duration);

    /// Crashes the VM of the [`Filter::CrashablePlugin`] on every worker. The filter receives no more events of
    /// pending requests. New requests get 503 until the first request after [`RELOAD_TIME`] reloads the VM.
    ///
    /// A library has no VM: there, a filter panics in twenty requests, which it answers or lets pass by its `on_error`.
    /// Pending and new requests go on.
    ///
    /// `path` is a path that all filters allow.
    fn crash(&mut self, path: &str);

    /// Replaces the chain of filters, as a control plane does. Pending requests stay with the old chain for at least
    /// two seconds.
    fn reconfigure(&mut self, filters: &[Filter]);
}

/// A pending request; see [`World::begin`].
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PendingRequest(pub usize);

/// The name of a counter or gauge of a plugin instance (see `shared/host`, `metrics`).
pub fn counter(plugin: &str, policy: &str, labels: &[(&str, &str)], metric: &str) -> String {
    let labels: String = labels
        .iter()
        .map(|(label, value)| format!("{label}=.={value};.;"))
        .collect();
    format!("portcullis.{plugin}.policy=.={policy};.;{labels}{metric}")
}
