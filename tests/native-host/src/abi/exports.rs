//! The functions that the SDK exports, each as a call for a VM's thread.

use crate::vm::{Called, Vm};

/// The C signatures. The SDK returns `Action` as its number.
mod c {
    unsafe extern "C" {
        pub(super) fn proxy_on_memory_allocate(size: usize) -> *mut u8;
        pub(super) fn proxy_on_context_create(context: u32, root: u32);
        pub(super) fn proxy_on_vm_start(root: u32, size: usize) -> bool;
        pub(super) fn proxy_on_configure(root: u32, size: usize) -> bool;
        pub(super) fn proxy_on_tick(root: u32);
        pub(super) fn proxy_on_request_headers(context: u32, count: usize, end: bool) -> u32;
        pub(super) fn proxy_on_request_body(context: u32, size: usize, end: bool) -> u32;
        pub(super) fn proxy_on_request_trailers(context: u32, count: usize) -> u32;
        pub(super) fn proxy_on_response_headers(context: u32, count: usize, end: bool) -> u32;
        pub(super) fn proxy_on_response_body(context: u32, size: usize, end: bool) -> u32;
        pub(super) fn proxy_on_response_trailers(context: u32, count: usize) -> u32;
        pub(super) fn proxy_on_http_call_response(
            context: u32,
            token: u32,
            headers: usize,
            body: usize,
            trailers: usize,
        );
        pub(super) fn proxy_on_queue_ready(root: u32, token: u32);
        pub(super) fn proxy_on_foreign_function(context: u32, function: u32, size: usize);
        pub(super) fn proxy_on_grpc_receive_initial_metadata(context: u32, token: u32, count: u32);
        pub(super) fn proxy_on_grpc_receive(context: u32, token: u32, size: usize);
        pub(super) fn proxy_on_grpc_receive_trailing_metadata(context: u32, token: u32, count: u32);
        pub(super) fn proxy_on_grpc_close(context: u32, token: u32, status: u32);
        pub(super) fn proxy_on_log(context: u32);
        pub(super) fn proxy_on_done(context: u32) -> bool;
        pub(super) fn proxy_on_delete(context: u32);
    }
}

/// Memory that the guest frees.
pub(super) fn allocate(size: usize) -> *mut u8 {
    // SAFETY: the SDK allocates `size` bytes and forgets them.
    unsafe { c::proxy_on_memory_allocate(size) }
}

macro_rules! calls {
    ($($name:ident = $function:ident($($argument:ident: $type:ty),*) $(=> $result:tt, $absent:literal)?;)*) => {
        /// The callbacks. All of them go to the context that they name first. Without the capability
        /// a callback does not come, and the host goes on as if it had returned the number behind it.
        impl Vm {$(
            pub(crate) fn $name(&self, context: u32 $(, $argument: $type)*) -> Called {
                if !self.allows(stringify!($function)) {
                    return Called::not_made(0 $(+ $absent)?);
                }
                self.call(context, stringify!($function), move || {
                    // SAFETY: the signature is the SDK's, and the call is made on the thread that
                    // the SDK keeps this VM's contexts on.
                    let result = unsafe { c::$function(context $(, $argument)*) };
                    calls!(@number result $($result)?)
                })
            }
        )*}
    };
    (@number $value:ident) => {{ let () = $value; 0 }};
    (@number $value:ident number) => { u32::from($value) };
}

calls! {
    on_context_create = proxy_on_context_create(root: u32);
    on_vm_start = proxy_on_vm_start(size: usize) => number, 1;
    on_configure = proxy_on_configure(size: usize) => number, 1;
    on_tick = proxy_on_tick();
    on_request_headers = proxy_on_request_headers(count: usize, end: bool) => number, 0;
    on_request_body = proxy_on_request_body(size: usize, end: bool) => number, 0;
    on_request_trailers = proxy_on_request_trailers(count: usize) => number, 0;
    on_response_headers = proxy_on_response_headers(count: usize, end: bool) => number, 0;
    on_response_body = proxy_on_response_body(size: usize, end: bool) => number, 0;
    on_response_trailers = proxy_on_response_trailers(count: usize) => number, 0;
    on_http_call_response = proxy_on_http_call_response(
        token: u32, headers: usize, body: usize, trailers: usize
    );
    on_queue_ready = proxy_on_queue_ready(token: u32);
    on_foreign_function = proxy_on_foreign_function(function: u32, size: usize);
    on_grpc_initial_metadata = proxy_on_grpc_receive_initial_metadata(token: u32, count: u32);
    on_grpc_message = proxy_on_grpc_receive(token: u32, size: usize);
    on_grpc_trailing_metadata = proxy_on_grpc_receive_trailing_metadata(token: u32, count: u32);
    on_grpc_close = proxy_on_grpc_close(token: u32, status: u32);
    on_log = proxy_on_log();
    on_done = proxy_on_done() => number, 1;
    on_delete = proxy_on_delete();
}
