//! Measures throughput by the number of workers, of requests that all have one key: a lock or a compare-and-swap that
//! workers contend for shows here.
//!
//! All Envoys run at the same time, and the load visits them in turn, round after round. The load needs a core for
//! itself, and workers beyond the number of the other cores share those. So only ratios count: of a variant to the Envoy
//! without filters with as many workers, and to itself with one. CPU time per request shows work that contention adds;
//! throughput also shows waiting.

use std::time::Instant;

use portcullis_envoy_tests::envoy::Envoy;

use crate::options::Options;
use crate::subject::Subject;
use crate::table::at;
use crate::{cpu, variants};

/// The variant that is measured by default: rate-limit with one key.
pub(crate) const ID: &str = "limit_1";

const WORKERS: [u32; 4] = [1, 2, 4, 8];
/// Several for each worker.
const CONNECTIONS: usize = 64;
const WARM_UP_REQUESTS: usize = 10_000;
/// Requests in each visit: less than a second.
const REQUESTS: usize = 10_000;

/// The results by variant, with one for each number of workers.
pub(crate) struct Throughput(Vec<(String, Vec<Visit>)>);

#[derive(Clone, Copy)]
struct Visit {
    thousands_per_second: f64,
    microseconds: f64,
}

/// One Envoy, with its visits.
struct Running {
    subject: Subject,
    visits: Vec<Visit>,
}

pub(crate) fn measure(options: &Options) -> Throughput {
    let mut rows: Vec<(String, Vec<Running>)> = Vec::new();
    for workers in WORKERS {
        for (i, variant) in variants::chosen(options).into_iter().enumerate() {
            let name = variant.name.clone();
            let envoy = Envoy::builder().concurrency(workers);
            let mut subject = Subject::start(variant, options.upstream, envoy);
            subject.send(WARM_UP_REQUESTS, CONNECTIONS);
            let running = Running {
                subject,
                visits: Vec::new(),
            };
            match rows.get_mut(i) {
                Some((_, row)) => row.push(running),
                None => rows.push((name, vec![running])),
            }
        }
    }
    for round in 1..=options.rounds() {
        eprintln!("round {round} of {}", options.rounds());
        for running in rows.iter_mut().flat_map(|(_, row)| row) {
            let visit = visit(&mut running.subject);
            running.visits.push(visit);
        }
    }
    let results = rows.into_iter().map(|(name, row)| {
        let medians = row.iter().map(Running::median);
        (name, medians.collect())
    });
    Throughput(results.collect())
}

fn visit(subject: &mut Subject) -> Visit {
    let process = subject.envoy.process_id();
    let (started, before) = (Instant::now(), cpu::time(process));
    subject.send(REQUESTS, CONNECTIONS);
    let (spent, elapsed) = (cpu::time(process) - before, started.elapsed());
    let requests = REQUESTS as f64;
    Visit {
        thousands_per_second: requests / 1e3 / elapsed.as_secs_f64(),
        microseconds: spent.as_secs_f64() * 1e6 / requests,
    }
}

impl Running {
    fn median(&self) -> Visit {
        self.subject.envoy.assert_no_vm_failed();
        let median = |which: fn(&Visit) -> f64| {
            let values: Vec<f64> = self.visits.iter().map(which).collect();
            at(0.5, &values)
        };
        Visit {
            thousands_per_second: median(|visit| visit.thousands_per_second),
            microseconds: median(|visit| visit.microseconds),
        }
    }
}

impl Throughput {
    pub(crate) fn print(&self) {
        let Some((_, bare)) = self.0.first() else {
            return;
        };
        println!("thousand requests per second (× no filter, × one worker)");
        line("workers", WORKERS.iter().map(u32::to_string));
        for (name, row) in &self.0 {
            let one = row.first().map(|cell| cell.thousands_per_second);
            let cell = |(cell, bare): (&Visit, &Visit)| {
                let here = cell.thousands_per_second;
                let to_bare = here / bare.thousands_per_second;
                let to_one = here / one.unwrap_or(f64::NAN);
                format!("{here:.1} ({to_bare:.2}, {to_one:.2})")
            };
            line(name, row.iter().zip(bare).map(cell));
        }
        println!("\nµs of CPU time per request");
        for (name, row) in &self.0 {
            line(
                name,
                row.iter().map(|cell| format!("{:.1}", cell.microseconds)),
            );
        }
    }
}

fn line(name: &str, cells: impl Iterator<Item = String>) {
    let cells: String = cells.map(|cell| format!("{cell:>20}")).collect();
    println!("{name:44}{cells}");
}
