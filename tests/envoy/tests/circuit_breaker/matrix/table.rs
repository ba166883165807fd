//! Checks that the table in the plugin's README is this matrix.

use std::fs;
use std::sync::LazyLock;

use portcullis_envoy_tests::artifacts::repository;

use super::Case;

static README: LazyLock<String> = LazyLock::new(|| {
    let file = repository().join("plugins/circuit-breaker/README.md");
    fs::read_to_string(file).expect("the plugin's README")
});

/// The line that the README lacks, if its line for this ending differs from the case.
pub(super) fn missing(case: &Case) -> Option<String> {
    let line = line(case);
    let is_listed = README.lines().any(|listed| listed == line);
    (!is_listed).then(|| format!("plugins/circuit-breaker/README.md lacks the line {line}"))
}

fn line(case: &Case) -> String {
    let details = case.details.trim_end_matches('{');
    let details = match details {
        "" => String::new(),
        details => format!("`{details}…`"),
    };
    format!(
        "| {} | {details} | {} | {} |",
        case.what, case.author, case.verdict
    )
}
