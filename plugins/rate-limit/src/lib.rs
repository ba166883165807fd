//! The wiring of [`rate_limit_policy`] to Envoy.
//!
//! What happens and why is told there, and in this folder's README for those who configure it.

use portcullis_core::config::{Document, Errors, HasTables as _, Name};
use portcullis_core::headers::HeaderMap;
use portcullis_core::matcher::Subject;
use portcullis_host::{
    Counter, CountersBy, Error, Exchange, Facts, Failure, Flow, Gauge, Metrics, Phase, Plugin,
    SteadyClock, Summary, TableSpec, Tables,
};
pub use rate_limit_policy::RateLimit as Policy;
use rate_limit_policy::{Config, Evaluation, LimitId, Outcome, Reason, SHADOW_HEADER, TableEvents};

/// The plugin.
#[derive(Debug)]
pub struct RateLimit {
    name: Name,
    policy: Policy,
    clock: SteadyClock,
    tables: Tables,
    /// By limit.
    counters: Vec<Counters>,
}

#[derive(Debug)]
struct Counters {
    admitted: Counter,
    near_limit: Counter,
    denied: CountersBy<Reason>,
    shadow_denied: CountersBy<Reason>,
    errors: Counter,
    occupancy: Gauge,
    evictions: Counter,
    forgiven: Counter,
    malformed: Counter,
    retries: Counter,
    gave_up: Counter,
}

impl Plugin for RateLimit {
    const NAME: &'static str = "rate_limit";
    type Config = Config;
    /// What came of the request; `None` if this plugin has not seen it.
    type Stream = Option<Evaluation>;

    fn read(document: Document) -> Result<Config, Errors> {
        Config::read_with_tables(document)
    }

    fn new(config: Config) -> Self {
        let name = config.name.clone();
        let policy = Policy::new(config);
        let metrics = Metrics::new(Self::NAME, &name);
        let counters: Vec<Counters> = policy
            .limits()
            .map(|limit| Counters::define(&metrics, limit.as_str()))
            .collect();
        let specs = policy
            .tables()
            .zip(&counters)
            .map(|(table, counters)| TableSpec {
                identity: table.identity,
                retries: counters.retries,
                gave_up: counters.gave_up,
            });
        Self {
            clock: SteadyClock::open(),
            tables: Tables::open(Self::NAME, &name, specs),
            name,
            policy,
            counters,
        }
    }

    fn summaries(&self) -> Vec<Summary> {
        vec![Summary {
            plugin: Self::NAME,
            policy: self.name.clone(),
            what: self.policy.to_string(),
        }]
    }

    /// Once a response has begun, the request was judged: the error is counted, and the response passes.
    fn on_error(&self, _: &mut Option<Evaluation>, exchange: &mut Exchange, _: Failure) -> Flow {
        for counters in &self.counters {
            counters.errors.increment();
        }
        let reply = self.policy.on_error();
        let reply = reply.filter(|_| exchange.phase() == Phase::Request);
        reply.map_or(Flow::Continue, Flow::Reply)
    }

    fn on_request(
        &self,
        stream: &mut Option<Evaluation>,
        exchange: &mut Exchange,
    ) -> Result<Flow, Error> {
        if !self.policy.needs_request() {
            return Ok(Flow::Continue);
        }
        let needs = self.policy.needs();
        let facts = Facts::ask(exchange, needs)?;
        let nothing = HeaderMap::default();
        let headers = match needs.headers {
            true => exchange.request()?,
            false => &nothing,
        };
        let subject = Subject::new(headers, facts.route());
        let request = facts.request(&subject);
        let now = self.clock.now()?;
        let tables = &mut self.tables.at(now);
        let evaluation = self.policy.on_request(&request, now, tables);
        self.count(&evaluation);

        if evaluation.is_denied()
            && let Some(reply) = self.policy.reply(&evaluation)
        {
            self.log(&evaluation);
            *stream = Some(evaluation);
            return Ok(Flow::Reply(reply));
        }
        for mark in self.policy.shadow_marks(&evaluation) {
            exchange.request()?.append(SHADOW_HEADER.into(), mark);
        }
        *stream = Some(evaluation);
        Ok(Flow::Continue)
    }

    fn on_response(
        &self,
        stream: &mut Option<Evaluation>,
        exchange: &mut Exchange,
    ) -> Result<Flow, Error> {
        let Some(evaluation) = stream.as_mut().filter(|_| self.policy.needs_response()) else {
            return Ok(Flow::Continue);
        };
        let response = exchange.response()?;
        let now = self.clock.now()?;
        let tables = &mut self.tables.at(now);
        let events = self.policy.on_response(evaluation, response, now, tables);
        for (limit, events) in events {
            if let Some(counters) = self.counters(limit) {
                counters.count_table(events);
            }
        }
        Ok(Flow::Continue)
    }
}

impl RateLimit {
    /// One line for a request that is denied: by which limit, and why.
    fn log(&self, evaluation: &Evaluation) {
        let denial = evaluation
            .checks()
            .iter()
            .find_map(|check| match check.outcome() {
                Outcome::Denied(reason) => Some((check.limit(), reason)),
                _ => None,
            });
        if let Some((limit, reason)) = denial {
            log::debug!(
                "portcullis rate_limit {}: limit {}: {}",
                self.name,
                self.policy.limit_name(limit),
                reason.label()
            );
        }
    }

    fn count(&self, evaluation: &Evaluation) {
        for check in evaluation.checks() {
            let Some(counters) = self.counters(check.limit()) else {
                continue;
            };
            match check.outcome() {
                Outcome::Admitted => counters.admitted.increment(),
                Outcome::Denied(reason) => counters.denied.increment(reason),
                Outcome::ShadowDenied(reason) => counters.shadow_denied.increment(reason),
                Outcome::Released | Outcome::Uncounted => {}
            }
            if check.is_near_limit() {
                counters.near_limit.increment();
            }
            if check.is_error() {
                counters.errors.increment();
            }
            counters.count_table(check.table());
        }
    }

    fn counters(&self, limit: LimitId) -> Option<&Counters> {
        self.counters.get(limit.index())
    }
}

impl Counters {
    fn define(metrics: &Metrics, limit: &str) -> Self {
        let labels = &[("limit", limit)];
        let counter = |metric| metrics.counter(metric, labels);
        let by_reason = |metric| {
            CountersBy::define(&Reason::ALL, |reason| {
                metrics.counter(metric, &[("limit", limit), ("reason", reason.label())])
            })
        };
        Self {
            admitted: counter("admitted"),
            near_limit: counter("near_limit"),
            denied: by_reason("denied"),
            shadow_denied: by_reason("shadow_denied"),
            errors: counter("errors"),
            occupancy: metrics.gauge("occupancy", labels),
            evictions: counter("evictions"),
            forgiven: counter("forgiven"),
            malformed: counter("malformed"),
            retries: counter("cas_retries"),
            gave_up: counter("gave_up"),
        }
    }

    fn count_table(&self, events: TableEvents) {
        if events.occupied {
            self.occupancy.increment();
        }
        if events.evicted {
            self.evictions.increment();
            self.forgiven.add(events.forgiven);
        }
        if events.malformed {
            self.malformed.increment();
        }
    }
}
