//! Scalars, and their conversion to JSON.

use std::fmt::Write as _;
use std::rc::Rc;

/// A scalar and the style in which it is written.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: Rc<str>,
    pub(super) style: Style,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    /// Always a string.
    Quoted,
    /// `|`: each line of the content is a line of the file.
    Literal,
}

impl Scalar {
    pub(super) fn is_null(&self) -> bool {
        self.style == Style::Plain && is_any(&self.text, &["", "~", "null"])
    }

    /// Converts the scalar as Kubernetes does, by the rules of YAML 1.1: `off` is false.
    pub(super) fn to_json(&self) -> String {
        let text = &*self.text;
        if self.style != Style::Plain {
            return quoted(text);
        }
        if self.is_null() {
            return "null".to_owned();
        }
        if is_any(text, &["true", "yes", "on", "y"]) {
            return "true".to_owned();
        }
        if is_any(text, &["false", "no", "off", "n"]) {
            return "false".to_owned();
        }
        number(text).unwrap_or_else(|| quoted(text))
    }
}

/// Whether a plain scalar is one of these words: in lower case, in capitals, or with one capital.
fn is_any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| {
        let is_first_alone = text.chars().skip(1).all(|c| !c.is_uppercase());
        let is_capital = text.chars().all(|c| !c.is_lowercase());
        text.eq_ignore_ascii_case(word) && (is_first_alone || is_capital)
    })
}

/// Parses a number and writes it as JSON. Like Go, writes a number without a fraction as an integer.
fn number(text: &str) -> Option<String> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    let digits = unsigned.replace('_', "");
    let with_radix = |prefixes: &[&str], radix| {
        let rest = prefixes.iter().find_map(|it| digits.strip_prefix(it))?;
        u64::from_str_radix(rest, radix).ok()
    };
    let whole = with_radix(&["0x"], 16)
        .or_else(|| with_radix(&["0b"], 2))
        .or_else(|| with_radix(&["0o", "0"], 8))
        .or_else(|| digits.parse().ok());
    if let Some(whole) = whole {
        return Some(format!("{sign}{whole}"));
    }
    let is_number = unsigned.bytes().any(|byte| byte.is_ascii_digit())
        && unsigned
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    let value: f64 = is_number.then(|| text.parse().ok()).flatten()?;
    value.is_finite().then(|| format!("{value}"))
}

pub(super) fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c < ' ' => {
                // Writing to a string cannot fail.
                let _ = write!(json, "\\u{:04x}", u32::from(c));
            }
            c => json.push(c),
        }
    }
    json.push('"');
    json
}
