//! The types of registered claims (RFC 7519 §4.1; `nonce`: OpenID Connect Core §2).

use serde_json::Value;

use super::json::Object;
use super::token::is_array_of_strings;

const TEXTS: [&str; 4] = ["iss", "sub", "jti", "nonce"];
const TIMES: [&str; 3] = ["exp", "nbf", "iat"];

/// Whether each registered claim that is there has the type that it must have. `null` has none.
///
/// jwt-simple looks at this, too, but only after the signature; Envoy never does.
pub(super) fn have_right_types(claims: &Object) -> bool {
    let all = |names: &[&str], is_right: fn(&Value) -> bool| {
        names
            .iter()
            .all(|name| claims.get(name).is_none_or(is_right))
    };
    all(&TEXTS, Value::is_string) && all(&TIMES, is_numeric_date) && all(&["aud"], is_audience)
}

/// Seconds since 1970, perhaps with a fraction; none of this is from before.
fn is_numeric_date(value: &Value) -> bool {
    value.as_f64().is_some_and(|seconds| seconds >= 0.0)
}

fn is_audience(value: &Value) -> bool {
    value.is_string() || is_array_of_strings(value)
}
