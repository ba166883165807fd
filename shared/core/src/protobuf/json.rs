//! `google.protobuf.Struct` as JSON.

use serde_json::{Map, Number, Value as Json};

use super::{Fields, Malformed, Value};

/// The deepest nesting of structs and lists.
const MAX_DEPTH: u32 = 32;

/// Reads a `google.protobuf.Struct`. The result takes at most some 50 times the memory of the bytes.
///
/// A number that JSON cannot express (an infinity) is `null`. A value nested deeper than 32 levels is malformed.
pub fn read(bytes: &[u8]) -> Result<Map<String, Json>, Malformed> {
    object(bytes, MAX_DEPTH)
}

fn object(bytes: &[u8], depth: u32) -> Result<Map<String, Json>, Malformed> {
    let depth = depth.checked_sub(1).ok_or(Malformed)?;
    let mut members = Map::new();
    for field in Fields::of(bytes) {
        let (1, entry) = field? else { continue };
        let (mut name, mut member) = ("", Json::Null);
        for field in Fields::of(entry.bytes()?) {
            match field? {
                (1, text) => name = text.text()?,
                (2, bytes) => member = value(bytes.bytes()?, depth)?,
                _ => {}
            }
        }
        members.insert(name.to_owned(), member);
    }
    Ok(members)
}

fn list(bytes: &[u8], depth: u32) -> Result<Vec<Json>, Malformed> {
    let depth = depth.checked_sub(1).ok_or(Malformed)?;
    let mut items = Vec::new();
    for field in Fields::of(bytes) {
        if let (1, item) = field? {
            items.push(value(item.bytes()?, depth)?);
        }
    }
    Ok(items)
}

fn value(bytes: &[u8], depth: u32) -> Result<Json, Malformed> {
    let mut json = Json::Null;
    for field in Fields::of(bytes) {
        json = match field? {
            (1, _) => Json::Null,
            (2, Value::Fixed64(bits)) => number(f64::from_le_bytes(bits)),
            (3, text) => Json::String(text.text()?.to_owned()),
            (4, flag) => Json::Bool(flag.number()? != 0),
            (5, bytes) => Json::Object(object(bytes.bytes()?, depth)?),
            (6, bytes) => Json::Array(list(bytes.bytes()?, depth)?),
            (2, _) => return Err(Malformed),
            _ => continue,
        };
    }
    Ok(json)
}

/// Whole numbers are written without a fraction: 60, not 60.0.
fn number(number: f64) -> Json {
    let whole = number as i64;
    match whole as f64 == number && whole.unsigned_abs() < 1 << 53 {
        true => whole.into(),
        false => Number::from_f64(number).map_or(Json::Null, Json::Number),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::super::Message;
    use super::*;

    /// The message of a value.
    fn encoded(json: &Json) -> Message {
        let mut message = Message::default();
        match json {
            // Presence matters in a oneof, so defaults are written by hand.
            Json::Null => message.0.extend([0x08, 0]),
            Json::Bool(flag) => message.0.extend([0x20, u8::from(*flag)]),
            Json::Number(number) => {
                message.0.push(0x11);
                let number = number.as_f64().unwrap();
                message.0.extend(number.to_le_bytes());
            }
            Json::String(text) => drop(message.bytes(3, text.as_bytes())),
            Json::Array(items) => {
                let mut list = Message::default();
                for item in items {
                    list.message(1, &encoded(item));
                }
                message.message(6, &list);
            }
            Json::Object(members) => drop(message.message(5, &encoded_struct(members))),
        }
        message
    }

    fn encoded_struct(members: &Map<String, Json>) -> Message {
        let mut message = Message::default();
        for (name, member) in members {
            let mut entry = Message::default();
            entry.text(1, name).message(2, &encoded(member));
            message.message(1, &entry);
        }
        message
    }

    fn nested(depth: u32) -> Json {
        (0..depth).fold(json!(1), |inner, _| json!([inner]))
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let json =
            json!({"": null, "a": [true, false, 1.5, -3, "text", [], {}], "b": {"c": {"d": "e"}}});
        let members = json.as_object().unwrap();
        let bytes = encoded_struct(members).into_bytes();
        assert_eq!(read(&bytes).as_ref(), Ok(members));
    }

    #[test]
    fn depth_is_bounded() {
        for (depth, is_read) in [(31, true), (32, false), (100, false)] {
            let mut members = Map::new();
            members.insert("a".to_owned(), nested(depth));
            let bytes = encoded_struct(&members).into_bytes();
            assert_eq!(read(&bytes).is_ok(), is_read, "{depth}");
        }
    }

    #[test]
    fn an_infinite_number_is_null() {
        assert_eq!(number(f64::INFINITY), Json::Null);
        assert_eq!(number(-0.5), json!(-0.5));
        assert_eq!(number(1e300), json!(1e300));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
