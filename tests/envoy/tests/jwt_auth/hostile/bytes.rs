//! Bytes that are not text, and repeated tokens.

use portcullis_envoy_tests::message::Request;

use super::{assert_statuses, envoy, token};
use crate::{bearer, with_authorization};

#[test]
fn bytes_that_are_no_text() {
    let good = token().sign();
    let with =
        |before: &[u8], after: &[u8]| with_authorization([before, good.as_bytes(), after].concat());
    let all: Vec<u8> = (0x80..=0xff).collect();
    let requests = vec![
        ("not UTF-8 behind", with(b"Bearer ", b"\xff"), 400),
        ("not UTF-8 in front", with(b"Bearer \xc3\x28", b""), 400),
        ("not UTF-8 for a scheme", with(b"B\xe9arer ", b""), 401),
        (
            "not UTF-8 at all",
            with_authorization([b"Bearer ", &all[..]].concat()),
            400,
        ),
        ("a BOM", with(b"\xef\xbb\xbfBearer ", b""), 401),
        (
            "a letter of full width",
            with("Bearer \u{ff21}".as_bytes(), b""),
            400,
        ),
        ("a tab", with(b"Bearer\t", b""), 401),
        ("the scheme twice", with(b"Bearer Bearer ", b""), 400),
        (
            "the scheme twice, with a comma",
            with(b"Bearer , Bearer ", b""),
            400,
        ),
        (
            "two headers",
            bearer(&good).header("authorization", "Basic YTpi"),
            400,
        ),
        (
            // Envoy joins them into one line, which has another scheme.
            "two headers, the token second",
            with_authorization("Basic YTpi").header("authorization", format!("Bearer {good}")),
            401,
        ),
        (
            "two spellings of the header's name",
            bearer(&good).header("AUTHORIZATION", format!("Bearer {good}")),
            400,
        ),
        (
            "in header and cookie",
            bearer(&good).header("cookie", format!("session={good}")),
            200,
        ),
        (
            "in header and query",
            Request {
                target: format!("/?access_token={good}"),
                ..bearer(&good)
            },
            200,
        ),
        (
            "twice in the query",
            Request::get(format!("/?access_token={good}&access_token={good}")),
            200,
        ),
        (
            "twice in cookies",
            Request::get("/")
                .header("cookie", format!("session={good}"))
                .header("cookie", format!("session={good}")),
            200,
        ),
        (
            "not UTF-8 in a cookie",
            Request::get("/").header("cookie", *b"session=\xff\xfe"),
            400,
        ),
        (
            "not UTF-8 in the query",
            Request::get("/?access_token=%ff%fe"),
            400,
        ),
        (
            "a broken escape in the query",
            Request::get("/?access_token=%zz%"),
            400,
        ),
    ];

    assert_statuses(&envoy(), requests);
}
