//! Checks that the tokens of the test harness verify with jwt-auth.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use jwt_auth_policy::jose::{Algorithm, Hash, HostSignatures, KeySet, Token};
use portcullis_scenarios::tokens;

struct NoHost;

impl HostSignatures for NoHost {
    fn verify(&self, _: Hash, _: &[u8], _: &[u8], _: &[u8]) -> Option<bool> {
        None
    }
}

fn is_good(token: &str, jwks: &serde_json::Value) -> bool {
    let keys = KeySet::parse(jwks.to_string().as_bytes()).unwrap();
    let token = Token::parse(token.as_bytes()).unwrap();
    let candidates = keys.candidates(token.header(), &Algorithm::ALL, &NoHost);
    let mut candidates = candidates.unwrap_or_default().into_iter();
    candidates.any(|key| key.verify(&token, &NoHost).is_some())
}

#[test]
fn each_algorithm_signs_with_the_key_that_is_published() {
    for algorithm in tokens::Algorithm::ALL {
        let mut issuer = tokens::Issuer::new("https://idp.example", algorithm);
        let token = issuer.token(1_767_225_600).sign();
        assert!(is_good(&token, &issuer.jwks()), "{algorithm:?}");

        let mut forged = issuer.key().sign(b"something else");
        forged.reverse();
        let forged = issuer.token(1_767_225_600).signature(&forged).sign();
        assert!(!is_good(&forged, &issuer.jwks()), "{algorithm:?}");

        issuer.rotate();
        assert!(!is_good(&token, &issuer.jwks()), "{algorithm:?}");
    }
}
