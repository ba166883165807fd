//! Shadow mode.

use serde_json::json;

use super::signer::{forged, token};
use super::{decisions, one_provider, scenario, set, with_token};
use crate::{Request, Scenario, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let mode = |mode: &str| {
        let mut config = one_provider(json!({"claims_to_headers": {"x-user": "sub"}}));
        set(&mut config, "mode", json!(mode));
        config
    };
    vec![
        scenario(
            "jwt_auth::shadow_mode_counts_and_marks",
            mode("shadow"),
            shadow_mode_counts_and_marks,
        ),
        scenario("jwt_auth::off_is_off", mode("off"), off_is_off),
    ]
}

fn shadow_mode_counts_and_marks(world: &mut dyn World) {
    let request = || Request::get("/").header("x-user", "root");
    for (token, reason, user) in [
        (None, Some("no_token"), None),
        (Some(forged(json!({}))), Some("signature"), None),
        (Some(token(json!({}))), None, Some("ada")),
    ] {
        let sent = match &token {
            Some(token) => with_token(request(), token),
            None => request(),
        };
        assert_eq!(world.send(sent).status, 200);
        for received in world.received() {
            let header = |name: &str| received.get_header(name);
            assert_eq!(header("x-portcullis-shadow").is_some(), reason.is_some());
            assert_eq!(header("x-user").as_deref(), user);
            // The upstream may still verify the token itself.
            assert_eq!(header("authorization").is_some(), token.is_some());
        }
        if let Some(reason) = reason {
            assert_eq!(decisions(world, "all", "shadow_refused", reason), 1);
        }
    }
    assert_eq!(decisions(world, "all", "admitted", "verified"), 1);
}

fn off_is_off(world: &mut dyn World) {
    let request = with_token(Request::get("/").header("x-user", "root"), "x");
    assert_eq!(world.send(request).status, 200);
    for received in world.received() {
        assert_eq!(received.get_header("x-user").as_deref(), Some("root"));
        assert_eq!(
            received.get_header("authorization").as_deref(),
            Some("Bearer x")
        );
    }
}
