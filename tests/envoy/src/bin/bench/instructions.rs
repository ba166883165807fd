//! Instructions, of one variant after the other.
//!
//! CPU time differs from run to run, on a machine that others use by some 40 %: what else is in the
//! caches, how fast the core is clocked just now, where in memory an Envoy comes to lie. Of
//! instructions, a request takes the same number wherever and whenever it runs, to some parts in a
//! thousand. So a change of one percent in a plugin shows, and numbers of different days and machines
//! compare.
//!
//! What they do not tell: that instructions are not equally long. One that waits for memory that is in no
//! cache counts as much as one that adds two registers, and so does one that waits for a lock. They
//! are those of the process only, so the kernel's work for sockets is not among them, nor among those of
//! the Envoy without filters. And valgrind runs one thread at a time: nothing here contends.
//!
//! A variant's Envoy runs under valgrind, some fifty times as slow as without. It gets its load over one
//! connection, in batches, and is asked after each for the instructions since the last.

use portcullis_envoy_tests::envoy::Envoy;

use crate::callgrind::Callgrind;
use crate::options::Options;
use crate::subject::Subject;
use crate::table::Measured;
use crate::variants::{self, Variant};

/// Enough to fill caches: V8 has optimised all code before the first request. Tables are not full after so
/// many keys.
const WARM_UP_REQUESTS: usize = 1_000;
const WARM_UP_REQUESTS_OF_MANY_KEYS: usize = 20_000;
/// In each batch, over one connection.
const REQUESTS: usize = 1_000;

/// Thousands of instructions per request, by batch. The error says what is missing.
pub(crate) fn measure(options: &Options) -> Result<Vec<Measured>, String> {
    Callgrind::check()?;
    let chosen = variants::chosen(options).into_iter();
    Ok(chosen.map(|variant| batches(variant, options)).collect())
}

fn batches(variant: Variant, options: &Options) -> Measured {
    eprintln!("{}", variant.name);
    let mut callgrind = Callgrind::new();
    let envoy = Envoy::builder().under(callgrind.command());
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
    // At once, so that what has taken minutes is not lost should the next variant fail.
    eprintln!("  {batches:.2?} thousand instructions per request");
    Measured {
        name: subject.variant.name,
        sessions: vec![batches],
    }
}
