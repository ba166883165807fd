//! `Strict-Transport-Security` (RFC 6797).

use bytes::Bytes;
use serde::Deserialize;

use portcullis_core::config::{Duration, at_member};

/// For how long the preset `none` and a `max_age` that was not given stand; also the least that
/// the preload list takes.
const YEAR: Duration = Duration::from_days(365);

/// Tells browsers to use HTTPS only. Sent over TLS only, unless `assume_tls`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "HstsFields")
)]
#[serde(try_from = "HstsFields")]
pub struct Hsts {
    max_age: Option<Duration>,
    include_subdomains: bool,
    preload: bool,
    assume_tls: bool,
}

impl Hsts {
    /// What presets send: sub-domains included, never the promise of `preload`, which the owner of
    /// the domain has to make.
    pub(super) const fn for_preset(max_age: Duration) -> Self {
        Self {
            max_age: Some(max_age),
            include_subdomains: true,
            preload: false,
            assume_tls: false,
        }
    }

    /// Whether to send it on connections that are not TLS here.
    pub(super) fn assumes_tls(&self) -> bool {
        self.assume_tls
    }

    /// The value of the header; the age is the preset's when none was given.
    pub(super) fn value(&self, preset: Option<&Self>) -> Bytes {
        let max_age = self
            .max_age
            .or(preset.and_then(|preset| preset.max_age))
            .unwrap_or(YEAR);
        let mut value = format!("max-age={}", max_age.as_secs());
        if self.include_subdomains {
            value.push_str("; includeSubDomains");
        }
        if self.preload {
            value.push_str("; preload");
        }
        value.into()
    }
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields, default)]
struct HstsFields {
    /// For how long, in whole seconds. Default: that of the preset, `365d` for `none`. `0s` makes
    /// browsers forget.
    max_age: Option<Duration>,
    /// For all sub-domains too.
    include_subdomains: bool,
    /// Agree to be built into browsers. Needs a `max_age` of at least `365d`, sub-domains included,
    /// and the domain's registration at hstspreload.org; it takes months to undo.
    preload: bool,
    /// Send it on every connection: for an Envoy behind something that terminates TLS.
    assume_tls: bool,
}

impl Default for HstsFields {
    fn default() -> Self {
        Self {
            max_age: None,
            include_subdomains: true,
            preload: false,
            assume_tls: false,
        }
    }
}

impl TryFrom<HstsFields> for Hsts {
    type Error = String;

    fn try_from(fields: HstsFields) -> Result<Self, String> {
        if let Some(max_age) = fields.max_age {
            if max_age.get().subsec_nanos() != 0 {
                let message = format!("found \"{max_age}\"; expected whole seconds");
                return Err(at_member("max_age", message));
            }
            if fields.preload && max_age < YEAR {
                let message = format!(
                    "found \"{max_age}\" with \"preload\"; the preload list demands at least \"{YEAR}\""
                );
                return Err(at_member("max_age", message));
            }
        }
        if fields.preload && !fields.include_subdomains {
            let message = "found false with \"preload\"; the preload list demands both";
            return Err(at_member("include_subdomains", message));
        }
        Ok(Self {
            max_age: fields.max_age,
            include_subdomains: fields.include_subdomains,
            preload: fields.preload,
            assume_tls: fields.assume_tls,
        })
    }
}
