//! Refusal of requests that another site made the browser send (cross-site request forgery).
//!
//! A browser attaches the user's cookies to requests that other sites cause, unless the cookies
//! forbid it. So a request that may change something is refused when the browser says that it comes
//! from elsewhere:
//!
//! 1. GET, HEAD, OPTIONS, TRACE and QUERY pass, because they should not change anything. (WebSocket
//!    handshakes are GET requests, so they pass too: check `Origin` where they end.)
//!    Other sites cannot send QUERY (RFC 10008) without a preflight: it is not CORS-safelisted.
//! 2. An `Origin` in `trusted_origins` passes.
//! 3. `Sec-Fetch-Site` decides where it is present: `same-origin` and `none` (the user typed the
//!    address) pass, and nothing else does. `same-site` does not, since a sub-domain is often in
//!    other hands. Browsers send this header to https and localhost only, and no script can forge
//!    it.
//! 4. Without it, `Origin` must have the host and port of `:authority`. `null`, as sandboxed frames
//!    have it, fits nothing. After an internal redirect, which may lead to another host, it may have those of
//!    the URL that the browser asked for: Envoy writes that into `x-envoy-original-url`. Envoy removes this
//!    header from requests of external clients, and no site can make a browser send it.
//! 5. With neither it passes: browsers send one of them with every such request, so it is a script
//!    or a service, which has no user's cookies to abuse.
//!
//! Of a header with several lines, every line must pass. The referrer is not looked at: it is often
//! suppressed, and browsers that suppress it send the other two.

use bytes::Bytes;
use portcullis_core::label::Label;
use serde::Deserialize;

use super::RuleId;
use super::origin::{self, Origin};
use portcullis_core::config::Mode;
use portcullis_core::headers::HeaderMap;

/// The URL that an internal redirect has replaced.
const ORIGINAL_URL: &str = "x-envoy-original-url";

/// Refusal of requests that another site made the browser send: 403.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CrossSite {
    /// Whether to refuse, only to count, or not to check. Default: `enforce`. The plugin's own
    /// `mode` holds too: the milder one counts.
    pub(super) mode: Mode,
    /// Origins whose requests are allowed, such as `https://app.example`.
    pub(super) trusted_origins: Vec<Origin>,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The browser says, in `Sec-Fetch-Site`, that it comes from another site.
    SecFetchSite,
    /// `Origin` is another host.
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

/// The verdict on a request from another site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The rule that refuses it.
    pub rule: RuleId,
    /// What told it.
    pub reason: Reason,
    /// Whether to act on it. In shadow mode it is only counted.
    pub enforced: bool,
}

impl CrossSite {
    /// This check in a plugin of the given mode; `None` when nothing is to be checked.
    pub(super) fn within(mut self, mode: Mode) -> Option<Self> {
        self.mode = match (mode, self.mode) {
            (Mode::Off, _) | (_, Mode::Off) => return None,
            (Mode::Shadow, _) | (_, Mode::Shadow) => Mode::Shadow,
            (Mode::Enforce, Mode::Enforce) => Mode::Enforce,
        };
        Some(self)
    }

    /// Why the request must not pass, if so. The check is that of `rule`.
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
        if request.get(":method").is_some_and(|method| is_safe(method)) {
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
        let authority = request.get(":authority").map_or(&b""[..], |value| value);
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
