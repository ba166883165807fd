//! The stage on which stories are told.

use std::time::Duration;

use crate::{Cluster, Filter, Request, Response, Upstream};

/// The name of the route for every path that has no other.
pub const DEFAULT_ROUTE: &str = "default";
/// The name of the route for paths below [`SHOP_PREFIX`].
pub const SHOP_ROUTE: &str = "shop";
/// Paths that begin so are on [`SHOP_ROUTE`].
pub const SHOP_PREFIX: &str = "/shop/";
/// The name of the route for paths below [`OTHER_PREFIX`].
pub const OTHER_ROUTE: &str = "other";
/// Paths that begin so are on [`OTHER_ROUTE`], which leads to [`Cluster::Other`].
pub const OTHER_PREFIX: &str = "/other/";
/// The name of the route for paths below [`RETRIED_PREFIX`].
pub const RETRIED_ROUTE: &str = "retried";
/// Paths that begin so are on [`RETRIED_ROUTE`], whose requests are sent again up to [`RETRIES`]
/// times, at once, when [`RETRY_ON`] says so.
pub const RETRIED_PREFIX: &str = "/retried/";
/// The conditions of [`RETRIED_ROUTE`].
pub const RETRY_ON: &str = "5xx,reset,connect-failure";
/// How often [`RETRIED_ROUTE`] retries.
pub const RETRIES: u32 = 3;
/// The name of the route for paths below [`HASTY_PREFIX`].
pub const HASTY_ROUTE: &str = "hasty";
/// Paths that begin so are on [`HASTY_ROUTE`], which waits no longer than [`HASTE`] for an answer.
pub const HASTY_PREFIX: &str = "/hasty/";
/// The timeout of [`HASTY_ROUTE`].
pub const HASTE: Duration = Duration::from_millis(300);
/// Paths that begin so are on [`PUBLIC_ROUTE`] or [`PRIVATE_ROUTE`].
pub const TIER_PREFIX: &str = "/tier/";
/// The header that decides between the two.
pub const TIER_HEADER: &str = "x-tier";
/// The value of [`TIER_HEADER`] that leads to [`PUBLIC_ROUTE`].
pub const PUBLIC_TIER: &str = "free";
/// The name of the route for paths below [`TIER_PREFIX`] with [`TIER_HEADER`]: [`PUBLIC_TIER`].
pub const PUBLIC_ROUTE: &str = "public";
/// The name of the route for all other paths below [`TIER_PREFIX`]. It leads to [`Cluster::Other`].
pub const PRIVATE_ROUTE: &str = "private";
/// Paths that begin so have no route.
pub const NO_ROUTE_PREFIX: &str = "/no-route/";

/// How long after a [crash](World::crash) a VM is loaded again at the latest.
pub const RELOAD: Duration = Duration::from_secs(2);

/// A proxy of several workers with a chain of filters, clients before it and services behind it.
///
/// Every request comes over a connection of its own, so that any worker may serve it.
pub trait World {
    /// Decides what a service does from now on. At first every service answers 200 with an empty
    /// body.
    fn serve(&mut self, cluster: Cluster, upstream: Upstream);

    /// Decides what [`Cluster::Upstream`] does from now on.
    fn upstream(&mut self, upstream: Upstream) {
        self.serve(Cluster::Upstream, upstream);
    }

    /// Sends a request and waits for the whole response, however long that takes.
    ///
    /// # Panics
    /// If the response breaks off.
    fn send(&mut self, request: Request) -> Response;

    /// Sends a request and waits for the whole response for a few seconds; `None` if none comes: the
    /// client then goes away.
    fn try_send(&mut self, request: Request) -> Option<Response>;

    /// Sends requests at the same time, and waits for all responses; they are in the order of the
    /// requests.
    ///
    /// # Panics
    /// If a response breaks off.
    fn send_together(&mut self, requests: Vec<Request>) -> Vec<Response>;

    /// Sends a request and leaves it under way: held by a filter, or with a service. Whether it has
    /// reached a service, [`World::arrivals`] tells.
    fn begin(&mut self, request: Request) -> UnderWay;

    /// Waits for the response to a request that is under way, however long that takes. It may be
    /// one that [broke off](Response::broken_off).
    ///
    /// # Panics
    /// If no response comes.
    fn finish(&mut self, request: UnderWay) -> Response;

    /// Lets the client of a request that is under way go away, and waits until the filters know.
    fn abandon(&mut self, request: UnderWay);

    /// Waits until so many requests have reached a service since this or [`World::received_by`] was
    /// last asked, and returns them.
    ///
    /// # Panics
    /// If they do not come.
    fn arrivals(&mut self, cluster: Cluster, count: usize) -> Vec<Request>;

    /// The requests that have reached a service since this or [`World::arrivals`] was last asked:
    /// the calls of filters too, and a retried request once per attempt.
    fn received_by(&mut self, cluster: Cluster) -> Vec<Request>;

    /// The same of [`Cluster::Upstream`].
    fn received(&mut self) -> Vec<Request> {
        self.received_by(Cluster::Upstream)
    }

    /// The value of a counter, by the name under which the plugin defined it; see [`counter`].
    fn counter(&mut self, name: &str) -> u64;

    /// The sum of all counters whose names begin so; 0 if there are none.
    fn sum_of_counters(&mut self, prefix: &str) -> u64;

    /// What the plugins have logged as warnings or worse.
    fn warnings(&mut self) -> Vec<String>;

    /// The value of a gauge, by the name under which the plugin defined it; see [`counter`].
    fn gauge(&mut self, name: &str) -> u64;

    /// Lets time pass: virtual on the native host, real on Envoy.
    fn pass(&mut self, time: Duration);

    /// Makes the VM of the [`Filter::MortalPlugin`] crash on every worker. The filter hears no more
    /// of what is under way. Requests get 503 until the VM is loaded again, by the first request
    /// after [`RELOAD`].
    ///
    /// `path` is one whose requests all filters let pass.
    fn crash(&mut self, path: &str);

    /// Puts another chain of filters in place, as a control plane does. What is under way stays
    /// with the old one, for two seconds at least.
    fn reconfigure(&mut self, filters: &[Filter]);
}

/// A request that is under way; see [`World::begin`].
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnderWay(pub usize);

/// The name of a counter or gauge of a plugin instance (see `shared/host`, `metrics`).
pub fn counter(plugin: &str, policy: &str, labels: &[(&str, &str)], metric: &str) -> String {
    let labels: String = labels
        .iter()
        .map(|(label, value)| format!("{label}=.={value};.;"))
        .collect();
    format!("portcullis.{plugin}.policy=.={policy};.;{labels}{metric}")
}
