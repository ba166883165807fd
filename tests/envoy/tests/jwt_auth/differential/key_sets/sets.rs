//! Key sets as a whole: text, size, and similar keys.

use portcullis_scenarios::tokens::{Algorithm, Key, jwks};
use serde_json::{Value, json};

use super::super::difference::*;
use super::{Case, es256, jwk, jwk_without, rs256, set, signed};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = texts();
    cases.extend(sizes());
    cases.extend(twins());
    cases
}

/// A valid set whose members begin like this.
fn beginning(text: &str) -> String {
    format!("{{{text},{}", &set([rs256().jwk()])[1..])
}

fn texts() -> Vec<Case> {
    let token = signed(&rs256());
    let good = set([rs256().jwk()]);
    let strict = |name, document: String| Case::stricter(name, document, &token, JSON);
    let mut not_utf8 = beginning(r#""x":"?""#).into_bytes();
    not_utf8[6] = 0xff;
    vec![
        Case::good("white space around the set", format!("\n {good}\n"), &token),
        Case::good(
            "members that nobody knows",
            beginning(r#""next":null,"x":{"y":[1,null]}"#),
            &token,
        ),
        Case::unusable("a web page", "<html>Sign in</html>"),
        Case::unusable("an empty document", ""),
        Case::unusable("an empty object", "{}"),
        Case::unusable("keys that are an object", json!({"keys": {}}).to_string()),
        Case::unusable("an empty set", set([])),
        Case::unusable("an array of keys", json!([rs256().jwk()]).to_string()),
        Case::unusable("a single key", rs256().jwk().to_string()),
        Case::unusable("half a set", &good[..good.len() / 2]),
        Case::unusable("something behind the set", format!("{good}x")),
        Case::new(
            "a byte order mark",
            format!("\u{feff}{good}"),
            &token,
            (200, 401),
            Some(BYTE_ORDER_MARK),
        ),
        Case::unusable("a set with a comment", format!("/* keys */{good}")),
        strict("a member without quotes", beginning("x:1")),
        strict("a member in single quotes", beginning("'x':1")),
        Case::unusable("a number that is none", beginning(r#""x":NaN"#)),
        Case::unusable("a number beyond all bounds", beginning(r#""x":1e999"#)),
        Case::unusable("an unpaired surrogate", beginning(r#""x":"\ud800""#)),
        strict("a line break in a text", beginning("\"x\":\"\n\"")),
        strict(
            "a comma too many",
            format!("{},}}", &good[..good.len() - 1]),
        ),
        Case::unusable("a member of the set twice", beginning(r#""x":1,"x":1"#)),
        strict("nested 33 deep", beginning(&nested(33))),
        Case::good("nested 20 deep", beginning(&nested(20)), &token),
        Case::unusable("nested 5000 deep", beginning(&nested(5000))),
        Case::unusable("a set that is not UTF-8", not_utf8),
    ]
}

fn nested(depth: usize) -> String {
    format!(r#""x":{}{}"#, "[".repeat(depth), "]".repeat(depth))
}

fn sizes() -> Vec<Case> {
    let many = |count: u8, chain: usize| {
        let key = |number| {
            jwk(
                &Key::new(Algorithm::ES256, number),
                json!({"x5c": ["A".repeat(chain)]}),
            )
        };
        set((1..=count).map(key))
    };
    let token = signed(&Key::new(Algorithm::ES256, 40));
    let mut more: Vec<Value> = (1..=200)
        .map(|number| Key::new(Algorithm::ES256, number).jwk())
        .collect();
    more.push(rs256().jwk());
    vec![
        Case::good("110 KB", many(100, 900), &token),
        Case::good("200 keys", many(200, 1), &token),
        Case::stricter("201 keys", set(more), &token, SIZE),
        Case::stricter("170 KB", many(100, 1_600), &token, SIZE),
    ]
}

fn twins() -> Vec<Case> {
    let one = rs256();
    let other = Key::new(Algorithm::RS256, 2).named(one.id());
    let elliptic: Vec<Key> = (1..=9)
        .map(|number| Key::new(Algorithm::ES256, number))
        .collect();
    let nameless = |keys: &[Key]| set(keys.iter().map(|key| jwk_without(key, &["kid"])));
    let without_kid = |key: &Key| signed(key).without_header("kid");
    let broken = jwk(&other, json!({"n": "AA"}));
    let pss = [Key::new(Algorithm::PS256, 1), Key::new(Algorithm::PS256, 2)];
    vec![
        Case::good("a key twice", set([one.jwk(), one.jwk()]), &signed(&one)),
        Case::good(
            "a key twice, once with other members",
            set([one.jwk(), jwk(&one, json!({"x5t": "x"}))]),
            &signed(&one),
        ),
        Case::good(
            "one kid for keys of two types",
            set([one.jwk(), jwk(&es256(), json!({"kid": one.id()}))]),
            &signed(&es256().named(one.id())),
        ),
        Case::refused(
            "the first of two keys with one kid",
            set([one.jwk(), other.jwk()]),
            &signed(&one),
            RIVALS,
        ),
        Case::refused(
            "the second of two keys with one kid",
            set([one.jwk(), other.jwk()]),
            &signed(&other),
            RIVALS,
        ),
        Case::good(
            "an unusable key of the same kid",
            set([broken.clone(), one.jwk()]),
            &signed(&one),
        ),
        Case::good(
            "an unusable key of the same kid behind",
            set([one.jwk(), broken]),
            &signed(&one),
        ),
        Case::good(
            "no kid in the token, and a key with one",
            set([one.jwk()]),
            &without_kid(&one),
        ),
        Case::good(
            "a kid in the token, and keys with none",
            nameless(&elliptic[..2]),
            &signed(&elliptic[1]),
        ),
        Case::good(
            "no kid, and eight keys",
            nameless(&elliptic[..8]),
            &without_kid(&elliptic[7]),
        ),
        Case::refused(
            "no kid, and nine keys",
            nameless(&elliptic),
            &without_kid(&elliptic[8]),
            TRIES,
        ),
        Case::refused(
            "no kid, and two keys for PS256",
            set(pss.iter().map(Key::jwk)),
            &without_kid(&pss[1]),
            TRIES,
        ),
        Case::refused(
            "a key with the kid of the token, signed with one that has none",
            set([
                Key::new(Algorithm::RS256, 2).jwk(),
                jwk_without(&one, &["kid"]),
            ]),
            &signed(&one.named("rs256-2")),
            NAMELESS,
        ),
        Case::bad(
            "a kid that no key has",
            jwks(&[Key::new(Algorithm::RS256, 2)]).to_string(),
            &signed(&one),
        ),
    ]
}
