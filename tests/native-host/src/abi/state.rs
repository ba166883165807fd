//! Host calls about everything that is not a stream: log, time, shared data, queues, metrics.

#![allow(
    unsafe_op_in_unsafe_fn,
    reason = "every function here passes its pointers on under the one contract of `memory`"
)]

use super::memory::{bytes, code, give, host, write};
use crate::logs::LogLevel;
use crate::vm::{note_panic_of_a_hook, with_local};

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_log(level: u32, data: *const u8, size: usize) -> u32 {
    let message = bytes(data, size);
    if level == LogLevel::Critical as u32 {
        note_panic_of_a_hook(&String::from_utf8_lossy(message));
    }
    // Destructors may log when a VM's thread ends; the SDK's logger panics on any error.
    let logged = with_local(|_, _| ()).map_or(Ok(()), |()| {
        host("proxy_log", |guest| guest.log(level, message))
    });
    code(logged)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_log_level(level: *mut u32) -> u32 {
    write(
        host("proxy_get_log_level", |guest| {
            Ok(guest.shared.logs.level() as u32)
        }),
        level,
    )
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32 {
    let wall = |now: crate::clock::Now| u64::try_from(now.wall.as_nanos()).unwrap_or(u64::MAX);
    write(
        host("proxy_get_current_time_nanoseconds", |guest| {
            Ok(wall(guest.shared.clock.now()))
        }),
        time,
    )
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_tick_period_milliseconds(period: u32) -> u32 {
    code(host("proxy_set_tick_period_milliseconds", |guest| {
        guest.set_tick_period(period)
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_shared_data(
    key: *const u8,
    key_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
    cas: *mut u32,
) -> u32 {
    let key = bytes(key, key_size);
    let found = host("proxy_get_shared_data", |guest| guest.get_shared_data(key));
    give(
        found.map(|(value, token)| {
            *cas = token;
            value
        }),
        data,
        size,
    )
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_shared_data(
    key: *const u8,
    key_size: usize,
    value: *const u8,
    value_size: usize,
    cas: u32,
) -> u32 {
    let (key, value) = (bytes(key, key_size), bytes(value, value_size));
    code(host("proxy_set_shared_data", |guest| {
        guest.set_shared_data(key, value, cas)
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_register_shared_queue(
    name: *const u8,
    name_size: usize,
    token: *mut u32,
) -> u32 {
    let name = bytes(name, name_size);
    write(
        host("proxy_register_shared_queue", |guest| {
            guest.register_queue(name)
        }),
        token,
    )
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_resolve_shared_queue(
    vm_id: *const u8,
    vm_id_size: usize,
    name: *const u8,
    name_size: usize,
    token: *mut u32,
) -> u32 {
    let (vm_id, name) = (bytes(vm_id, vm_id_size), bytes(name, name_size));
    write(
        host("proxy_resolve_shared_queue", |guest| {
            guest.resolve_queue(vm_id, name)
        }),
        token,
    )
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_enqueue_shared_queue(token: u32, data: *const u8, size: usize) -> u32 {
    let value = bytes(data, size);
    code(host("proxy_enqueue_shared_queue", |guest| {
        guest.enqueue(token, value)
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_dequeue_shared_queue(
    token: u32,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    give(
        host("proxy_dequeue_shared_queue", |guest| {
            guest.shared.queues.dequeue(token)
        }),
        data,
        size,
    )
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_define_metric(
    kind: u32,
    name: *const u8,
    name_size: usize,
    id: *mut u32,
) -> u32 {
    let name = bytes(name, name_size);
    write(
        host("proxy_define_metric", |guest| {
            guest.define_metric(kind, name)
        }),
        id,
    )
}

#[unsafe(no_mangle)]
extern "C" fn proxy_increment_metric(id: u32, by: i64) -> u32 {
    code(host("proxy_increment_metric", |guest| {
        guest.increment_metric(id, by)
    }))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_record_metric(id: u32, value: u64) -> u32 {
    code(host("proxy_record_metric", |guest| {
        guest.record_metric(id, value)
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_metric(id: u32, value: *mut u64) -> u32 {
    write(
        host("proxy_get_metric", |guest| guest.get_metric(id)),
        value,
    )
}
