//! The configuration of one route (`typed_per_filter_config`): a whole configuration in place of the filter's own.
//!
//! Envoy gives it to the library without the filter that it is for, and counts and calls only for filters. So it is read
//! when Envoy loads the route, and its chains are created later, by the first request of the route in each worker.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use portcullis_core::config::Document;
use portcullis_host::Chain;

/// The configuration of one route.
#[derive(Debug)]
pub(crate) struct RouteConfig {
    pub(crate) id: u64,
    /// The name of the chain that it is for.
    pub(crate) chain: &'static str,
    pub(crate) text: Vec<u8>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// Whether Envoy has ever loaded the configuration of a route. Without any, no request has to ask for its own.
static ANY: AtomicBool = AtomicBool::new(false);

impl RouteConfig {
    fn new(chain: &'static str, text: &[u8]) -> Arc<Self> {
        ANY.store(true, Ordering::Release);
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            chain,
            text: text.to_vec(),
        })
    }

    /// Whether any route may have a configuration.
    pub(crate) fn is_any() -> bool {
        ANY.load(Ordering::Acquire)
    }
}

/// The configuration of a route that Envoy asks for.
#[derive(Clone, Copy, Debug)]
pub struct NewRouteConfig<'a>(pub(crate) &'a [u8]);

/// A configuration of a route that was accepted.
#[derive(Debug)]
pub struct AcceptedRouteConfig(pub(crate) Arc<RouteConfig>);

impl NewRouteConfig<'_> {
    /// Reads the configuration of this chain. If it is refused, the log says why.
    pub fn create<C: Chain>(self) -> Option<AcceptedRouteConfig> {
        match Document::parse(self.0).and_then(C::read) {
            Ok(_) => Some(AcceptedRouteConfig(RouteConfig::new(C::NAME, self.0))),
            Err(errors) => {
                log::error!(
                    "portcullis {}: configuration of a route refused:\n{errors}",
                    C::NAME
                );
                None
            }
        }
    }
}

/// Something that belongs to the configuration of a route, as long as Envoy has that.
#[derive(Debug)]
pub(crate) struct OfRoute<T> {
    route: Weak<RouteConfig>,
    pub(crate) value: T,
}

impl<T> OfRoute<T> {
    pub(crate) fn new(route: &Arc<RouteConfig>, value: T) -> Self {
        Self {
            route: Arc::downgrade(route),
            value,
        }
    }

    pub(crate) fn is_current(&self) -> bool {
        self.route.strong_count() > 0
    }
}
