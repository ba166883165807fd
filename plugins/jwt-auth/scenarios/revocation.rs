//! Tokens that are no longer accepted.

use std::time::Duration;

use serde_json::{Value, json};

use super::signer::{ISSUER, LATE, token};
use super::{decisions, one_provider, scenario, set, status};
use crate::{Cluster, Response, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut config = one_provider(json!({}));
    let revocation = json!({
        "inline": [{"iss": ISSUER, "jti": "inline"}],
        "remote": {"cluster": "idp", "uri": "https://idp.example/revoked", "refresh": "4s"},
    });
    set(&mut config, "revocation", revocation);
    vec![
        scenario(
            "jwt_auth::a_list_revokes_tokens_on_all_workers",
            config.clone(),
            a_list_revokes_tokens_on_all_workers,
        ),
        scenario(
            "jwt_auth::without_a_list_no_token_that_could_be_on_it_passes",
            config,
            without_a_list_no_token_that_could_be_on_it_passes,
        ),
    ]
}

fn publish(world: &mut dyn World, jtis: &[&str]) {
    let entries: Vec<Value> = jtis
        .iter()
        .map(|jti| json!({"iss": ISSUER, "jti": jti, "exp": LATE}))
        .collect();
    let mut response = Response::new(200);
    response.body = json!({ "revoked": entries }).to_string().into_bytes();
    world.serve(Cluster::Idp, Upstream::Answers(response));
}

fn a_list_revokes_tokens_on_all_workers(world: &mut dyn World) {
    publish(world, &[]);
    world.pass(Duration::from_secs(3));
    let [lost, other, inline] = ["lost", "other", "inline"].map(|jti| token(json!({ "jti": jti })));
    for _ in 0..4 {
        assert_eq!(status(world, &lost), 200);
        assert_eq!(status(world, &inline), 401);
    }
    publish(world, &["lost", "and another"]);
    world.pass(Duration::from_secs(6));
    for _ in 0..4 {
        assert_eq!(status(world, &lost), 401);
        assert_eq!(status(world, &other), 200);
        assert_eq!(status(world, &inline), 401);
    }
    assert_eq!(decisions(world, "all", "refused", "revoked"), 12);
    let entries = crate::counter("jwt_auth", "edge", &[], "revocation_entries");
    assert_eq!(world.gauge(&entries), 3);

    // The last list stays in use while it cannot be fetched.
    world.serve(Cluster::Idp, Upstream::Unreachable);
    world.pass(Duration::from_secs(10));
    assert_eq!(status(world, &lost), 401);
    assert_eq!(status(world, &other), 200);
    let age = crate::counter("jwt_auth", "edge", &[], "revocation_age_seconds");
    assert!(world.gauge(&age) >= 8);
}

fn without_a_list_no_token_that_could_be_on_it_passes(world: &mut dyn World) {
    world.serve(Cluster::Idp, Upstream::Unreachable);
    world.pass(Duration::from_secs(2));
    assert_eq!(status(world, &token(json!({"jti": "x"}))), 503);
    assert_eq!(status(world, &token(json!({}))), 200);
    publish(world, &[]);
    world.pass(Duration::from_secs(6));
    assert_eq!(status(world, &token(json!({"jti": "x"}))), 200);
}
