//! The behaviour of the plugin if Envoy withholds a capability.

use std::time::Duration;

use serde_json::{Value, json};

use super::{expired_token, good_token, keys};
use crate::capabilities::{Subject, status};
use crate::{Cluster, Request, Upstream, World};

pub(super) fn subject() -> Subject {
    Subject {
        name: "jwt-auth",
        config,
        columns: &["good token", "expired token", "made-up `x-user`"],
        observe,
        errors: &[
            "portcullis.jwt_auth.policy=.=edge;.;rule=.=unmatched;.;outcome=.=refused;.;reason=.=error;.;decisions",
            "portcullis.jwt_auth.policy=.=edge;.;rule=.=default;.;outcome=.=refused;.;reason=.=keys_unavailable;.;decisions",
        ],
    }
}

/// Longer than a request may wait for keys.
const ONCE_TICKS_ARE_OVERDUE: Duration = Duration::from_millis(2_500);

fn config() -> Value {
    json!({
        "name": "edge",
        "providers": {"corp": {
            "issuer": "https://idp.example",
            "audiences": ["shop"],
            "jwks": {"remote": {
                "cluster": "idp", "uri": "https://idp.example/keys", "timeout": "1s",
            }},
            "claims_to_headers": {"x-user": "sub"},
        }},
        "stable_routes": true,
        "rules": [
            {"name": "public", "match": {"path": {"prefix": "/public/"}}, "require": "none"},
            {"name": "shop", "match": {"route": "shop"}, "require": {"provider": "corp"}},
            {"name": "default", "require": {"provider": "corp"}},
        ],
    })
}

fn observe(world: &mut dyn World) -> Vec<String> {
    world.serve(Cluster::Idp, Upstream::Answers(keys()));
    let with = |token: String| Request::get("/").header("authorization", format!("Bearer {token}"));
    // Without ticks, the first requests wait in vain.
    world.pass(ONCE_TICKS_ARE_OVERDUE);
    let good = world.try_send(with(good_token()));
    let user = world.received().pop().map(|request| request.all("x-user"));
    let good = match (status(good.as_ref()), user) {
        (status, Some(user)) if status == "200" && user != ["ada"] => {
            format!("{status}, **as {user:?}**")
        }
        (status, _) => status,
    };
    let expired = world.try_send(with(expired_token()));
    world.received();
    let public = world.try_send(Request::get("/public/").header("x-user", "root"));
    let user = world.received().pop().map(|request| request.all("x-user"));
    let public = match (status(public.as_ref()), user) {
        (status, Some(user)) if !user.is_empty() => format!("{status}, **as {user:?}**"),
        (status, _) => status,
    };
    vec![good, status(expired.as_ref()), public]
}
