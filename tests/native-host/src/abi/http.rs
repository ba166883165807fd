//! Host calls about the stream: headers, bodies, properties, and moving it along.

#![allow(
    unsafe_op_in_unsafe_fn,
    reason = "every function here passes its pointers on under the one contract of `memory`"
)]

use super::memory::{bytes, code, give, host};

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_header_map_pairs(
    map: u32,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    give(
        host("proxy_get_header_map_pairs", |guest| {
            guest.header_pairs(map)
        }),
        data,
        size,
    )
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_header_map_pairs(map: u32, data: *const u8, size: usize) -> u32 {
    code(host("proxy_set_header_map_pairs", |guest| {
        guest.set_header_pairs(map, bytes(data, size))
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_header_map_value(
    map: u32,
    name: *const u8,
    name_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    let name = bytes(name, name_size);
    give(
        host("proxy_get_header_map_value", |guest| {
            guest.header(map, name)
        }),
        data,
        size,
    )
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_replace_header_map_value(
    map: u32,
    name: *const u8,
    name_size: usize,
    value: *const u8,
    value_size: usize,
) -> u32 {
    let (name, value) = (bytes(name, name_size), bytes(value, value_size));
    code(host("proxy_replace_header_map_value", |guest| {
        guest.set_header(map, name, value)
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_add_header_map_value(
    map: u32,
    name: *const u8,
    name_size: usize,
    value: *const u8,
    value_size: usize,
) -> u32 {
    let (name, value) = (bytes(name, name_size), bytes(value, value_size));
    code(host("proxy_add_header_map_value", |guest| {
        guest.add_header(map, name, value)
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_remove_header_map_value(
    map: u32,
    name: *const u8,
    name_size: usize,
) -> u32 {
    let name = bytes(name, name_size);
    code(host("proxy_remove_header_map_value", |guest| {
        guest.remove_header(map, name)
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_buffer_bytes(
    buffer: u32,
    start: usize,
    max_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    give(
        host("proxy_get_buffer_bytes", |guest| {
            guest.buffer(buffer, start, max_size)
        }),
        data,
        size,
    )
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_buffer_bytes(
    buffer: u32,
    start: usize,
    size: usize,
    data: *const u8,
    data_size: usize,
) -> u32 {
    let data = bytes(data, data_size);
    code(host("proxy_set_buffer_bytes", |guest| {
        guest.set_buffer(buffer, start, size, data)
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_property(
    path: *const u8,
    path_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    let path = bytes(path, path_size);
    give(
        host("proxy_get_property", |guest| guest.get_property(path)),
        data,
        size,
    )
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_property(
    path: *const u8,
    path_size: usize,
    value: *const u8,
    value_size: usize,
) -> u32 {
    let (path, value) = (bytes(path, path_size), bytes(value, value_size));
    code(host("proxy_set_property", |guest| {
        guest.set_property(path, value)
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_send_local_response(
    status: u32,
    details: *const u8,
    details_size: usize,
    body: *const u8,
    body_size: usize,
    headers: *const u8,
    headers_size: usize,
    grpc_status: i32,
) -> u32 {
    let details = bytes(details, details_size);
    let body = bytes(body, body_size);
    let headers = bytes(headers, headers_size);
    code(host("proxy_send_local_response", |guest| {
        guest.send_local_response(status, details, body, headers, grpc_status)
    }))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_continue_stream(stream: u32) -> u32 {
    code(host("proxy_continue_stream", |guest| {
        guest.continue_stream(stream)
    }))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_close_stream(stream: u32) -> u32 {
    code(host("proxy_close_stream", |guest| {
        guest.close_stream(stream)
    }))
}
