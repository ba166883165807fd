//! The route that the plugin judges is the one that Envoy takes.

use serde_json::{Value, json};

use super::signer::token;
use super::{decisions, scenario, set, with_rules, with_token};
use crate::{Cluster, PUBLIC_ROUTE, PUBLIC_TIER, Request, Scenario, TIER_HEADER, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let settings = json!({"claims_to_headers": {TIER_HEADER: "tier"}});
    let rules = json!([
        {"name": "public", "match": {"route": PUBLIC_ROUTE}, "require": "none"},
        {"name": "default", "require": {"provider": "corp"}},
    ]);
    let config = with_rules(settings, rules);
    let mut stable = config.clone();
    set(&mut stable, "stable_routes", Value::Bool(true));
    vec![
        scenario(
            "jwt_auth::no_header_of_a_client_leads_to_a_route_that_was_not_judged",
            config,
            no_header_of_a_client_leads_to_a_route_that_was_not_judged,
        ),
        scenario(
            "jwt_auth::with_stable_routes_what_clients_send_is_removed",
            stable,
            with_stable_routes_what_clients_send_is_removed,
        ),
    ]
}

fn no_header_of_a_client_leads_to_a_route_that_was_not_judged(world: &mut dyn World) {
    let good = token(json!({}));
    for name in [TIER_HEADER, "X_Tier", "x.tier"] {
        for value in [PUBLIC_TIER, "gold", ""] {
            let request = || Request::get("/tier/x").header(name, value);
            assert_eq!(world.send(request()).status, 400, "{name}: {value}");
            let response = world.send(with_token(request(), &good));
            assert_eq!(response.status, 400, "{name}: {value}");
            assert_eq!(response.get_header("www-authenticate"), None);
        }
    }
    assert!(world.received().is_empty());
    assert!(world.received_by(Cluster::Other).is_empty());
    let refused = decisions(world, "unmatched", "refused", "client_claim_header");
    assert_eq!(refused, 18);

    assert_eq!(world.send(Request::get("/tier/x")).status, 401);
    let request = with_token(Request::get("/tier/x"), &good);
    assert_eq!(world.send(request).status, 200);
    assert_eq!(world.received_by(Cluster::Other).len(), 1);
}

fn with_stable_routes_what_clients_send_is_removed(world: &mut dyn World) {
    let request = Request::get("/").header(TIER_HEADER, "gold");
    assert_eq!(world.send(request).status, 401);
    let request = Request::get("/").header("x_tier", "gold");
    assert_eq!(
        world.send(with_token(request, &token(json!({})))).status,
        200
    );
    for received in world.received() {
        assert_eq!(received.get_header("x_tier"), None);
    }
}
