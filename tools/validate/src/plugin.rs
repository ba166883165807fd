//! The plugins, and their own readers of configurations.

use portcullis_policy::config::{Document, Errors};
use portcullis_policy::{circuit_breaker, jwt_auth, rate_limit, retry_budget, security_headers};

use crate::lines::member_path;

/// One of the five plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plugin {
    /// circuit-breaker
    CircuitBreaker,
    /// jwt-auth
    JwtAuth,
    /// rate-limit
    RateLimit,
    /// retry-budget
    RetryBudget,
    /// security-headers
    SecurityHeaders,
}

/// What a valid configuration says that matters to what stands around it.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// What will not do what it seems to say, each with its JSON path.
    pub(crate) warnings: Vec<(String, String)>,
    /// Circuit breakers that it has, as `respect_breaker` names them.
    pub(crate) breakers: Vec<String>,
    /// Circuit breakers that it respects, each with its JSON path.
    pub(crate) respected: Vec<(String, String)>,
    /// Clusters of Envoy that it calls, each with its JSON path.
    pub(crate) clusters: Vec<(String, String)>,
}

impl Plugin {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::CircuitBreaker,
        Self::JwtAuth,
        Self::RateLimit,
        Self::RetryBudget,
        Self::SecurityHeaders,
    ];

    /// Its name, such as `rate-limit`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CircuitBreaker => "circuit-breaker",
            Self::JwtAuth => "jwt-auth",
            Self::RateLimit => "rate-limit",
            Self::RetryBudget => "retry-budget",
            Self::SecurityHeaders => "security-headers",
        }
    }

    /// The JSON Schema of its configuration.
    pub const fn schema(self) -> &'static str {
        match self {
            Self::CircuitBreaker => include_str!("../../../plugins/circuit-breaker/schema.json"),
            Self::JwtAuth => include_str!("../../../plugins/jwt-auth/schema.json"),
            Self::RateLimit => include_str!("../../../plugins/rate-limit/schema.json"),
            Self::RetryBudget => include_str!("../../../plugins/retry-budget/schema.json"),
            Self::SecurityHeaders => include_str!("../../../plugins/security-headers/schema.json"),
        }
    }

    /// The plugin of this name, with hyphens or underscores.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.replace('_', "-");
        Self::ALL.into_iter().find(|plugin| plugin.name() == name)
    }

    /// The plugin that a module's file, an image, a filter or a `root_id` is called after: by its name alone,
    /// behind `portcullis-`, or with a version behind it.
    pub(crate) fn called(name: &str) -> Option<Self> {
        let file = name
            .rsplit('/')
            .next()?
            .to_ascii_lowercase()
            .replace('_', "-");
        let file = file
            .strip_prefix("portcullis")
            .and_then(|rest| rest.strip_prefix(['-', '.']))
            .unwrap_or(&file);
        Self::ALL.into_iter().find(|plugin| {
            file.strip_prefix(plugin.name()).is_some_and(|rest| {
                let version = rest.strip_prefix('-').map(|it| it.trim_start_matches('v'));
                rest.is_empty()
                    || rest.starts_with(['.', ':', '@', '?'])
                    || version.is_some_and(|it| it.starts_with(|c: char| c.is_ascii_digit()))
            })
        })
    }

    /// Reads a configuration as the plugin does in Envoy.
    pub(crate) fn read(self, text: &[u8]) -> Result<Read, Errors> {
        let document = Document::parse(text)?;
        Ok(match self {
            Self::CircuitBreaker => {
                let config = circuit_breaker::Config::read(document)?;
                let policy = config.name.clone();
                let breakers = circuit_breaker::CircuitBreaker::new(config);
                let names = breakers.breakers();
                Read {
                    breakers: names.map(|name| format!("{policy}/{name}")).collect(),
                    ..Read::default()
                }
            }
            Self::JwtAuth => jwt_auth(document.read()?),
            Self::RateLimit => {
                rate_limit::Config::read(document)?;
                Read::default()
            }
            Self::RetryBudget => {
                let policy = retry_budget::RetryBudget::new(retry_budget::Config::read(document)?);
                let warnings = policy.warnings();
                let respected = policy.breakers().enumerate().filter_map(|(i, breaker)| {
                    let breaker = breaker?;
                    let name = format!("{}/{}", breaker.policy, breaker.breaker);
                    Some((format!("$.budgets[{i}].respect_breaker"), name))
                });
                Read {
                    warnings: warnings.map(|it| ("$.budgets".to_owned(), it)).collect(),
                    respected: respected.collect(),
                    ..Read::default()
                }
            }
            Self::SecurityHeaders => {
                document.read::<security_headers::Config>()?;
                Read::default()
            }
        })
    }
}

fn jwt_auth(config: jwt_auth::Config) -> Read {
    let policy = jwt_auth::JwtAuth::new(config);
    let jwks = |provider: &str| format!("{}.jwks", member_path("$.providers", provider));
    let skipped = policy.skipped_keys().map(|(provider, skipped)| {
        let path = format!("{}.inline.keys[{}]", jwks(provider.as_str()), skipped.index);
        (path, format!("not used: {skipped}"))
    });
    let clusters = policy.remotes().map(|(_, source, provider)| {
        let path = match provider {
            Some(provider) => format!("{}.remote.cluster", jwks(provider.as_str())),
            None => "$.revocation.remote.cluster".to_owned(),
        };
        (path, source.cluster.as_str().to_owned())
    });
    Read {
        warnings: skipped.collect(),
        clusters: clusters.collect(),
        ..Read::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_modules_images_and_filters_are_known() {
        for name in [
            "dist/rate_limit.wasm",
            "rate-limit",
            "/etc/envoy/rate_limit-0.2.0.wasm",
            "oci://registry.example/portcullis/rate-limit:0.1.0",
            "registry.example/rate-limit@sha256:00",
            "https://modules.example/0.1.0/rate_limit.wasm?token=x",
            "portcullis.rate_limit",
            "portcullis-rate-limit-v2",
        ] {
            assert_eq!(Plugin::called(name), Some(Plugin::RateLimit), "{name}");
        }
        for name in [
            "",
            "my-rate-limit.wasm",
            "rate-limiter",
            "rate-limit-by-acme",
            "rate-limit/other.wasm",
            "envoy.filters.http.wasm",
        ] {
            assert_eq!(Plugin::called(name), None, "{name}");
        }
    }

    #[test]
    fn each_plugin_has_its_schema() {
        for plugin in Plugin::ALL {
            let schema: serde_json::Value = serde_json::from_str(plugin.schema()).unwrap();
            assert_eq!(schema["title"], plugin.name());
            assert_eq!(
                Plugin::named(&plugin.name().replace('-', "_")),
                Some(plugin)
            );
        }
    }
}
