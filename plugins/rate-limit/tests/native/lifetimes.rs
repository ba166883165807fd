//! The lifetime of counts, and the instances that share them.

use std::fmt;
use std::time::Duration;

use portcullis_core::config::Name;
use portcullis_core::policy::Policy;
use portcullis_host::{Error, Exchange, Failure, Flow, Instance, Pair, Plugin};
use proxy_wasm_native_host::{FailurePolicy, Filter, Host, Request, SharedData};
use rate_limit::RateLimit;
use serde_json::{Value, json};

use super::{VM, admitted, builder, config, filter};

/// Three requests an hour, with more fields.
fn three(more: Value) -> Value {
    let mut limit = json!({"name": "all", "rate": {"requests": 3, "per": "1h"}});
    if let (Some(limit), Value::Object(more)) = (limit.as_object_mut(), more) {
        limit.extend(more);
    }
    config(json!([limit]))
}

fn get() -> Request {
    Request::get("/")
}

/// A plugin that panics on requests to `/panic`.
struct Bomb(Instance<BombPolicy>);

struct BombPolicy;

impl Policy for BombPolicy {
    const NAME: &'static str = "bomb";
    const SCHEMA: &'static str = "{}";
    const EXAMPLE: &'static str = "{}";
    /// A name.
    type Config = Name;

    fn instance(config: &Name) -> &Name {
        config
    }

    fn compile(_: Name) -> Self {
        Self
    }
}

impl fmt::Display for BombPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ticking")
    }
}

impl Plugin for Bomb {
    type Policy = BombPolicy;
    type Stream = ();

    fn new(instance: Instance<BombPolicy>) -> Self {
        Self(instance)
    }

    fn instance(&self) -> &Instance<BombPolicy> {
        &self.0
    }

    fn on_error(&self, _: &mut (), _: &mut Exchange, _: Failure) -> Flow {
        Flow::Continue
    }

    fn on_request(&self, (): &mut (), exchange: &mut Exchange) -> Result<Flow, Error> {
        let path = exchange.request()?.get(":path").cloned();
        assert_ne!(
            path.as_deref(),
            Some(&b"/panic"[..]),
            "as the test wants it"
        );
        Ok(Flow::Continue)
    }

    fn on_response(&self, (): &mut (), _exchange: &mut Exchange) -> Result<Flow, Error> {
        Ok(Flow::Continue)
    }
}

#[test]
fn a_new_vm_finds_the_counts() {
    let module = Filter::from_fn(
        "module",
        portcullis_proxy_wasm::start::<Pair<RateLimit, Bomb>>,
    )
    .vm_id(VM)
    .failure_policy(FailurePolicy::Reload)
    .config(json!({"rate_limit": three(json!({})), "bomb": "b"}).to_string());
    let host = Host::builder().filter(module).start().unwrap();
    host.advance(Duration::from_secs(2));

    assert_eq!(host.send(get()).status(), 200);
    // The second request, which counted before the other plugin panicked.
    assert_eq!(host.send(Request::get("/panic")).status(), 503);
    assert_eq!(host.expect_crash().filter, "module");

    assert_eq!(admitted(&host, &get(), 3), 1);
    assert_eq!(host.counter("wasm.module.vm_reload_success"), 1);
}

#[test]
fn a_push_keeps_the_counts_of_a_limit_whose_meaning_stays_the_same() {
    for same in [
        json!({"match": {"path": {"prefix": "/"}}}),
        json!({"cost": {"header": "x-cost"}}),
        json!({"missing": "deny"}),
        json!({"charge_response": {"header": "x-actual-cost"}}),
    ] {
        let host = builder(&three(json!({}))).workers(2).start().unwrap();
        assert_eq!(admitted(&host, &get(), 2), 2);

        host.update(vec![filter(&three(same.clone()))]).unwrap();

        assert_eq!(admitted(&host, &get(), 3), 1, "{same}");
    }
}

#[test]
fn a_push_that_adds_a_limit_keeps_the_counts_of_the_others() {
    let host = builder(&three(json!({}))).start().unwrap();
    assert_eq!(admitted(&host, &get(), 2), 2);

    let another = json!({"name": "another", "rate": {"requests": 100, "per": "1h"}});
    let mut both = three(json!({}));
    both["limits"].as_array_mut().unwrap().insert(0, another);
    host.update(vec![filter(&both)]).unwrap();

    assert_eq!(admitted(&host, &get(), 3), 1);
}

#[test]
fn a_push_resets_a_limit_whose_meaning_changes() {
    for different in [
        json!({"name": "renamed"}),
        json!({"key": [{"constant": "v2"}]}),
        json!({"algorithm": "fixed_window"}),
        json!({"rate": {"requests": 3, "per": "2h"}}),
    ] {
        let host = builder(&three(json!({}))).start().unwrap();
        assert_eq!(admitted(&host, &get(), 3), 3);

        host.update(vec![filter(&three(different.clone()))])
            .unwrap();

        assert_eq!(admitted(&host, &get(), 4), 3, "{different}");
        // The old configuration finds the old counts: switching back and forth gains nothing.
        host.update(vec![filter(&three(json!({})))]).unwrap();
        assert_eq!(admitted(&host, &get(), 1), 0, "{different}");
    }
}

#[test]
fn names_keep_instances_apart() {
    let other = {
        let mut other = three(json!({}));
        other["name"] = json!("other");
        other
    };
    let data = SharedData::new();
    let listener = |config: &Value| {
        let builder = builder(config).shared_data(data.clone());
        builder.start().unwrap()
    };
    let (edge, same, other) = (
        listener(&three(json!({}))),
        listener(&three(json!({}))),
        listener(&other),
    );

    assert_eq!(admitted(&edge, &get(), 2), 2);
    assert_eq!(admitted(&other, &get(), 4), 3);
    // Instances with the same name share a count, on any number of listeners.
    assert_eq!(admitted(&same, &get(), 4), 1);
    assert_eq!(admitted(&edge, &get(), 1), 0);
}

#[test]
fn a_step_of_the_wall_clock_gives_nothing_away() {
    let config = three(json!({"algorithm": "fixed_window"}));
    let host = builder(&config).start().unwrap();
    assert_eq!(admitted(&host, &get(), 3), 3);

    host.set_wall_time(host.wall_time() + Duration::from_secs(86_400));
    assert_eq!(admitted(&host, &get(), 1), 0);
    // The same holds for an instance configured after the step.
    host.update(vec![filter(&three(
        json!({"algorithm": "fixed_window", "missing": "deny"}),
    ))])
    .unwrap();
    assert_eq!(admitted(&host, &get(), 1), 0);

    host.advance(Duration::from_secs(3600));
    assert_eq!(admitted(&host, &get(), 4), 3);
}
