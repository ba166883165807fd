//! Host calls below the SDK, whose wrappers panic on the very statuses that tests want to see.

unsafe extern "C" {
    fn proxy_log(level: u32, data: *const u8, size: usize) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_header_map_pairs(map: u32, data: *const u8, size: usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_buffer_bytes(
        buffer: u32,
        start: usize,
        size: usize,
        data: *const u8,
        data_size: usize,
    ) -> u32;
    fn proxy_send_local_response(
        code: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_close_stream(stream: u32) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, by: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_get_metric(id: u32, value: *mut u64) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        cas: u32,
    ) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        arguments: *const u8,
        arguments_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_grpc_send(token: u32, message: *const u8, size: usize, end: bool) -> u32;
    fn proxy_grpc_cancel(token: u32) -> u32;
    fn proxy_grpc_close(token: u32) -> u32;
    fn proxy_register_shared_queue(name: *const u8, size: usize, token: *mut u32) -> u32;
    fn proxy_resolve_shared_queue(
        vm_id: *const u8,
        vm_id_size: usize,
        name: *const u8,
        name_size: usize,
        token: *mut u32,
    ) -> u32;
    fn proxy_enqueue_shared_queue(token: u32, data: *const u8, size: usize) -> u32;
    fn proxy_dequeue_shared_queue(token: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_done() -> u32;
    fn proxy_get_status(code: *mut u32, data: *mut *mut u8, size: *mut usize) -> u32;
}

/// The status of a call that gives nothing, or the bytes that it gives (none if the pointer is null).
pub(crate) type Bytes = Result<Option<Vec<u8>>, u32>;

fn receive(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Bytes {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    match call(&mut data, &mut size) {
        // SAFETY: the host hands over memory of that size and capacity.
        0 if !data.is_null() => Ok(Some(unsafe { Vec::from_raw_parts(data, size, size) })),
        0 => Ok(None),
        status => Err(status),
    }
}

pub(crate) fn log(text: &str) {
    unsafe { proxy_log(2, text.as_ptr(), text.len()) };
}

pub(crate) fn header_pairs(map: u32) -> Bytes {
    receive(|data, size| unsafe { proxy_get_header_map_pairs(map, data, size) })
}

pub(crate) fn set_header_pairs(map: u32, pairs: &[u8]) -> u32 {
    unsafe { proxy_set_header_map_pairs(map, pairs.as_ptr(), pairs.len()) }
}

pub(crate) fn header(map: u32, name: &str) -> Bytes {
    let (name, length) = (name.as_ptr(), name.len());
    receive(|data, size| unsafe { proxy_get_header_map_value(map, name, length, data, size) })
}

pub(crate) fn set_header(map: u32, n: &str, v: &str) -> u32 {
    unsafe { proxy_replace_header_map_value(map, n.as_ptr(), n.len(), v.as_ptr(), v.len()) }
}

pub(crate) fn add_header(map: u32, n: &str, v: &str) -> u32 {
    unsafe { proxy_add_header_map_value(map, n.as_ptr(), n.len(), v.as_ptr(), v.len()) }
}

pub(crate) fn remove_header(map: u32, name: &str) -> u32 {
    unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) }
}

pub(crate) fn property(path: &str) -> Bytes {
    let path = path.replace('.', "\0");
    receive(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

pub(crate) fn set_property(path: &str, v: &str) -> u32 {
    unsafe { proxy_set_property(path.as_ptr(), path.len(), v.as_ptr(), v.len()) }
}

pub(crate) fn buffer(buffer: u32) -> Bytes {
    receive(|data, size| unsafe { proxy_get_buffer_bytes(buffer, 0, 1000, data, size) })
}

pub(crate) fn set_buffer(buffer: u32, start: usize, size: usize, bytes: &str) -> u32 {
    unsafe { proxy_set_buffer_bytes(buffer, start, size, bytes.as_ptr(), bytes.len()) }
}

pub(crate) fn reply(code: u32, details: &str, body: &str, headers: &[u8], grpc_status: i32) -> u32 {
    unsafe {
        proxy_send_local_response(
            code,
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            grpc_status,
        )
    }
}

pub(crate) fn resume(stream: u32) -> u32 {
    unsafe { proxy_continue_stream(stream) }
}

pub(crate) fn close(stream: u32) -> u32 {
    unsafe { proxy_close_stream(stream) }
}

pub(crate) fn set_tick_period(milliseconds: u32) -> u32 {
    unsafe { proxy_set_tick_period_milliseconds(milliseconds) }
}

pub(crate) fn define_metric(kind: u32, name: &str) -> (u32, u32) {
    let mut id = 0;
    let status = unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &mut id) };
    (status, id)
}

pub(crate) fn increment_metric(id: u32, by: i64) -> u32 {
    unsafe { proxy_increment_metric(id, by) }
}

pub(crate) fn record_metric(id: u32, value: u64) -> u32 {
    unsafe { proxy_record_metric(id, value) }
}

pub(crate) fn metric(id: u32) -> (u32, u64) {
    let mut value = 0;
    let status = unsafe { proxy_get_metric(id, &mut value) };
    (status, value)
}

pub(crate) fn shared_data(key: &str) -> (Bytes, u32) {
    let mut cas = 0;
    let value = receive(|data, size| unsafe {
        proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &mut cas)
    });
    (value, cas)
}

pub(crate) fn set_shared_data(key: &str, v: &str, cas: u32) -> u32 {
    unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), v.as_ptr(), v.len(), cas) }
}

pub(crate) fn call_status() -> (Bytes, u32) {
    let mut code = 0;
    let message = receive(|data, size| unsafe { proxy_get_status(&mut code, data, size) });
    (message, code)
}

pub(crate) fn set_effective_context(context: u32) -> u32 {
    unsafe { proxy_set_effective_context(context) }
}

pub(crate) fn call_foreign_function(name: &str, arguments: &str) -> Bytes {
    let (name, length) = (name.as_ptr(), name.len());
    let (bytes, count) = (arguments.as_ptr(), arguments.len());
    receive(|data, size| unsafe {
        proxy_call_foreign_function(name, length, bytes, count, data, size)
    })
}

pub(crate) fn grpc_send(token: u32, message: &str, end: bool) -> u32 {
    unsafe { proxy_grpc_send(token, message.as_ptr(), message.len(), end) }
}

pub(crate) fn grpc_cancel(token: u32) -> u32 {
    unsafe { proxy_grpc_cancel(token) }
}

pub(crate) fn grpc_close(token: u32) -> u32 {
    unsafe { proxy_grpc_close(token) }
}

pub(crate) fn register_queue(name: &str) -> (u32, u32) {
    let mut token = 0;
    let status = unsafe { proxy_register_shared_queue(name.as_ptr(), name.len(), &mut token) };
    (status, token)
}

pub(crate) fn resolve_queue(vm_id: &str, name: &str) -> (u32, u32) {
    let mut token = 0;
    let (id, length) = (vm_id.as_ptr(), vm_id.len());
    let status =
        unsafe { proxy_resolve_shared_queue(id, length, name.as_ptr(), name.len(), &mut token) };
    (status, token)
}

pub(crate) fn enqueue(token: u32, text: &str) -> u32 {
    unsafe { proxy_enqueue_shared_queue(token, text.as_ptr(), text.len()) }
}

pub(crate) fn dequeue(token: u32) -> Bytes {
    receive(|data, size| unsafe { proxy_dequeue_shared_queue(token, data, size) })
}

pub(crate) fn done() -> u32 {
    unsafe { proxy_done() }
}
