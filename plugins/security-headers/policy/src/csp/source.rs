//! Source expressions: the origins that may provide content.
//!
//! Browsers silently ignore a source that they do not understand, or allow more than intended (an unquoted `self` is
//! a host of that name). So the plugin refuses every source that browsers would not understand.

use super::NONCE;
use crate::origin::is_scheme;

/// The keyword for no source at all.
pub(super) const NOTHING: &str = "'none'";
const SELF: &str = "'self'";

/// The keywords of CSP Level 3, and `'inline-speculation-rules'` of Chromium.
const KEYWORDS: [&str; 14] = [
    NOTHING,
    SELF,
    "'inline-speculation-rules'",
    "'report-sample'",
    "'report-sha256'",
    "'report-sha384'",
    "'report-sha512'",
    "'strict-dynamic'",
    "'trusted-types-eval'",
    "'unsafe-eval'",
    "'unsafe-hashes'",
    "'unsafe-inline'",
    "'unsafe-webtransport-hashes'",
    "'wasm-unsafe-eval'",
];

/// Hash algorithms, and the length of their digests in base64.
const HASHES: [(&str, usize); 3] = [("sha256-", 44), ("sha384-", 64), ("sha512-", 88)];

/// Checks a source, which is visible ASCII. The error describes the expected sources.
pub(super) fn check(source: &str) -> Result<(), String> {
    match source.strip_prefix('\'') {
        Some(rest) => match rest.strip_suffix('\'') {
            Some(inner) => check_quoted(source, inner),
            None => Err("a closing single quote".to_owned()),
        },
        None => check_unquoted(source),
    }
}

/// Checks a source of `frame-ancestors`.
pub(super) fn check_ancestor(source: &str) -> Result<(), String> {
    match source.starts_with('\'') && source != SELF && source != NOTHING {
        true => Err("'self', 'none', a scheme or a host: nothing else can frame a page".to_owned()),
        false => check(source),
    }
}

fn check_quoted(source: &str, inner: &str) -> Result<(), String> {
    if KEYWORDS.contains(&source) {
        return Ok(());
    }
    if inner.starts_with("nonce-") {
        return Err(format!(
            "\"{NONCE}\", which stands for a fresh nonce on every response: a constant nonce protects \
             nothing"
        ));
    }
    for (algorithm, length) in HASHES {
        if let Some(digest) = inner.strip_prefix(algorithm) {
            return match is_base64(digest, length) {
                true => Ok(()),
                false => Err(format!(
                    "{algorithm} followed by {length} characters of base64"
                )),
            };
        }
    }
    Err(format!(
        "a keyword that browsers support: {}, {NONCE}, or a hash 'sha256-…'",
        KEYWORDS.join(", ")
    ))
}

fn check_unquoted(source: &str) -> Result<(), String> {
    let quoted = format!("'{}'", source.to_ascii_lowercase());
    let starts_like_keyword = ["nonce-", "sha256-", "sha384-", "sha512-"]
        .iter()
        .any(|start| source.starts_with(start));
    if quoted == NONCE || starts_like_keyword || KEYWORDS.contains(&quoted.as_str()) {
        return Err(format!(
            "\"'{source}'\": keywords, nonces and hashes need single quotes"
        ));
    }
    let is_scheme_source = source.strip_suffix(':').is_some_and(is_scheme);
    match is_scheme_source || is_host_source(source) {
        true => Ok(()),
        false => Err(
            "a quoted keyword such as 'self', a scheme such as https:, or a host such as \
             *.example or https://cdn.example:443/js/, without query"
                .to_owned(),
        ),
    }
}

/// Whether this is base64 in the standard or URL-safe alphabet, with the padding that the length requires.
fn is_base64(digest: &str, length: usize) -> bool {
    let symbols = digest.trim_end_matches('=');
    let padding = match length {
        44 => 1,
        88 => 2,
        _ => 0,
    };
    digest.len() == length
        && symbols.len() == length - padding
        && symbols
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte))
}

/// `[scheme "://"] host [":" port] [path]`.
fn is_host_source(source: &str) -> bool {
    let rest = match source.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => rest,
        Some(_) => return false,
        None => source,
    };
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, path),
        None => (rest, ""),
    };
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    is_host(host) && port.is_none_or(is_port) && !path.contains(['?', '#', '\'', '"', '\\'])
}

fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let named = host.strip_prefix("*.").unwrap_or(host);
    let named = named.strip_suffix('.').unwrap_or(named);
    host == "*" || named.split('.').all(is_label)
}

fn is_port(port: &str) -> bool {
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    port == "*" || (is_number && port.parse::<u16>().is_ok_and(|number| number > 0))
}
