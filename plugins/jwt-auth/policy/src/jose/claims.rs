//! The types of registered claims (RFC 7519 §4.1; `nonce`: OpenID Connect Core §2).

use serde_json::Value;

use super::Algorithm;
use super::json::Object;
use super::token::is_array_of_strings;

/// Whether each registered claim that is there has the type that it must have. `null` is as good as
/// absent.
///
/// jwt-simple looks at this, too, but only after the signature; Envoy never does.
/// But where jwt-simple verifies the token in any case, times and audiences are not: it refuses that.
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

/// Seconds since 1970, perhaps with a fraction; none of this is from before.
fn is_numeric_date(value: &Value) -> bool {
    value.as_f64().is_some_and(|seconds| seconds >= 0.0)
}

fn is_audience(value: &Value) -> bool {
    value.is_string() || is_array_of_strings(value)
}
