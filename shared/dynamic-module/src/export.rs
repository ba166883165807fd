//! The names under which Envoy finds the [hooks](crate::hooks).

/// Makes the crate that contains it a library for Envoy.
///
/// `$create` creates the configuration of a filter, by its name: `None` if there is no filter of this name, and
/// `Some(None)` if its configuration was refused. It is `fn(&str, NewConfig<'_>) -> Option<Option<Box<dyn FilterConfig>>>`.
/// `$create_route` does the same for the configurations of routes.
/// Such a crate contains nothing else and is a `cdylib`.
#[macro_export]
macro_rules! library {
    ($create:expr, $create_route:expr) => {
        mod exported {
            use std::ffi::{c_char, c_void};

            use $crate::hooks::{self, ConfigPtr, EnvoyBuffer, EnvoyHeader, FilterPtr};

            #[unsafe(no_mangle)]
            extern "C" fn envoy_dynamic_module_on_program_init() -> *const c_char {
                hooks::program_init()
            }

            $crate::library! { @hooks
                fn envoy_dynamic_module_on_http_filter_config_new(
                    config: ConfigPtr, name: EnvoyBuffer, text: EnvoyBuffer,
                ) -> *const c_void = hooks::config_new(config, name, text, $create);
                fn envoy_dynamic_module_on_http_filter_config_destroy(config: *const c_void) =
                    hooks::config_destroy(config);
                fn envoy_dynamic_module_on_http_filter_config_scheduled(
                    _envoy: ConfigPtr, config: *const c_void, event: u64,
                ) = hooks::config_scheduled(config, event);
                fn envoy_dynamic_module_on_http_filter_config_http_callout_done(
                    _envoy: ConfigPtr, config: *const c_void, call: u64, _result: u32,
                    headers: *const EnvoyHeader, header_count: usize,
                    chunks: *const EnvoyBuffer, chunk_count: usize,
                ) = hooks::config_callout_done(config, call, headers, header_count, chunks, chunk_count);
                fn envoy_dynamic_module_on_http_filter_per_route_config_new(
                    name: EnvoyBuffer, text: EnvoyBuffer,
                ) -> *const c_void = hooks::route_config_new(name, text, $create_route);
                fn envoy_dynamic_module_on_http_filter_per_route_config_destroy(route: *const c_void) =
                    hooks::route_config_destroy(route);

                fn envoy_dynamic_module_on_http_filter_new(
                    config: *const c_void, filter: FilterPtr,
                ) -> *const c_void = hooks::filter_new(config, filter);
                fn envoy_dynamic_module_on_http_filter_destroy(filter: *const c_void) =
                    hooks::filter_destroy(filter);
                fn envoy_dynamic_module_on_http_filter_request_headers(
                    envoy: FilterPtr, filter: *const c_void, is_complete: bool,
                ) -> u32 = hooks::request_headers(envoy, filter, is_complete);
                fn envoy_dynamic_module_on_http_filter_request_body(
                    _envoy: FilterPtr, filter: *const c_void, is_end: bool,
                ) -> u32 = hooks::request_body(filter, is_end);
                fn envoy_dynamic_module_on_http_filter_request_trailers(
                    _envoy: FilterPtr, filter: *const c_void,
                ) -> u32 = hooks::request_trailers(filter);
                fn envoy_dynamic_module_on_http_filter_response_headers(
                    envoy: FilterPtr, filter: *const c_void, _is_end: bool,
                ) -> u32 = hooks::response_headers(envoy, filter);
                fn envoy_dynamic_module_on_http_filter_response_trailers(
                    _envoy: FilterPtr, filter: *const c_void,
                ) -> u32 = hooks::response_trailers(filter);
                fn envoy_dynamic_module_on_http_filter_stream_complete(
                    _envoy: FilterPtr, filter: *const c_void,
                ) = hooks::stream_complete(filter);
                fn envoy_dynamic_module_on_http_filter_scheduled(
                    _envoy: FilterPtr, filter: *const c_void, _event: u64,
                ) = hooks::filter_scheduled(filter);
            }

            // Envoy requires these too. Plugins have no use for them.
            #[unsafe(no_mangle)]
            extern "C" fn envoy_dynamic_module_on_http_filter_response_body(
                _envoy: FilterPtr, _filter: *const c_void, _is_end: bool,
            ) -> u32 {
                0
            }

            $crate::library! { @unused
                envoy_dynamic_module_on_http_filter_http_callout_done
                envoy_dynamic_module_on_http_filter_http_stream_headers
                envoy_dynamic_module_on_http_filter_http_stream_data
                envoy_dynamic_module_on_http_filter_http_stream_trailers
                envoy_dynamic_module_on_http_filter_http_stream_complete
                envoy_dynamic_module_on_http_filter_http_stream_reset
                envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark
                envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark
            }
        }
    };
    (@hooks $(fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? = $call:expr;)*) => {
        $(
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $name($($argument: $type),*) $(-> $result)? {
                // SAFETY: Envoy passes what its ABI says.
                unsafe { $call }
            }
        )*
    };
    (@unused $($name:ident)*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $name() {}
        )*
    };
}
