//! Conditions on request headers.

use serde::Deserialize;

use super::condition::Condition;
use super::regex::Regex;
use crate::config::HeaderName;
use crate::headers::HeaderMap;
use crate::readings::{Fit, header};

/// A condition on one header: its name, and exactly one of `exact`, `prefix`, `regex` and `present`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "Fields")
)]
#[serde(try_from = "Fields")]
pub(super) struct HeaderMatch {
    name: HeaderName,
    condition: Condition,
}

/// The longest header, in bytes, that a condition scans. A longer one is a possible match.
const MAX_SCANNED: usize = 8 * 1024;

impl HeaderMatch {
    pub(super) fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Evaluates the condition on all lines of the header, under every spelling of its name.
    ///
    /// The match of a value is certain only if there is one line of the exact name and nothing else, or several
    /// lines that match both separately and joined, as Node and WSGI join them.
    pub(super) fn fit(&self, headers: &HeaderMap) -> Fit {
        let name = self.name.as_str();
        let (mut exact, mut others) = (0_usize, 0_usize);
        let spellings = || headers.spellings(name);
        for (own, _) in spellings() {
            match own == name.as_bytes() {
                true => exact += 1,
                false => others += 1,
            }
        }
        let pattern = match (&self.condition, exact, others) {
            (Condition::Present(present), 0, 0) => return Fit::over([!present]),
            (Condition::Present(_), 0, _) => return Fit::Possible,
            (Condition::Present(present), ..) => return Fit::over([*present]),
            (Condition::Value(_), 0, 0) => return Fit::No,
            (Condition::Value(pattern), ..) => pattern,
        };
        // Bounded, because every rule scans the lines.
        if spellings().map(|(_, line)| line.len()).sum::<usize>() > MAX_SCANNED {
            return Fit::Possible;
        }
        let trimmed = |line: &'_ [u8]| header::trim(line).len() < line.len();
        let lines = spellings().flat_map(|(_, line)| {
            let other = trimmed(line).then(|| header::trim(line));
            std::iter::once(line).chain(other)
        });
        let fit = Fit::over(lines.map(|line| pattern.matches(line)));
        let fit = match exact + others {
            1 => fit,
            _ => {
                let lines: Vec<&[u8]> = spellings().map(|(_, line)| line).collect();
                let joined = [&b","[..], b", "].map(|comma| pattern.matches(&lines.join(comma)));
                match (fit, Fit::over(joined)) {
                    (Fit::No, joined) => joined.min(Fit::Possible),
                    (fit, Fit::Certain) => fit,
                    (fit, _) => fit.min(Fit::Possible),
                }
            }
        };
        match others {
            0 => fit,
            // Some servers do not find these lines; others find only these.
            _ => fit.min(Fit::Possible),
        }
    }
}

/// A condition on one header: the name, and exactly one of the other members.
#[derive(Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("minProperties" = 2, "maxProperties" = 2))
)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    /// The name of the header, in any letter case.
    name: HeaderName,
    /// At least one line is equal to this text.
    exact: Option<String>,
    /// At least one line starts with this text.
    prefix: Option<String>,
    /// At least one line matches this regular expression as a whole.
    regex: Option<Regex>,
    /// `true`: the header is present, even if empty. `false`: it is absent.
    present: Option<bool>,
}

impl TryFrom<Fields> for HeaderMatch {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let Fields {
            name,
            exact,
            prefix,
            regex,
            present,
        } = fields;
        Ok(Self {
            name,
            condition: Condition::new(exact, prefix, regex, present)?,
        })
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn fit(condition: &str, lines: &[(&'static str, &'static [u8])]) -> Fit {
        let condition: HeaderMatch = serde_json::from_str(condition).unwrap();
        let entries = lines.iter().map(|(name, value)| {
            let bytes = bytes::Bytes::from_static;
            (bytes(name.as_bytes()), bytes(value))
        });
        condition.fit(&HeaderMap::new(entries.collect()))
    }

    #[test]
    fn a_value_is_certain_only_if_every_server_finds_it() {
        let exact = r#"{"name": "x-tier", "exact": "free"}"#;
        let prefix = r#"{"name": "x-tier", "prefix": "fr"}"#;
        for (condition, lines, expected) in [
            (exact, &[][..], Fit::No),
            (exact, &[("x-tier", &b"free"[..])], Fit::Certain),
            (exact, &[("x-tier", b"paid")], Fit::No),
            (exact, &[("x-tier", b"FREE")], Fit::No),
            (exact, &[("x_tier", b"free")], Fit::Possible),
            (
                exact,
                &[("x-tier", b"free"), ("x_tier", b"free")],
                Fit::Possible,
            ),
            (
                exact,
                &[("x-tier", b"paid"), ("x.tier", b"free")],
                Fit::Possible,
            ),
            (
                exact,
                &[("x-tier", b"free"), ("x-tier", b"paid")],
                Fit::Possible,
            ),
            (
                exact,
                &[("x-tier", b"free"), ("x-tier", b"free")],
                Fit::Possible,
            ),
            (exact, &[("x-tier", b"free\xa0")], Fit::Possible),
            (
                prefix,
                &[("x-tier", b"free"), ("x-tier", b"free")],
                Fit::Certain,
            ),
            (
                prefix,
                &[("x-tier", b"free"), ("x-tier", b"paid")],
                Fit::Possible,
            ),
        ] {
            assert_eq!(fit(condition, lines), expected, "{condition} {lines:?}");
        }
        let list = r#"{"name": "x-tier", "exact": "a, b"}"#;
        let lines = [("x-tier", &b"a"[..]), ("x-tier", b"b")];
        assert_eq!(fit(list, &lines), Fit::Possible);
    }

    #[test]
    fn absence_is_certain_only_if_no_spelling_is_there() {
        let present = r#"{"name": "x-tier", "present": true}"#;
        let absent = r#"{"name": "x-tier", "present": false}"#;
        for (lines, is_present, is_absent) in [
            (&[][..], Fit::No, Fit::Certain),
            (&[("x-tier", &b""[..])], Fit::Certain, Fit::No),
            (&[("x_tier", b"1")], Fit::Possible, Fit::Possible),
            (&[("x_tier", b"1"), ("x-tier", b"1")], Fit::Certain, Fit::No),
            (&[("xtier", b"1")], Fit::No, Fit::Certain),
        ] {
            assert_eq!(fit(present, lines), is_present, "{lines:?}");
            assert_eq!(fit(absent, lines), is_absent, "{lines:?}");
        }
    }
}
