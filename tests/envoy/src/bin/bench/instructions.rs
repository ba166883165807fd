//! Counts instructions, for one variant after the other.
//!
//! On a busy machine, CPU time varies between runs by about 40 %, with the content of the caches, the clock of the core,
//! and the position of Envoy in memory. The number of instructions per request is the same everywhere, to a few parts in
//! a thousand. So a change of one percent in a plugin is visible, and numbers from different days and machines are
//! comparable.
//!
//! But instructions do not take the same time. One that waits for memory outside of the caches, or for a lock, counts as
//! much as one that adds two registers. Only the instructions of the process count, without the kernel's work for
//! sockets; that also holds for the Envoy without filters. And valgrind runs one thread at a time, so there is no
//! contention.
//!
//! Each variant's Envoy runs under valgrind, about fifty times slower than without. It receives batches of requests over
//! one connection, and its instructions are read after each batch.

use portcullis_envoy_tests::envoy::Envoy;

use crate::callgrind::Callgrind;
use crate::options::Options;
use crate::subject::Subject;
use crate::table::Measured;
use crate::variants::{self, Variant};

/// Enough to fill caches: V8 has optimised all code before the first request. Tables are not full after this number of
/// keys.
const WARM_UP_REQUESTS: usize = 1_000;
const WARM_UP_REQUESTS_OF_MANY_KEYS: usize = 20_000;
/// Requests in each batch, over one connection.
const REQUESTS: usize = 1_000;

/// Thousands of instructions per request, by batch. The error says what must be installed.
pub(crate) fn measure(options: &Options) -> Result<Vec<Measured>, String> {
    Callgrind::check()?;
    let chosen = variants::chosen(options).into_iter();
    Ok(chosen.map(|variant| batches(variant, options)).collect())
}

fn batches(variant: Variant, options: &Options) -> Measured {
    eprintln!("{}", variant.name);
    let mut callgrind = Callgrind::new();
    let envoy = Envoy::builder().concurrency(1).under(callgrind.command());
    let mut subject = Subject::start(variant, options.upstream, envoy);
    let process = subject.envoy.process_id();
    let warm_up = match subject.variant.keys {
        1..=1000 => WARM_UP_REQUESTS,
        _ => WARM_UP_REQUESTS_OF_MANY_KEYS,
    };
    subject.send(warm_up, 1);
    callgrind.begin(process);
    let batch = |_| {
        subject.send(REQUESTS, 1);
        callgrind.instructions(process) as f64 / 1e3 / REQUESTS as f64
    };
    let batches: Vec<f64> = (0..options.rounds()).map(batch).collect();
    subject.envoy.assert_no_vm_failed();
    // Printed immediately, so that a failure of the next variant does not lose the work of minutes.
    eprintln!("  {batches:.2?} thousand instructions per request");
    Measured {
        variant: subject.variant.described(),
        sessions: vec![batches],
    }
}
