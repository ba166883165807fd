//! Practices of identity providers, some of them beyond the specifications.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

const TENANTS: &str = "https://login.example/{tenantid}/v2.0";
const TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

fn places() -> Value {
    json!({"from": [
        {"header": "authorization"}, {"header": "x-token"}, {"cookie": "session"}, {"query": "t"},
    ]})
}

/// Case F7: Cloudflare Access sends a token in a header and in a cookie; browsers send one cookie twice.
#[test]
fn one_token_in_several_places_is_one_token() {
    let t = &*token(json!({}));
    let (bearer, cookie) = (format!("Bearer {t}"), format!("session={t}; a=1"));
    let twice = format!("session={t}; session=\"{t}\"");
    let query = format!("/?t={t}&b=2&t={t}");
    for headers in [
        &[("authorization", bearer.as_str()), ("cookie", &cookie)][..],
        &[("authorization", &bearer), ("authorization", &bearer)],
        &[("x-token", t), ("cookie", &twice)],
        &[("cookie", &cookie), ("cookie", &cookie)],
        &[("cookie", &twice), (":path", &query)],
        &[
            ("authorization", &bearer),
            ("x-token", t),
            ("cookie", &twice),
            (":path", &query),
        ],
    ] {
        let mut world = World::new(one_provider(places()));
        let outcome = world.send(headers);
        assert_eq!(outcome.decision.verdict(), VERIFIED, "{headers:?}");
        assert_eq!(world.signatures(), 1);
        // The plugin removes it from all places.
        let rest: Vec<String> = outcome.headers.iter().map(|(_, line)| text(line)).collect();
        assert!(!rest.iter().any(|line| line.contains(t)), "{rest:?}");
    }
    let other = token(json!({"sub": "eve"}));
    let mut world = World::new(one_provider(places()));
    for second in [
        ("x-token", other.as_str()),
        ("cookie", &format!("session={t}; session={other}")),
        ("authorization", "Basic eDp5"),
    ] {
        let found = world.verdict(&[("authorization", &bearer), second]);
        assert_eq!(found, refused(Reason::SeveralTokens), "{second:?}");
    }
}

#[test]
fn one_token_in_places_of_different_providers_is_good_for_those_of_both() {
    let config = json!({
        "providers": {
            "a": provider(IDP, json!({"from": [{"header": "x-a"}, {"header": "x-both"}]})),
            "b": provider("https://b.example", json!({"from": [{"header": "x-b"}, {"header": "x-both"}]})),
        },
        "rules": [{"name": "all", "require": {"any": ["a", "b"]}}],
    });
    let mut world = World::new(config);
    let t = token(json!({}));
    let both = [("x-a", t.as_str()), ("x-both", &t)];
    assert_eq!(world.verdict(&both), VERIFIED);
    let foreign = [("x-a", t.as_str()), ("x-b", &t)];
    assert_eq!(world.verdict(&foreign), refused(Reason::Issuer));
}

/// Case F6: `common` and `organizations` of Entra.
#[test]
fn an_issuer_can_have_a_tenant_in_it() {
    let mut world = World::new(json!({
        "providers": {"entra": provider(TENANTS, json!({}))},
        "rules": [{"name": "all", "require": {"provider": "entra"}}],
    }));
    let issuer = |tenant: &str| format!("https://login.example/{tenant}/v2.0");
    let good = token(json!({"iss": issuer(TENANT), "tid": TENANT}));
    assert_eq!(world.judge(&good), VERIFIED);
    for claims in [
        json!({"iss": issuer(TENANT)}),
        json!({"iss": issuer(TENANT), "tid": "other"}),
        json!({"iss": issuer(TENANT), "tid": TENANT.to_ascii_uppercase()}),
        json!({"iss": issuer(""), "tid": ""}),
        json!({"iss": issuer("a/b"), "tid": "a/b"}),
        json!({"iss": issuer("{tenantid}"), "tid": "{tenantid}"}),
        json!({"iss": issuer(TENANT), "tid": [TENANT]}),
        json!({"iss": TENANTS, "tid": TENANT}),
        json!({"iss": format!("{}x", issuer(TENANT)), "tid": TENANT}),
        json!({"iss": null, "tid": TENANT}),
    ] {
        let found = world.judge(&token(claims.clone()));
        assert_eq!(found, refused(Reason::Issuer), "{claims}");
    }
}

#[test]
fn an_issuer_named_exactly_goes_before_one_with_a_tenant() {
    let one = format!("https://login.example/{TENANT}/v2.0");
    let mut world = World::new(json!({
        "providers": {
            "all-tenants": provider(TENANTS, json!({"jwks": inline("other")})),
            "one-tenant": provider(&one, json!({})),
        },
        "rules": [{"name": "all", "require": {"any": ["all-tenants", "one-tenant"]}}],
    }));
    assert_eq!(
        world.judge(&token(json!({"iss": one, "tid": TENANT}))),
        VERIFIED
    );
}

#[test]
fn an_issuer_that_no_token_can_have_is_an_error() {
    for issuer in [
        "https://login.example/{tenant}/v2.0",
        "https://login.example/{tid}/v2.0",
        "https://login.example/{tenantId}/",
        "https://{tenantid}.example/{tenantid}",
        "https://login.example/{tenantid/",
        "https://login.example/tenantid}",
        "https://login.example/*/v2.0",
        "{tenantid}",
        "*",
    ] {
        let found = errors(one_provider(json!({ "issuer": issuer })));
        assert!(
            found.starts_with(&format!(
                "$.providers.corp.issuer: found {issuer:?}; expected"
            )),
            "{found}"
        );
    }
}

fn spiffe() -> Value {
    json!({"issuer": null, "types": ["JWT", "JOSE"], "jwks": {
        "inline": {"keys": [with_use("jwt-svid")]}, "uses": ["jwt-svid"],
    }})
}

fn with_use(usage: &str) -> Value {
    let mut key = key("a");
    key["use"] = json!(usage);
    key
}

/// Case F5: a JWT-SVID has no `iss`, and its keys serve nothing else.
#[test]
fn a_provider_can_do_without_issuer() {
    let mut config = one_provider(spiffe());
    config["providers"]["other"] = provider("https://other.example", json!({}));
    config["rules"] = json!([
        {"name": "other", "match": {"path": {"prefix": "/other/"}}, "require": {"provider": "other"}},
        {"name": "svid", "require": {"provider": "corp"}},
    ]);
    let mut world = World::new(config);
    let svid = json!({"iss": null, "sub": "spiffe://example.org/web"});
    assert_eq!(world.judge(&token(svid.clone())), VERIFIED);
    assert_eq!(world.judge(&token(json!({}))), VERIFIED, "iss is ignored");
    let bearer = format!("Bearer {}", token(svid));
    let found = world.verdict(&[(":path", "/other/"), ("authorization", &bearer)]);
    assert_eq!(found, refused(Reason::Issuer));
}

#[test]
fn a_provider_without_issuer_stands_alone_in_a_rule() {
    let mut config = one_provider(spiffe());
    config["providers"]["other"] = provider(
        "https://other.example",
        json!({"from": [{"header": "x-other"}]}),
    );
    config["rules"][0]["require"] = json!({"any": ["corp", "other"]});
    assert_eq!(
        errors(config.clone()),
        "$: rule \"all\": found \"corp\", which has no \"issuer\", in \"any\" with other providers; \
         expected {\"provider\": \"corp\"}: without an issuer, a token does not say which provider it belongs to"
    );
    config["rules"][0]["require"] = json!({"all": ["corp", "other"]});
    policy(config);
    let mut config = one_provider(json!({}));
    config["providers"]["corp"]
        .as_object_mut()
        .unwrap()
        .remove("issuer");
    assert_eq!(
        errors(config),
        "$.providers.corp: required field \"issuer\" is missing"
    );
}

/// Two rules may try one token with two providers: a bad signature for one says nothing about the other.
#[test]
fn a_signature_that_is_bad_for_one_provider_may_be_good_for_another() {
    let mut config = one_provider(json!({"jwks": inline("a")}));
    config["providers"]["any"] = provider(
        IDP,
        json!({"issuer": null, "algorithms": ["RS384"], "jwks": inline("a")}),
    );
    config["rules"] = json!([
        {"name": "any", "match": {"path": {"prefix": "/any/"}}, "require": {"provider": "any"}},
        {"name": "corp", "require": {"provider": "corp"}},
    ]);
    let mut world = World::new(config);
    let forged = format!("Bearer {}", forged(json!({})));
    let mut send = |path: &str| {
        let outcome = world.send(&[(":path", path), ("authorization", &forged)]);
        (
            outcome.decision.verdict(),
            outcome.decision.verifications().to_vec(),
        )
    };
    let bad = refused(Reason::Signature);
    assert_eq!(send("/"), (bad, vec![Verification::Failed]));
    assert_eq!(send("/"), (bad, vec![Verification::KnownBadSignature]));
    assert_eq!(send("/any/"), (refused(Reason::Algorithm), vec![]));
}

#[test]
fn uses_of_keys_are_named_once_and_not_empty() {
    for (uses, expected) in [
        (
            json!([]),
            "$.providers.corp.jwks.uses: found an empty array",
        ),
        (json!([""]), "$.providers.corp.jwks.uses[0]: found \"\""),
        (json!(["enc"]), "$.providers.corp.jwks: found no usable key"),
    ] {
        let jwks = json!({"inline": {"keys": [with_use("sig")]}, "uses": uses});
        let found = errors(one_provider(json!({ "jwks": jwks })));
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn headers_of_a_fetch_are_checked() {
    let with = |headers: Value| {
        one_provider(json!({"jwks": {"remote": {
            "cluster": "idp", "uri": "https://idp.example/jwks", "headers": headers,
        }}}))
    };
    policy(with(
        json!({"X-Tenant": "shop", "user-agent": "shop/1", "accept": "*/*"}),
    ));
    let at = "$.providers.corp.jwks.remote.headers";
    for (headers, expected) in [
        (
            json!({":path": "/"}),
            "found \":path\"; expected the name of a header",
        ),
        (
            json!({"host": "a"}),
            "found \"host\"; expected another header",
        ),
        (
            json!({"Content-Length": "1"}),
            "found \"Content-Length\"; expected another header",
        ),
        (
            json!({"transfer-encoding": "x"}),
            "found \"transfer-encoding\"; expected another header",
        ),
        (
            json!({"a": ""}),
            "found \"\"; expected the value of a header",
        ),
        (
            json!({"a": "x\ny"}),
            "found \"x\\ny\"; expected the value of a header",
        ),
        (json!({"a": "1", "A": "2"}), "found \"a\" twice"),
        (
            json!(["a"]),
            "expected an object of header names and values",
        ),
    ] {
        let found = errors(with(headers.clone()));
        assert!(
            found.starts_with(at) && found.contains(expected),
            "{headers}: {found}"
        );
    }
}

/// Section H: the access log names the reason and the rule.
#[test]
fn details_name_reason_and_rule() {
    let mut config = one_provider(json!({}));
    config["rules"] = json!([
        {"name": "admin", "match": {"path": {"prefix": "/admin/"}}, "require": {"provider": "corp"}},
    ]);
    let mut world = World::new(config);
    let expired = format!("Bearer {}", token(json!({"exp": 1})));
    for (headers, expected) in [
        (
            &[(":path", "/admin/"), ("authorization", &*expired)][..],
            "jwt_refused{expired,admin}",
        ),
        (&[(":path", "/admin/")], "jwt_refused{no_token,admin}"),
        (&[(":path", "/")], "jwt_refused{no_rule,unmatched}"),
        (
            &[(":path", "/x/../admin/")],
            "jwt_refused{ambiguous_path,unmatched}",
        ),
    ] {
        let reply = world.send(headers).reply.unwrap();
        assert_eq!(text(&reply.details), expected);
    }
    let refused = world.policy.on_refused_change();
    let reply = world.policy.reply(&refused).unwrap();
    assert_eq!(text(&reply.details), "jwt_refused{error,unmatched}");
}
