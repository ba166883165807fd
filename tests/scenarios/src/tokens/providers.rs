//! Key sets and tokens in the forms that identity providers use.
//!
//! The folder `providers` has a file for each provider: its settings, its key set with names of test keys instead of
//! key material, and a token. Everything else is as in the key sets and tokens of that provider.

use serde_json::{Map, Value};

use super::{Algorithm, Key, Token};

macro_rules! providers {
    ($($name:literal),* $(,)?) => {
        const FILES: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("providers/", $name, ".json"))),)*
        ];
    };
}

providers![
    "adfs",
    "apple",
    "auth0",
    "cloudflare-access",
    "cognito",
    "dex",
    "entra-v1",
    "entra-v2",
    "firebase",
    "forgerock",
    "github-actions",
    "gitlab",
    "google",
    "hydra",
    "keycloak",
    "kubernetes",
    "okta",
    "ping",
    "salesforce",
    "spiffe",
    "zitadel",
];

/// The issue time of the tokens, in 2023.
const ISSUED: u64 = 1_700_000_000;

/// The expiry of the tokens, in 2100.
const EXPIRES: u64 = 4_102_444_800;

/// An identity provider.
#[derive(Clone, Debug)]
pub struct Provider {
    name: &'static str,
    file: Value,
}

impl Provider {
    /// All of them.
    pub fn all() -> Vec<Self> {
        let read = |(name, text): &(&'static str, &str)| Self {
            name,
            file: serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}")),
        };
        FILES.iter().map(read).collect()
    }

    /// The provider of this name.
    ///
    /// # Panics
    /// If there is none.
    pub fn named(name: &str) -> Self {
        let found = Self::all()
            .into_iter()
            .find(|provider| provider.name == name);
        found.unwrap_or_else(|| panic!("there is no provider {name}"))
    }

    /// Its name, such as `entra-v2`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its entry in the configuration of jwt-auth, without `jwks`.
    pub fn settings(&self) -> &Value {
        &self.file["provider"]
    }

    /// The members of `jwks` other than the keys.
    pub fn jwks_settings(&self) -> Map<String, Value> {
        object(&self.file["jwks"])
    }

    /// Its key set.
    pub fn document(&self) -> Value {
        let mut document = self.file["document"].clone();
        for entry in document["keys"].as_array_mut().expect("keys") {
            let entry = entry.as_object_mut().expect("a key");
            let Some(name) = entry.remove("$key") else {
                continue;
            };
            let jwk = key(name.as_str().expect("a name")).jwk();
            for name in ["n", "e", "crv", "x", "y"] {
                if let Some(value) = jwk.get(name) {
                    entry.insert(name.to_owned(), value.clone());
                }
            }
        }
        document
    }

    /// A token of the provider, in which these claims replace those of the same name. It is valid until 2100.
    pub fn token(&self, claims: &Value) -> String {
        let token = &self.file["token"];
        let mut all = object(&token["claims"]);
        for (name, time) in [("iat", ISSUED), ("exp", EXPIRES)] {
            all.insert(name.to_owned(), time.into());
        }
        all.extend(object(claims));
        let key = key(token["key"].as_str().expect("a key"));
        Token::new(&key)
            .raw_header(token["header"].to_string())
            .raw_payload(Value::Object(all).to_string())
            .sign()
    }

    /// The header that carries the token, and its value.
    pub fn header(&self, token: &str) -> (&'static str, String) {
        match self.name {
            "cloudflare-access" => ("cf-access-jwt-assertion", token.to_owned()),
            _ => ("authorization", format!("Bearer {token}")),
        }
    }
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// A key by its name, such as `RS256-1`.
fn key(name: &str) -> Key {
    let (algorithm, number) = name.split_once('-').expect("an algorithm and a number");
    let algorithm = Algorithm::ALL
        .into_iter()
        .find(|known| known.name() == algorithm);
    Key::new(
        algorithm.expect("an algorithm"),
        number.parse().expect("a number"),
    )
}
