//! Prints the JSON Schema of the configuration. `make schema` writes it to `plugins/portcullis/schema.json`.
#![allow(clippy::disallowed_macros, reason = "a program prints its result")]

fn main() {
    let schema = schemars::schema_for!(portcullis_policy::Config);
    println!("{:#}", schema.as_value());
}
