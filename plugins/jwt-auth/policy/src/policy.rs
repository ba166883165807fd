//! This policy, for those who load it.

use portcullis_core::config::{Name, member_path};
use portcullis_core::policy::{Policy, References};

use crate::{Config, JwtAuth};

impl Policy for JwtAuth {
    const NAME: &'static str = "jwt_auth";
    const SCHEMA: &'static str = include_str!("../../schema.json");
    type Config = Config;

    fn instance(config: &Config) -> &Name {
        &config.name
    }

    fn compile(config: Config) -> Self {
        Self::new(config)
    }

    fn references(&self, _: &Name) -> References {
        let jwks =
            |provider: &Name| format!("{}.jwks", member_path("$.providers", provider.as_str()));
        let skipped = self.skipped_keys().map(|(provider, skipped)| {
            let path = format!("{}.inline.keys[{}]", jwks(provider), skipped.index);
            (path, format!("not used: {skipped}"))
        });
        let clusters = self.remotes().map(|(_, source, provider)| {
            let path = match provider {
                Some(provider) => format!("{}.remote.cluster", jwks(provider)),
                None => "$.revocation.remote.cluster".to_owned(),
            };
            (path, source.cluster.as_str().to_owned())
        });
        References {
            warnings: skipped.collect(),
            clusters: clusters.collect(),
            ..References::default()
        }
    }
}
