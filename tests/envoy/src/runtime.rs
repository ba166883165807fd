//! The one tokio runtime behind the synchronous API.
//!
//! Tests are plain functions and block; sockets, the scripted upstreams and timeouts live on
//! this runtime, which every [`crate::envoy::Envoy`] and every upstream of the process shares.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// How long anything may take that a test waits for. Reaching it is always a failure, so it is
/// generous: build machines are slow and run other things at the same time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks at something that can only be polled (a file, Envoy's admin interface).
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// How long the start of a response has to reach Envoy before the upstream breaks it off. TCP
/// and HTTP/2 both let a reset overtake what is still queued, and neither tells when it left.
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
