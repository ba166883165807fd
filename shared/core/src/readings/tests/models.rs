//! Small models of servers, based on their source code. All of them look for `sid`.

use std::borrow::Cow;

/// A server and the function that finds the value.
pub(super) type Server = (&'static str, fn(&[u8]) -> Option<Vec<u8>>);

pub(super) const COOKIES: [Server; 6] = [
    ("cookie-parser 1.4", express),
    ("Werkzeug 3", werkzeug),
    ("Starlette 1", starlette),
    ("PHP 5", old_php),
    ("Rack 1", rack),
    ("no decoding", raw_cookie),
];

pub(super) const QUERIES: [Server; 6] = [
    ("parse_qs", |path| first(parse_qs(path, b"&"))),
    ("parse_qs before 3.9.2", |path| first(parse_qs(path, b"&;"))),
    ("Starlette 1", |path| last(parse_qs(path, b"&"))),
    ("qs 6", qs),
    ("PHP", php_query),
    ("ASP.NET", asp_query),
];

fn halves(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    Some((&pair[..equals], &pair[equals + 1..]))
}

fn percent_decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut rest = text;
    let mut is_well_formed = true;
    while let [first, after @ ..] = rest {
        rest = after;
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let digits = digits.filter(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match (first, digits) {
            (b'%', Some(digits)) => {
                decoded.push(u8::from_str_radix(digits, 16).unwrap());
                rest = &after[2..];
            }
            (byte, _) => {
                is_well_formed &= *byte != b'%';
                decoded.push(*byte);
            }
        }
    }
    is_well_formed.then_some(decoded)
}

/// Decodes and leaves malformed encodings as they are.
fn lenient_decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = text;
    while let [first, after @ ..] = rest {
        match rest.get(..3).and_then(percent_decode) {
            Some(bytes) if *first == b'%' => {
                decoded.extend(bytes);
                rest = &rest[3..];
            }
            _ => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    decoded
}

/// JavaScript's function, with the raw text if it is malformed.
fn decode_uri_component(text: &[u8]) -> Vec<u8> {
    let decoded = percent_decode(text).filter(|bytes| std::str::from_utf8(bytes).is_ok());
    decoded.unwrap_or_else(|| text.to_vec())
}

fn form_decode(text: &[u8]) -> Vec<u8> {
    lenient_decode(&with_blanks(text))
}

fn with_blanks(text: &[u8]) -> Vec<u8> {
    let blank = |byte: &u8| if *byte == b'+' { b' ' } else { *byte };
    text.iter().map(blank).collect()
}

fn lossy(bytes: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(bytes).into_owned().into_bytes()
}

fn first<T>(values: Vec<T>) -> Option<T> {
    values.into_iter().next()
}

fn last<T>(values: Vec<T>) -> Option<T> {
    values.into_iter().next_back()
}

fn pairs<'a>(line: &'a [u8], separators: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let pairs = line.split(|byte| separators.contains(byte));
    pairs
        .filter_map(halves)
        .map(|(name, value)| (name.trim_ascii(), value.trim_ascii()))
}

fn raw_cookie(line: &[u8]) -> Option<Vec<u8>> {
    let mut found = pairs(line, b";").filter(|(name, _)| *name == b"sid");
    Some(found.next()?.1.to_vec())
}

fn unquoted(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

fn express(line: &[u8]) -> Option<Vec<u8>> {
    let value = raw_cookie(line)?;
    let value = decode_uri_component(unquoted(&value).unwrap_or(&value));
    match value.strip_prefix(b"j:") {
        Some(json) => match serde_json::from_slice(json) {
            Ok(serde_json::Value::String(text)) => Some(text.into_bytes()),
            _ => Some(value),
        },
        None => Some(value),
    }
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut unescaped = Vec::new();
    let mut rest = text;
    loop {
        (rest, _) = match rest {
            [
                b'\\',
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                after @ ..,
            ] => {
                let octal = (a & 7) * 64 + (b & 7) * 8 + (c & 7);
                (after, unescaped.push(octal))
            }
            [b'\\', byte, after @ ..] | [byte, after @ ..] => (after, unescaped.push(*byte)),
            [] => return unescaped,
        }
    }
}

fn werkzeug(line: &[u8]) -> Option<Vec<u8>> {
    let mut found = pairs(line, b";").filter(|(name, _)| *name == b"sid");
    let (_, value) = found.next()?;
    match unquoted(value) {
        Some(within) => Some(lossy(&unescape(within))),
        None if value.iter().any(|byte| b" \t\"".contains(byte)) => None,
        None => Some(lossy(value)),
    }
}

/// Starlette decodes ISO 8859-1 and strips the whitespace of that character set.
fn starlette(line: &[u8]) -> Option<Vec<u8>> {
    let strip = |text: &[u8]| {
        let text: String = text.iter().map(|byte| char::from(*byte)).collect();
        let text = text.trim().chars().map(|character| character as u8);
        text.collect::<Vec<u8>>()
    };
    let pairs = line.split(|byte| *byte == b';').filter_map(halves);
    let mut found = pairs.filter(|(name, _)| strip(name) == b"sid");
    let value = strip(found.next_back()?.1);
    Some(unquoted(&value).map_or_else(|| value.clone(), unescape))
}

fn old_php(line: &[u8]) -> Option<Vec<u8>> {
    let pairs = line.split(|byte| *byte == b';').filter_map(halves);
    let mut found = pairs.filter(|(name, _)| php_name(name) == b"sid");
    Some(form_decode(found.next()?.1))
}

fn rack(line: &[u8]) -> Option<Vec<u8>> {
    let mut found = pairs(line, b";,").filter(|(name, _)| form_decode(name) == b"sid");
    Some(form_decode(found.next()?.1))
}

fn query(path: &[u8]) -> &[u8] {
    let start = path.iter().position(|byte| *byte == b'?');
    start.map_or(&[], |start| &path[start + 1..])
}

fn parse_qs(path: &[u8], separators: &[u8]) -> Vec<Vec<u8>> {
    let found = query(path)
        .split(|byte| separators.contains(byte))
        .filter_map(halves)
        .filter(|(name, _)| form_decode(name) == b"sid");
    found.map(|(_, value)| lossy(&form_decode(value))).collect()
}

/// qs makes a list, of which an application takes the first entry.
fn qs(path: &[u8]) -> Option<Vec<u8>> {
    let decode = |text: &[u8]| decode_uri_component(&with_blanks(text));
    let is_ours = |name: &[u8]| {
        let name = decode(name);
        [&b"sid"[..], b"[sid]"].contains(&&name[..]) || name.starts_with(b"sid[")
    };
    let parts = query(path).split(|byte| *byte == b'&');
    let mut found = parts.filter_map(halves).filter(|(name, _)| is_ours(name));
    Some(decode(found.next()?.1))
}

fn php_name(raw: &[u8]) -> Vec<u8> {
    let name = form_decode(raw);
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let blanks = name.iter().take_while(|byte| **byte == b' ').count();
    let name = name[blanks..].split(|byte| *byte == b'[').next();
    let mangled = name.unwrap_or_default().iter().map(|byte| match byte {
        b'.' | b' ' => b'_',
        byte => *byte,
    });
    mangled.collect()
}

fn php_query(path: &[u8]) -> Option<Vec<u8>> {
    let parts = query(path).split(|byte| *byte == b'&').filter_map(halves);
    let mut found = parts.filter(|(name, _)| php_name(name) == b"sid");
    Some(form_decode(found.next_back()?.1))
}

/// Values of one name, in any letter case, are joined; `%u0061` is `a`.
fn asp_query(path: &[u8]) -> Option<Vec<u8>> {
    let decode = |text: &[u8]| {
        let text = match text.windows(6).any(|window| window == b"%u0061") {
            true => Cow::Owned(
                String::from_utf8_lossy(text)
                    .replace("%u0061", "a")
                    .into_bytes(),
            ),
            false => Cow::Borrowed(text),
        };
        lossy(&form_decode(&text))
    };
    let parts = query(path).split(|byte| *byte == b'&').filter_map(halves);
    let found = parts.filter(|(name, _)| decode(name).eq_ignore_ascii_case(b"sid"));
    let values: Vec<_> = found.map(|(_, value)| decode(value)).collect();
    (!values.is_empty()).then(|| values.join(&b','))
}
