//! Excessive sizes.

use portcullis_envoy_tests::message::Request;

use super::{assert_statuses, envoy, token};
use crate::{bearer, with_authorization};

#[test]
fn too_much_of_everything() {
    let good = token().sign();
    let nested = |open: &str, close: &str, depth: usize| {
        let deep = format!(r#""a":{}1{}"#, open.repeat(depth), close.repeat(depth));
        bearer(token().more_claims(&deep).sign())
    };
    let padded = |size: usize| bearer(token().claim("a", "x".repeat(size)).sign());
    let in_header = |depth: usize| {
        let deep = format!(r#""a":{}{}"#, "[".repeat(depth), "]".repeat(depth));
        bearer(token().more_header(&deep).sign())
    };
    let query = |value: &str| Request::get(format!("/?access_token={value}"));
    let cookie = |value: &str| Request::get("/").header("cookie", value);
    let many = |count: usize| {
        (0..count).fold(Request::get("/"), |request, _| {
            request.header("authorization", "Bearer a.b.c")
        })
    };
    let requests = vec![
        ("1 MB", padded(1 << 20), 401),
        ("60 kB", padded(60 << 10), 401),
        ("10 kB is well", padded(10 << 10), 200),
        ("1 MB of dots", bearer(".".repeat(1 << 20)), 401),
        ("1 MB of letters", bearer("a".repeat(1 << 20)), 401),
        (
            "1 MB of blanks before a token",
            with_authorization(format!("Bearer {}x", " ".repeat(1 << 20))),
            401,
        ),
        ("1 MB in the query", query(&"a".repeat(1 << 20)), 401),
        (
            "1 MB in a cookie",
            cookie(&format!("session={}", "a".repeat(1 << 20))),
            401,
        ),
        ("100,000 cookies", cookie(&"a=b; ".repeat(100_000)), 401),
        (
            "100,000 parameters",
            Request::get(format!("/?{}", "a=b&".repeat(100_000))),
            401,
        ),
        ("500 headers", many(500), 400),
        ("10,000 arrays", nested("[", "]", 10_000), 401),
        ("2,000 objects", nested(r#"{"a":"#, "}", 1_500), 401),
        ("arrays in the header", in_header(2_500), 401),
        (
            "a number of 10,000 digits",
            bearer(
                token()
                    .more_claims(&format!(r#""a":{}"#, "9".repeat(10_000)))
                    .sign(),
            ),
            401,
        ),
        (
            "exp of 400 digits",
            bearer(
                token()
                    .without("exp")
                    .more_claims(&format!(r#""exp":{}"#, "9".repeat(400)))
                    .sign(),
            ),
            401,
        ),
        (
            "exp with a great exponent",
            bearer(token().without("exp").more_claims(r#""exp":1e400"#).sign()),
            401,
        ),
        (
            "exp of 1e300 is far away",
            bearer(token().without("exp").more_claims(r#""exp":1e300"#).sign()),
            200,
        ),
        (
            "exp of the most seconds",
            bearer(token().claim("exp", u64::MAX).sign()),
            200,
        ),
        (
            "nbf of the most seconds",
            bearer(token().claim("nbf", u64::MAX).sign()),
            401,
        ),
        (
            "iat of the fewest seconds",
            bearer(token().claim("iat", i64::MIN).sign()),
            401,
        ),
        ("a good one, at last", bearer(good), 200),
    ];

    assert_statuses(&envoy(), requests);
}
