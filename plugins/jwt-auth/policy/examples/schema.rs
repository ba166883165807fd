//! Prints the JSON Schema of the configuration. `make schema` writes it to `plugins/jwt-auth/schema.json`.
#![allow(clippy::disallowed_macros, reason = "a program prints its result")]

fn main() {
    let schema = schemars::schema_for!(jwt_auth_policy::Config);
    println!("{:#}", schema.as_value());
}
