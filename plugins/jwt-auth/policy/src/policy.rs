//! The policy as the host loads it.

use std::fmt;

use portcullis_core::config::{Mode, Name, member_path};
use portcullis_core::policy::{Policy, References};

use super::keys::Keys;
use crate::{Config, JwtAuth};

impl Policy for JwtAuth {
    const NAME: &'static str = "jwt_auth";
    const SCHEMA: &'static str = include_str!("../../schema.json");
    const EXAMPLE: &'static str = include_str!("../../example.json");
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

/// `mode enforce, providers: corp (keys from https://idp.example/keys), partner (2 keys), rules: public, default`.
impl fmt::Display for JwtAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mode {}, providers:", self.mode)?;
        for (i, (name, provider)) in self.providers.iter().enumerate() {
            let separator = if i > 0 { "," } else { "" };
            write!(f, "{separator} {name} (")?;
            match &provider.keys {
                Keys::Remote(source) => write!(f, "keys from {}", source.uri)?,
                Keys::Inline(set) => {
                    let keys = set.as_ref().map_or(0, |set| set.keys().len());
                    write!(f, "{keys} keys")?;
                }
            }
            f.write_str(")")?;
        }
        f.write_str(", rules:")?;
        for (i, rule) in self.rules.iter().enumerate() {
            let separator = if i > 0 { "," } else { "" };
            write!(f, "{separator} {}", rule.name)?;
            if rule.mode != Mode::Enforce {
                write!(f, " ({})", rule.mode)?;
            }
        }
        Ok(())
    }
}
