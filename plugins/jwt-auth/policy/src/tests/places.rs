//! Places of tokens, and the rest of a request once they are removed.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn everywhere() -> World {
    World::new(one_provider(from_everywhere()))
}

fn from_everywhere() -> Value {
    json!({"from": [
        {"header": "authorization", "prefix": "Bearer "},
        {"header": "x-token"},
        {"cookie": "session"},
        {"query": "access_token"},
    ]})
}

/// Tokens may be in every place, or missing.
fn optional() -> World {
    let mut config = one_provider(from_everywhere());
    config["rules"][0]["allow_missing"] = json!(true);
    World::new(config)
}

#[test]
fn a_token_is_found_in_each_place_and_taken_away() {
    let mut world = everywhere();
    let token = token(json!({}));
    let t = token.as_str();
    for (name, before, after) in [
        ("authorization", format!("bEARER   {t}"), None),
        ("x-token", t.to_owned(), None),
        ("cookie", format!("session={t}"), None),
        ("cookie", format!("session=\"{t}\"; a=1"), Some("a=1")),
        (
            "cookie",
            format!("a=1;session={t};  b=\"2\""),
            Some("a=1;  b=\"2\""),
        ),
        ("cookie", format!("a=1; session={t}"), Some("a=1")),
        (
            "cookie",
            format!("Session=x; session={t}"),
            Some("Session=x"),
        ),
        (":path", format!("/x?access_token={t}"), Some("/x")),
        (
            ":path",
            format!("/x?a=%41&access_token={t}&&b"),
            Some("/x?a=%41&&b"),
        ),
        (
            ":path",
            format!("/x?access%5ftoken={t}#f?b=1"),
            Some("/x#f?b=1"),
        ),
        (
            ":path",
            format!("/x?b=1&access_token={}", t.replace('.', "%2E")),
            Some("/x?b=1"),
        ),
    ] {
        let outcome = world.send(&[(name, &before)]);
        assert_eq!(outcome.decision.verdict(), VERIFIED, "{before}");
        assert_eq!(outcome.line(name).as_deref(), after, "{before}");
    }
}

#[test]
fn other_cookie_lines_stay() {
    let mut world = everywhere();
    let cookie = format!("session={}", token(json!({})));
    let outcome = world.send(&[("cookie", "a=1"), ("cookie", &cookie), ("cookie", "b=2")]);
    assert_eq!(outcome.decision.verdict(), VERIFIED);
    assert_eq!(outcome.line("cookie").unwrap(), "a=1 | b=2");
}

#[test]
fn two_tokens_are_refused() {
    let mut world = everywhere();
    let (token, other) = (token(json!({})), token(json!({"sub": "eve"})));
    let t = token.as_str();
    let (bearer, cookie, path) = (
        format!("Bearer {t}"),
        format!("session={other}"),
        format!("/?access_token={other}"),
    );
    let other_bearer = format!("Bearer {other}");
    let own_cookie = format!("session={t}");
    let twice = (
        format!("session={t}; session=x"),
        format!("/?access_token={t}&access_token={other}"),
    );
    for headers in [
        &[("authorization", bearer.as_str()), ("cookie", &cookie)][..],
        &[("authorization", &bearer), (":path", &path)],
        &[("authorization", &bearer), ("authorization", &other_bearer)],
        &[("authorization", &bearer), ("authorization", "Basic eDp5")],
        &[("authorization", "Basic eDp5"), ("authorization", &bearer)],
        &[("cookie", &cookie), ("cookie", &own_cookie)],
        &[("cookie", &twice.0)],
        &[(":path", &twice.1)],
        &[("x-token", t), ("x-token", "y")],
    ] {
        assert_eq!(
            world.verdict(headers),
            refused(Reason::SeveralTokens),
            "{headers:?}"
        );
    }
}

#[test]
fn an_empty_value_is_not_a_token() {
    let mut world = everywhere();
    let bearer = format!("Bearer {}", token(json!({})));
    let empty = [
        ("cookie", "session="),
        ("x-token", ""),
        (":path", "/?access_token=&access_token"),
    ];
    assert_eq!(world.verdict(&empty), refused(Reason::NoToken));
    let mut headers = empty.to_vec();
    headers.push(("authorization", &bearer));
    assert_eq!(world.verdict(&headers), VERIFIED);
}

#[test]
fn a_lookalike_is_neither_a_token_nor_a_missing_one() {
    let mut world = optional();
    let mut strict = everywhere();
    let good = token(json!({}));
    let jwt = good.as_str();
    for (name, line) in [
        ("authorization", "Bearer"),
        ("authorization", "bearer:x"),
        ("authorization", "Bearer\tx"),
        ("authorization", "\tBearer x"),
        ("authorization", "Basic eDp5, Bearer x"),
        ("authorization", "Basic,Bearer=x"),
        ("authorization", "Basic eDp5 bearer"),
        ("authorization", "%42earer x"),
        ("authorization", "\"Bearer x\""),
        ("authorization", "Bearer\u{a0}x"),
        ("authorization", jwt),
        ("authorization", &format!("Token {jwt}")),
        (
            "authorization",
            &format!("Basic {}", jwt.replace('.', "%2e")),
        ),
        ("authorization", "Token ewoJ.e30.x"),
        ("authorization", "Bäsic eDp5"),
        ("authorization", "Basic\u{1}eDp5"),
        ("x_token", "x"),
        ("x.token", "x"),
        ("cookie", "a=1; %73ession=x"),
        ("cookie", "a=1,session=x"),
        ("cookie", "a=1\tsession=x"),
        ("cookie", "\"session\"=x"),
        ("cookie", "session%00=x"),
        ("cookie", &format!("Session={jwt}")),
        (":path", "/?access%255ftoken=x"),
        (":path", "/?a;access_token=x"),
        (":path", "/?access.token=x"),
        (":path", "/?access+token=x"),
        (":path", "/?+access_token=x"),
        (":path", "/?access[token=x"),
        (":path", "/?access_token[]=x"),
        (":path", "/?access_token[0]=x"),
        (":path", "/?access_token%00y=x"),
        (":path", &format!("/?Access-Token={jwt}")),
        ("cookie", "=session=x"),
        ("cookie", "a=1; session[a]=x"),
        ("cookie", "[session]=x"),
        ("cookie", r"sess\151on=x"),
        ("cookie", "%2573ession=x"),
        ("cookie", "a=1\u{b}session=x"),
        (":path", "/?access%25255ftoken=x"),
        (":path", "/?access%u005ftoken=x"),
        (":path", "/?[access_token]=x"),
        (":path", "/?a#access_token=x"),
        (":path", "/#?access_token=x"),
        (":path", "/?a=1?access_token=x"),
        (":path", "/??access_token=x"),
        (
            ":path",
            &format!("/?ACCESS_TOKEN={}", jwt.replace('.', "%252e")),
        ),
    ] {
        assert_eq!(
            world.verdict(&[(name, line)]),
            refused(Reason::NotAToken),
            "{name}: {line}"
        );
        assert_eq!(
            strict.verdict(&[(name, line)]),
            refused(Reason::NoToken),
            "{name}: {line}"
        );
        // Beside a valid token, an upstream could prefer the lookalike.
        let beside = match name {
            "x_token" | "x.token" => ("cookie", format!("session={jwt}")),
            _ => ("x-token", jwt.to_owned()),
        };
        let verdict = world.verdict(&[(name, line), (beside.0, &beside.1)]);
        assert_eq!(verdict, refused(Reason::NotAToken), "{name}: {line}");
    }
    let twice = format!("session={jwt},session=x");
    let found = world.verdict(&[("cookie", &twice)]);
    assert_eq!(found, refused(Reason::NotAToken));
}

#[test]
fn other_credentials_are_not_tokens() {
    let mut world = optional();
    let missing = Verdict::Admitted(AdmitReason::NoToken);
    for (name, line) in [
        ("authorization", "Basic dXNlcjpwYXNz"),
        ("authorization", "Basic"),
        ("authorization", "Negotiate YIIJ+w/Ygo="),
        ("authorization", "Token 9944b09199c62bcf9418ad846dd0e4bb"),
        (
            "authorization",
            "Digest username=\"forbearer\", realm=\"eyes.example.com\"",
        ),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=A/2/eu/s3/aws4_request, Signature=fe",
        ),
        ("x_tokens", "x"),
        (
            "cookie",
            "SESSION=abc; sessions=1; my_session=2; a=\"b c\"; =; session",
        ),
        (
            ":path",
            "/?Access-Token=1&access_tokens=1&token=x&access_token=",
        ),
    ] {
        assert_eq!(world.verdict(&[(name, line)]), missing, "{name}: {line}");
    }
}

#[test]
fn forward_leaves_the_token_where_it_is() {
    let mut world = World::new(one_provider(json!({"forward": true})));
    let token = token(json!({}));
    let outcome = world.bearer(&token);
    assert_eq!(
        outcome.line("authorization"),
        Some(format!("Bearer {token}"))
    );
}

#[test]
fn each_provider_of_all_has_its_place() {
    let mut world = World::new(json!({
        "providers": {
            "user": provider(IDP, json!({"claims_to_headers": {"x-user": "sub"}})),
            "device": provider("https://d.example", json!({"from": [{"header": "x-device"}]})),
        },
        "rules": [{"name": "both", "require": {"all": ["user", "device"]}, "claims": {"sub": {"equals": "ada"}}}],
    }));
    let user = format!("Bearer {}", token(json!({})));
    let device = token(json!({"iss": "https://d.example", "sub": "laptop"}));
    let both = [("authorization", user.as_str()), ("x-device", &device)];
    let outcome = world.send(&both);
    assert_eq!(outcome.decision.verdict(), VERIFIED);
    assert_eq!(outcome.line("x-user").as_deref(), Some("ada"));
    assert_eq!(outcome.line("authorization"), None);
    assert_eq!(outcome.line("x-device"), None);
    let claims: Value = serde_json::from_slice(outcome.decision.claims().unwrap()).unwrap();
    assert_eq!(claims["sub"], "ada");

    for one in both {
        assert_eq!(world.verdict(&[one]), refused(Reason::NoToken));
    }
    let forged = forged(json!({"iss": "https://d.example"}));
    assert_eq!(
        world.verdict(&[("authorization", &user), ("x-device", &forged)]),
        refused(Reason::Signature)
    );
}

#[test]
fn a_place_counts_only_for_the_providers_that_name_it() {
    let mut world = World::new(json!({
        "providers": {
            "corp": provider(IDP, json!({})),
            "partner": provider("https://p.example", json!({"from": [{"header": "x-partner"}]})),
        },
        "rules": [{"name": "any", "require": {"any": ["corp", "partner"]}}],
    }));
    let corp = token(json!({}));
    assert_eq!(world.judge(&corp), VERIFIED);
    assert_eq!(
        world.verdict(&[("x-partner", &corp)]),
        refused(Reason::Issuer)
    );
    let partner = token(json!({"iss": "https://p.example"}));
    assert_eq!(world.verdict(&[("x-partner", &partner)]), VERIFIED);
    assert_eq!(world.judge(&partner), refused(Reason::Issuer));
}
