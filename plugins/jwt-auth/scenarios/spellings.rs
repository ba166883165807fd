//! Lookalikes of tokens, under a rule that admits requests without a token.

use serde_json::json;

use super::signer::{forged, token};
use super::{decisions, scenario, with_rules, with_token};
use crate::{Request, Scenario, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let everywhere = json!({"from": [
        {"header": "authorization"}, {"header": "x-token"}, {"cookie": "session"},
        {"query": "access_token"},
    ]});
    let optional = json!([
        {"name": "all", "require": {"provider": "corp"}, "allow_missing": true},
    ]);
    vec![scenario(
        "jwt_auth::what_is_like_a_token_is_not_a_missing_one",
        with_rules(everywhere, optional),
        what_is_like_a_token_is_not_a_missing_one,
    )]
}

fn what_is_like_a_token_is_not_a_missing_one(world: &mut dyn World) {
    let forged = forged(json!({}));
    let lines: Vec<(&str, Vec<u8>)> = [
        "Bearer\tT",
        "Basic eDp5, Bearer T",
        "Bearer:T",
        "Bearer",
        "bearer=T",
        "\"Bearer T\"",
        "Basic eDp5 BEARER T",
        "Bearer%20T",
        "%42earer%20x",
        "Bearer,T",
        "T",
        "Token T",
        "JWT T",
        "DPoP T",
        "Basic T",
        "'Bearer' T",
        "x Bearer T",
        "Bearer\u{a0}T",
    ]
    .map(|line| ("authorization", line.replace('T', &forged).into_bytes()))
    .into_iter()
    .chain([
        ("x_token", b"x".to_vec()),
        ("x.token", b"x".to_vec()),
        ("authorization", b"Bearer\xa0x".to_vec()),
        ("authorization", b"Bas\xefc eDp5".to_vec()),
        ("cookie", b"%73ession=x".to_vec()),
        ("cookie", b"a=1,session=x".to_vec()),
        ("cookie", b"a=1 session=x".to_vec()),
        ("cookie", b"\"session\"=x".to_vec()),
        ("cookie", format!("SESSION={forged}").into_bytes()),
    ])
    .collect();
    for (name, value) in &lines {
        let request = Request::get("/").header(name, value);
        let status = world.send(request).status;
        let line = String::from_utf8_lossy(value);
        assert!((400..=401).contains(&status), "{status} {name}: {line}");
    }
    for query in [
        "access%255ftoken=x",
        "a=1;access_token=x",
        "access.token=x",
        "access%20token=x",
        "access_token[]=x",
        "access_token%00=x",
        "+access_token=x",
        "access[token=x",
    ] {
        let status = world.send(Request::get(&format!("/?{query}"))).status;
        assert_eq!(status, 400, "{query}");
    }
    assert!(world.received().is_empty());
    assert!(decisions(world, "all", "refused", "not_a_token") > 20);

    for (name, value) in [
        ("authorization", "Basic dXNlcjpwYXNz"),
        ("authorization", "basic"),
        ("authorization", "Negotiate YIIJvwYGKwYBBQUCoIIJszCCCa+="),
        ("authorization", "Token 9944b09199c62bcf9418ad846dd0e4bb"),
        (
            "authorization",
            "Digest username=\"forbearer\", realm=\"a.b.c\", uri=\"/a.b\"",
        ),
        ("authorization", ""),
        ("x-token", ""),
        ("cookie", "session=; SESSION=abc; a=\"b\"; c=d e"),
        ("cookie", "my_session=1; session2=2; sess=3"),
    ] {
        let response = world.send(Request::get("/?token=1&access=2").header(name, value));
        assert_eq!(response.status, 200, "{name}: {value}");
    }
    world.received();
    let request = with_token(Request::get("/"), &token(json!({}))).header("x_token", &forged);
    assert_eq!(world.send(request).status, 400);
    assert!(world.received().is_empty());
}
