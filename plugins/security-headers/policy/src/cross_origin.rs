//! The three cross-origin policies.

use serde::Deserialize;

use portcullis_core::config::at_member;

/// Isolation of the page's windows, resources and processes from other origins.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "CrossOriginFields")
)]
#[serde(try_from = "CrossOriginFields")]
pub struct CrossOrigin {
    pub(super) opener: Option<Opener>,
    pub(super) embedder: Option<Embedder>,
    pub(super) resource: Option<Resource>,
    pub(super) report_only: Vec<ReportOnly>,
}

impl CrossOrigin {
    /// The headers; missing fields use the preset's values.
    pub(super) fn headers(
        &self,
        preset: &Self,
    ) -> impl Iterator<Item = (&'static str, &'static str)> {
        let opener = self.opener.or(preset.opener).map(|opener| {
            let name = match self.report_only.contains(&ReportOnly::Opener) {
                true => "cross-origin-opener-policy-report-only",
                false => "cross-origin-opener-policy",
            };
            (name, opener.as_str())
        });
        let embedder = self.embedder.or(preset.embedder).map(|embedder| {
            let name = match self.report_only.contains(&ReportOnly::Embedder) {
                true => "cross-origin-embedder-policy-report-only",
                false => "cross-origin-embedder-policy",
            };
            (name, embedder.as_str())
        });
        let resource = self
            .resource
            .or(preset.resource)
            .map(|resource| ("cross-origin-resource-policy", resource.as_str()));
        [opener, embedder, resource].into_iter().flatten()
    }
}

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields, default)]
struct CrossOriginFields {
    /// `Cross-Origin-Opener-Policy`: the windows that keep a reference to this one.
    opener: Option<Opener>,
    /// `Cross-Origin-Embedder-Policy`: the resources that this page may embed without their consent.
    embedder: Option<Embedder>,
    /// `Cross-Origin-Resource-Policy`: the sites that may embed this response.
    resource: Option<Resource>,
    /// Those of `opener` and `embedder` that only report violations. Each listed field must be given here.
    report_only: Vec<ReportOnly>,
}

impl TryFrom<CrossOriginFields> for CrossOrigin {
    type Error = String;

    fn try_from(fields: CrossOriginFields) -> Result<Self, String> {
        for policy in &fields.report_only {
            match policy {
                ReportOnly::Opener if fields.opener.is_none() => {
                    let message = "found \"opener\"; expected a field \"opener\" as well";
                    return Err(at_member("report_only", message));
                }
                ReportOnly::Embedder if fields.embedder.is_none() => {
                    let message = "found \"embedder\"; expected a field \"embedder\" as well";
                    return Err(at_member("report_only", message));
                }
                ReportOnly::Opener | ReportOnly::Embedder => {}
            }
        }
        Ok(Self {
            opener: fields.opener,
            embedder: fields.embedder,
            resource: fields.resource,
            report_only: fields.report_only,
        })
    }
}

/// A policy that has a report-only form; `resource` has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(super) enum ReportOnly {
    Opener,
    Embedder,
}

/// A value of `Cross-Origin-Opener-Policy`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(super) enum Opener {
    SameOrigin,
    SameOriginAllowPopups,
    NoopenerAllowPopups,
    UnsafeNone,
}

impl Opener {
    fn as_str(self) -> &'static str {
        match self {
            Self::SameOrigin => "same-origin",
            Self::SameOriginAllowPopups => "same-origin-allow-popups",
            Self::NoopenerAllowPopups => "noopener-allow-popups",
            Self::UnsafeNone => "unsafe-none",
        }
    }
}

/// A value of `Cross-Origin-Embedder-Policy`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(super) enum Embedder {
    RequireCorp,
    Credentialless,
    UnsafeNone,
}

impl Embedder {
    fn as_str(self) -> &'static str {
        match self {
            Self::RequireCorp => "require-corp",
            Self::Credentialless => "credentialless",
            Self::UnsafeNone => "unsafe-none",
        }
    }
}

/// A value of `Cross-Origin-Resource-Policy`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(super) enum Resource {
    SameOrigin,
    SameSite,
    CrossOrigin,
}

impl Resource {
    fn as_str(self) -> &'static str {
        match self {
            Self::SameOrigin => "same-origin",
            Self::SameSite => "same-site",
            Self::CrossOrigin => "cross-origin",
        }
    }
}
