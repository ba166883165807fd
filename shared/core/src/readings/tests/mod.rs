//! Compares values with models of the servers that read them.

mod models;

use bytes::Bytes;
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use self::models::{COOKIES, QUERIES, Server};
use super::{Reading, cookie, header, query};
use crate::headers::HeaderMap;

fn map(name: &'static str, value: &[u8]) -> HeaderMap {
    HeaderMap::new(vec![(name.into(), Bytes::copy_from_slice(value))])
}

fn cookie_of(line: &[u8]) -> Reading<'static> {
    own(cookie::read(&map("cookie", line), "sid"))
}

fn parameter_of(path: &[u8]) -> Reading<'static> {
    own(query::read(&map(":path", path), "sid"))
}

fn own(reading: Reading<'_>) -> Reading<'static> {
    match reading {
        Reading::Value(value) => Reading::Value(value.into_owned().into()),
        Reading::Missing => Reading::Missing,
        Reading::Ambiguous => Reading::Ambiguous,
    }
}

/// A random spelling of a value.
fn spelling(base: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let ways = prop::collection::vec(0_u8..8, base.len());
    (ways, 0_usize..6).prop_map(move |(ways, around)| {
        let bytes = base.bytes().zip(ways).flat_map(|(byte, way)| match way {
            0 => format!("%{byte:02x}").into_bytes(),
            1 => format!("%{byte:02X}").into_bytes(),
            2 => format!("\\{byte:03o}").into_bytes(),
            3 => vec![b'\\', byte],
            4 => format!("%25{byte:02x}").into_bytes(),
            _ => vec![byte],
        });
        let bytes: Vec<u8> = bytes.collect();
        let (before, after) = [
            ("", ""),
            ("", ""),
            ("\"", "\""),
            ("\"", "\""),
            ("j:\"", "\""),
            ("", ",1"),
        ][around];
        [before.as_bytes(), &bytes, after.as_bytes()].concat()
    })
}

/// Two random spellings of one value.
fn spellings() -> impl Strategy<Value = [Vec<u8>; 2]> {
    let base = prop::sample::select(vec![
        "a", "ab", "a b", "a+b", "%3141", "\\141", "é", "a,1", "a\"b",
    ]);
    base.prop_flat_map(|base| [spelling(base), spelling(base)])
}

/// Random syntax.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"a", b"b", b"1", b"141", b"\\141", b"%61", b"%31", b"%2561", b"%5C", b"%", b"%zz", b"%ff",
        b"%fe", b"\xff", b"\xa0", b"\x85", b"+", b"%2B", b"%20", b" ", b",", b"\"", b"\\", b"%22",
        b"%00", b"%u0061", b"j:", b"\"a\"", b"=", b"%c1%a1", b"secure",
    ];
    let pieces = prop::collection::vec(prop::sample::select(pieces), 0..4);
    prop_oneof![
        1 => spellings().prop_map(|[spelling, _]| spelling),
        1 => pieces.prop_map(|pieces| pieces.concat()),
    ]
}

fn name() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        3 => Just("sid"),
        1 => prop::sample::select(vec![
            "SID", "s%69d", "s%2569d", "sid[]", "sid[0]", "[sid]", " sid", "sid ", "=sid", "x=1 sid",
            "x=1,sid", "\"sid", "sid%00", "x", "$sid", "sid.", "+sid",
        ]),
    ]
}

fn request(separators: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let pair = (name(), value(), prop::sample::select(separators));
    prop::collection::vec(pair, 1..3).prop_map(|pairs| {
        let mut text = Vec::new();
        for (i, (name, value, separator)) in pairs.into_iter().enumerate() {
            if i > 0 {
                text.extend_from_slice(separator.as_bytes());
            }
            text.extend_from_slice(name.as_bytes());
            text.push(b'=');
            text.extend(value);
        }
        text
    })
}

fn cookies() -> impl Strategy<Value = Vec<u8>> {
    request(&["; ", ";", ",", "; x=1; ", " "])
}

fn target() -> impl Strategy<Value = Vec<u8>> {
    let query = request(&["&", "&&", ";", "&x&", "?"]);
    query.prop_map(|query| [b"/?", &query[..]].concat())
}

/// No spelling hides a value, and two spellings of one value have the same key, if both have one.
fn assert_no_dodge(
    servers: &[Server],
    requests: [&[u8]; 2],
    read: fn(&[u8]) -> Reading<'static>,
) -> Result<(), TestCaseError> {
    let readings = requests.map(read);
    for (name, server) in servers {
        let values = requests.map(server);
        for (value, reading) in values.iter().zip(&readings) {
            let is_value = value.as_deref().is_some_and(is_value);
            prop_assert!(!is_value || *reading != Reading::Missing, "{name}");
        }
        let [Some(value), Some(other)] = &values else {
            continue;
        };
        if value == other && !value.is_empty() {
            let [reading, other] = &readings;
            let is_ambiguous = [reading, other].contains(&&Reading::Ambiguous);
            prop_assert!(is_ambiguous || reading == other, "{name}: {value:?}");
        }
    }
    Ok(())
}

/// Whether a value contains more than whitespace and quotes.
fn is_value(value: &[u8]) -> bool {
    value
        .iter()
        .any(|byte| !matches!(byte, b' ' | b'\t' | b'"'))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn no_spelling_of_a_cookie_dodges(left in cookies(), right in cookies()) {
        assert_no_dodge(&COOKIES, [&left, &right], cookie_of)?;
    }

    #[test]
    fn no_spelling_of_a_parameter_dodges(left in target(), right in target()) {
        assert_no_dodge(&QUERIES, [&left, &right], parameter_of)?;
    }

    #[test]
    fn no_spelling_of_a_value_dodges([left, right] in spellings()) {
        let [left, right] = [left, right].map(|value| [b"sid=", &value[..]].concat());
        assert_no_dodge(&COOKIES, [&left, &right], cookie_of)?;
        let [left, right] = [left, right].map(|pair| [b"/?", &pair[..]].concat());
        assert_no_dodge(&QUERIES, [&left, &right], parameter_of)?;
    }

    /// A value without special bytes is its own canonical form.
    #[test]
    fn plain_values_stay_as_they_are(value in "[a-zA-Z0-9._~=/-]{1,40}") {
        let expected = Reading::Value(value.clone().into_bytes().into());
        prop_assert_eq!(cookie_of(format!("x=1; sid={value}").as_bytes()), expected.clone());
        prop_assert_eq!(parameter_of(format!("/?x=1&sid={value}").as_bytes()), expected.clone());
        prop_assert_eq!(own(header::read(&map("x-sid", value.as_bytes()), "x-sid")), expected);
    }

    /// No bytes cause a panic.
    #[test]
    fn nothing_panics(line in prop::collection::vec(any::<u8>(), 0..64)) {
        cookie_of(&[b"sid=", &line[..]].concat());
        parameter_of(&[b"/?sid=", &line[..]].concat());
        own(header::read(&map("x-sid", &line), "x-sid"));
        super::authority::Authority::new(&line).read();
    }
}

#[test]
fn a_value_of_other_bytes_at_its_ends_is_ambiguous() {
    for line in [
        &b"sid=a\xa0"[..],
        b"sid=\x85a",
        b"sid=\xa0",
        b"\xa0sid=a",
        b"sid\x85=a",
    ] {
        assert_eq!(cookie_of(line), Reading::Ambiguous, "{line:?}");
    }
    let header = |line| own(header::read(&map("x", line), "x"));
    assert_eq!(header(b"a\xa0"), Reading::Value(b"a".to_vec().into()));
    assert_eq!(header(b"\xa0"), Reading::Ambiguous);
}

#[test]
fn encodings_within_encodings_are_undone_at_once() {
    let nested = format!("sid=%{}61", "25".repeat(100_000));
    assert_eq!(
        cookie_of(nested.as_bytes()),
        Reading::Value(b"a".to_vec().into())
    );
}
