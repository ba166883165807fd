//! Rules: which requests need a token.

use serde_json::json;

use super::signer::{ISSUER, forged, jwks, token, token_of};
use super::{decisions, plugin, provider, scenario, set, with_rules, with_token};
use crate::{Request, SHOP_ROUTE, Scenario, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let rules = json!([
        {"name": "public", "match": {"path": {"prefix": "/public/"}}, "require": "none"},
        {"name": "optional", "match": {"path": {"prefix": "/optional/"}},
         "require": {"provider": "corp"}, "allow_missing": true},
        {"name": "shop", "match": {"route": SHOP_ROUTE}, "require": {"provider": "corp"}},
    ]);
    // No route here matches on the token, which the plugin removes if it is valid.
    let routed = || {
        let mut config = with_rules(json!({}), rules.clone());
        set(&mut config, "stable_routes", json!(true));
        config
    };
    let two = json!({
        "name": "edge",
        "providers": {
            "corp": provider(json!({})),
            "device": provider(json!({
                "issuer": "https://devices.example", "jwks": {"inline": jwks(&["d"])},
                "from": [{"header": "x-device"}],
            })),
        },
        "rules": [
            {"name": "any", "match": {"path": {"prefix": "/any/"}}, "require": {"any": ["corp", "device"]}},
            {"name": "all", "match": {"path": {"prefix": "/all/"}}, "require": {"all": ["corp", "device"]}},
        ],
    });
    vec![
        scenario(
            "jwt_auth::the_first_rule_that_fits_decides",
            routed(),
            the_first_rule_that_fits_decides,
        ),
        scenario("jwt_auth::preflights_pass", routed(), preflights_pass),
        scenario(
            "jwt_auth::no_spelling_of_a_path_opens_another",
            routed(),
            no_spelling_of_a_path_opens_another,
        ),
        scenario(
            "jwt_auth::only_a_network_needs_no_token",
            with_rules(
                json!({}),
                json!([
                    {"name": "inside", "match": {"remote_address": ["10.0.0.0/8"],
                        "not": {"path": {"prefix": "/admin/"}}}, "require": "none"},
                    {"name": "all", "require": {"provider": "corp"}},
                ]),
            ),
            only_a_network_needs_no_token,
        ),
        Scenario {
            name: "jwt_auth::any_and_all_providers",
            filters: vec![plugin(&two)],
            story: any_and_all_providers,
        },
    ]
}

fn only_a_network_needs_no_token(world: &mut dyn World) {
    let from = |path: &str, address: [u8; 4]| Request::get(path).from(address);
    for (request, status) in [
        (from("/", [10, 1, 2, 3]), 200),
        (from("/", [11, 1, 2, 3]), 401),
        (from("/admin/x", [10, 1, 2, 3]), 401),
        // Some servers read this as the path above.
        (from("/Admin/x", [10, 1, 2, 3]), 401),
    ] {
        assert_eq!(world.send(request.clone()).status, status, "{request:?}");
        let with_token = with_token(request, &token(json!({})));
        assert_eq!(world.send(with_token).status, 200);
    }
}

fn the_first_rule_that_fits_decides(world: &mut dyn World) {
    let forged = forged(json!({}));
    for (path, without, with_forged) in [
        ("/public/x", 200, 200),
        ("/optional/x", 200, 401),
        ("/shop/x", 401, 401),
        ("/elsewhere", 403, 403),
    ] {
        assert_eq!(world.send(Request::get(path)).status, without, "{path}");
        let request = with_token(Request::get(path), &forged);
        assert_eq!(world.send(request).status, with_forged, "{path}");
        let request = with_token(Request::get(path), &token(json!({})));
        let opens = path != "/elsewhere";
        assert_eq!(world.send(request).status == 200, opens, "{path}");
    }
    assert_eq!(decisions(world, "public", "admitted", "not_required"), 3);
    assert_eq!(decisions(world, "optional", "admitted", "no_token"), 1);
    assert_eq!(decisions(world, "shop", "admitted", "verified"), 1);
    assert_eq!(decisions(world, "unmatched", "refused", "no_rule"), 3);
}

fn preflights_pass(world: &mut dyn World) {
    let preflight = Request::new("OPTIONS", "/shop/x")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "PUT");
    assert_eq!(world.send(preflight).status, 200);
    assert_eq!(decisions(world, "shop", "admitted", "preflight"), 1);
    let options = Request::new("OPTIONS", "/shop/x").header("origin", "https://app.example");
    assert_eq!(world.send(options).status, 401);
}

fn no_spelling_of_a_path_opens_another(world: &mut dyn World) {
    let ambiguous = [
        "/shop/..;/public/x",
        "/public/..%2fshop/x",
        "/public/..%5Cshop/x",
        "/admin/../public/x",
        "/admin/%2e%2e/public/x",
        "/admin/%252e%252e/public/x",
        "//public/x",
        "/%70ublic/x",
        "/public/%c0%ae%c0%ae/x",
    ];
    for path in ambiguous {
        let response = world.send(Request::get(path));
        assert_eq!((path, response.status), (path, 400));
        assert_eq!(response.get_header("www-authenticate"), None);
    }
    assert_eq!(world.send(Request::get("/public/a;b/c%2fd")).status, 200);
    assert_eq!(
        decisions(world, "unmatched", "refused", "ambiguous_path"),
        ambiguous.len() as u64
    );
}

fn any_and_all_providers(world: &mut dyn World) {
    let corp = token(json!({}));
    let device = token_of("d", json!({"iss": "https://devices.example"}));
    let stolen = token_of("d", json!({ "iss": ISSUER }));
    let request = |path: &str, corp: &str, device: &str| {
        let request = match corp {
            "" => Request::get(path),
            token => with_token(Request::get(path), token),
        };
        match device {
            "" => request,
            token => request.header("x-device", token),
        }
    };
    for (path, in_header, in_x_device, status) in [
        ("/any/", corp.as_str(), "", 200),
        ("/any/", "", device.as_str(), 200),
        ("/any/", &corp, &device, 400),
        ("/any/", &device, "", 401),
        ("/any/", &stolen, "", 401),
        ("/any/", "", "", 401),
        ("/all/", &corp, &device, 200),
        ("/all/", &corp, "", 401),
        ("/all/", "", &device, 401),
        ("/all/", &corp, &stolen, 401),
    ] {
        let response = world.send(request(path, in_header, in_x_device));
        assert_eq!(response.status, status, "{path} {in_header} {in_x_device}");
    }
    for received in world.received() {
        assert_eq!(received.get_header("authorization"), None);
        assert_eq!(received.get_header("x-device"), None);
    }
}
