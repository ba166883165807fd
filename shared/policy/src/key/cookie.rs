//! Cookies of a request.

use crate::headers::HeaderMap;

/// The values of the cookies of this name, without blanks and double quotes around them.
///
/// Cookies may come in one line or in several. Quotes do not count, because many servers do not see
/// them: with them, each cookie would have a second spelling.
pub(crate) fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all("cookie");
    let cookies = lines.flat_map(|line| line.split(|byte| *byte == b';'));
    cookies
        .filter(move |cookie| is_named(cookie, name))
        .map(|cookie| {
            let (_, value) = split_at_equals(cookie);
            let value = value.trim_ascii();
            let unquoted = value
                .strip_prefix(b"\"")
                .and_then(|rest| rest.strip_suffix(b"\""));
            unquoted.unwrap_or(value)
        })
}

/// Whether a cookie, as it stands between two semicolons, has this name.
pub(crate) fn is_named(cookie: &[u8], name: &str) -> bool {
    split_at_equals(cookie).0.trim_ascii() == name.as_bytes()
}

fn split_at_equals(cookie: &[u8]) -> (&[u8], &[u8]) {
    let mut halves = cookie.splitn(2, |byte| *byte == b'=');
    (
        halves.next().unwrap_or_default(),
        halves.next().unwrap_or_default(),
    )
}
