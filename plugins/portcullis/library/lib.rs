//! The native library `dist/libportcullis.so`: each plugin, and all of them as one, for Envoy's dynamic modules.
#![cfg(target_os = "linux")]

use portcullis::WithChain;
use portcullis_dynamic_module::{AcceptedRouteConfig, FilterConfig, NewConfig, NewRouteConfig};
use portcullis_host::Chain;

/// Creates the configuration of a chain.
struct Create<'a>(NewConfig<'a>);

impl WithChain for Create<'_> {
    type Output = Option<Box<dyn FilterConfig>>;

    fn with<C: Chain>(self) -> Self::Output {
        self.0.create::<C>()
    }
}

fn create(name: &str, new: NewConfig<'_>) -> Option<Option<Box<dyn FilterConfig>>> {
    portcullis::with_chain(name, Create(new))
}

/// Creates the configuration of a route.
struct CreateRoute<'a>(NewRouteConfig<'a>);

impl WithChain for CreateRoute<'_> {
    type Output = Option<AcceptedRouteConfig>;

    fn with<C: Chain>(self) -> Self::Output {
        self.0.create::<C>()
    }
}

fn create_route(name: &str, new: NewRouteConfig<'_>) -> Option<Option<AcceptedRouteConfig>> {
    portcullis::with_chain(name, CreateRoute(new))
}

portcullis_dynamic_module::library!(super::create, super::create_route);
