//! Prints the JSON Schema of a plugin's configuration: `make schema` writes them to
//! `plugins/*/schema.json`.
#![allow(
    clippy::disallowed_macros,
    reason = "a program says what it has to say"
)]

use std::process::ExitCode;

use portcullis_policy::{circuit_breaker, rate_limit, security_headers};
use schemars::schema_for;

fn main() -> ExitCode {
    let schema = match std::env::args().nth(1).as_deref() {
        Some("circuit-breaker") => schema_for!(circuit_breaker::Config),
        Some("rate-limit") => schema_for!(rate_limit::Config),
        Some("security-headers") => schema_for!(security_headers::Config),
        _ => {
            eprintln!("usage: schema circuit-breaker|rate-limit|security-headers");
            return ExitCode::FAILURE;
        }
    };
    println!("{:#}", schema.as_value());
    ExitCode::SUCCESS
}
