//! The one tokio runtime behind the synchronous API.
//!
//! Tests are plain functions and block; sockets, the scripted upstreams and timeouts live on
//! this runtime, which every [`crate::envoy::Envoy`] and every upstream of the process shares.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// The time for the start of a response to reach Envoy before the upstream resets it. In TCP and HTTP/2, a reset can
/// overtake queued data, and neither reports when the data was sent.
pub(crate) const SETTLE: Duration = Duration::from_millis(20);

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("harness")
        .enable_all()
        .build()
        .expect("a tokio runtime")
});

pub(crate) fn runtime() -> &'static Runtime {
    &RUNTIME
}
