//! The meter as a native library.
#![cfg(target_os = "linux")]

use meter_filter::Meter;
use portcullis_dynamic_module::{AcceptedRouteConfig, FilterConfig, NewConfig, NewRouteConfig};

fn create(name: &str, new: NewConfig<'_>) -> Option<Option<Box<dyn FilterConfig>>> {
    (name == "meter").then(|| new.create::<Meter>())
}

fn create_route(name: &str, new: NewRouteConfig<'_>) -> Option<Option<AcceptedRouteConfig>> {
    (name == "meter").then(|| new.create::<Meter>())
}

portcullis_dynamic_module::library!(super::create, super::create_route);
