//! Measures the cost that a filter adds to a request: `make bench`.
//!
//! ```text
//! make bench BENCH_ARGS="--rounds 3 --only helmet,limit"
//! make bench BENCH_ARGS="--against /tmp/dist-before --only helmet"
//! make bench BENCH_ARGS="--upstream --only breaker,breaker_open,chain"
//! make bench BENCH_ARGS="--instructions --only limit"
//! make bench BENCH_ARGS="--instructions --library --only limit_headers,helmet,jwt_cached"
//! make bench BENCH_ARGS="--workers"
//! make bench BENCH_ARGS="--only hostile"
//! make bench BENCH_ARGS="--fleet"
//! ```
//!
//! Each variant has an Envoy with one worker. It answers with direct responses, so that little else is measured; with
//! `--upstream`, an upstream runs next to the load generator. The result is CPU time ([`time`]), or the number of
//! instructions ([`instructions`]), which is exact but not the whole cost. Plugins run as wasm modules and, if
//! `dist/libportcullis.so` exists, in the library; both are compared with Envoy's own filters. `--workers` measures how
//! the throughput changes with the number of workers ([`workers`]), `--fleet` what a limit of several proxies costs
//! ([`fleet`]).

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a failed measurement has nothing better to do"
)]

mod callgrind;
mod comparison;
mod cpu;
mod fleet;
mod hostile;
mod instructions;
mod options;
mod subject;
mod table;
mod time;
mod variants;
mod workers;

use std::process::ExitCode;

use options::Options;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let options = Options::parse(std::env::args().skip(1))?;
    if options.is_hostile() {
        return hostile::measure(options.instructions);
    }
    if options.fleet {
        return fleet::measure(&options);
    }
    if options.workers {
        workers::measure(&options).print();
    } else if options.instructions {
        table::INSTRUCTIONS.print(&instructions::measure(&options)?);
    } else {
        table::TIME.print(&time::measure(&options));
    }
    Ok(())
}
