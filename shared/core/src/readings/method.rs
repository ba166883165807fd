//! The method of a request.
//!
//! Letter case counts in HTTP (RFC 9110, section 9.1), and Envoy passes an HTTP/2 `:method` of any letter
//! case on. Werkzeug, Django and PHP's frameworks read `post` as `POST`; Express, Go and servlets do not.
//! So `post` is one more spelling of `POST`: for what restricts, and in a key.
//!
//! `HEAD` runs the handler of `GET` nearly everywhere (RFC 9110, section 9.3.2), so what restricts `GET`
//! restricts `HEAD`.
//!
//! Not read: what overrides the method in some applications (`X-HTTP-Method-Override`, `_method` in the
//! query or in a form). An application has to ask for that; one that does must not be guarded by method,
//! or Envoy must remove these from requests.

use std::borrow::Cow;

use super::fit::Fit;

/// How well a method is the one that a condition names.
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
