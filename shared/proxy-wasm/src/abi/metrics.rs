//! Counters and gauges.

use portcullis_host::Status;
use portcullis_host::backend::MetricKind;

use super::check;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
}

/// Defines a metric and returns its id.
pub(crate) fn define_metric(kind: MetricKind, name: &str) -> Result<u32, Status> {
    let kind = match kind {
        MetricKind::Counter => 0,
        MetricKind::Gauge => 1,
    };
    let mut id = 0;
    // SAFETY: the host only reads `name`; `id` outlives the call and has the type that the host writes.
    check(unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &mut id) })?;
    Ok(id)
}

/// Adds to a metric.
pub(crate) fn increment_metric(id: u32, offset: i64) -> Result<(), Status> {
    // SAFETY: no pointers are passed.
    check(unsafe { proxy_increment_metric(id, offset) })
}

/// Sets a gauge.
pub(crate) fn record_metric(id: u32, value: u64) -> Result<(), Status> {
    // SAFETY: no pointers are passed.
    check(unsafe { proxy_record_metric(id, value) })
}
