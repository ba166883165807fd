//! Several limits on one request.

use serde_json::json;

use super::{counter, counter_by_reason, scenario, statuses};
use crate::{Request, Scenario, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "rate_limit::what_one_limit_denies_consumes_nothing_of_the_others",
            json!({
                "name": "edge",
                "limits": [
                    {"name": "before", "rate": {"requests": 10, "per": "1h"}},
                    {"name": "exports", "match": {"path": {"prefix": "/export"}},
                        "rate": {"requests": 1, "per": "1h"}},
                    {"name": "behind", "rate": {"requests": 10, "per": "1h"}},
                ],
                "response_headers": ["ratelimit"],
            }),
            what_one_limit_denies_consumes_nothing_of_the_others,
        ),
        scenario(
            "rate_limit::a_limit_is_for_what_it_matches",
            json!({
                "limits": [
                    {"name": "api", "match": {"path": {"prefix": "/api/"}, "methods": ["POST"]},
                        "rate": {"requests": 1, "per": "1h"}},
                    {"name": "shop", "match": {"route": "shop"},
                        "rate": {"requests": 2, "per": "1h"}},
                ],
                "response_headers": ["ratelimit"],
            }),
            a_limit_is_for_what_it_matches,
        ),
        scenario(
            "rate_limit::the_tightest_limit_leads",
            json!({
                "limits": [
                    {"name": "wide", "rate": {"requests": 10, "per": "1h"}},
                    {"name": "tight", "rate": {"requests": 4, "per": "1h"}},
                ],
                "response_headers": ["ratelimit", "x-ratelimit"],
            }),
            the_tightest_limit_leads,
        ),
    ]
}

fn what_one_limit_denies_consumes_nothing_of_the_others(world: &mut dyn World) {
    let export = Request::get("/export");
    assert_eq!(
        statuses(world, &export, 6),
        [200, 429, 429, 429, 429, 429],
        "one export is admitted"
    );
    // One request an hour, where the other limits recover one in 6 minutes.
    let denied = world.send(export);
    assert_eq!(denied.get_header("retry-after").as_deref(), Some("3600"));
    assert_eq!(
        denied.get_header("ratelimit").as_deref(),
        Some(r#""exports";r=0;t=3600, "before";r=9;t=360, "behind";r=9;t=360"#)
    );

    assert_eq!(statuses(world, &Request::get("/"), 9), [200; 9]);
    assert_eq!(statuses(world, &Request::get("/"), 1), [429]);

    for limit in ["before", "behind"] {
        assert_eq!(counter(world, limit, "admitted"), 10, "{limit}");
        assert_eq!(
            counter_by_reason(world, limit, "rate_limited", "denied"),
            1,
            "{limit}"
        );
    }
    assert_eq!(counter(world, "exports", "admitted"), 1);
    assert_eq!(
        counter_by_reason(world, "exports", "rate_limited", "denied"),
        6
    );
}

fn a_limit_is_for_what_it_matches(world: &mut dyn World) {
    assert_eq!(statuses(world, &Request::post("/api/orders"), 1), [200]);
    // In any spelling.
    for path in ["/api/orders", "/static/../api/orders", "/%61pi//orders"] {
        assert_eq!(statuses(world, &Request::post(path), 1), [429], "{path}");
    }
    let elsewhere = world.send(Request::get("/api/orders"));
    assert_eq!(elsewhere.status, 200);
    assert_eq!(elsewhere.get_header("ratelimit-policy"), None);
    assert_eq!(elsewhere.get_header("ratelimit"), None);

    assert_eq!(
        statuses(world, &Request::get("/shop/cart"), 3),
        [200, 200, 429]
    );
}

fn the_tightest_limit_leads(world: &mut dyn World) {
    let response = world.send(Request::get("/"));
    let header = |name| response.get_header(name).unwrap_or_default();
    // The policies are in the order of the configuration.
    assert_eq!(
        header("ratelimit-policy"),
        r#""wide";q=10;w=3600, "tight";q=4;w=3600"#
    );
    assert_eq!(
        header("ratelimit"),
        r#""tight";r=3;t=900, "wide";r=9;t=360"#
    );
    assert_eq!(
        header("x-ratelimit-limit"),
        r#"4, 10;w=3600;name="wide", 4;w=3600;name="tight""#
    );
    assert_eq!(header("x-ratelimit-remaining"), "3");
    assert_eq!(header("x-ratelimit-reset"), "900");
}
