//! A dynamic module whose filter does nothing. Its cost is the minimum for any filter of the library: Envoy enters it for
//! every event of a stream.
//!
//! The functions are those that Envoy 1.38 to 1.40 looks up (`abi.h`). Handles are never read, so any address will do.

use std::ffi::{CStr, c_void};
use std::ptr;

type Handle = *const c_void;

static SOMETHING: u8 = 0;

/// Not null, which would be a refusal.
fn something() -> Handle {
    ptr::from_ref(&SOMETHING).cast()
}

/// The version that all of these Envoys accept.
const VERSION: &CStr = c"v0.1.0";

macro_rules! functions {
    ($($name:ident => $value:expr, $type:ty;)*) => {
        $(
            /// See `abi.h`. The caller passes arguments, which this function may ignore.
            // SAFETY: the prefix is Envoy's, so no other function has this name.
            #[unsafe(no_mangle)]
            pub extern "C" fn $name() -> $type {
                $value
            }
        )*
    };
}

functions! {
    envoy_dynamic_module_on_program_init => VERSION.as_ptr().cast(), Handle;
    envoy_dynamic_module_on_http_filter_config_new => something(), Handle;
    envoy_dynamic_module_on_http_filter_config_destroy => (), ();
    envoy_dynamic_module_on_http_filter_per_route_config_new => something(), Handle;
    envoy_dynamic_module_on_http_filter_per_route_config_destroy => (), ();
    envoy_dynamic_module_on_http_filter_new => something(), Handle;
    envoy_dynamic_module_on_http_filter_destroy => (), ();
    // 0: continue.
    envoy_dynamic_module_on_http_filter_request_headers => 0, u32;
    envoy_dynamic_module_on_http_filter_request_body => 0, u32;
    envoy_dynamic_module_on_http_filter_request_trailers => 0, u32;
    envoy_dynamic_module_on_http_filter_response_headers => 0, u32;
    envoy_dynamic_module_on_http_filter_response_body => 0, u32;
    envoy_dynamic_module_on_http_filter_response_trailers => 0, u32;
    envoy_dynamic_module_on_http_filter_stream_complete => (), ();
    envoy_dynamic_module_on_http_filter_scheduled => (), ();
    envoy_dynamic_module_on_http_filter_config_scheduled => (), ();
    envoy_dynamic_module_on_http_filter_http_callout_done => (), ();
    envoy_dynamic_module_on_http_filter_http_stream_headers => (), ();
    envoy_dynamic_module_on_http_filter_http_stream_data => (), ();
    envoy_dynamic_module_on_http_filter_http_stream_trailers => (), ();
    envoy_dynamic_module_on_http_filter_http_stream_complete => (), ();
    envoy_dynamic_module_on_http_filter_http_stream_reset => (), ();
    envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark => (), ();
    envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark => (), ();
    envoy_dynamic_module_on_http_filter_local_reply => 0, u32;
}
