//! Remote documents, and requests that wait for them.

mod keys;
mod revocation;
mod waiting;

use super::*;
use crate::remote::Ticket;
use portcullis_table::Edit;

/// A worker, and the value that it shares with other workers.
struct Fetching {
    world: World,
    shared: Vec<u8>,
}

impl Fetching {
    fn new(config: Value) -> Self {
        Self {
            world: World::new(config),
            shared: Vec::new(),
        }
    }

    fn remote(&self) -> RemoteId {
        self.world.policy.remotes().next().unwrap().0
    }

    fn poll(&mut self) -> Polled {
        let (remote, now) = (self.remote(), self.world.now.steady);
        let World { policy, state, .. } = &mut self.world;
        if !policy.is_poll_due(state, remote, now) {
            return Polled::Unchanged;
        }
        policy
            .poll(state, remote, &mut self.shared, now, Role::Fetcher)
            .outcome
    }

    /// Polls, and must get the lease.
    fn ticket(&mut self) -> Ticket {
        match self.poll() {
            Polled::Fetch(ticket) => ticket,
            other => panic!("{other:?}"),
        }
    }

    fn succeed(&mut self, ticket: Ticket, body: &Value) {
        let body = body.to_string();
        let remote = self.remote();
        let World { policy, state, .. } = &mut self.world;
        policy.prepare(state, remote, body.as_bytes()).unwrap();
        let now = self.world.now.steady;
        let schedule = self.schedule();
        schedule.succeed(&mut self.shared, ticket, now, body.as_bytes(), 0);
        self.world.policy.fetch_ended(&mut self.world.state, remote);
    }

    fn fail(&mut self, ticket: Ticket) {
        let (remote, now) = (self.remote(), self.world.now.steady);
        let Edit { outcome, .. } = self.schedule().fail(&mut self.shared, ticket, now, 0, None);
        assert!(outcome);
        self.world.policy.fetch_ended(&mut self.world.state, remote);
    }

    fn schedule(&self) -> crate::remote::Schedule {
        self.world.policy.remotes().next().unwrap().1.schedule
    }

    /// Fetches this document and installs it.
    fn install(&mut self, body: &Value) {
        let ticket = self.ticket();
        self.succeed(ticket, body);
        assert!(matches!(self.poll(), Polled::Installed(_)));
    }
}

fn remote_keys() -> Fetching {
    let remote = json!({"cluster": "idp", "uri": "https://idp.example/jwks", "timeout": "2s"});
    Fetching::new(one_provider(json!({"jwks": {"remote": remote}})))
}

fn remote_list(on_error: &str) -> Fetching {
    let mut config = one_provider(json!({}));
    config["on_error"] = json!(on_error);
    config["revocation"] = json!({
        "inline": [{"iss": IDP, "jti": "inline"}],
        "remote": {"cluster": "idp", "uri": "https://idp.example/revoked"},
    });
    Fetching::new(config)
}

fn keys(kids: &[&str]) -> Value {
    let keys: Vec<Value> = kids.iter().map(|kid| key(kid)).collect();
    json!({ "keys": keys })
}

fn token_of(kid: &str) -> String {
    let claims = json!({"iss": IDP, "exp": START + 1_000_000});
    signed(&json!({"alg": "RS256", "kid": kid}), &claims, "good")
}

fn waits(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Wait { .. })
}
