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
use crate::{cpu, variants};

/// The variant that is measured by default: rate-limit with one key.
pub(crate) const ID: &str = "limit_1";

const WORKERS: [u32; 4] = [1, 2, 4, 8];
/// Several for each worker.
const CONNECTIONS: usize = 64;
const WARM_UP_REQUESTS: usize = 10_000;
/// Requests in each visit: less than a second.
const REQUESTS: usize = 10_000;

/// The results by variant and number of workers.
pub(crate) struct Throughput(Vec<(String, Vec<Cell>)>);

/// The medians of all visits.
struct Cell {
    thousands_per_second: f64,
    microseconds: f64,
}

pub(crate) fn measure(options: &Options) -> Throughput {
    let mut subjects: Vec<(String, Vec<(Subject, Vec<[f64; 2]>)>)> = variants::chosen(options)
        .into_iter()
        .zip(0..)
        .map(|(variant, position)| {
            let start = |workers| {
                // Variants cannot be copied, so each Envoy gets its own.
                let variant = variants::chosen(options).into_iter().nth(position);
                let variant = variant.expect("the same variants as before");
                let envoy = Envoy::builder().concurrency(workers);
                let mut subject = Subject::start(variant, options.upstream, envoy);
                subject.send(WARM_UP_REQUESTS, CONNECTIONS);
                (subject, Vec::new())
            };
            (variant.name, WORKERS.map(start).into())
        })
        .collect();
    for round in 1..=options.rounds() {
        eprintln!("round {round} of {}", options.rounds());
        for (_, subjects) in &mut subjects {
            for (subject, visits) in subjects {
                visits.push(visit(subject));
            }
        }
    }
    let median = |visits: &[[f64; 2]], which: fn(&[f64; 2]) -> f64| {
        let mut values: Vec<f64> = visits.iter().map(which).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let results = subjects.into_iter().map(|(name, subjects)| {
        let cells = subjects.into_iter().map(|(subject, visits)| {
            subject.envoy.assert_no_vm_failed();
            Cell {
                thousands_per_second: median(&visits, |visit| visit[0]),
                microseconds: median(&visits, |visit| visit[1]),
            }
        });
        (name, cells.collect())
    });
    Throughput(results.collect())
}

/// Thousands of requests in a second, and microseconds of CPU time for each.
fn visit(subject: &mut Subject) -> [f64; 2] {
    let process = subject.envoy.process_id();
    let (started, before) = (Instant::now(), cpu::time(process));
    subject.send(REQUESTS, CONNECTIONS);
    let (spent, elapsed) = (cpu::time(process) - before, started.elapsed());
    let requests = REQUESTS as f64;
    [
        requests / 1e3 / elapsed.as_secs_f64(),
        spent.as_secs_f64() * 1e6 / requests,
    ]
}

impl Throughput {
    pub(crate) fn print(&self) {
        let Some((_, bare)) = self.0.first() else {
            return;
        };
        let columns = |of: &dyn Fn(usize) -> String| -> String {
            let columns = (0..WORKERS.len()).map(|i| format!("{:>20}", of(i)));
            columns.collect()
        };
        println!("thousand requests per second (× no filter, × one worker)");
        println!("{:44}{}", "workers", columns(&|i| WORKERS[i].to_string()));
        for (name, cells) in &self.0 {
            let cell = |i: usize| {
                let here = cells[i].thousands_per_second;
                let to_bare = here / bare[i].thousands_per_second;
                let to_one = here / cells[0].thousands_per_second;
                format!("{here:.1} ({to_bare:.2}, {to_one:.2})")
            };
            println!("{name:44}{}", columns(&cell));
        }
        println!("\nµs of CPU time per request");
        for (name, cells) in &self.0 {
            let cell = |i: usize| format!("{:.1}", cells[i].microseconds);
            println!("{name:44}{}", columns(&cell));
        }
    }
}
