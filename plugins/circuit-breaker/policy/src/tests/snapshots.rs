//! Snapshots: what other plugins can read.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::snapshot::{GaugeDelta, begin, update};
use super::*;
use portcullis_core::breaker_snapshot::{CAPACITY, Snapshot};
use portcullis_core::key::{Key, KeyPart, Missing, shape};

fn by_tenant() -> Value {
    one_breaker(
        json!({"consecutive_failures": 1, "key": [{"header": "x-tenant"}],
        "half_open": {"permits": 1}}),
    )
}

fn call(world: &mut World, tenant: &str, ending: Ending) -> bool {
    world.call_with(&[("x-tenant", tenant)], ending)
}

/// The answer to another plugin with such a key.
fn is_open_for(world: &World, parts: Value, tenant: &str) -> bool {
    let parts: Vec<KeyPart> = config::read(parts.to_string().as_bytes()).unwrap();
    let headers = header_map(&[("x-tenant", tenant)]);
    let request = Request {
        subject: &Subject::new(&headers, b""),
        remote_address: b"192.0.2.1:51000",
        claims: b"",
        cluster: b"payments",
    };
    let seed = portcullis_table::Store::seed(&world.store);
    let Key::Hash(key) = Key::of(&request, &parts, Missing::Share, seed) else {
        panic!("no key");
    };
    Snapshot::decode(&world.snapshots[0]).is_open(shape(&parts), key, world.now)
}

#[test]
fn other_plugins_learn_about_their_own_key() {
    let mut world = World::new(by_tenant());
    call(&mut world, "one", failure());
    let same = json!([{"header": "x-tenant"}]);
    assert!(is_open_for(&world, same.clone(), "one"));
    assert!(!is_open_for(&world, same.clone(), "two"));
    world.advance(Nanos::from_secs(5));
    assert!(
        !is_open_for(&world, same.clone(), "one"),
        "it can be probed"
    );
    call(&mut world, "one", failure());
    assert!(is_open_for(&world, same.clone(), "one"));
    world.advance(Nanos::from_secs(10));
    call(&mut world, "one", success());
    assert!(!is_open_for(&world, same, "one"));
}

#[test]
fn with_another_key_any_open_circuit_counts() {
    let mut world = World::new(by_tenant());
    let other = json!(["cluster"]);
    assert!(!is_open_for(&world, other.clone(), "two"));
    call(&mut world, "one", failure());
    assert!(is_open_for(&world, other.clone(), "two"));
    world.advance(Nanos::from_secs(5));
    assert!(!is_open_for(&world, other, "two"));
}

/// The snapshot does not say which keys are not listed.
#[test]
fn beyond_what_is_listed_any_open_circuit_counts() {
    let mut world = World::new(by_tenant());
    let same = || json!([{"header": "x-tenant"}]);
    for tenant in 0..CAPACITY {
        call(&mut world, &tenant.to_string(), failure());
    }
    assert!(!is_open_for(&world, same(), "new"));
    call(&mut world, "one more", failure());
    assert!(is_open_for(&world, same(), "one more"));
    assert!(is_open_for(&world, same(), "new"));
    assert_eq!(world.gauges.open_keys, CAPACITY as i64 + 1);
    world.advance(Nanos::from_secs(5));
    call(&mut world, "one more", success());
    assert!(!is_open_for(&world, same(), "new"));
    assert_eq!(world.gauges.open_keys, CAPACITY as i64);
}

#[test]
fn a_breaker_that_is_forced_open_is_open_for_all() {
    let world = World::new(one_breaker(json!({"state": "forced_open"})));
    assert!(is_open_for(&world, json!([]), ""));
}

#[test]
fn gauges_follow_the_worst_key() {
    let mut world = World::new(by_tenant());
    let gauges = |world: &World| (world.gauges.state, world.gauges.open_keys);
    call(&mut world, "one", success());
    assert_eq!(gauges(&world), (0, 0));
    call(&mut world, "one", failure());
    assert_eq!(gauges(&world), (2, 1));
    call(&mut world, "two", failure());
    assert_eq!(gauges(&world), (2, 2));
    world.advance(Nanos::from_secs(5));
    let probe = world.send(&[("x-tenant", "one")]);
    assert_eq!(gauges(&world), (2, 1));
    let other = world.send(&[("x-tenant", "two")]);
    assert_eq!(gauges(&world), (1, 0));
    world.end(probe, success());
    assert_eq!(gauges(&world), (1, 0));
    world.end(other, failure());
    assert_eq!(gauges(&world), (2, 1));
}

/// Streams of an old configuration go on with their own table for a while.
#[test]
fn a_snapshot_belongs_to_one_table() {
    let mut world = World::new(by_tenant());
    let old = world.send(&[("x-tenant", "one")]);
    let mut other = by_tenant();
    other["breakers"][0]["window"] = json!({"type": "count", "size": 10});
    let old_policy = std::mem::replace(&mut world.policy, policy(other));
    world.begin_snapshots();
    let new_policy = std::mem::replace(&mut world.policy, old_policy);
    let identity = new_policy.tables().next().unwrap().identity;
    world.policy = new_policy;
    let mut old = old;
    let mut ending = failure();
    let headers = ending.headers.clone().unwrap();
    world.policy.on_response(&mut old, &headers, world.now);
    let records = world
        .policy
        .on_log(&mut old, &mut ending, world.now, &mut world.store);
    let changes = &records[0].effects.changes;
    assert!(!changes.is_empty());
    let snapshot = &mut world.snapshots[0];
    assert_eq!(
        update(snapshot, identity ^ 1, &changes[0]).outcome,
        GaugeDelta::default()
    );
    assert_eq!(
        update(snapshot, identity, &changes[0]).outcome,
        GaugeDelta {
            state: 2,
            open_keys: 1
        }
    );
}

#[test]
fn labels_are_what_people_call_the_key() {
    let mut world = World::new(one_breaker(json!({"consecutive_failures": 1, "key":
        ["cluster", "remote_address", {"header": "x-tenant"}, {"header": "x-none"}]})));
    let long = "é".repeat(60);
    call(&mut world, &long, failure());
    let snapshot = Snapshot::decode(&world.snapshots[0]);
    let label = &snapshot.entries[0].label;
    assert!(label.starts_with("payments, 192.0.2.1, éé"), "{label}");
    assert!(label.len() <= 64);
    call(&mut world, "a", failure());
    let snapshot = Snapshot::decode(&world.snapshots[0]);
    assert_eq!(snapshot.entries[1].label, "payments, 192.0.2.1, a, -");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// The gauges agree with the states of all circuits, for any number of keys and any events.
    #[test]
    fn gauges_are_exact(
        calls in prop::collection::vec((0..90_u32, any::<bool>(), 0..2_000_u64), 0..600),
    ) {
        let mut config = by_tenant();
        config["max_keys"] = json!(64);
        let mut world = World::new(config);
        for (tenant, fails, wait) in calls {
            world.advance(Nanos::from_millis(wait));
            let ending = if fails { failure() } else { success() };
            call(&mut world, &tenant.to_string(), ending);
        }
        let mut phases = Vec::new();
        for (_, mut bytes) in world.store.contents() {
            let slots = bytes.split_off(1);
            let size = 8 + size_of_state();
            for slot in slots.chunks(size) {
                phases.push(slot[8]);
            }
        }
        let open_keys = phases.iter().filter(|phase| **phase == 2).count() as i64;
        let state = phases.iter().copied().max().unwrap_or(0).into();
        prop_assert_eq!(world.gauges, GaugeDelta { state, open_keys });
    }

    #[test]
    fn any_bytes_are_a_snapshot(mut bytes in prop::collection::vec(any::<u8>(), 0..300), version: bool) {
        if let (true, Some(first)) = (version, bytes.first_mut()) {
            *first = 1;
        }
        let snapshot = Snapshot::decode(&bytes);
        prop_assert!(snapshot.entries.len() <= CAPACITY);
        begin(&mut bytes, TableMetadata::default());
        prop_assert_eq!(Snapshot::decode(&bytes).table, TableMetadata::default());
    }
}

fn size_of_state() -> usize {
    use portcullis_table::State as _;
    super::super::machine::State::default().to_bytes().len()
}
