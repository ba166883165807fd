//! Checks the documentation of `match`.

use bytes::Bytes;
use portcullis_core::config;
use portcullis_core::headers::HeaderMap;
use portcullis_core::matcher::{Match, Subject};
use portcullis_core::readings::Fit;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const MATCHING: &str = include_str!("../../../../docs/matching.md");

/// The table of examples: certain matches, possible matches and others.
#[test]
fn the_examples_of_matching_are_true() {
    let mut lines = MATCHING
        .lines()
        .skip_while(|line| !line.starts_with("| request |"));
    let columns = lines.next().map(cells).unwrap_or_default();
    let rules: Vec<Match> = columns
        .iter()
        .skip(1)
        .map(|cell| format!(r#"{{"path": {}}}"#, cell.trim_matches('`')))
        .map(|text| config::read(text.as_bytes()).expect("a rule of the manual"))
        .collect();
    assert_eq!(rules.len(), 2);
    let mut examples = 0;
    for row in lines
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(cells)
    {
        for path in row[0].split('`').filter(|text| text.starts_with('/')) {
            for (rule, expected) in rules.iter().zip(&row[1..]) {
                let fit = match fit(rule, path) {
                    Fit::Certain => "certain",
                    Fit::Possible => "possible",
                    Fit::No => "no",
                };
                assert_eq!(fit, *expected, "{path}");
                examples += 1;
            }
        }
    }
    assert!(examples > 30, "{examples}");
}

fn fit(rule: &Match, path: &str) -> Fit {
    let entry = (
        Bytes::from_static(b":path"),
        Bytes::copy_from_slice(path.as_bytes()),
    );
    rule.fit(&Subject::new(&HeaderMap::new(vec![entry]), b""))
}

fn cells(row: &str) -> Vec<&str> {
    row.trim_matches('|').split('|').map(str::trim).collect()
}
