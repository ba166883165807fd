//! The method of a request.
//!
//! Methods are case-sensitive in HTTP (RFC 9110, section 9.1), and Envoy forwards an HTTP/2 `:method` in any letter
//! case. Werkzeug, Django and PHP frameworks read `post` as `POST`; Express, Go and servlets do not. So `post` is
//! another spelling of `POST`, both for rules that restrict and in keys.
//!
//! Nearly all servers run the handler of `GET` for `HEAD` (RFC 9110, section 9.3.2), so a rule that restricts `GET`
//! also restricts `HEAD`.
//!
//! Method overrides (`X-HTTP-Method-Override`, or `_method` in the query or in a form) are not considered.
//! Applications must enable them explicitly. Do not guard such an application by method, or let Envoy remove the
//! overrides from requests.

use std::borrow::Cow;

use super::fit::Fit;

/// Whether a method is the one that a condition names.
pub fn fit(method: &[u8], wanted: &[u8]) -> Fit {
    let is = |name: &[u8]| method.eq_ignore_ascii_case(name);
    match method {
        method if method == wanted => Fit::Certain,
        _ if is(wanted) || (is(b"HEAD") && wanted.eq_ignore_ascii_case(b"GET")) => Fit::Possible,
        _ => Fit::No,
    }
}

/// The method in upper case.
pub fn canonical(method: &[u8]) -> Cow<'_, [u8]> {
    match method.iter().any(u8::is_ascii_lowercase) {
        true => method.to_ascii_uppercase().into(),
        false => method.into(),
    }
}
