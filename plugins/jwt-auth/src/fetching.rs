//! Remote documents: polls of the shared values, calls to the servers, and their answers.

use std::cell::RefCell;
use std::time::Duration;

use jwt_auth_policy::jose::MAX_SET;
use jwt_auth_policy::remote::{MAX_BODY, Source, Ticket};
use jwt_auth_policy::{JwtAuth as Policy, Polled, RemoteId, Role, State};
use portcullis_core::config::Name;
use portcullis_core::retry_after::retry_after;
use portcullis_core::time::Nanos;
use portcullis_host::{
    Call, CallId, CallResponse, Error, Instance, MetricNames, Metrics, SharedValue, Status, Worker,
    random, wall_clock,
};
use portcullis_table::Edit;

use crate::counters::{DocumentCounters, FetchResult};

/// The prefix of a provider's name in the log and among the metric names.
const KEYS_OF: &str = "keys of ";

/// The remote documents of an instance, in one worker.
#[derive(Debug)]
pub(crate) struct Fetching {
    documents: Vec<Document>,
    /// This worker's open calls.
    calls: RefCell<Vec<(CallId, RemoteId, Ticket)>>,
    metric_names: MetricNames,
    metrics: Metrics,
}

#[derive(Debug)]
struct Document {
    id: RemoteId,
    source: Source,
    shared: SharedValue,
    counters: DocumentCounters,
    /// The name in the log and among the metric names.
    label: String,
    max_body: usize,
}

/// The policy, its state and the time of one callback.
#[derive(Debug)]
pub(crate) struct FetchContext<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) state: &'a RefCell<State>,
    pub(crate) now: Nanos,
}

impl Fetching {
    pub(crate) fn open(instance: &Instance<Policy>, metrics: &Metrics) -> Self {
        let remotes = instance.remotes().filter(|_| instance.needs_request());
        let documents = remotes.map(|(id, source, provider)| {
            let (kind, label, max_body) = match provider {
                Some(provider) => ("jwks", format!("{KEYS_OF}{provider}"), MAX_SET),
                None => ("revocations", "revocation list".to_owned(), MAX_BODY),
            };
            let value = format!("{kind}/{:016x}", source.identity());
            Document {
                id,
                source: source.clone(),
                shared: instance.shared_value(&value),
                counters: DocumentCounters::define(metrics, provider.map(Name::as_str)),
                label,
                max_body,
            }
        });
        let documents: Vec<Document> = documents.collect();
        let metric_names = instance.metric_names();
        let names: Vec<&str> = documents.iter().map(|it| it.label.as_str()).collect();
        for retired in metric_names.replace(&names) {
            DocumentCounters::retire(metrics, retired.strip_prefix(KEYS_OF));
        }
        Self {
            documents,
            calls: RefCell::default(),
            metric_names,
            metrics: metrics.clone(),
        }
    }

    /// Whether there is nothing to fetch.
    pub(crate) fn is_idle(&self) -> bool {
        self.documents.is_empty()
    }

    /// The size limit of the largest document.
    pub(crate) fn max_body(&self) -> usize {
        let sizes = self.documents.iter().map(|document| document.max_body);
        sizes.max().unwrap_or(0)
    }

    /// Polls each document whose poll is due.
    pub(crate) fn on_tick(&self, worker: &mut Worker, context: &FetchContext<'_>) {
        for document in &self.documents {
            self.poll(document, worker, context);
        }
    }

    /// Handles the answer to a call, which may be another plugin's.
    pub(crate) fn on_answer(
        &self,
        worker: &mut Worker,
        call: CallId,
        response: &CallResponse,
        context: &FetchContext<'_>,
    ) {
        let mut calls = self.calls.borrow_mut();
        let Some(position) = calls.iter().position(|(id, ..)| *id == call) else {
            return;
        };
        let (_, remote, ticket) = calls.swap_remove(position);
        drop(calls);
        if let Some(document) = self.documents.get(remote.index()) {
            document.finish(ticket, response, context);
            self.poll(document, worker, context);
        }
    }

    fn poll(&self, document: &Document, worker: &mut Worker, context: &FetchContext<'_>) {
        let FetchContext { policy, state, now } = context;
        let mut state = state.borrow_mut();
        let role = match worker.makes_calls() {
            true => Role::Fetcher,
            false => Role::Follower,
        };
        if role == Role::Fetcher && worker.take_asked(document.shared.topic()) {
            policy.request_fetch(&mut state, document.id);
        }
        if !policy.is_poll_due(&state, document.id, *now) {
            return;
        }
        let poll = |bytes: &mut Vec<u8>| policy.poll(&mut state, document.id, bytes, *now, role);
        // If the value cannot be written, the next tick polls again.
        let polled = document.shared.update(poll).unwrap_or(Polled::Unchanged);
        if let Some(age) = policy.age(&state, document.id, *now) {
            document.counters.age.set(age.floor_secs());
        }
        let is_missing = !policy.is_usable(&state, document.id, *now);
        document.counters.missing.set(is_missing.into());
        drop(state);
        match polled {
            Polled::Unchanged => {}
            Polled::Wanted => worker.ask_caller(document.shared.topic()),
            Polled::Postponed => worker.wake(),
            Polled::Installed(installed) => {
                let label = &document.label;
                log::info!(
                    "portcullis jwt_auth: {label}: {} entries",
                    installed.entries
                );
                for skipped in installed.skipped {
                    log::warn!("portcullis jwt_auth: {label}: not used: {skipped}");
                }
                document.counters.entries.set(installed.entries as u64);
                worker.wake();
            }
            Polled::Rejected(problem) => {
                log::warn!("portcullis jwt_auth: {}: {problem}", document.label);
            }
            Polled::Fetch(ticket) => match document.send(worker) {
                Ok(call) => {
                    let mut calls = self.calls.borrow_mut();
                    // An older call was abandoned: Envoy never answered it.
                    calls.retain(|(_, remote, _)| *remote != document.id);
                    calls.push((call, document.id, ticket));
                }
                Err(error) => {
                    let problem = not_sent(error, document.source.cluster.as_str());
                    document.fail(ticket, FetchResult::NotSent, &problem, None, context);
                }
            },
        }
    }
}

/// An old instance keeps setting its gauges until it is dropped, so it sets them to 0 only then.
impl Drop for Fetching {
    fn drop(&mut self) {
        for document in &self.documents {
            if self.metric_names.is_retired(&document.label) {
                DocumentCounters::retire(&self.metrics, document.label.strip_prefix(KEYS_OF));
            }
        }
    }
}

impl Document {
    fn send(&self, worker: &mut Worker) -> Result<CallId, Error> {
        let Source {
            cluster,
            uri,
            headers,
            schedule,
        } = &self.source;
        let target = [
            (":method", "GET"),
            (":scheme", uri.scheme()),
            (":authority", uri.authority()),
            (":path", uri.path()),
        ];
        let headers: Vec<(&str, &str)> = target.into_iter().chain(headers.all()).collect();
        worker.call(&Call {
            cluster: cluster.as_str(),
            headers: &headers,
            body: &[],
            timeout: Duration::from(schedule.timeout),
            memo: None,
        })
    }

    fn finish(&self, ticket: Ticket, response: &CallResponse, context: &FetchContext<'_>) {
        match response.status() {
            Some(200) => match self.check(response, context) {
                Ok(()) => self.succeed(ticket, text(response), context),
                Err(problem) => self.fail(ticket, FetchResult::Unusable, &problem, None, context),
            },
            Some(status) => {
                let cluster = self.source.cluster.as_str();
                let problem = format!("status {status}{}", explanation(response, cluster));
                let pause = requested_pause(response);
                self.fail(ticket, FetchResult::Status, &problem, pause, context);
            }
            None => self.fail(
                ticket,
                FetchResult::BrokenOff,
                "the connection was reset, or the response broke off",
                None,
                context,
            ),
        }
    }

    fn check(&self, response: &CallResponse, context: &FetchContext<'_>) -> Result<(), String> {
        if let Some(encoding) = encoding(response) {
            return Err(format!(
                "content-encoding: {encoding}, which the request does not accept"
            ));
        }
        let mut state = context.state.borrow_mut();
        context.policy.prepare(&mut state, self.id, text(response))
    }

    fn succeed(&self, ticket: Ticket, body: &[u8], context: &FetchContext<'_>) {
        let random = random_number();
        let schedule = &self.source.schedule;
        // If the value cannot be written, a worker fetches again when the lease has run out.
        let _ = self.shared.update(|bytes| {
            let Edit { changed, .. } = schedule.succeed(bytes, ticket, context.now, body, random);
            Edit {
                changed,
                outcome: (),
            }
        });
        self.counters.count(FetchResult::Good);
        context
            .policy
            .fetch_ended(&mut context.state.borrow_mut(), self.id);
    }

    fn fail(
        &self,
        ticket: Ticket,
        fetched: FetchResult,
        problem: &str,
        pause: Option<Nanos>,
        context: &FetchContext<'_>,
    ) {
        let random = random_number();
        let schedule = &self.source.schedule;
        let _ = self
            .shared
            .update(|bytes| schedule.fail(bytes, ticket, context.now, random, pause));
        self.counters.count(fetched);
        log::warn!(
            "portcullis jwt_auth: {} not fetched from {}: {problem}",
            self.label,
            self.source.uri
        );
        context
            .policy
            .fetch_ended(&mut context.state.borrow_mut(), self.id);
    }
}

/// The length of Envoy's text about a failed connection, including a TLS error.
const MAX_EXPLANATION: usize = 300;

/// The end of Envoy's text if it has no connection. Up to 1.38.0, the reason follows.
const NOT_CONNECTED: &str = "reset reason: remote connection failure";

/// The text of an error response. Without an answer from the server, Envoy explains why, for example
/// `upstream connect error … connection timeout`. Markup is left out.
fn explanation(response: &CallResponse, cluster: &str) -> String {
    let text: String = String::from_utf8_lossy(&response.body)
        .chars()
        .take(MAX_EXPLANATION)
        .map(|character| match character.is_control() {
            true => ' ',
            false => character,
        })
        .collect();
    let text = text.trim();
    if text.is_empty() || text.starts_with('<') {
        return String::new();
    }
    match text.ends_with(NOT_CONNECTED) {
        true => format!(
            ": {text:?}: nothing listens there, or TLS failed; Envoy's statistics show which \
             (cluster.{cluster}.ssl, cluster.{cluster}.upstream_cx_connect_fail)"
        ),
        false => format!(": {text:?}"),
    }
}

/// The compression of the body, if any.
fn encoding(response: &CallResponse) -> Option<String> {
    let encoding = response.headers.as_ref()?.get("content-encoding")?;
    let is_none = encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity");
    (!is_none).then(|| String::from_utf8_lossy(encoding).into_owned())
}

/// The body without a byte order mark, which some servers put before JSON (RFC 8259, section 8.1).
fn text(response: &CallResponse) -> &[u8] {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    let body = response.body.as_slice();
    body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body)
}

/// The reason why Envoy did not send a call.
fn not_sent(error: Error, cluster: &str) -> String {
    let why = match error {
        Error::Host {
            status: Status::BadArgument,
            ..
        } => format!("Envoy has no cluster {cluster:?}"),
        Error::Host {
            status: Status::InternalFailure,
            ..
        } => format!(
            "Envoy could not send a request to the cluster {cluster:?}: it has no healthy endpoint, or \
             capability_restriction_config does not allow the call"
        ),
        _ => return error.to_string(),
    };
    format!("{why} ({error})")
}

/// The pause that the server asks for with `Retry-After`.
fn requested_pause(response: &CallResponse) -> Option<Nanos> {
    retry_after(response.headers.as_ref()?, wall_clock().ok()?)
}

/// Without randomness, fetches are only less evenly spread over time.
fn random_number() -> u64 {
    random().map_or(0, u64::from_le_bytes)
}
