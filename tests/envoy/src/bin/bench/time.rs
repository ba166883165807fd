//! Measures the CPU time of all variants side by side.
//!
//! Each variant has an Envoy, and all Envoys run at the same time. After a warm-up, in which V8 optimises hot code, the
//! load visits them in turn, round after round. A variant's added cost in a round is its CPU time per request, less that
//! of the Envoy without filters in the same round. Many short visits share the machine's conditions; a few long visits,
//! throughput, or consecutive runs do not. A visit begins with requests that are not counted: the previous Envoy has
//! filled the core's caches with its own code and data, and a busy Envoy need not reload its own.
//!
//! The position of an Envoy in memory also matters: the empty filter adds 13 µs in every round of one process, and 20 µs
//! in the next. So after some rounds, a *session*, all Envoys restart. Even so, a number is only comparable with those of
//! the same run, above all with the empty filter's.

use portcullis_envoy_tests::envoy::Envoy;

use crate::cpu;
use crate::options::Options;
use crate::subject::Subject;
use crate::table::Measured;
use crate::variants::{self, Described};

/// Connections, kept alive during a visit.
const CONNECTIONS: usize = 16;
/// Enough for V8 to optimise the code of a request, and to fill a table of the default size if there are as many keys.
const WARM_UP_REQUESTS: usize = 20_000;
const WARM_UP_REQUESTS_OF_MANY_KEYS: usize = 300_000;
/// Requests at the beginning of each visit, until the caches are warm.
const WAKING_REQUESTS: usize = 500;
/// Rounds with the same Envoys.
const ROUNDS_PER_SESSION: u32 = 10;
/// Requests in each visit: about 50 ms, in which the machine's conditions hardly change.
const REQUESTS: usize = 2_000;
/// The cores of the Envoys and of the load, so that neither migrates.
const ENVOY_CORE: u32 = 0;
const LOAD_CORE: u32 = 1;

/// Microseconds per request, by round.
pub(crate) fn measure(options: &Options) -> Vec<Measured> {
    cpu::pin(std::process::id(), LOAD_CORE);
    let mut measured: Vec<Measured> = Vec::new();
    let mut left = options.rounds();
    while left > 0 {
        eprintln!("measuring, {left} rounds left");
        let rounds = left.min(ROUNDS_PER_SESSION);
        left -= rounds;
        for (i, (variant, session)) in run_session(options, rounds).into_iter().enumerate() {
            match measured.get_mut(i) {
                Some(measured) => measured.sessions.push(session),
                None => measured.push(Measured {
                    variant,
                    sessions: vec![session],
                }),
            }
        }
    }
    measured
}

/// Runs a number of rounds with new Envoys.
fn run_session(options: &Options, rounds: u32) -> Vec<(Described, Vec<f64>)> {
    let chosen = variants::chosen(options).into_iter();
    let start = |variant| {
        let subject = Subject::start(variant, options.upstream, Envoy::builder().concurrency(1));
        cpu::pin(subject.envoy.process_id(), ENVOY_CORE);
        (subject, Vec::new())
    };
    let mut subjects: Vec<(Subject, Vec<f64>)> = chosen.map(start).collect();

    for (subject, _) in &mut subjects {
        let requests = match subject.variant.keys {
            1..=1000 => WARM_UP_REQUESTS,
            _ => WARM_UP_REQUESTS_OF_MANY_KEYS,
        };
        subject.send(requests, CONNECTIONS);
    }
    for _ in 0..rounds {
        for (subject, rounds) in &mut subjects {
            rounds.push(visit(subject));
        }
    }
    let finish = |(subject, rounds): (Subject, _)| {
        subject.envoy.assert_no_vm_failed();
        (subject.variant.described(), rounds)
    };
    subjects.into_iter().map(finish).collect()
}

/// Puts the load on it. Returns its CPU time in microseconds per request.
fn visit(subject: &mut Subject) -> f64 {
    subject.send(WAKING_REQUESTS, CONNECTIONS);
    let process = subject.envoy.process_id();
    let before = cpu::time(process);
    subject.send(REQUESTS, CONNECTIONS);
    let spent = cpu::time(process) - before;
    spent.as_secs_f64() * 1e6 / REQUESTS as f64
}
