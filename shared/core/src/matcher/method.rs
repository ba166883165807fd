//! Conditions on the HTTP method.

use serde::Deserialize;

use crate::headers::is_token;
use crate::readings::{Fit, method};

/// An HTTP method. Methods are case-sensitive: `get` is not `GET`, and hardly anybody means it.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline)
)]
#[serde(try_from = "String")]
pub(super) struct Method(String);

/// The common methods. Others are allowed too.
const USUAL_METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY",
];

impl Method {
    /// Whether the method of a request matches.
    pub(super) fn fit(&self, method: &[u8]) -> Fit {
        method::fit(method, self.0.as_bytes())
    }
}

impl TryFrom<String> for Method {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let usual = USUAL_METHODS
            .iter()
            .find(|usual| usual.eq_ignore_ascii_case(&text));
        match usual {
            Some(usual) if *usual != text => Err(format!(
                "found {text:?}; expected {usual:?}: the letter case of methods counts"
            )),
            None if !is_token(&text) => {
                Err(format!("found {text:?}; expected a method such as \"GET\""))
            }
            _ => Ok(Self(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_method_of_other_letter_case_is_possible() {
        let method = Method::try_from("POST".to_owned()).unwrap();
        for (own, fit) in [
            ("POST", Fit::Certain),
            ("post", Fit::Possible),
            ("PoSt", Fit::Possible),
            ("POST ", Fit::No),
            ("PUT", Fit::No),
            ("", Fit::No),
        ] {
            assert_eq!(method.fit(own.as_bytes()), fit, "{own:?}");
        }
    }
}
