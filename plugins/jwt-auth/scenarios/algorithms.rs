//! Algorithms that Envoy does not verify: the module does, and takes many times as long.

use serde_json::{Value, json};

use super::signer::{ISSUER, LATE};
use super::{decisions, one_provider, scenario, status, verifications};
use crate::tokens::{Algorithm, Key, Token};
use crate::{Scenario, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let keys = |keys: &[Key]| json!({"inline": {"keys": keys.iter().map(any).collect::<Value>()}});
    let eight: Vec<Key> = (1..=8).map(rsa).collect();
    vec![
        scenario(
            "jwt_auth::slow_algorithms_are_refused_unless_they_are_named",
            one_provider(json!({"jwks": keys(&[rsa(1), rsa(2)])})),
            slow_algorithms_are_refused_unless_they_are_named,
        ),
        scenario(
            "jwt_auth::a_slow_algorithm_that_is_named_is_accepted",
            one_provider(json!({
                "jwks": keys(&[rsa(1), edwards()]), "algorithms": ["PS256", "EdDSA"],
            })),
            a_slow_algorithm_that_is_named_is_accepted,
        ),
        scenario(
            "jwt_auth::no_request_costs_more_than_one_slow_signature",
            one_provider(json!({"jwks": keys(&eight), "algorithms": ["RS256", "PS256"]})),
            no_request_costs_more_than_one_slow_signature,
        ),
    ]
}

fn rsa(number: u8) -> Key {
    Key::new(Algorithm::RS256, number).named(&format!("rsa-{number}"))
}

fn edwards() -> Key {
    Key::new(Algorithm::EdDSA, 1)
}

/// The key as a JWK without `alg`.
fn any(key: &Key) -> Value {
    let mut jwk = key.jwk();
    if let Value::Object(members) = &mut jwk {
        members.remove("alg");
    }
    jwk
}

/// A token, signed with this algorithm by the key with this number.
fn token(algorithm: Algorithm, number: u8) -> Token {
    let key = Key::new(algorithm, number);
    let id = match algorithm {
        Algorithm::EdDSA => key.id().to_owned(),
        _ => format!("rsa-{number}"),
    };
    Token::new(&key.named(&id))
        .claim("iss", ISSUER)
        .claim("aud", "shop")
        .claim("exp", LATE)
}

fn slow_algorithms_are_refused_unless_they_are_named(world: &mut dyn World) {
    assert_eq!(status(world, &token(Algorithm::RS256, 1).sign()), 200);
    let before = verifications(world, "host") + verifications(world, "rust");
    for slow in [Algorithm::PS256, Algorithm::PS384, Algorithm::PS512] {
        let good = token(slow, 1);
        assert_eq!(status(world, &good.clone().sign()), 401, "{}", slow.name());
        let forged = good.without_header("kid").signature(&[1; 256]);
        assert_eq!(status(world, &forged.sign()), 401, "{}", slow.name());
    }
    assert_eq!(decisions(world, "all", "refused", "algorithm"), 6);
    let after = verifications(world, "host") + verifications(world, "rust");
    assert_eq!(after, before);
    assert_eq!(verifications(world, "failed"), 0);
}

fn a_slow_algorithm_that_is_named_is_accepted(world: &mut dyn World) {
    assert_eq!(status(world, &token(Algorithm::PS256, 1).sign()), 200);
    assert_eq!(status(world, &token(Algorithm::EdDSA, 1).sign()), 200);
    // One key fits each algorithm.
    let anonymous = token(Algorithm::PS256, 1).without_header("kid");
    assert_eq!(status(world, &anonymous.sign()), 200);
    assert_eq!(status(world, &token(Algorithm::PS384, 1).sign()), 401);
}

fn no_request_costs_more_than_one_slow_signature(world: &mut dyn World) {
    assert_eq!(status(world, &token(Algorithm::PS256, 2).sign()), 200);
    assert_eq!(verifications(world, "rust"), 1);

    // Eight keys fit.
    let anonymous = token(Algorithm::PS256, 2).without_header("kid");
    let forged = anonymous.clone().signature(&[1; 256]);
    for token in [anonymous, forged] {
        assert_eq!(status(world, &token.sign()), 401);
    }

    assert_eq!(decisions(world, "all", "refused", "ambiguous_key"), 2);
    assert_eq!(verifications(world, "failed"), 0);
    // Envoy can try all of them in a fraction of the time.
    let fast = token(Algorithm::RS256, 2).without_header("kid");
    assert_eq!(status(world, &fast.sign()), 200);
    assert_eq!(verifications(world, "host"), 1);
}
