//! No spelling of a path is treated more leniently than the path that a server reads.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::{FirstMatch, Match, Subject};
use crate::config;
use crate::headers::HeaderMap;
use crate::readings::Fit;
use crate::readings::path::Paths;
use crate::readings::path::servers::{self, target};

fn fit(rule: &Match, path: &str) -> Fit {
    rule.fit(&Subject::new(&request(path), b""))
}

fn request(path: &str) -> HeaderMap {
    let path = Bytes::copy_from_slice(path.as_bytes());
    HeaderMap::new(vec![(Bytes::from_static(b":path"), path)])
}

fn rule() -> impl Strategy<Value = Match> {
    let texts = vec![
        "/",
        "/a",
        "/admin",
        "/admin/",
        "/public/",
        "/a/public",
        "/v/a",
    ];
    let kind = prop::sample::select(vec!["exact", "prefix", "regex"]);
    let is_exempt = any::<bool>();
    (kind, prop::sample::select(texts), is_exempt).prop_map(|(kind, text, is_exempt)| {
        let text = match kind {
            "regex" => format!("{text}.?"),
            _ => text.to_owned(),
        };
        let rule = json!({"path": {kind: text}});
        let rule = match is_exempt {
            true => json!({"not": rule}),
            false => rule,
        };
        config::read(rule.to_string().as_bytes()).unwrap()
    })
}

proptest! {
    #[test]
    fn what_restricts_or_grants_a_spelling_does_so_for_what_a_server_reads(
        rule in rule(),
        target in target(),
    ) {
        for (server, read) in servers::ALL {
            let path = read(&target);
            let is_plain = |paths: Paths<'_>| paths.only() == Some(path.as_bytes());
            if !Paths::of(path.as_bytes()).is_some_and(is_plain) {
                continue;
            }
            let [spelled, plain] = [fit(&rule, &target), fit(&rule, &path)];
            if plain == Fit::Certain {
                prop_assert!(spelled.restricts(), "{server} reads {target} as {path}: {rule:?}");
            }
            if spelled.grants() {
                prop_assert!(plain.restricts(), "{server} reads {target} as {path}: {rule:?}");
            }
        }
    }

    /// The rules that may be the first include the one for the path that a server reads.
    #[test]
    fn the_first_rule_for_what_a_server_reads_is_chosen(
        rules in prop::collection::vec(rule(), 0..4),
        target in target(),
    ) {
        let rules = || rules.iter().map(Some);
        let choose = |path: &str| FirstMatch::of(rules(), &Subject::new(&request(path), b""));
        let spelled = choose(&target);
        for (server, read) in servers::ALL {
            let path = read(&target);
            let is_plain = |paths: Paths<'_>| paths.only() == Some(path.as_bytes());
            if !Paths::of(path.as_bytes()).is_some_and(is_plain) {
                continue;
            }
            let first = choose(&path).certain;
            let is_chosen = first == spelled.certain
                || first.is_some_and(|first| spelled.possible.contains(&first));
            prop_assert!(is_chosen, "{server} reads {target} as {path}: {spelled:?}, not {first:?}");
        }
    }
}
