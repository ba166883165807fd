//! Documents that are fetched: looks at the shared values, calls, answers.

use std::cell::RefCell;
use std::time::Duration;

use jwt_auth_policy::jose::MAX_SET;
use jwt_auth_policy::remote::{MAX_BODY, Source, Ticket};
use jwt_auth_policy::{JwtAuth as Policy, Look, RemoteId, State};
use portcullis_core::config::Name;
use portcullis_host::{
    Call, CallId, CallResponse, Error, Instance, MetricNames, Metrics, SharedValue, Status, Worker,
    random,
};
use portcullis_table::Edit;

use crate::counters::{DocumentCounters, Fetched};

const SECOND: u64 = 1_000_000_000;

/// Stands before the provider's name in what is said of its keys.
const KEYS_OF: &str = "keys of ";

/// The documents of an instance, as one worker has them.
#[derive(Debug)]
pub(crate) struct Fetching {
    documents: Vec<Document>,
    /// The calls that this worker waits for.
    calls: RefCell<Vec<(CallId, RemoteId, Ticket)>>,
    roster: MetricNames,
    metrics: Metrics,
}

#[derive(Debug)]
struct Document {
    id: RemoteId,
    source: Source,
    shared: SharedValue,
    counters: DocumentCounters,
    /// For the log and the roster.
    what: String,
    max_body: usize,
}

/// Where the news go.
#[derive(Debug)]
pub(crate) struct News<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) state: &'a RefCell<State>,
    pub(crate) now: u64,
}

impl Fetching {
    pub(crate) fn open(instance: &Instance<Policy>, metrics: &Metrics) -> Self {
        let remotes = instance.remotes().filter(|_| instance.needs_request());
        let documents = remotes.map(|(id, source, provider)| {
            let (kind, what, max_body) = match provider {
                Some(provider) => ("jwks", format!("{KEYS_OF}{provider}"), MAX_SET),
                None => ("revocations", "revocation list".to_owned(), MAX_BODY),
            };
            let value = format!("{kind}/{:016x}", source.identity());
            Document {
                id,
                source: source.clone(),
                shared: instance.shared_value(&value),
                counters: DocumentCounters::define(metrics, provider.map(Name::as_str)),
                what,
                max_body,
            }
        });
        let documents: Vec<Document> = documents.collect();
        let roster = instance.metric_names();
        let names: Vec<&str> = documents.iter().map(|it| it.what.as_str()).collect();
        for gone in roster.replace(&names) {
            DocumentCounters::retire(metrics, gone.strip_prefix(KEYS_OF));
        }
        Self {
            documents,
            calls: RefCell::default(),
            roster,
            metrics: metrics.clone(),
        }
    }

    /// Whether there is anything to fetch at all.
    pub(crate) fn is_idle(&self) -> bool {
        self.documents.is_empty()
    }

    /// The most bytes that any document may have.
    pub(crate) fn max_body(&self) -> usize {
        let sizes = self.documents.iter().map(|document| document.max_body);
        sizes.max().unwrap_or(0)
    }

    /// Looks at each document for which it is time.
    pub(crate) fn on_tick(&self, worker: &mut Worker, news: &News<'_>) {
        for document in &self.documents {
            self.look(document, worker, news);
        }
    }

    /// A call was answered, perhaps one of these.
    pub(crate) fn on_answer(
        &self,
        worker: &mut Worker,
        call: CallId,
        response: &CallResponse,
        news: &News<'_>,
    ) {
        let mut calls = self.calls.borrow_mut();
        let Some(position) = calls.iter().position(|(id, ..)| *id == call) else {
            return;
        };
        let (_, remote, ticket) = calls.swap_remove(position);
        drop(calls);
        if let Some(document) = self.documents.get(remote.index()) {
            document.finish(ticket, response, news);
            self.look(document, worker, news);
        }
    }

    fn look(&self, document: &Document, worker: &mut Worker, news: &News<'_>) {
        let News { policy, state, now } = news;
        let mut state = state.borrow_mut();
        if !policy.is_time_to_look(&state, document.id, *now) {
            return;
        }
        let look = |bytes: &mut Vec<u8>| policy.look(&mut state, document.id, bytes, *now);
        // A value that cannot be written is looked at again with the next tick.
        let look = document.shared.update(look).unwrap_or(Look::Nothing);
        if let Some(age) = policy.age(&state, document.id, *now) {
            document.counters.age.set(age / SECOND);
        }
        let is_missing = !policy.is_usable(&state, document.id, *now);
        document.counters.missing.set(is_missing.into());
        drop(state);
        match look {
            Look::Nothing => {}
            Look::Pause => worker.wake(),
            Look::Installed(installed) => {
                let what = &document.what;
                log::info!("portcullis jwt_auth: {what}: {} entries", installed.entries);
                for skipped in installed.skipped {
                    log::warn!("portcullis jwt_auth: {what}: not used: {skipped}");
                }
                document.counters.entries.set(installed.entries as u64);
                worker.wake();
            }
            Look::Refused(problem) => {
                log::warn!("portcullis jwt_auth: {}: {problem}", document.what);
            }
            Look::Fetch(ticket) => match document.send(worker) {
                Ok(call) => {
                    let mut calls = self.calls.borrow_mut();
                    // An older call was given up, if Envoy never answered it.
                    calls.retain(|(_, remote, _)| *remote != document.id);
                    calls.push((call, document.id, ticket));
                }
                Err(error) => {
                    let problem = not_sent(error, document.source.cluster.as_str());
                    document.fail(ticket, Fetched::NotSent, &problem, None, news);
                }
            },
        }
    }
}

/// An instance looks at its documents for as long as it is there, and sets their gauges.
impl Drop for Fetching {
    fn drop(&mut self) {
        for document in &self.documents {
            if self.roster.is_retired(&document.what) {
                DocumentCounters::retire(&self.metrics, document.what.strip_prefix(KEYS_OF));
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
            timeout: Duration::from_nanos(schedule.timeout),
        })
    }

    fn finish(&self, ticket: Ticket, response: &CallResponse, news: &News<'_>) {
        match response.status() {
            Some(200) => match self.check(response, news) {
                Ok(()) => self.succeed(ticket, text(response), news),
                Err(problem) => self.fail(ticket, Fetched::Unusable, &problem, None, news),
            },
            Some(status) => {
                let cluster = self.source.cluster.as_str();
                let problem = format!("status {status}{}", explanation(response, cluster));
                self.fail(
                    ticket,
                    Fetched::Status,
                    &problem,
                    retry_after(response),
                    news,
                );
            }
            None => self.fail(
                ticket,
                Fetched::BrokenOff,
                "the connection was reset, or the response broke off",
                None,
                news,
            ),
        }
    }

    fn check(&self, response: &CallResponse, news: &News<'_>) -> Result<(), String> {
        if let Some(encoding) = encoding(response) {
            return Err(format!(
                "content-encoding: {encoding}, which the request does not accept"
            ));
        }
        let mut state = news.state.borrow_mut();
        news.policy.check(&mut state, self.id, text(response))
    }

    fn succeed(&self, ticket: Ticket, body: &[u8], news: &News<'_>) {
        let random = random_number();
        let schedule = &self.source.schedule;
        // Whoever is given up on fetches again when the lease has run out.
        let _ = self.shared.update(|bytes| {
            let Edit { changed, .. } = schedule.succeed(bytes, ticket, news.now, body, random);
            Edit {
                changed,
                outcome: (),
            }
        });
        self.counters.count(Fetched::Good);
        news.policy.fetched(&mut news.state.borrow_mut(), self.id);
    }

    fn fail(
        &self,
        ticket: Ticket,
        fetched: Fetched,
        problem: &str,
        retry_after: Option<u64>,
        news: &News<'_>,
    ) {
        let random = random_number();
        let schedule = &self.source.schedule;
        let _ = self
            .shared
            .update(|bytes| schedule.fail(bytes, ticket, news.now, random, retry_after));
        self.counters.count(fetched);
        log::warn!(
            "portcullis jwt_auth: {} not fetched from {}: {problem}",
            self.what,
            self.source.uri
        );
        news.policy.fetched(&mut news.state.borrow_mut(), self.id);
    }
}

/// Enough for what Envoy says of a connection that failed, with the fault of TLS.
const MAX_EXPLANATION: usize = 300;

/// What Envoy says if it has no connection. Up to 1.38.0 it goes on with the reason.
const NOT_CONNECTED: &str = "reset reason: remote connection failure";

/// What the body of an error says. Where there is no answer, it is Envoy that explains why, such as
/// `upstream connect error … connection timeout`. Of a document in markup only the status counts.
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
            ": {text:?}: nobody listens there, or TLS failed; Envoy's statistics say which \
             (cluster.{cluster}.ssl, cluster.{cluster}.upstream_cx_connect_fail)"
        ),
        false => format!(": {text:?}"),
    }
}

/// How the body is compressed, if it is.
fn encoding(response: &CallResponse) -> Option<String> {
    let encoding = response.headers.as_ref()?.get("content-encoding")?;
    let is_none = encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity");
    (!is_none).then(|| String::from_utf8_lossy(encoding).into_owned())
}

/// The body without a byte order mark, with which some servers begin JSON (RFC 8259, section 8.1).
fn text(response: &CallResponse) -> &[u8] {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    let body = response.body.as_slice();
    body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body)
}

/// Why Envoy did not even send a call.
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
             capability_restriction_config leaves the call out"
        ),
        _ => return error.to_string(),
    };
    format!("{why} ({error})")
}

/// For how long the server wants to be left alone, in nanoseconds. A date is not understood.
fn retry_after(response: &CallResponse) -> Option<u64> {
    let value = response.headers.as_ref()?.get("retry-after")?;
    let seconds: u64 = std::str::from_utf8(value).ok()?.trim().parse().ok()?;
    Some(seconds.saturating_mul(SECOND))
}

/// Without randomness, workers are only less evenly spread over time.
fn random_number() -> u64 {
    random().map_or(0, u64::from_le_bytes)
}
