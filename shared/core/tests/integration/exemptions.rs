//! Conditions by address and by claim, and exemptions.

use bytes::Bytes;
use portcullis_core::config;
use portcullis_core::headers::HeaderMap;
use portcullis_core::key::Needs;
use portcullis_core::matcher::{Match, Subject, without_claims};
use portcullis_core::readings::Fit;
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[derive(serde::Deserialize)]
struct Early {
    #[serde(rename = "match", default, deserialize_with = "without_claims")]
    condition: Option<Match>,
}

fn headers(entries: &[(&str, &str)]) -> HeaderMap {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let entries = entries
        .iter()
        .map(|(name, value)| (bytes(name), bytes(value)));
    HeaderMap::new(entries.collect())
}

#[allow(clippy::unwrap_used, reason = "the rules of these tests are valid")]
fn rule(json: &Value) -> Match {
    config::read(json.to_string().as_bytes()).unwrap()
}

fn errors(json: &Value) -> String {
    match config::read::<Match>(json.to_string().as_bytes()) {
        Ok(_) => String::new(),
        Err(errors) => errors.to_string(),
    }
}

fn fit(json: &Value, entries: &[(&str, &str)], address: &str, claims: &str) -> Fit {
    let headers = headers(entries);
    let subject = Subject::new(&headers, b"shop");
    rule(json).fit(&subject.of_client(address.as_bytes(), claims.as_bytes()))
}

fn by_address(json: &Value, address: &str) -> Fit {
    fit(json, &[], address, "")
}

fn by_claims(json: &Value, claims: &str) -> Fit {
    fit(json, &[], "", claims)
}

#[test]
fn the_opposite_of_possible_is_possible() {
    let tier = json!({"headers": [{"name": "x-tier", "exact": "gold"}]});
    let not = json!({"not": tier});
    for (entries, own, opposite) in [
        (&[("x-tier", "gold")][..], Fit::Certain, Fit::No),
        (&[("x_tier", "gold")], Fit::Possible, Fit::Possible),
        (&[("x-tier", "free")], Fit::No, Fit::Certain),
        (&[], Fit::No, Fit::Certain),
    ] {
        assert_eq!(fit(&tier, entries, "", ""), own, "{entries:?}");
        assert_eq!(fit(&not, entries, "", ""), opposite, "{entries:?}");
    }
    let not = json!({"not": {"path": {"prefix": "/health/"}}});
    for (path, expected) in [
        ("/health/live", Fit::No),
        ("/other", Fit::Certain),
        ("/HEALTH/live", Fit::Possible),
        ("/health/../admin", Fit::Possible),
        ("/x/..;/health/", Fit::Possible),
    ] {
        assert_eq!(fit(&not, &[(":path", path)], "", ""), expected, "{path}");
    }
}

#[test]
fn an_exemption_is_what_fits_all_of_its_members() {
    let rule = json!({
        "methods": ["GET"],
        "not": {"path": {"exact": "/health"}, "remote_address": ["10.0.0.0/8"]},
    });
    let fit = |method: &str, path: &str, address: &str| {
        fit(&rule, &[(":method", method), (":path", path)], address, "")
    };
    assert_eq!(fit("GET", "/health", "10.1.2.3:5"), Fit::No);
    assert_eq!(fit("GET", "/health", "192.0.2.1:5"), Fit::Certain);
    assert_eq!(fit("GET", "/", "10.1.2.3:5"), Fit::Certain);
    assert_eq!(fit("GET", "/Health", "10.1.2.3:5"), Fit::Possible);
    assert_eq!(fit("get", "/", "10.1.2.3:5"), Fit::Possible);
    assert_eq!(fit("POST", "/", "192.0.2.1:5"), Fit::No);
}

#[test]
fn any_of_several_exemptions_is_enough() {
    let rule = json!({"not": [{"path": {"exact": "/health"}}, {"remote_address": ["10.0.0.0/8"]}]});
    let fit = |path: &str, address: &str| fit(&rule, &[(":path", path)], address, "");
    assert_eq!(fit("/health", "192.0.2.1:5"), Fit::No);
    assert_eq!(fit("/", "10.1.2.3:5"), Fit::No);
    assert_eq!(fit("/health", "10.1.2.3:5"), Fit::No);
    assert_eq!(fit("/", "192.0.2.1:5"), Fit::Certain);
    assert_eq!(fit("/Health", "192.0.2.1:5"), Fit::Possible);
    assert_eq!(fit("/Health", "10.1.2.3:5"), Fit::No);
}

#[test]
fn an_address_is_in_one_of_the_networks() {
    let rule = json!({"remote_address": ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]});
    for (address, expected) in [
        ("10.255.0.1:51000", Fit::Certain),
        ("10.255.0.1", Fit::Certain),
        ("11.0.0.1:51000", Fit::No),
        ("192.0.2.7:0", Fit::Certain),
        ("192.0.2.8:0", Fit::No),
        ("[2001:db8:1::1]:51000", Fit::Certain),
        ("2001:db8:1::1", Fit::Certain),
        ("[2001:db9::1]:51000", Fit::No),
        ("[::ffff:10.0.0.1]:51000", Fit::Certain),
        ("[::ffff:0b00:1]:51000", Fit::No),
        // Nobody knows where this client is.
        ("", Fit::Possible),
        ("/run/envoy.sock", Fit::Possible),
        ("10.0.0.1:99999", Fit::Possible),
        ("010.0.0.1:80", Fit::Possible),
    ] {
        assert_eq!(by_address(&rule, address), expected, "{address}");
        let opposite = match expected {
            Fit::No => Fit::Certain,
            Fit::Possible => Fit::Possible,
            Fit::Certain => Fit::No,
        };
        assert_eq!(
            by_address(&json!({"not": rule}), address),
            opposite,
            "{address}"
        );
    }
}

#[test]
fn a_claim_is_compared_as_text() {
    let claims = |condition: Value| json!({"claims": [condition]});
    let exact = |text: &str| claims(json!({"name": "plan.tier", "exact": text}));
    let gold = r#"{"plan": {"tier": "gold"}}"#;
    assert_eq!(by_claims(&exact("gold"), gold), Fit::Certain);
    assert_eq!(by_claims(&exact("Gold"), gold), Fit::No);
    assert_eq!(by_claims(&exact("gold"), ""), Fit::No);
    assert_eq!(by_claims(&exact("gold"), r#"{"plan": "gold"}"#), Fit::No);
    assert_eq!(
        by_claims(&exact("gold"), r#"{"plan.tier": "gold"}"#),
        Fit::Certain
    );
    for seven in [
        r#"{"plan": {"tier": 7}}"#,
        r#"{"plan": {"tier": "7"}}"#,
        r#"{"plan": {"tier": 7.0}}"#,
    ] {
        assert_eq!(by_claims(&exact("7"), seven), Fit::Certain, "{seven}");
    }
    assert_eq!(
        by_claims(&exact("true"), r#"{"plan": {"tier": true}}"#),
        Fit::Certain
    );
    // A list is no value.
    assert_eq!(
        by_claims(&exact("gold"), r#"{"plan": {"tier": ["gold"]}}"#),
        Fit::No
    );

    let prefix = claims(json!({"name": "sub", "prefix": "svc-"}));
    assert_eq!(by_claims(&prefix, r#"{"sub": "svc-a"}"#), Fit::Certain);
    assert_eq!(by_claims(&prefix, r#"{"sub": "ada"}"#), Fit::No);
    let regex = claims(json!({"name": "sub", "regex": "[a-z]+"}));
    assert_eq!(by_claims(&regex, r#"{"sub": "ada"}"#), Fit::Certain);
    assert_eq!(by_claims(&regex, r#"{"sub": "ada7"}"#), Fit::No);
    for (claims_set, is_present) in [
        (r#"{"sub": "ada"}"#, true),
        (r#"{"sub": 0}"#, true),
        (r#"{"sub": false}"#, true),
        (r#"{"sub": ""}"#, false),
        (r#"{"sub": null}"#, false),
        (r#"{"sub": ["ada"]}"#, false),
        (r#"{"sub": "ada""#, false),
        ("", false),
    ] {
        for present in [true, false] {
            let rule = claims(json!({"name": "sub", "present": present}));
            let expected = match present == is_present {
                true => Fit::Certain,
                false => Fit::No,
            };
            assert_eq!(
                by_claims(&rule, claims_set),
                expected,
                "{present} {claims_set}"
            );
        }
    }
}

#[test]
fn all_claims_must_fit_and_an_exemption_needs_all_of_them() {
    let both = json!({"claims": [{"name": "a", "exact": "1"}, {"name": "b", "exact": "2"}]});
    for (claims, fits) in [
        (r#"{"a": 1, "b": 2}"#, true),
        (r#"{"a": 1}"#, false),
        (r#"{"b": 2}"#, false),
    ] {
        assert_eq!(by_claims(&both, claims).grants(), fits);
        assert_eq!(by_claims(&json!({"not": both}), claims).grants(), !fits);
    }
}

#[test]
fn what_could_never_be_meant_is_refused() {
    for (json, error) in [
        (
            json!({"not": {}}),
            "$.not: found no condition, which fits every request; leave it out",
        ),
        (
            json!({"not": [{"route": "a"}, {}]}),
            "$.not[1]: found no condition, which fits every request; leave it out",
        ),
        (
            json!({"not": "/health"}),
            "$.not: found \"/health\"; expected an object such as {\"path\": {\"exact\": \"/health\"}}, or \
             an array of them",
        ),
        (
            json!({"not": [{"not": [{"route": "b"}]}]}),
            "$.not[0].not: found a \"not\" inside another; expected one",
        ),
        (
            json!({"not": {"route": "a", "not": {"route": "b"}}}),
            "$.not.not: found a \"not\" inside another; expected one",
        ),
        (
            json!({"remote_address": []}),
            "$.remote_address: found an empty array, which never matches; leave it out to match any",
        ),
        (
            json!({"remote_address": ["10.0.0.0/8", "10.0.0.1/8"]}),
            "$.remote_address[1]: found \"10.0.0.1/8\"; expected the first address of that network: \
             \"10.0.0.0/8\"",
        ),
        (
            json!({"not": {"remote_address": ["10/8"]}}),
            "$.not.remote_address[0]: found \"10/8\"; expected an address such as \"192.0.2.1\", or a \
             network such as \"192.0.2.0/24\" or \"2001:db8::/32\"",
        ),
        (
            json!({"claims": [{"name": "a"}]}),
            "$.claims[0]: found none; expected exactly one of: exact, prefix, regex, present",
        ),
        (
            json!({"claims": [{"exact": "a"}]}),
            "$.claims[0]: required field \"name\" is missing",
        ),
        (
            json!({"claims": [{"name": "", "exact": "a"}]}),
            "$.claims[0].name: found \"\"; expected a non-empty text",
        ),
    ] {
        assert_eq!(errors(&json), error);
    }
    assert_eq!(errors(&json!({"not": []})), "");
}

#[test]
fn before_a_token_is_verified_no_claim_is_known() {
    let found = |condition: Value| {
        let rule = json!({"match": condition}).to_string();
        match config::read::<Early>(rule.as_bytes()) {
            Ok(early) => early.condition.map_or("none", |_| "accepted").to_owned(),
            Err(errors) => errors.to_string(),
        }
    };
    let message = "found a condition on claims; expected none: this rule is chosen before jwt-auth has \
                   verified a token";
    let claims = json!({"claims": [{"name": "a", "present": true}]});
    assert_eq!(found(claims.clone()), format!("$.match.claims: {message}"));
    assert_eq!(
        found(json!({"not": claims})),
        format!("$.match.not: {message}")
    );
    assert_eq!(
        found(json!({"remote_address": ["::/0"], "claims": []})),
        "accepted"
    );
    assert_eq!(found(json!(null)), "none");
}

#[test]
fn the_host_fetches_what_conditions_look_at() {
    let needs = |json: Value| {
        let own = Needs::of(Some(&rule(&json)), &[]);
        let not = match json.as_object().is_some_and(serde_json::Map::is_empty) {
            true => own,
            false => Needs::of(Some(&rule(&json!({"not": json}))), &[]),
        };
        assert_eq!(own, not);
        own
    };
    let nothing = Needs::default();
    assert_eq!(needs(json!({})), nothing);
    for headers in [
        json!({"path": {"exact": "/"}}),
        json!({"methods": ["GET"]}),
        json!({"hosts": ["a.example"]}),
        json!({"headers": [{"name": "x-a", "present": true}]}),
    ] {
        assert_eq!(
            needs(headers),
            Needs {
                headers: true,
                ..nothing
            }
        );
    }
    assert_eq!(
        needs(json!({"route": "a"})),
        Needs {
            route: true,
            ..nothing
        }
    );
    assert_eq!(
        needs(json!({"remote_address": ["::1"]})),
        Needs {
            remote_address: true,
            ..nothing
        }
    );
    assert_eq!(
        needs(json!({"claims": [{"name": "a", "present": true}]})),
        Needs {
            claims: true,
            ..nothing
        }
    );
    let not = rule(&json!({"not": {"headers": [{"name": "x-a", "present": true}]}}));
    assert!(not.looks_at("x_a"));
}
