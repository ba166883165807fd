//! The calls that Envoy has since 1.39.

use std::ffi::{CStr, c_void};
use std::sync::OnceLock;

use super::Buffer;

/// Adds to a metric of a configuration or of a filter, or sets it.
pub(crate) type ChangeMetric = unsafe extern "C" fn(
    target: *mut c_void,
    id: usize,
    labels: *mut Buffer,
    label_count: usize,
    value: u64,
) -> u32;

/// The calls, all present or all absent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newer {
    pub(crate) increment_counter: ChangeMetric,
    pub(crate) increment_gauge: ChangeMetric,
    pub(crate) decrement_gauge: ChangeMetric,
    pub(crate) set_gauge: ChangeMetric,
}

/// The calls, if this Envoy has them.
#[inline]
pub(crate) fn newer() -> Option<&'static Newer> {
    static NEWER: OnceLock<Option<Newer>> = OnceLock::new();
    let found = NEWER.get_or_init(|| {
        Some(Newer {
            increment_counter: metric_call(
                c"envoy_dynamic_module_callback_http_filter_config_increment_counter",
            )?,
            increment_gauge: metric_call(
                c"envoy_dynamic_module_callback_http_filter_config_increment_gauge",
            )?,
            decrement_gauge: metric_call(
                c"envoy_dynamic_module_callback_http_filter_config_decrement_gauge",
            )?,
            set_gauge: metric_call(c"envoy_dynamic_module_callback_http_filter_config_set_gauge")?,
        })
    });
    found.as_ref()
}

fn metric_call(name: &CStr) -> Option<ChangeMetric> {
    // SAFETY: `name` is a string that ends with NUL.
    let found: *mut c_void = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    if found.is_null() {
        return None;
    }
    // SAFETY: Envoy exports a function with this signature under this name.
    Some(unsafe { std::mem::transmute::<*mut c_void, ChangeMetric>(found) })
}
