//! What policies may expect of this crate. One program, because each is compiled and linked for itself.

mod config;
mod config_values;
mod documentation;
mod exemptions;
mod matcher;
mod matcher_errors;
mod path;
