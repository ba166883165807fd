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
    for (case, result) in cases.iter().zip(results(&cases)) {
        match result {
            Ok(()) => println!("ok      {}", case.name),
            Err(reason) => {
                failed += 1;
                println!("FAILED  {}", case.name);
                reason.lines().for_each(|line| println!("        {line}"));
            }
        }
    }
    println!("{} passed, {failed} failed", cases.len() - failed);
    Ok(match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// The result of each case. Plugins share Envoys: one for those to be accepted, another for those to be refused.
fn results(cases: &[Case]) -> Vec<Result<(), String>> {
    let accepted = cases.iter().filter_map(|case| match &case.check {
        Check::Accepted(filter) => Some(filter.clone()),
        _ => None,
    });
    let refused = cases.iter().filter_map(|case| match &case.check {
        Check::Refused(filter, _) => Some(filter.clone()),
        _ => None,
    });
    let (accepted, refused): (Vec<_>, Vec<_>) = (accepted.collect(), refused.collect());
    thread::scope(|scope| {
        let refused = scope.spawn(|| validate::pushed(&refused, &accepted));
        let accepted = scope.spawn(|| validate::plugins(&accepted));
        let others: Vec<_> = cases.iter().map(|case| case.check.run()).collect();
        // The panic has already printed its message.
        let mut accepted = accepted.join().unwrap_or_default().into_iter();
        let mut refused = refused.join().unwrap_or_default().into_iter();
        let none = || Err("no result".to_owned());
        let mut result = |case: &Case, other: Option<Result<(), String>>| {
            other.unwrap_or_else(|| match &case.check {
                Check::Refused(_, expected) => {
                    compare(refused.next().unwrap_or_else(none), expected)
                }
                _ => accepted
                    .next()
                    .unwrap_or_else(|| Err("no result".to_owned())),
            })
        };
        let cases = cases.iter().zip(others);
        cases.map(|(case, other)| result(case, other)).collect()
    })
}

/// Whether a plugin was refused with the expected errors.
fn compare(result: Result<(), String>, expected: &str) -> Result<(), String> {
    let Err(said) = result else {
        return Err("accepted".to_owned());
    };
    // The first line names the plugin.
    let errors = said.split_once('\n').map_or("", |(_, errors)| errors);
    match errors == expected.trim_end() {
        true => Ok(()),
        false => Err(format!("expected\n{expected}found\n{said}")),
    }
}

impl Check {
    /// The result of a case that shares no Envoy with others.
    fn run(&self) -> Option<Result<(), String>> {
        Some(match self {
            Self::Accepted(_) | Self::Refused(..) => return None,
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
        })
    }
}
