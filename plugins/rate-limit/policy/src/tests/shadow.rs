//! Limits in shadow mode.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn marks(world: &World, evaluation: &Evaluation) -> Vec<String> {
    let marks = world.policy.shadow_marks(evaluation);
    marks.map(|mark| text(&mark)).collect()
}

#[test]
fn a_shadow_limit_counts_and_marks_but_never_denies() {
    let mut world = World::new(one_limit(json!({"mode": "shadow"})));
    assert_eq!(decisions(&world.send(&[])), [Decision::Admitted]);
    let second = world.send(&[]);
    assert!(!second.is_denied());
    assert_eq!(
        decisions(&second),
        [Decision::ShadowDenied(Reason::RateLimited)]
    );
    assert_eq!(marks(&world, &second), ["rate_limit;a"]);
    assert!(world.policy.reply(&second, 0).is_none());
}

#[test]
fn it_sees_what_the_enforcing_limits_admit() {
    let mut world = World::new(json!({"limits": [
        {"name": "shadow", "mode": "shadow", "rate": {"requests": 2, "per": "1h"}},
        {"name": "enforced", "rate": {"requests": 3, "per": "1h"}}
    ]}));
    let denied = Decision::Denied(Reason::RateLimited);
    let shadow_denied = Decision::ShadowDenied(Reason::RateLimited);
    let seen: Vec<_> = (0..4).map(|_| decisions(&world.send(&[]))).collect();
    assert_eq!(
        seen,
        [
            vec![Decision::Admitted, Decision::Admitted],
            vec![Decision::Admitted, Decision::Admitted],
            vec![Decision::Admitted, shadow_denied],
            vec![denied],
        ]
    );
}

/// Each shadow limit answers for itself: what would it do if it were enforced?
#[test]
fn shadow_limits_do_not_see_each_other() {
    let mut world = World::new(json!({"limits": [
        {"name": "a", "mode": "shadow", "rate": {"requests": 0, "per": "1h"}},
        {"name": "b", "mode": "shadow", "rate": {"requests": 1, "per": "1h"}}
    ]}));
    let denied = Decision::ShadowDenied(Reason::RateLimited);
    assert_eq!(decisions(&world.send(&[])), [denied, Decision::Admitted]);
    let second = world.send(&[]);
    assert_eq!(decisions(&second), [denied, denied]);
    assert_eq!(marks(&world, &second), ["rate_limit;a", "rate_limit;b"]);
}

/// The plugin in shadow mode decides as if it were enforced, so that its metrics are true.
#[test]
fn a_plugin_in_shadow_mode_decides_as_if_enforced() {
    let limits = json!([
        {"name": "a", "rate": {"requests": 3, "per": "1h"}},
        {"name": "b", "match": {"methods": ["POST"]}, "rate": {"requests": 1, "per": "1h"}}
    ]);
    let mut enforced = World::new(json!({"limits": limits}));
    let mut shadow = World::new(json!({"mode": "shadow", "limits": limits,
        "response_headers": ["ratelimit", "x-ratelimit"]}));
    for method in ["POST", "POST", "POST", "GET", "GET", "GET", "POST"] {
        let request = [(":method", method)];
        let expected: Vec<_> = decisions(&enforced.send(&request))
            .into_iter()
            .map(|outcome| match outcome {
                Decision::Denied(reason) => Decision::ShadowDenied(reason),
                other => other,
            })
            .collect();
        let mut evaluation = shadow.send(&request);
        assert!(!evaluation.is_denied());
        assert_eq!(decisions(&evaluation), expected);
        let response = shadow.respond(&mut evaluation, &[]);
        assert!(!response.is_changed());
    }
    assert_eq!(enforced.store.contents(), shadow.store.contents());
}

#[test]
fn shadow_limits_are_not_shown() {
    let mut world = World::new(json!({"response_headers": ["ratelimit"], "limits": [
        {"name": "a", "mode": "shadow", "rate": {"requests": 2, "per": "1h"}},
        {"name": "b", "rate": {"requests": 3, "per": "1h"}}
    ]}));
    let mut evaluation = world.send(&[]);
    let response = world.respond(&mut evaluation, &[]);
    assert_eq!(line(&response, "ratelimit").unwrap(), r#""b";r=2;t=1200"#);
}

#[test]
fn errors_in_shadow_stay_in_shadow() {
    let mut world = World::new(json!({"on_error": "deny", "limits": [
        {"name": "a", "mode": "shadow", "rate": {"requests": 2, "per": "1h"}}
    ]}));
    world.store.updates_left = 0;
    let evaluation = world.send(&[]);
    assert!(!evaluation.is_denied());
    assert!(evaluation.checks()[0].is_error());
}
