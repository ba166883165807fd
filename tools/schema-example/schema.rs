//! Prints the JSON Schema of a plugin's configuration: `make schema` writes them to
//! `plugins/*/schema.json`.
#![allow(
    clippy::disallowed_macros,
    reason = "a program says what it has to say"
)]

use std::process::ExitCode;

use portcullis_policy::{circuit_breaker, jwt_auth, rate_limit, retry_budget, security_headers};
use schemars::schema_for;

fn main() -> ExitCode {
    let schema = match std::env::args().nth(1).as_deref() {
        Some("circuit-breaker") => schema_for!(circuit_breaker::Config),
        Some("jwt-auth") => schema_for!(jwt_auth::Config),
        Some("rate-limit") => schema_for!(rate_limit::Config),
        Some("retry-budget") => schema_for!(retry_budget::Config),
        Some("security-headers") => schema_for!(security_headers::Config),
        _ => {
            eprintln!(
                "usage: schema circuit-breaker|jwt-auth|rate-limit|retry-budget|security-headers"
            );
            return ExitCode::FAILURE;
        }
    };
    println!("{:#}", schema.as_value());
    ExitCode::SUCCESS
}
