//! The calls that Envoy has since 1.38.

use super::{
    Attribute, Buffer, ConfigPtr, EnvoyBuffer, EnvoyHeader, FilterPtr, Header, HeaderType,
    SchedulerPtr,
};
use std::ffi::c_void;

/// Declares a call under its short name.
macro_rules! calls {
    ($($(#[$doc:meta])* fn $short:ident = $name:literal ($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)?;)*) => {
        unsafe extern "C" {
            $($(#[$doc])* #[link_name = $name] pub(crate) fn $short($($argument: $type),*) $(-> $result)?;)*
        }
    };
}

calls! {
    /// Writes a line to Envoy's log.
    fn log = "envoy_dynamic_module_callback_log" (level: u32, message: Buffer);
    fn log_enabled = "envoy_dynamic_module_callback_log_enabled" (level: u32) -> bool;
    fn concurrency = "envoy_dynamic_module_callback_get_concurrency" () -> u32;
    fn is_validation_mode = "envoy_dynamic_module_callback_is_validation_mode" () -> bool;

    fn define_counter = "envoy_dynamic_module_callback_http_filter_config_define_counter" (
        config: ConfigPtr, name: Buffer, labels: *mut Buffer, label_count: usize, id: *mut usize,
    ) -> u32;
    fn define_gauge = "envoy_dynamic_module_callback_http_filter_config_define_gauge" (
        config: ConfigPtr, name: Buffer, labels: *mut Buffer, label_count: usize, id: *mut usize,
    ) -> u32;
    fn filter_increment_counter = "envoy_dynamic_module_callback_http_filter_increment_counter" (
        filter: FilterPtr, id: usize, labels: *mut Buffer, label_count: usize, value: u64,
    ) -> u32;
    fn filter_increment_gauge = "envoy_dynamic_module_callback_http_filter_increment_gauge" (
        filter: FilterPtr, id: usize, labels: *mut Buffer, label_count: usize, value: u64,
    ) -> u32;
    fn filter_decrement_gauge = "envoy_dynamic_module_callback_http_filter_decrement_gauge" (
        filter: FilterPtr, id: usize, labels: *mut Buffer, label_count: usize, value: u64,
    ) -> u32;
    fn filter_set_gauge = "envoy_dynamic_module_callback_http_filter_set_gauge" (
        filter: FilterPtr, id: usize, labels: *mut Buffer, label_count: usize, value: u64,
    ) -> u32;

    fn headers_size = "envoy_dynamic_module_callback_http_get_headers_size" (
        filter: FilterPtr, map: HeaderType,
    ) -> usize;
    /// Fills an array with room for [`headers_size`] headers.
    fn headers = "envoy_dynamic_module_callback_http_get_headers" (
        filter: FilterPtr, map: HeaderType, headers: *mut EnvoyHeader,
    ) -> bool;
    fn header = "envoy_dynamic_module_callback_http_get_header" (
        filter: FilterPtr, map: HeaderType, name: Buffer, value: *mut EnvoyBuffer, index: usize, count: *mut usize,
    ) -> bool;
    fn add_header = "envoy_dynamic_module_callback_http_add_header" (
        filter: FilterPtr, map: HeaderType, name: Buffer, value: Buffer,
    ) -> bool;
    /// Replaces all values of a header; with [`Buffer::NONE`] it removes the header.
    fn set_header = "envoy_dynamic_module_callback_http_set_header" (
        filter: FilterPtr, map: HeaderType, name: Buffer, value: Buffer,
    ) -> bool;
    fn clear_route_cache = "envoy_dynamic_module_callback_http_clear_route_cache" (filter: FilterPtr);

    fn send_response = "envoy_dynamic_module_callback_http_send_response" (
        filter: FilterPtr, status: u32, headers: *mut Header, header_count: usize, body: Buffer, details: Buffer,
    );
    fn continue_decoding = "envoy_dynamic_module_callback_http_filter_continue_decoding" (filter: FilterPtr);

    fn attribute_string = "envoy_dynamic_module_callback_http_filter_get_attribute_string" (
        filter: FilterPtr, attribute: Attribute, value: *mut EnvoyBuffer,
    ) -> bool;
    fn attribute_int = "envoy_dynamic_module_callback_http_filter_get_attribute_int" (
        filter: FilterPtr, attribute: Attribute, value: *mut u64,
    ) -> bool;
    fn cluster_name = "envoy_dynamic_module_callback_http_get_cluster_name" (
        filter: FilterPtr, value: *mut EnvoyBuffer,
    ) -> bool;
    fn set_filter_state = "envoy_dynamic_module_callback_http_set_filter_state_bytes" (
        filter: FilterPtr, name: Buffer, value: Buffer,
    ) -> bool;
    fn filter_state = "envoy_dynamic_module_callback_http_get_filter_state_bytes" (
        filter: FilterPtr, name: Buffer, value: *mut EnvoyBuffer,
    ) -> bool;
    /// Reads filter state of any type, if it has a text.
    fn typed_filter_state = "envoy_dynamic_module_callback_http_get_filter_state_typed" (
        filter: FilterPtr, name: Buffer, value: *mut EnvoyBuffer,
    ) -> bool;
    /// Reads a number in the metadata of a [`source`](super::metadata).
    fn metadata_number = "envoy_dynamic_module_callback_http_get_metadata_number" (
        filter: FilterPtr, source: u32, namespace: Buffer, key: Buffer, value: *mut f64,
    ) -> bool;
    fn route_config = "envoy_dynamic_module_callback_get_most_specific_route_config" (
        filter: FilterPtr,
    ) -> *const c_void;
    /// The number of the worker, from 0.
    fn worker_index = "envoy_dynamic_module_callback_http_filter_get_worker_index" (filter: FilterPtr) -> u32;

    /// Only in the main thread.
    fn config_callout = "envoy_dynamic_module_callback_http_filter_config_http_callout" (
        config: ConfigPtr, id: *mut u64, cluster: Buffer, headers: *mut Header, header_count: usize, body: Buffer,
        timeout_milliseconds: u64,
    ) -> u32;
    fn config_scheduler_new = "envoy_dynamic_module_callback_http_filter_config_scheduler_new" (
        config: ConfigPtr,
    ) -> SchedulerPtr;
    fn config_scheduler_commit = "envoy_dynamic_module_callback_http_filter_config_scheduler_commit" (
        scheduler: SchedulerPtr, event: u64,
    );
    fn config_scheduler_delete = "envoy_dynamic_module_callback_http_filter_config_scheduler_delete" (
        scheduler: SchedulerPtr,
    );
    fn filter_scheduler_new = "envoy_dynamic_module_callback_http_filter_scheduler_new" (
        filter: FilterPtr,
    ) -> SchedulerPtr;
    fn filter_scheduler_commit = "envoy_dynamic_module_callback_http_filter_scheduler_commit" (
        scheduler: SchedulerPtr, event: u64,
    );
    fn filter_scheduler_delete = "envoy_dynamic_module_callback_http_filter_scheduler_delete" (
        scheduler: SchedulerPtr,
    );
}
