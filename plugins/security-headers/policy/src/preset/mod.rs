//! Sets of headers to start from.
//!
//! Well-known good defaults, with the values as published, so that scanners and people recognise them:
//!
//! | header | `helmet` | `owasp` | `strict` | `api` |
//! |---|---|---|---|---|
//! | `content-security-policy` | own origin, styles and fonts from https | own origin | `'none'`, then own origin by kind | `'none'` |
//! | `strict-transport-security` | 1 year | 2 years | 2 years | 2 years |
//! | `cross-origin-opener-policy` | `same-origin` | `same-origin` | `same-origin` | |
//! | `cross-origin-embedder-policy` | | `require-corp` | `require-corp` | |
//! | `cross-origin-resource-policy` | `same-origin` | `same-origin` | `same-origin` | `same-origin` |
//! | `permissions-policy` | | all off | all off | |
//! | `referrer-policy` | `no-referrer` | `no-referrer` | `no-referrer` | |
//! | `cache-control` | | `no-store, max-age=0` | `no-store` | `no-store` |
//! | `x-content-type-options` | `nosniff` | `nosniff` | `nosniff` | `nosniff` |
//! | `x-frame-options` | `SAMEORIGIN` | `deny` | `DENY` | |
//! | `origin-agent-cluster` | `?1` | | `?1` | |
//! | `x-dns-prefetch-control` | `off` | `off` | `off` | |
//! | `x-permitted-cross-domain-policies` | `none` | `none` | `none` | |
//! | `x-download-options`, `x-xss-protection` | `noopen`, `0` | | | |
//! | removed | `x-powered-by` | software disclosure | software disclosure | `x-powered-by` |
//!
//! If cross-site requests are checked, `referrer-policy` is `same-origin` (see
//! [the policy](super#cross-site-requests)).
//!
//! `helmet` has the values of helmet 8.3, except that it sends HSTS over TLS only. `owasp` is the list of the OWASP
//! Secure Headers Project of 2026-07-19 without `Clear-Site-Data`, which belongs on a logout and would log everyone
//! out on every page.
//!
//! `strict` is for pages written for it. It forbids everything that it does not list, and allows the listed content
//! from the page's own origin only. Inline scripts and styles, frames, plug-ins, workers and a `<base>` are forbidden.
//! Responses may not be cached unless the upstream says so, because any page may be personal.
//!
//! `api` is for responses that are not documents. Its policy forbids everything, in case a browser does show a
//! response as a document (an error in HTML, say), and framing, so `x-frame-options` is unnecessary.
//! `cross-origin-resource-policy` keeps responses out of other sites' processes; it does not apply to requests with
//! CORS. The other headers only affect documents: their windows, features, referrers and agents.

mod disclosing;

use std::fmt;

use serde::Deserialize;

use super::cross_origin::{CrossOrigin, Embedder, Opener, Resource};
use super::hsts::Hsts;
use disclosing::DISCLOSING;
use portcullis_core::config::Duration;

/// Set of headers to start from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// The headers of helmet 8.3, the usual choice for web sites.
    #[default]
    Helmet,
    /// The headers that the OWASP Secure Headers Project recommends.
    Owasp,
    /// Allows only content from the page's own origin, for pages written for it.
    Strict,
    /// For responses that are not documents, such as JSON.
    Api,
    /// Adds and removes no headers.
    None,
}

/// The headers of a preset. Those that a field of the configuration can replace are separate.
#[derive(Debug)]
pub(super) struct PresetHeaders {
    pub(super) csp: Option<&'static str>,
    pub(super) hsts: Option<Hsts>,
    pub(super) permissions_policy: Option<&'static str>,
    pub(super) cross_origin: CrossOrigin,
    pub(super) others: &'static [(&'static str, &'static str)],
    /// Sorted names of headers to remove.
    pub(super) removed: &'static [&'static str],
}

impl Preset {
    pub(super) fn headers(self) -> &'static PresetHeaders {
        match self {
            Self::Helmet => &HELMET,
            Self::Owasp => &OWASP,
            Self::Strict => &STRICT,
            Self::Api => &API,
            Self::None => &NONE,
        }
    }
}

/// The form of the configuration.
impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Helmet => "helmet",
            Self::Owasp => "owasp",
            Self::Strict => "strict",
            Self::Api => "api",
            Self::None => "none",
        })
    }
}

const ONE_YEAR: Duration = Duration::from_days(365);
const TWO_YEARS: Duration = Duration::from_days(730);

static HELMET: PresetHeaders = PresetHeaders {
    csp: Some(
        "default-src 'self';base-uri 'self';font-src 'self' https: data:;form-action 'self';\
         frame-ancestors 'self';img-src 'self' data:;object-src 'none';script-src 'self';\
         script-src-attr 'none';style-src 'self' https: 'unsafe-inline';\
         upgrade-insecure-requests",
    ),
    hsts: Some(Hsts::for_preset(ONE_YEAR)),
    permissions_policy: None,
    cross_origin: cross_origin(Some(Opener::SameOrigin), None, Some(Resource::SameOrigin)),
    others: &[
        ("origin-agent-cluster", "?1"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-dns-prefetch-control", "off"),
        ("x-download-options", "noopen"),
        ("x-frame-options", "SAMEORIGIN"),
        ("x-permitted-cross-domain-policies", "none"),
        ("x-xss-protection", "0"),
    ],
    removed: &["x-powered-by"],
};

static OWASP: PresetHeaders = PresetHeaders {
    csp: Some(
        "default-src 'self'; form-action 'self'; base-uri 'self'; object-src 'none'; \
         frame-ancestors 'none'; upgrade-insecure-requests",
    ),
    hsts: Some(Hsts::for_preset(TWO_YEARS)),
    permissions_policy: Some(NO_PERMISSIONS),
    cross_origin: ISOLATED,
    others: &[
        ("cache-control", "no-store, max-age=0"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-dns-prefetch-control", "off"),
        ("x-frame-options", "deny"),
        ("x-permitted-cross-domain-policies", "none"),
    ],
    removed: &DISCLOSING,
};

static STRICT: PresetHeaders = PresetHeaders {
    csp: Some(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'; upgrade-insecure-requests",
    ),
    hsts: Some(Hsts::for_preset(TWO_YEARS)),
    permissions_policy: Some(NO_PERMISSIONS),
    cross_origin: ISOLATED,
    others: &[
        ("cache-control", "no-store"),
        ("origin-agent-cluster", "?1"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-dns-prefetch-control", "off"),
        ("x-frame-options", "DENY"),
        ("x-permitted-cross-domain-policies", "none"),
    ],
    removed: &DISCLOSING,
};

static API: PresetHeaders = PresetHeaders {
    csp: Some("default-src 'none'; frame-ancestors 'none'"),
    hsts: Some(Hsts::for_preset(TWO_YEARS)),
    permissions_policy: None,
    cross_origin: cross_origin(None, None, Some(Resource::SameOrigin)),
    others: &[
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ],
    removed: &["x-powered-by"],
};

static NONE: PresetHeaders = PresetHeaders {
    csp: None,
    hsts: None,
    permissions_policy: None,
    cross_origin: cross_origin(None, None, None),
    others: &[],
    removed: &[],
};

/// The values that `window.crossOriginIsolated` needs, and a resource policy that shares nothing.
const ISOLATED: CrossOrigin = cross_origin(
    Some(Opener::SameOrigin),
    Some(Embedder::RequireCorp),
    Some(Resource::SameOrigin),
);

/// OWASP's list of features, in its order and with its one exception (`sync-xhr`).
const NO_PERMISSIONS: &str = "accelerometer=(), autoplay=(), camera=(), cross-origin-isolated=(), \
    display-capture=(), encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), \
    keyboard-map=(), magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), \
    publickey-credentials-get=(), screen-wake-lock=(), sync-xhr=(self), usb=(), web-share=(), \
    xr-spatial-tracking=(), clipboard-read=(), clipboard-write=(), gamepad=(), hid=(), \
    idle-detection=(), interest-cohort=(), serial=(), unload=()";

const fn cross_origin(
    opener: Option<Opener>,
    embedder: Option<Embedder>,
    resource: Option<Resource>,
) -> CrossOrigin {
    CrossOrigin {
        opener,
        embedder,
        resource,
        report_only: Vec::new(),
    }
}
