//! Host calls that reach other services, other contexts, and the host's own functions.

#![allow(
    unsafe_op_in_unsafe_fn,
    reason = "every function here passes its pointers on under the one contract of `memory`"
)]

use crate::hostcalls::GrpcTarget;

use super::memory::{bytes, code, give, host, write};

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_http_call(
    upstream: *const u8,
    upstream_size: usize,
    headers: *const u8,
    headers_size: usize,
    body: *const u8,
    body_size: usize,
    trailers: *const u8,
    trailers_size: usize,
    timeout: u32,
    token: *mut u32,
) -> u32 {
    let upstream = bytes(upstream, upstream_size);
    let headers = bytes(headers, headers_size);
    let body = bytes(body, body_size);
    let trailers = bytes(trailers, trailers_size);
    let called = host("proxy_http_call", |guest| {
        guest.http_call(upstream, headers, body, trailers, timeout)
    });
    write(called, token)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_grpc_call(
    upstream: *const u8,
    upstream_size: usize,
    service: *const u8,
    service_size: usize,
    method: *const u8,
    method_size: usize,
    metadata: *const u8,
    metadata_size: usize,
    message: *const u8,
    message_size: usize,
    timeout: u32,
    token: *mut u32,
) -> u32 {
    let target = GrpcTarget {
        cluster: bytes(upstream, upstream_size),
        service: bytes(service, service_size),
        method: bytes(method, method_size),
        metadata: bytes(metadata, metadata_size),
    };
    let message = bytes(message, message_size);
    let called = host("proxy_grpc_call", |guest| {
        guest.grpc_call(&target, message, timeout)
    });
    write(called, token)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_grpc_stream(
    upstream: *const u8,
    upstream_size: usize,
    service: *const u8,
    service_size: usize,
    method: *const u8,
    method_size: usize,
    metadata: *const u8,
    metadata_size: usize,
    token: *mut u32,
) -> u32 {
    let target = GrpcTarget {
        cluster: bytes(upstream, upstream_size),
        service: bytes(service, service_size),
        method: bytes(method, method_size),
        metadata: bytes(metadata, metadata_size),
    };
    let opened = host("proxy_grpc_stream", |guest| guest.open_grpc_stream(&target));
    write(opened, token)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_grpc_send(
    token: u32,
    message: *const u8,
    message_size: usize,
    end: bool,
) -> u32 {
    let message = bytes(message, message_size);
    code(host("proxy_grpc_send", |guest| {
        guest.send_grpc(token, message, end)
    }))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_grpc_cancel(token: u32) -> u32 {
    code(host("proxy_grpc_cancel", |guest| guest.cancel_grpc(token)))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_grpc_close(token: u32) -> u32 {
    code(host("proxy_grpc_close", |guest| guest.close_grpc(token)))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_status(
    status: *mut u32,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    let found = host("proxy_get_status", |guest| guest.call_status());
    give(
        found.map(|(number, message)| {
            *status = number;
            message
        }),
        data,
        size,
    )
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_effective_context(context: u32) -> u32 {
    code(host("proxy_set_effective_context", |guest| {
        guest.set_effective_context(context)
    }))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_done() -> u32 {
    code(host("proxy_done", |guest| guest.done()))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_call_foreign_function(
    name: *const u8,
    name_size: usize,
    arguments: *const u8,
    arguments_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    let (name, arguments) = (bytes(name, name_size), bytes(arguments, arguments_size));
    let result = host("proxy_call_foreign_function", |guest| {
        guest.call_foreign_function(name, arguments)
    });
    give(result, data, size)
}
