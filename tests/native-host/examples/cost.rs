//! What a host and a request cost, in the profile that tests have:
//!
//! ```sh
//! cargo run --example cost
//! ```
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "an example reports by panicking"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use proxy_wasm_native_host::{Filter, Host, Request};

/// Reads one header and writes another.
struct Stream;

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let key = self.get_http_request_header("x-key");
        self.set_http_request_header("x-seen", key.as_deref().or(Some("none")));
        Action::Continue
    }
}

fn start(workers: usize) -> Host {
    let init = || proxy_wasm::set_http_context(|_, _| Box::new(Stream));
    let filter = Filter::from_fn("cost", init);
    Host::builder()
        .filter(filter)
        .workers(workers)
        .start()
        .unwrap()
}

/// The median of some runs, each of `count` repetitions.
fn measure(what: &str, count: u32, mut run: impl FnMut()) {
    let mut times = [Duration::ZERO; 15];
    for time in &mut times {
        let start = Instant::now();
        for _ in 0..count {
            run();
        }
        *time = start.elapsed() / count;
    }
    times.sort();
    let microseconds = |time: Duration| time.as_secs_f64() * 1e6;
    let [first, .., last] = times.map(microseconds);
    println!(
        "{what:44} {:8.1} µs  ({first:.1} to {last:.1})",
        microseconds(times[times.len() / 2]),
    );
}

fn main() {
    measure("a host with one worker, started and dropped", 20, || {
        drop(start(1))
    });
    measure("a host with four workers", 20, || drop(start(4)));
    let host = start(1);
    measure("a request", 200, || {
        black_box(host.send(Request::get("/").header("x-key", "k")));
    });
    measure("a request with a body of three pieces", 200, || {
        let request = Request::post("/").chunk("a").chunk("b").chunk("c");
        black_box(host.send(request));
    });
    let host = Host::builder().start().unwrap();
    measure("a request without filters", 200, || {
        black_box(host.send(Request::get("/")));
    });
}
