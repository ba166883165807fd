//! The errors of invalid configurations.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// The configuration with another value at a JSON pointer.
fn with(mut config: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    config.pointer_mut(parent).unwrap()[name] = value;
    config
}

#[test]
fn errors_say_where_and_what_is_allowed() {
    let base = || one_provider(json!({}));
    let corp = "/providers/corp";
    let secret = json!({"inline": {"keys": [{"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr0"}]}});
    let remote = json!({"remote": {"cluster": "idp", "uri": "https://idp.example/jwks"}});
    for (pointer, value, expected) in [
        (
            "/rules",
            json!([]),
            "$.rules: found an empty array; expected a rule",
        ),
        (
            "/unmatched",
            json!("maybe"),
            "$.unmatched: found \"maybe\"; allowed: deny, allow",
        ),
        (
            "/rules/0/name",
            json!("unmatched"),
            "$.rules: found a rule named \"unmatched\"",
        ),
        (
            "/rules/0/match",
            json!({"claims": [{"name": "sub", "exact": "ada"}]}),
            "$.rules[0].match.claims: found a condition on claims; expected none: this rule is chosen \
             before jwt-auth has verified a token",
        ),
        (
            "/rules/0/require",
            json!("some"),
            "$.rules[0].require: found \"some\"; allowed: none, provider, any, all",
        ),
        (
            "/rules/0/require",
            json!({"any": []}),
            "$.rules[0].require.any: found an empty array",
        ),
        (
            "/rules/0/require",
            json!({"any": ["corp", "corp"]}),
            "$.rules[0].require.any: found \"corp\" twice",
        ),
        (
            "/rules/0/require",
            json!({"provider": "crop"}),
            "rule \"all\": found provider \"crop\" in \"require\"; expected one of: corp",
        ),
        (
            "/rules/0/scopes",
            json!(["a b"]),
            "$.rules[0].scopes[0]: found \"a b\"; expected a scope",
        ),
        (
            "/rules/0/step_up",
            json!({}),
            "$.rules[0].step_up: found an empty object; expected \"acr\"",
        ),
        (
            "/rules/0/step_up",
            json!({"acr": ["\""]}),
            "$.rules[0].step_up.acr[0]: found \"\\\"\"; expected an acr",
        ),
        (
            "/rules/0/claims",
            json!({"sub": {"equals": 1.5}}),
            "$.rules[0].claims.sub.equals: found 1.5; expected a string, a whole number, true or false",
        ),
        (
            "/rules/0/claims",
            json!({"sub": {"any": []}}),
            "$.rules[0].claims.sub.any: found an empty array",
        ),
        (
            "/cache",
            json!({"tokens": 100_001}),
            "$.cache.tokens: found 100001; expected a whole number from 0 to 100000",
        ),
        (
            "/providers/corp/audiences",
            json!([]),
            "$.providers.corp.audiences: found an empty array",
        ),
        (
            "/providers/corp/issuer",
            json!(""),
            "$.providers.corp.issuer: found \"\"",
        ),
        (
            "/providers/corp/from",
            json!([]),
            "$.providers.corp.from: found an empty array",
        ),
        (
            "/providers/corp/from",
            json!([{}]),
            "$.providers.corp.from[0]: found none; expected exactly one of: header, cookie, query",
        ),
        (
            "/providers/corp/from",
            json!([{"cookie": "a", "prefix": "b"}]),
            "$.providers.corp.from[0].prefix: found \"b\" without \"header\"",
        ),
        (
            "/providers/corp/from",
            json!([{"cookie": "a;b"}]),
            "$.providers.corp.from[0].cookie: found \"a;b\"; expected the name of a cookie",
        ),
        (
            "/providers/corp/from",
            json!([{"header": "Cookie"}]),
            "$.providers.corp.from[0]: found \"header\": \"cookie\"",
        ),
        (
            "/providers/corp/from",
            json!([{"query": "a"}, {"query": "a"}]),
            "$.providers.corp.from: found one place twice",
        ),
        (
            "/providers/corp/clock_skew",
            json!("1h"),
            "$.providers.corp.clock_skew: found \"1h\"; expected a duration from \"0s\" to \"10m\"",
        ),
        (
            "/providers/corp/max_lifetime",
            json!("1ms"),
            "$.providers.corp.max_lifetime: found \"1ms\"",
        ),
        (
            "/providers/corp/algorithms",
            json!(["ES256"]),
            "$.providers.corp.algorithms: found ES256, for which there is no key; expected any of: RS256",
        ),
        (
            "/providers/corp/algorithms",
            json!(["none"]),
            "$.providers.corp.algorithms[0]: found \"none\"",
        ),
        (
            "/providers/corp/jwks",
            secret,
            "$.providers.corp.algorithms: found none, with secret keys only; expected some of: HS256",
        ),
        (
            "/providers/corp/jwks",
            json!({"inline": {"keys": [{"kty": "x"}]}}),
            "$.providers.corp.jwks: found no usable key",
        ),
        (
            "/providers/corp/jwks",
            json!({}),
            "$.providers.corp.jwks: found none; expected exactly one of: inline, remote",
        ),
        (
            "/providers/corp/claims_to_headers",
            json!({"Host": "a"}),
            "found \"Host\"; expected another header",
        ),
        (
            "/providers/corp/claims_to_headers",
            json!({"x-a": "a", "X-A": "b"}),
            "$.providers.corp.claims_to_headers: found \"x-a\" twice",
        ),
        (
            "/providers/corp/claims_to_headers",
            json!({"x-a": "a", "x_a": "b"}),
            "found the headers \"x-a\" and \"x_a\"; expected one of them",
        ),
        (
            "/providers/corp/claims_to_headers",
            json!({"X_Forwarded_For": "a"}),
            "found \"x_forwarded_for\"; expected another header",
        ),
        (
            "/providers/corp/claims_to_headers",
            json!({"x_portcullis-shadow": "a"}),
            "found \"x_portcullis-shadow\"; expected another header",
        ),
        (
            "/providers/corp/forward_payload_header",
            json!("content_length"),
            "found \"content_length\"; expected another header",
        ),
        (
            "/providers/corp/claims_to_headers",
            json!({"x-envoy-retry-on": "a"}),
            "found \"x-envoy-retry-on\"; expected another header",
        ),
        (
            "/providers/corp/forward_payload_header",
            json!("Authorization"),
            "$.providers.corp.forward_payload_header: found \"authorization\"; expected another header",
        ),
    ] {
        let found = errors(with(base(), pointer, value.clone()));
        assert!(found.contains(expected), "{value}: {found}");
    }
    let fetched = with(base(), &format!("{corp}/jwks"), remote);
    let found = errors(with(
        fetched,
        &format!("{corp}/algorithms"),
        json!(["HS256"]),
    ));
    assert!(found.contains("found HS256, which is symmetric"), "{found}");
}

#[test]
fn an_error_at_a_member_that_is_not_there_hides_no_other() {
    let secret = json!({"inline": {"keys": [{"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr0"}]}});
    let config = with(one_provider(json!({})), "/providers/corp/jwks", secret);
    let found = errors(with(config, "/unmatched", json!("maybe")));
    assert!(found.contains("$.providers.corp.algorithms: "), "{found}");
    assert!(found.contains("$.unmatched: "), "{found}");
}

#[test]
fn rules_and_providers_must_be_consistent() {
    let with_none = |more: Value| {
        let mut config = one_rule(more);
        config["rules"][0]["require"] = json!("none");
        config
    };
    let two = |first: Value, second: Value| {
        json!({
            "providers": {"a": provider("https://a.example", first), "b": provider("https://b.example", second)},
            "rules": [{"name": "all", "require": {"all": ["a", "b"]}}],
        })
    };
    let mut same_issuer = two(json!({}), json!({}));
    same_issuer["providers"]["b"]["issuer"] = json!("https://a.example");
    let mut matched = one_provider(json!({"claims_to_headers": {"x-user": "sub"}}));
    matched["rules"][0]["match"] = json!({"headers": [{"name": "X-User", "exact": "root"}]});
    let mut matched_otherwise = matched.clone();
    matched_otherwise["rules"][0]["match"]["headers"][0]["name"] = json!("x_user");
    let elsewhere = json!({"from": [{"query": "t"}], "claims_to_headers": {"x-user": "sub"}});
    for (config, expected) in [
        (matched_otherwise, "found a match on the header \"x-user\""),
        (
            two(
                json!({"claims_to_headers": {"x-user": "sub"}}),
                json!({"from": [{"query": "t"}], "forward_payload_header": "x_user"}),
            ),
            "found the headers \"x-user\" and \"x_user\"; expected one of them",
        ),
        (
            one_provider(
                json!({"forward_payload_header": "x.user", "claims_to_headers": {"x-user": "sub"}}),
            ),
            "found the headers \"x-user\" and \"x.user\"; expected one of them",
        ),
        (
            two(
                json!({"from": [{"header": "x-a"}]}),
                json!({"from": [{"header": "x_a"}]}),
            ),
            "found the headers \"x-a\" and \"x_a\" in \"from\"",
        ),
        (
            two(
                json!({"from": [{"header": "x-a"}]}),
                json!({"from": [{"query": "t"}], "claims_to_headers": {"x_a": "sub"}}),
            ),
            "that sets the header \"x_a\", which is also a place for tokens",
        ),
        (
            with_none(json!({"allow_missing": true})),
            "$.rules[0].allow_missing: found true",
        ),
        (
            with_none(json!({"scopes": ["a"]})),
            "$.rules[0]: found \"scopes\", \"claims\" or \"step_up\"",
        ),
        (
            with_none(json!({"step_up": {"acr": ["a"]}})),
            "$.rules[0]: found \"scopes\", \"claims\" or \"step_up\"",
        ),
        (
            same_issuer,
            "found providers \"a\" and \"b\" with the same \"issuer\"",
        ),
        (
            two(json!({}), json!({})),
            "found \"a\" and \"b\" in \"all\" with a common place in \"from\"",
        ),
        (
            two(json!({"claims_to_headers": {"x-user": "sub"}}), elsewhere),
            "found \"a\" and \"b\" in \"all\", which both set the header \"x-user\"",
        ),
        (
            matched,
            "rule \"all\": found a match on the header \"x-user\"",
        ),
        (
            one_provider(
                json!({"from": [{"header": "x-token"}], "forward_payload_header": "x-token"}),
            ),
            "found provider \"corp\" that sets the header \"x-token\", which is also a place for tokens",
        ),
        (
            one_provider(
                json!({"forward_payload_header": "x-a", "claims_to_headers": {"x-a": "a"}}),
            ),
            "$.providers.corp.forward_payload_header: found \"x-a\", which is also in \"claims_to_headers\"",
        ),
    ] {
        let found = errors(config.clone());
        assert!(found.contains(expected), "{config}: {found}");
    }
}

#[test]
fn the_configuration_of_the_readme_is_one() {
    let text = include_bytes!("../../../example.json");
    let policy = JwtAuth::new(config::read(text).unwrap_or_else(|errors| panic!("{errors}")));
    assert!(policy.remotes().count() > 0);
}

#[test]
fn slow_algorithms_have_to_be_named() {
    use crate::jose::Algorithm::{self, *};

    let allowed = |jwks: Value| -> Vec<Algorithm> {
        let policy = policy(json!({
            "providers": {"corp": {"issuer": IDP, "jwks": jwks}},
            "rules": [{"name": "all", "require": {"provider": "corp"}}],
        }));
        policy.provider(ProviderId(0)).unwrap().algorithms.clone()
    };
    let remote = json!({"remote": {"cluster": "idp", "uri": "https://idp.example/keys"}});
    assert_eq!(allowed(remote), [RS256, RS384, RS512, ES256, ES384]);
    // An inline key that serves only one of them names it.
    let edwards = json!({"kty": "OKP", "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    assert_eq!(allowed(json!({"inline": {"keys": [edwards]}})), [EdDSA]);
}
