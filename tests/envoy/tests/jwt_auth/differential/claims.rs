//! Claims of tokens.

use portcullis_scenarios::tokens::Token;
use serde_json::{Value, json};

use super::difference::*;
use super::{Case, Mint, bad, good, milder, stricter};
use crate::bearer;

pub(super) fn cases(mint: &Mint) -> Vec<Case> {
    let mut cases = times(mint);
    cases.extend(parties(mint));
    cases.extend(others(mint));
    cases
}

fn times(mint: &Mint) -> Vec<Case> {
    let now = mint.now;
    let with = |name, value: Value| mint.token().claim(name, value);
    vec![
        stricter("no exp", &mint.token().without("exp"), NO_EXPIRATION),
        stricter("exp 0", &with("exp", json!(0)), EXPIRED_IN_1970),
        good("expired within the skew", &with("exp", json!(now - 30))),
        bad("expired", &with("exp", json!(now - 90))),
        bad("expired before 1970", &with("exp", json!(-1))),
        bad("exp as text", &with("exp", json!((now + 600).to_string()))),
        bad("exp null", &with("exp", json!(null))),
        good(
            "exp with a fraction",
            &with("exp", json!(now as f64 + 600.5)),
        ),
        good(
            "exp in the year 2286",
            &with("exp", json!(9_999_999_999_u64)),
        ),
        good("exp in the year 5138", &with("exp", json!(1e11))),
        good("nbf", &with("nbf", json!(now - 10))),
        good("nbf within the skew", &with("nbf", json!(now + 30))),
        bad("not yet valid", &with("nbf", json!(now + 120))),
        bad("nbf as text", &with("nbf", json!("0"))),
        milder("nbf null", &with("nbf", json!(null)), NULL),
        milder("iat null", &with("iat", json!(null)), NULL),
        milder(
            "exp beyond 64 bits",
            &mint
                .token()
                .without("exp")
                .more_claims(r#""exp":18446744073709551616"#),
            LARGE,
        ),
        bad("exp that is negative", &with("exp", json!(-0.5))),
        bad(
            "exp beyond all bounds",
            &mint.token().without("exp").more_claims(r#""exp":1e400"#),
        ),
        good("exp 2^63", &with("exp", json!(1_u64 << 63))),
        milder("exp 2^64 less one", &with("exp", json!(u64::MAX)), LARGE),
        milder("exp 1e20", &with("exp", json!(1e20)), LARGE),
        bad("nbf 1e20", &with("nbf", json!(1e20))),
        bad("nbf that is negative", &with("nbf", json!(-1))),
        bad("iat that is negative", &with("iat", json!(-1))),
        bad("iat 1e20", &with("iat", json!(1e20))),
        good("no iat", &mint.token().without("iat")),
        good("iat within the skew", &with("iat", json!(now + 30))),
        stricter("iat in the future", &with("iat", json!(now + 300)), FUTURE),
        bad("iat as text", &with("iat", json!("0"))),
    ]
}

fn parties(mint: &Mint) -> Vec<Case> {
    let with = |name, value: Value| mint.token().claim(name, value);
    let for_others =
        |name, token: Token| Case::differs(name, bearer(token.sign()), (401, 403), AUDIENCE);
    vec![
        bad("another iss", &with("iss", json!("https://evil.example"))),
        bad(
            "iss with a slash more",
            &with("iss", json!("https://idp.example/")),
        ),
        bad(
            "iss of the other provider",
            &with("iss", json!(super::SECRET_ISSUER)),
        ),
        bad("no iss", &mint.token().without("iss")),
        bad("iss that is a number", &with("iss", json!(1))),
        bad("iss that is an array", &with("iss", json!([super::ISSUER]))),
        good("aud among others", &with("aud", json!(["bank", "shop"]))),
        for_others("another aud", with("aud", json!("bank"))),
        for_others("an aud that begins so", with("aud", json!("shopping"))),
        for_others("no aud", mint.token().without("aud")),
        for_others("an empty array as aud", with("aud", json!([]))),
        bad("aud that is a number", &with("aud", json!(1))),
        bad("aud with a number", &with("aud", json!(["shop", 1]))),
        good("no sub", &mint.token().without("sub")),
        bad("sub that is a number", &with("sub", json!(1))),
        milder("jti null", &with("jti", json!(null)), NULL),
        milder("sub null", &with("sub", json!(null)), NULL),
        good("nonce null", &with("nonce", json!(null))),
        stricter("nonce that is a number", &with("nonce", json!(1)), NONCE),
        good("nonce", &with("nonce", json!("n"))),
        stricter("nonce that is an object", &with("nonce", json!({})), NONCE),
        Case::differs(
            "aud among others, with a scheme and a slash",
            bearer(with("aud", json!(["bank", "http://shop/"])).sign()),
            (401, 200),
            AUDIENCE_FORM,
        ),
        Case::differs(
            "aud with a scheme",
            bearer(with("aud", json!("https://shop")).sign()),
            (401, 200),
            AUDIENCE_FORM,
        ),
        Case::differs(
            "aud with a slash behind",
            bearer(with("aud", json!("shop/")).sign()),
            (401, 200),
            AUDIENCE_FORM,
        ),
        bad("jti that is a number", &with("jti", json!(1))),
        good("sub beyond ASCII", &with("sub", json!("Zoë"))),
    ]
}

fn others(mint: &Mint) -> Vec<Case> {
    let token = || mint.token();
    vec![
        good(
            "claims of any kind",
            &token().claim("a", json!({"b": [1, 2.5, null, true, "c"]})),
        ),
        good(
            "8 KiB of groups",
            &token().claim("groups", vec!["administrators"; 360]),
        ),
        bad(
            "iss twice",
            &token().more_claims(r#""iss":"https://idp.example""#),
        ),
        bad("exp twice", &token().more_claims(r#""exp":9999999999"#)),
        bad(
            "another claim twice",
            &token().more_claims(r#""role":"user","role":"admin""#),
        ),
        bad(
            "a claim twice, within another",
            &token().more_claims(r#""a":{"b":1,"b":2}"#),
        ),
        bad(
            "a claim twice, in two spellings",
            &token().more_claims(r#""role":1,"r\u006fle":2"#),
        ),
        good("nested 20 deep", &token().more_claims(&nested(20))),
        stricter("a member without quotes", &token().more_claims("a:1"), JSON),
        stricter(
            "a member in single quotes",
            &token().more_claims("'a':1"),
            JSON,
        ),
        stricter(
            "a text in single quotes",
            &token().more_claims("\"a\":'b'"),
            JSON,
        ),
        stricter("a comma too many", &token().more_claims(r#""a":1,"#), JSON),
        stricter(
            "a comma too many in an array",
            &token().more_claims(r#""a":[1,]"#),
            JSON,
        ),
        stricter(
            "a line break in a text",
            &token().more_claims("\"a\":\"\n\""),
            JSON,
        ),
        bad("a comment", &token().more_claims(r#"/**/"a":1"#)),
        bad(
            "a comment to the end of the line",
            &token().more_claims("\"a\":1 // x\n"),
        ),
        bad("a number that is none", &token().more_claims(r#""a":NaN"#)),
        bad(
            "a number without bounds",
            &token().more_claims(r#""a":Infinity"#),
        ),
        bad(
            "a number with a zero in front",
            &token().more_claims(r#""a":01"#),
        ),
        bad(
            "a number with a sign in front",
            &token().more_claims(r#""a":+1"#),
        ),
        bad(
            "a number in hexadecimal digits",
            &token().more_claims(r#""a":0x1"#),
        ),
        bad(
            "a number that begins with its point",
            &token().more_claims(r#""a":.5"#),
        ),
        bad(
            "a number that ends with its point",
            &token().more_claims(r#""a":1."#),
        ),
        bad("True", &token().more_claims(r#""a":True"#)),
        bad("an unknown escape", &token().more_claims(r#""a":"\x41""#)),
        stricter(
            "an escaped quotation mark of another kind",
            &token().more_claims(r#""a":"\'""#),
            JSON,
        ),
        bad("a form feed between", &token().more_claims("\x0c\"a\":1")),
        bad("no value", &token().more_claims(r#""a":"#)),
        stricter("nested 90 deep", &token().more_claims(&nested(90)), DEPTH),
        bad("nested 110 deep", &token().more_claims(&nested(110))),
        stricter("nested 33 deep", &token().more_claims(&nested(33)), DEPTH),
        bad("nested 5000 deep", &token().more_claims(&nested(5000))),
        bad(
            "an unpaired surrogate",
            &token().more_claims(r#""a":"\ud800""#),
        ),
        bad(
            "a number beyond all bounds",
            &token().more_claims(r#""a":1e999"#),
        ),
    ]
}

fn nested(depth: usize) -> String {
    format!(r#""a":{}{}"#, "[".repeat(depth), "]".repeat(depth))
}
