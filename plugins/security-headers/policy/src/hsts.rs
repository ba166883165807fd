//! `Strict-Transport-Security` (RFC 6797).

use bytes::Bytes;
use serde::Deserialize;

use portcullis_core::config::{Duration, at_member};

/// The default of `max_age` with the preset `none`; also the minimum of the preload list.
const YEAR: Duration = Duration::from_days(365);

/// Makes browsers use HTTPS only. Sent over TLS only, unless `assume_tls` is set.
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
    /// The value of presets: with sub-domains, and without `preload`, which only the owner of the domain can promise.
    pub(super) const fn for_preset(max_age: Duration) -> Self {
        Self {
            max_age: Some(max_age),
            include_subdomains: true,
            preload: false,
            assume_tls: false,
        }
    }

    /// Whether to send the header on connections that do not use TLS here.
    pub(super) fn assumes_tls(&self) -> bool {
        self.assume_tls
    }

    /// The value of the header. Without a `max_age`, the preset's applies.
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
    /// Time for which browsers remember the policy, in whole seconds. `0s` makes them forget it. Default: that of the
    /// preset, `365d` for `none`.
    max_age: Option<Duration>,
    /// Include all sub-domains. Default: true.
    include_subdomains: bool,
    /// Allow browsers to build the domain into their preload list. Requires a `max_age` of at least `365d`,
    /// sub-domains, and registration of the domain at hstspreload.org. Removal takes months. Default: false.
    preload: bool,
    /// Send the header on every connection: for an Envoy behind a component that terminates TLS. Default: false.
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
                    "found \"{max_age}\" with \"preload\"; the preload list requires at least \"{YEAR}\""
                );
                return Err(at_member("max_age", message));
            }
        }
        if fields.preload && !fields.include_subdomains {
            let message = "found false with \"preload\"; the preload list requires sub-domains";
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
