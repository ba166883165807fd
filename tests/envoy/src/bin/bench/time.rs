//! CPU time, of all variants side by side.
//!
//! There is one Envoy for each variant, and all of them are there at once. After a warm-up, in
//! which V8 optimises what is called often, the load visits them in turn, round after round. What a
//! variant adds in a round is its CPU time per request less that of the Envoy without filters in
//! the same round. Many short visits see the same machine, whatever else it does meanwhile; a few
//! long ones, throughput, or runs one after the other do not. A visit begins with requests that are
//! not counted: the Envoy before has left its own code and data in the core's caches, and to load
//! ours anew is nothing that an Envoy at work has to do.
//!
//! Where in memory an Envoy comes to lie makes a difference, too: the empty filter of one process adds
//! 13 µs in every round, that of the next one 20. So after some rounds, a *session*, all Envoys are
//! started anew. Still, a number means something next to those of the same run only, the empty
//! filter's first of all.

use portcullis_envoy_tests::envoy::Envoy;

use crate::options::Options;
use crate::subject::Subject;
use crate::table::Measured;
use crate::{cpu, variants};

/// Connections that are kept alive during a visit.
const CONNECTIONS: usize = 16;
/// Enough for V8 to optimise what a request runs through, and to fill a table of the default size
/// where there are as many keys.
const WARM_UP_REQUESTS: usize = 20_000;
const WARM_UP_REQUESTS_OF_MANY_KEYS: usize = 300_000;
/// At the beginning of each visit, until the caches are warm.
const WAKING_REQUESTS: usize = 500;
/// With the same Envoys.
const ROUNDS_PER_SESSION: u32 = 10;
/// In each visit: some 50 ms, in which the machine hardly changes.
const REQUESTS: usize = 2_000;
/// The cores that Envoys and load have to themselves, so that neither moves.
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
        for (i, (name, session)) in run_session(options, rounds).into_iter().enumerate() {
            match measured.get_mut(i) {
                Some(measured) => measured.sessions.push(session),
                None => measured.push(Measured {
                    name,
                    sessions: vec![session],
                }),
            }
        }
    }
    measured
}

/// So many rounds, with new Envoys.
fn run_session(options: &Options, rounds: u32) -> Vec<(String, Vec<f64>)> {
    let chosen = variants::chosen(options).into_iter();
    let start = |variant| {
        let subject = Subject::start(variant, options.upstream, Envoy::builder());
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
        (subject.variant.name, rounds)
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
