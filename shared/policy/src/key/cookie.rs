//! The value of a cookie.

use super::only;
use crate::headers::HeaderMap;

/// The value of the only cookie of this name, without blanks and double quotes around it.
///
/// Cookies may come in one line or in several. Quotes do not count, because many servers do not see
/// them: with them, each cookie would have a second spelling.
pub(super) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let lines = headers.get_all("cookie");
    let cookies = lines.flat_map(|line| line.split(|byte| *byte == b';'));
    let value = only(cookies.filter_map(|cookie| {
        let (own, value) = split_at_equals(cookie);
        (own.trim_ascii() == name.as_bytes()).then_some(value.trim_ascii())
    }))?;
    let unquoted = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    Some(unquoted.unwrap_or(value))
}

fn split_at_equals(cookie: &[u8]) -> (&[u8], &[u8]) {
    let mut halves = cookie.splitn(2, |byte| *byte == b'=');
    (
        halves.next().unwrap_or_default(),
        halves.next().unwrap_or_default(),
    )
}
