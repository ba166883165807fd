//! Validates every example configuration of the repository with Envoy: `make validate`.
//!
//! `portcullis-validate` must give the same result for each, with the same errors, and must not warn of anything that
//! users copy.
//!
//! Must be accepted:
//! - `plugins/*/example.json`;
//! - every block marked ```` ```json ```` in a plugin's README that is an object (mark incomplete configurations
//!   differently, such as ```` ```jsonc ````);
//! - every plugin's configuration in a YAML file below `envoy`, or in a block marked ```` ```yaml ```` of
//!   `README.md`, `plugins/*/README.md` or `docs`: in Envoy's own form, Istio's, and Envoy Gateway's;
//! - every bootstrap below `envoy`, or in a block of the same manuals: any YAML with `static_resources`.
//!
//! Every resource below `envoy/istio` and `envoy/gateway` must match the schemas in `tests/manifests`. `--crds FOLDER`
//! checks only this, with the CustomResourceDefinitions in that folder.
//!
//! `envoy/istio/mesh-values.yaml` must keep every statistic that the rules and dashboards use, and
//! `envoy/istio/labels.yaml` must have the labels of `envoy/stats_tags.yaml`.
//!
//! Every HTTP connection manager in these files must leave one reading of a request.
//!
//! The examples with all plugins must have all plugins.
//!
//! Must be refused: `plugins/<plugin>/scenarios/bad/<case>.json`, with exactly the errors in `<case>.txt` next to it. A
//! case with an `@type` is a protobuf message in JSON form, and is passed unchanged; all others are passed as text in a
//! `StringValue`, as users do.

mod cases;
mod istio;
mod markdown;
mod schema;

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use portcullis_envoy_tests::artifacts::repository;
use portcullis_envoy_tests::filter::WasmFilter;
use portcullis_envoy_tests::validate;

/// Number of Envoys that run at once.
const PARALLEL: usize = 4;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One configuration to validate.
struct Case {
    name: String,
    check: Check,
}

enum Check {
    Accepted(WasmFilter),
    /// With the errors that the plugin must log.
    Refused(WasmFilter, String),
    Bootstrap(PathBuf),
    /// A bootstrap in a manual, for a start from the root of the repository.
    BootstrapText(String),
    /// Errors that were found without Envoy.
    Faults(Vec<String>),
    /// Examples that must have all plugins, with those that they lack.
    Complete(Vec<String>),
}

fn main() -> Result<ExitCode, Failure> {
    // Bootstraps contain the modules' paths relative to this folder.
    std::env::set_current_dir(repository())?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let cases = match arguments.as_slice() {
        [] => cases::cases()?,
        [option, folder] if option == "--crds" => cases::by_crds(folder.as_ref())?,
        _ => return Err("usage: validate [--crds FOLDER]".into()),
    };
    let mut failed = 0;
    for some in cases.chunks(PARALLEL) {
        let results = thread::scope(|scope| {
            let running: Vec<_> = some
                .iter()
                .map(|case| scope.spawn(|| case.check.run()))
                .collect();
            running
                .into_iter()
                .map(|case| case.join())
                .collect::<Vec<_>>()
        });
        for (case, result) in some.iter().zip(results) {
            // The panic has already printed its message.
            match result.unwrap_or_else(|_| Err("failed".to_owned())) {
                Ok(()) => println!("ok      {}", case.name),
                Err(reason) => {
                    failed += 1;
                    println!("FAILED  {}", case.name);
                    reason.lines().for_each(|line| println!("        {line}"));
                }
            }
        }
    }
    println!("{} passed, {failed} failed", cases.len() - failed);
    Ok(match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

impl Check {
    fn run(&self) -> Result<(), String> {
        match self {
            Self::Accepted(filter) => validate::plugin(filter),
            Self::Bootstrap(file) => validate::bootstrap_file(file),
            Self::BootstrapText(text) => validate::bootstrap(text),
            Self::Faults(faults) => match faults.as_slice() {
                [] => Ok(()),
                faults => Err(faults.join("\n")),
            },
            Self::Complete(lacking) => match lacking.as_slice() {
                [] => Ok(()),
                plugins => Err(format!("not there: {}", plugins.join(", "))),
            },
            Self::Refused(filter, expected) => match validate::plugin(filter) {
                Ok(()) => Err("accepted".to_owned()),
                Err(said) => {
                    // The first line names the plugin.
                    let errors = said.split_once('\n').map_or("", |(_, errors)| errors);
                    match errors == expected.trim_end() {
                        true => Ok(()),
                        false => Err(format!("expected\n{expected}found\n{said}")),
                    }
                }
            },
        }
    }
}
