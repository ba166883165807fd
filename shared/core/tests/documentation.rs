//! What the manuals say of `match`.

use bytes::Bytes;
use portcullis_core::config;
use portcullis_core::headers::HeaderMap;
use portcullis_core::matcher::{Match, Subject};
use portcullis_core::readings::Fit;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const MATCHING: &str = include_str!("../../../docs/matching.md");
/// And not to an explanation of its own.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn every_readme_leads_to_the_one_explanation_of_match() {
    for (plugin, readme) in readmes() {
        // A row of a table, or a paragraph.
        let introduction = readme
            .split("\n\n")
            .flat_map(|part| match part.starts_with('|') {
                true => part.lines().collect(),
                false => vec![part],
            })
            .find(|part| part.contains("`match`") && part.contains("`methods`"));
        assert!(
            introduction.is_some_and(|part| part.contains("](../../docs/matching.md)")),
            "{plugin}: {introduction:?}"
        );
    }
    for word in ["canonical form", "final slash", "Letter case"] {
        assert!(MATCHING.contains(word), "{word}");
    }
}

/// The table of examples, row by row: what fits for certain, what possibly, and what does not.
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

/// Each plugin that has rules with `match`, and its manual.
#[cfg(not(target_arch = "wasm32"))]
fn readmes() -> Vec<(String, String)> {
    let plugins = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins");
    let folders = std::fs::read_dir(plugins).expect("a folder of plugins");
    let readmes = folders.filter_map(|entry| {
        let folder = entry.ok()?.path();
        let readme = std::fs::read_to_string(folder.join("README.md")).ok()?;
        let matches = std::fs::read_to_string(folder.join("schema.json")).ok()?;
        let name = folder.file_name()?.to_str()?.to_owned();
        matches.contains("\"match\"").then_some((name, readme))
    });
    let readmes: Vec<_> = readmes.collect();
    assert!(readmes.len() >= 5, "{}", readmes.len());
    readmes
}
