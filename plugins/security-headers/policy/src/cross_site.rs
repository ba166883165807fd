//! Refusal of requests that another site made the browser send (cross-site request forgery).
//!
//! A browser attaches the user's cookies to requests that other sites cause, unless the cookies forbid it. So the
//! plugin refuses a request that may change something if the browser says that it comes from another site:
//!
//! 1. GET, HEAD, OPTIONS, TRACE and QUERY pass, because they should not change anything. (WebSocket handshakes are
//!    GET requests, so they pass too: check `Origin` where the connection ends.) Other sites cannot send QUERY
//!    (RFC 10008) without a preflight: it is not CORS-safelisted.
//! 2. An `Origin` in `trusted_origins` passes.
//! 3. If `Sec-Fetch-Site` is present, it decides: `same-origin` and `none` (the user typed the address) pass, nothing
//!    else does. `same-site` does not, since sub-domains often have other owners. Browsers send this header to https
//!    and localhost only, and no script can forge it.
//! 4. Without it, `Origin` must have the host and port of `:authority`. `null`, which sandboxed frames send, equals
//!    nothing. After an internal redirect, which may lead to another host, `Origin` may also have the host and port
//!    of the URL that the browser requested: Envoy writes that URL into `x-envoy-original-url`. Envoy removes this
//!    header from requests of external clients, and no site can make a browser send it.
//! 5. With neither header, the request passes. Browsers send one of them with every such request, so the client is a
//!    script or a service, without a user's cookies to abuse.
//!
//! If a header has several lines, every line must pass. The plugin ignores the referrer: it is often suppressed, and
//! browsers that suppress it send the other two headers.

use bytes::Bytes;
use portcullis_core::label::Label;
use serde::Deserialize;

use super::RuleId;
use super::origin::{self, Origin};
use portcullis_core::config::Mode;
use portcullis_core::headers::HeaderMap;

/// The request header with the URL that an internal redirect replaced.
const ORIGINAL_URL: &str = "x-envoy-original-url";

/// Refusal (403) of requests that another site made the browser send.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CrossSite {
    /// `enforce` refuses, `shadow` only counts, `off` does not check. The milder of this and the plugin's own `mode`
    /// applies. Default: `enforce`.
    pub(super) mode: Mode,
    /// Other origins whose requests pass, such as `https://app.example`.
    pub(super) trusted_origins: Vec<Origin>,
}

/// The reason for a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `Sec-Fetch-Site` says that the request comes from another site.
    SecFetchSite,
    /// `Origin` has another host or port.
    Origin,
}

/// The value of the metric label `reason`.
impl Label for Reason {
    const ALL: &'static [Self] = &[Self::SecFetchSite, Self::Origin];

    fn label(self) -> &'static str {
        match self {
            Self::SecFetchSite => "sec_fetch_site",
            Self::Origin => "origin",
        }
    }
}

/// The refusal of a request from another site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The rule that refuses it.
    pub rule: RuleId,
    /// The header that decided.
    pub reason: Reason,
    /// Whether the refusal is enforced. In shadow mode, it is only counted.
    pub enforced: bool,
}

impl CrossSite {
    /// This check in a plugin of the given mode; `None` if either is off.
    pub(super) fn within(mut self, mode: Mode) -> Option<Self> {
        self.mode = match (mode, self.mode) {
            (Mode::Off, _) | (_, Mode::Off) => return None,
            (Mode::Shadow, _) | (_, Mode::Shadow) => Mode::Shadow,
            (Mode::Enforce, Mode::Enforce) => Mode::Enforce,
        };
        Some(self)
    }

    /// The refusal of the request, if it must not pass. The check is that of `rule`.
    pub(super) fn check(&self, rule: RuleId, request: &HeaderMap) -> Option<Refusal> {
        self.reason(request).map(|reason| Refusal {
            rule,
            reason,
            enforced: self.mode == Mode::Enforce,
        })
    }

    fn reason(&self, request: &HeaderMap) -> Option<Reason> {
        let is_safe =
            |method: &[u8]| matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE" | b"QUERY");
        if request.value(":method").is_some_and(is_safe) {
            return None;
        }
        let is_trusted = |origin| self.is_trusted(origin);
        if request.contains("origin") && request.get_all("origin").all(is_trusted) {
            return None;
        }
        if request.contains("sec-fetch-site") {
            let is_own = |site: &Bytes| matches!(&site[..], b"same-origin" | b"none");
            let passes = request.get_all("sec-fetch-site").all(is_own);
            return (!passes).then_some(Reason::SecFetchSite);
        }
        let authority = request.value(":authority").unwrap_or_default();
        let redirected = request
            .get(ORIGINAL_URL)
            .and_then(|url| origin::authority(url));
        let is_own = |origin: &Bytes| {
            let is_of = |authority| origin::is_same_host(origin, authority);
            is_of(authority) || redirected.is_some_and(is_of)
        };
        let passes = request
            .get_all("origin")
            .all(|origin| is_trusted(origin) || is_own(origin));
        (!passes).then_some(Reason::Origin)
    }

    fn is_trusted(&self, origin: &Bytes) -> bool {
        self.trusted_origins
            .iter()
            .any(|trusted| trusted.is_named_by(origin))
    }
}
