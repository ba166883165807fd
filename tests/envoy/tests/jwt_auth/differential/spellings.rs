//! Encodings of a token.

use portcullis_scenarios::tokens::{Algorithm, Key, encode};

use super::difference::*;
use super::{Case, Mint, bad};
use crate::bearer;

pub(super) fn cases(mint: &Mint) -> Vec<Case> {
    let mut cases = json(mint);
    cases.extend(base64(mint));
    cases
}

fn json(mint: &Mint) -> Vec<Case> {
    let payload = |bytes: &[u8]| mint.token().raw_payload(bytes);
    let header = |bytes: &[u8]| mint.token().raw_header(bytes);
    vec![
        bad("a header that is no JSON", &header(b"RS256")),
        bad("a header that is an array", &header(b"[\"RS256\"]")),
        bad(
            "a header with something behind it",
            &header(b"{\"alg\":\"RS256\",\"kid\":\"rs256-1\"}x"),
        ),
        bad(
            "a header with a byte order mark",
            &header(b"\xef\xbb\xbf{\"alg\":\"RS256\"}"),
        ),
        bad(
            "a header that is not UTF-8",
            &header(b"{\"alg\":\"RS256\",\"x\":\"\xff\"}"),
        ),
        bad("a payload that is no JSON", &payload(b"ada")),
        bad("a payload that is an array", &payload(b"[]")),
        bad("a payload that is a string", &payload(b"\"ada\"")),
        bad("an empty object", &payload(b"{}")),
        bad(
            "a payload that is not UTF-8",
            &payload(b"{\"iss\":\"https://idp.example\",\"x\":\"\xff\"}"),
        ),
        bad("a payload with a comment", &payload(b"{/**/}")),
    ]
}

/// A token whose parts are encoded differently, and signed as they are.
fn base64(mint: &Mint) -> Vec<Case> {
    let token = mint.token().sign();
    let (input, signature) = token.rsplit_once('.').expect("three parts");
    let (header, payload) = input.split_once('.').expect("three parts");
    let key = Key::new(Algorithm::RS256, 1);
    let signed = |input: String| {
        let signature = encode(key.sign(input.as_bytes()));
        bearer(format!("{input}.{signature}"))
    };
    let refused = |name, request| Case::both(name, request, 401);
    let stricter = |name, request, why| Case::differs(name, request, (401, 200), why);
    let skipped = |name, request| Case::differs(name, request, (400, 200), BLANKS);
    let written = |token: String| bearer(token);
    vec![
        refused("two parts", written(input.to_owned())),
        refused("four parts", written(format!("{token}.{signature}"))),
        refused(
            "five parts",
            written(format!("{token}.{signature}.{signature}")),
        ),
        refused("an empty header", signed(format!(".{payload}"))),
        refused("an empty payload", signed(format!("{header}."))),
        refused("a padded header", signed(format!("{header}=.{payload}"))),
        refused("a padded payload", signed(format!("{header}.{payload}="))),
        stricter("a padded signature", written(format!("{token}==")), BASE64),
        refused(
            "the alphabet of base64",
            written(token.replace('_', "/").replace('-', "+")),
        ),
        stricter(
            "bits that lead nowhere",
            written(format!("{input}.{}", loose(signature))),
            BASE64,
        ),
        refused("a character too many", written(format!("{token}A"))),
        refused(
            "a character too few",
            written(token[..token.len() - 1].to_owned()),
        ),
        skipped(
            "a blank in the header",
            signed(format!("{} {}.{payload}", &header[..8], &header[8..])),
        ),
        skipped(
            "a blank in the payload",
            signed(format!("{header}.{} {}", &payload[..8], &payload[8..])),
        ),
        skipped(
            "a blank in the signature",
            written(format!("{input}.{} {}", &signature[..8], &signature[8..])),
        ),
        skipped(
            "a tab in the signature",
            written(format!("{input}.{}\t{}", &signature[..8], &signature[8..])),
        ),
        skipped(
            "a blank behind the header",
            signed(format!("{header} .{payload}")),
        ),
        skipped(
            "a blank behind the payload",
            signed(format!("{header}.{payload} ")),
        ),
        Case::both(
            "a blank behind the token",
            written(format!("{token} ")),
            200,
        ),
        Case::both(
            "a blank in front of the token",
            written(format!(" {token}")),
            200,
        ),
        stricter(
            "two dots between",
            written(format!("{header}..{payload}.{signature}")),
            COMPACT,
        ),
        stricter("a dot behind", written(format!("{token}.")), COMPACT),
        stricter("a dot in front", written(format!(".{token}")), COMPACT),
    ]
}

/// The last character of 256 bytes has four unused bits, which must be zero.
fn loose(signature: &str) -> String {
    let (rest, last) = signature.split_at(signature.len() - 1);
    let other = match last {
        "A" => "B",
        "Q" => "R",
        "g" => "h",
        _ => "x",
    };
    format!("{rest}{other}")
}
