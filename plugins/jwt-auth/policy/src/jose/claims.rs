//! The types of registered claims (RFC 7519 §4.1; `nonce`: OpenID Connect Core §2).

use serde_json::Value;

use super::Algorithm;
use super::json::Object;
use super::token::is_array_of_strings;

/// Whether each registered claim has its type, if it is present. `null` counts as absent.
///
/// jwt-simple also checks the types, but only after the signature; Envoy never does. jwt-simple refuses times and
/// audiences that are `null`, so they must not be `null` if it verifies the algorithm in any case.
pub(super) fn have_right_types(claims: &Object, algorithm: Algorithm) -> bool {
    let is_read_twice = algorithm.is_slow() || algorithm.is_symmetric();
    let mut members = claims.members().iter();
    members.all(|(name, value)| match name.as_str() {
        "exp" | "nbf" | "iat" | "aud" if value.is_null() => !is_read_twice,
        _ if value.is_null() => true,
        "iss" | "sub" | "jti" | "nonce" => value.is_string(),
        "exp" | "nbf" | "iat" => is_numeric_date(value),
        "aud" => is_audience(value),
        _ => true,
    })
}

/// Whether a value is a time since 1970, possibly with a fraction.
fn is_numeric_date(value: &Value) -> bool {
    value.as_f64().is_some_and(|seconds| seconds >= 0.0)
}

fn is_audience(value: &Value) -> bool {
    value.is_string() || is_array_of_strings(value)
}
