//! Default headers, which yield to those of the upstream.

use bytes::Bytes;

use super::csp::NoncePolicy;
use super::{Config, Csp, Nonce};

/// This referrer policy sends nothing to other origins, as `no-referrer` does, but keeps the `Origin` of requests to
/// the page's own origin. With `no-referrer`, browsers send `Origin: null` with every form. Over plain HTTP they
/// send no `Sec-Fetch-Site` either, so no check can distinguish the page's own form from a foreign one.
const SHOWS_OWN_ORIGIN: &str = "same-origin";

/// A default header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DefaultHeader {
    pub(super) name: Bytes,
    pub(super) value: DefaultValue,
}

impl DefaultHeader {
    pub(super) fn has_nonce(&self) -> bool {
        matches!(self.value, DefaultValue::WithNonce(_))
    }

    /// The line on a response; `None` if the header is absent there.
    pub(super) fn line_for(&self, nonce: Option<&Nonce>, tls: bool) -> Option<(Bytes, Bytes)> {
        Some((self.name.clone(), self.value_for(nonce, tls)?))
    }

    /// The value on a response; `None` if the header is absent there.
    pub(super) fn value_for(&self, nonce: Option<&Nonce>, tls: bool) -> Option<Bytes> {
        match &self.value {
            DefaultValue::Fixed(value) => Some(value.clone()),
            DefaultValue::OverTls(value) => tls.then(|| value.clone()),
            DefaultValue::WithNonce(policy) => Some(policy.value(nonce)),
        }
    }
}

/// The value of a default header.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DefaultValue {
    /// The same on every response.
    Fixed(Bytes),
    /// The same on every response over TLS, absent otherwise.
    OverTls(Bytes),
    /// A policy with a fresh nonce on every response, absent from a 304.
    WithNonce(NoncePolicy),
}

/// The preset's headers, with those that the configuration replaces. `checks_site`: whether any rule checks for
/// cross-site requests.
pub(super) fn default_headers(config: &Config, checks_site: bool) -> Vec<DefaultHeader> {
    let preset = config.preset.headers();
    let mut headers = Vec::new();
    let mut add = |name: &'static str, value| {
        let name = Bytes::from_static(name.as_bytes());
        headers.push(DefaultHeader { name, value });
    };

    let csp = config.csp.as_ref().unwrap_or(&Csp::OF_PRESET);
    if let Some(policy) = csp.policy(preset.csp) {
        add(csp.header_name(), policy);
    }

    if let Some(hsts) = config.hsts.as_ref().or(preset.hsts.as_ref()) {
        let value = hsts.value(preset.hsts.as_ref());
        let value = match hsts.assumes_tls() {
            true => DefaultValue::Fixed(value),
            false => DefaultValue::OverTls(value),
        };
        add("strict-transport-security", value);
    }

    let permissions_policy = match &config.permissions_policy {
        Some(policy) => policy.value(),
        None => preset.permissions_policy.map(Bytes::from),
    };
    if let Some(value) = permissions_policy {
        add("permissions-policy", DefaultValue::Fixed(value));
    }

    let cross_origin = config.cross_origin.as_ref().unwrap_or(&preset.cross_origin);
    for (name, value) in cross_origin.headers(&preset.cross_origin) {
        add(name, DefaultValue::Fixed(value.into()));
    }

    let reporting_endpoints = config.reporting_endpoints.as_ref();
    if let Some(value) = reporting_endpoints.and_then(|endpoints| endpoints.value()) {
        add("reporting-endpoints", DefaultValue::Fixed(value));
    }

    for (name, value) in preset.others {
        let value = match *name {
            "referrer-policy" if checks_site => SHOWS_OWN_ORIGIN,
            _ => value,
        };
        add(name, DefaultValue::Fixed(value.into()));
    }
    headers
}
