//! The status view: the circuits as JSON.

use bytes::Bytes;
use serde_json::{Value, json};

use super::breaker::{Breaker, StateOverride};
use super::machine::State;
use super::{BreakerId, CircuitBreaker, Compiled};
use portcullis_core::breaker_snapshot::{Entry, Phase, Snapshot};
use portcullis_core::label::Label as _;
use portcullis_core::matcher::Subject;
use portcullis_core::readings::path::Paths;
use portcullis_core::reply::Reply;
use portcullis_core::time::Nanos;
use portcullis_table::{Block, Edit, Store};

impl CircuitBreaker {
    /// Whether a request is for the status view.
    pub fn is_for_status(&self, subject: &Subject<'_>) -> bool {
        let own = self.status_path.as_ref();
        own.is_some_and(|own| {
            let path = subject.paths().and_then(Paths::only);
            path.is_some_and(|path| path == own.as_bytes())
        })
    }

    /// The status view. `snapshots` are those of the breakers, in their order; a snapshot that could not be read is
    /// empty.
    pub fn status<S: Store>(
        &self,
        subject: &Subject<'_>,
        snapshots: &[Vec<u8>],
        now: Nanos,
        store: &mut S,
    ) -> Reply {
        if subject.method() != b"GET" {
            return reply(405, "allow", "GET", Bytes::new());
        }
        let breakers = self.breakers.iter().zip(snapshots).enumerate();
        let breakers: Vec<Value> = breakers
            .map(|(i, (compiled, snapshot))| {
                view(
                    BreakerId(i),
                    compiled,
                    &Snapshot::decode(snapshot),
                    now,
                    store,
                )
            })
            .collect();
        let body = json!({"policy": self.name.as_str(), "breakers": breakers});
        let body = format!("{body:#}\n").into();
        reply(200, "content-type", "application/json", body)
    }
}

fn reply(status: u16, header: &'static str, value: &'static str, body: Bytes) -> Reply {
    Reply {
        status,
        grpc_status: None,
        details: Bytes::from_static(b"circuit_breaker_status"),
        headers: vec![
            (header.into(), value.into()),
            ("cache-control".into(), "no-store".into()),
        ],
        body,
    }
}

fn view<S: Store>(
    id: BreakerId,
    compiled: &Compiled,
    snapshot: &Snapshot,
    now: Nanos,
    store: &mut S,
) -> Value {
    let breaker = &compiled.breaker;
    let state = match breaker.state_override {
        StateOverride::Auto => snapshot.worst_phase().label(),
        state_override => state_override.label(),
    };
    let mut entries: Vec<&Entry> = snapshot.entries.iter().collect();
    // The worst phase first.
    entries.sort_by_key(|entry| (std::cmp::Reverse(entry.phase), &entry.label));
    let keys = entries.into_iter().filter_map(|entry| {
        let read = store.update(id.index(), entry.address.block, |bytes| Edit {
            changed: false,
            outcome: Block::<State>::new(bytes).get(entry.address.tag),
        });
        let state = read.ok().flatten()?;
        Some(circuit(breaker, &entry.label, &state, now))
    });
    json!({
        "name": breaker.name.as_str(),
        "mode": breaker.mode.to_string(),
        "state": state,
        "open_keys": snapshot.count(Phase::Open),
        "half_open_keys": snapshot.count(Phase::HalfOpen),
        "keys_not_shown": snapshot.unlisted(),
        "keys": keys.collect::<Vec<_>>(),
    })
}

fn circuit(breaker: &Breaker, label: &str, state: &State, now: Nanos) -> Value {
    let machine = &breaker.machine;
    let counts = match state.phase {
        Phase::HalfOpen => state.probed,
        Phase::Closed | Phase::Open => machine.counts(state, now),
    };
    let (under_way, probes) = machine.out(*state, now);
    let time_left = match state.phase {
        Phase::Open => (state.open_until - now).ceil_millis(),
        Phase::Closed | Phase::HalfOpen => 0,
    };
    json!({
        "key": label,
        "state": state.phase.label(),
        "time_left_ms": time_left,
        "trips_in_a_row": state.trips,
        "results": counts.total,
        "failure_rate": counts.failure_rate(),
        "slow_rate": counts.slow_rate(),
        "failures_in_a_row": state.consecutive,
        "under_way": under_way,
        "probes_out": probes,
        "last_trip": state.last_trip.cause.map(|cause| json!({
            "reason": cause.label(),
            "failure_rate": state.last_trip.failure_rate,
            "slow_rate": state.last_trip.slow_rate,
        })),
    })
}
