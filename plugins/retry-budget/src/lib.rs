//! The wiring of [`retry_budget_policy`] to Envoy.
//!
//! The policy's documentation is the specification; the README in this folder is for users.

mod metrics;
mod respected_breaker;

use portcullis_core::config::Name;
use portcullis_core::key::Needs;
use portcullis_core::label::Label as _;
use portcullis_host::{
    Error, Exchange, Failure, Flow, HandedOver, Instance, MetricNames, Phase, Plugin, Property,
    SteadyClock, TableSpec, Tables, random,
};
pub use retry_budget_policy::RetryBudget as Policy;
use retry_budget_policy::{BreakerQuery, BudgetId, Evaluation, Reason, Report};

use metrics::BudgetMetrics;
use respected_breaker::RespectedBreaker;

/// The plugin.
#[derive(Debug)]
pub struct RetryBudget {
    instance: Instance<Policy>,
    clock: SteadyClock,
    tables: Tables,
    /// The metrics of each budget.
    metrics: Vec<BudgetMetrics>,
    /// The breaker that each budget respects.
    breakers: Vec<Option<RespectedBreaker>>,
    metric_names: MetricNames,
}

impl Plugin for RetryBudget {
    type Policy = Policy;
    /// The decision on the request; `None` if no budget applies to it, or if this plugin has not seen it.
    type Stream = Option<Evaluation>;

    fn new(instance: Instance<Policy>) -> Self {
        for warning in instance.warnings() {
            log::warn!("portcullis retry_budget \"{}\": {warning}", instance.name());
        }
        let all_metrics = instance.metrics();
        let metric_names = instance.metric_names();
        for budget in metric_names.replace(&live_budgets(&instance)) {
            BudgetMetrics::retire(&all_metrics, &budget);
        }
        let metrics: Vec<BudgetMetrics> = instance
            .budgets()
            .map(|budget| BudgetMetrics::define(&all_metrics, budget.as_str()))
            .collect();
        let specs = instance
            .tables()
            .zip(&metrics)
            .map(|(table, metrics)| TableSpec {
                identity: table.identity,
                metrics: metrics.table,
            });
        let breakers = instance.breakers().zip(&metrics);
        let breakers = breakers.map(|(breaker, metrics)| {
            let missing = metrics.breaker_missing;
            // An older configuration may have set it.
            missing.set(0);
            let breaker = breaker.filter(|_| instance.needs_request());
            Some(RespectedBreaker::open(breaker?, missing))
        });
        Self {
            clock: SteadyClock::open(),
            tables: instance.open_tables(specs),
            breakers: breakers.collect(),
            metric_names,
            instance,
            metrics,
        }
    }

    fn instance(&self) -> &Instance<Policy> {
        &self.instance
    }

    const NEEDS_STREAM_END: bool = true;

    /// With `on_error: deny`, a request gets no retries, and is denied if the plugin cannot even tell the router so.
    /// Once a response has begun, no retries follow: the error is only counted.
    fn on_error(
        &self,
        _: &mut Option<Evaluation>,
        exchange: &mut Exchange,
        failure: Failure,
    ) -> Flow {
        for metrics in &self.metrics {
            metrics.errors.increment();
        }
        if !self.instance.denies_on_error() || exchange.phase() != Phase::Request {
            return Flow::Continue;
        }
        match (failure, exchange.request()) {
            (Failure::Undecided, Ok(headers)) => {
                self.instance.forbid_retries(headers);
                Flow::Continue
            }
            (Failure::Undecided, Err(_)) | (Failure::NotDone, _) => {
                Flow::reply(self.instance.unavailable())
            }
        }
    }

    fn sees_requests(&self) -> bool {
        self.instance.needs_request()
    }

    fn on_request(
        &self,
        stream: &mut Option<Evaluation>,
        exchange: &mut Exchange,
    ) -> Result<Flow, Error> {
        let headers = exchange.request()?;
        let may_be_redirected = self.instance.may_be_redirected(headers);
        let is_redirected = may_be_redirected
            && exchange
                .property(Property::InternalRedirects)?
                .is_some_and(|number| !number.is_empty());
        let now = exchange.now(self.clock)?;
        let handed_over = exchange.handed_over();
        let needs = Needs {
            headers: true,
            ..self.instance.needs()
        };
        let (attributes, headers) = exchange.request_with(needs)?;
        let subject = attributes.subject(headers);
        let request = attributes.request(&subject);
        let is_open = |query| self.is_open(query, &handed_over);
        let tables = &mut self.tables.at(now);
        let evaluation = self
            .instance
            .on_request(&request, is_redirected, now, tables, is_open);
        let Some(evaluation) = evaluation else {
            return Ok(Flow::Continue);
        };
        if let Some(metrics) = self.metrics(evaluation.budget()) {
            metrics.count(&evaluation);
        }
        self.log(&evaluation, evaluation.denial(), "retry denied");
        if evaluation.denial().is_some() && evaluation.is_enforced() {
            // It only spreads out the clients that return.
            let random = random().map_or(0, u64::from_le_bytes);
            let reply = self.instance.reply(&evaluation, random);
            *stream = Some(evaluation);
            return Ok(reply.map_or(Flow::Continue, Flow::reply));
        }
        self.instance
            .write_headers(&evaluation, exchange.request()?);
        *stream = Some(evaluation);
        Ok(Flow::Continue)
    }

    fn on_response(
        &self,
        stream: &mut Option<Evaluation>,
        exchange: &mut Exchange,
    ) -> Result<Flow, Error> {
        let Some(evaluation) = stream else {
            return Ok(Flow::Continue);
        };
        let recorded = self.record(evaluation, exchange);
        if evaluation.needs_response() {
            self.instance.on_response(evaluation, exchange.response()?);
        }
        recorded.map(|()| Flow::Continue)
    }

    fn on_trailers(
        &self,
        stream: &mut Option<Evaluation>,
        exchange: &mut Exchange,
    ) -> Result<(), Error> {
        if let Some(evaluation) = stream.as_mut().filter(|it| it.needs_trailers()) {
            self.instance.on_trailers(evaluation, exchange.trailers()?);
        }
        Ok(())
    }

    fn on_log(
        &self,
        stream: &mut Option<Evaluation>,
        exchange: &mut Exchange,
    ) -> Result<(), Error> {
        match stream {
            Some(evaluation) => self.record(evaluation, exchange),
            None => Ok(()),
        }
    }
}

/// The budgets that are not off.
fn live_budgets(policy: &Policy) -> Vec<&str> {
    let budgets = policy.budgets().filter(|_| policy.needs_request());
    budgets.map(Name::as_str).collect()
}

/// While this instance existed, requests on old connections set gauges. Those of removed budgets are cleared.
impl Drop for RetryBudget {
    fn drop(&mut self) {
        let metrics = self.instance.metrics();
        for budget in live_budgets(&self.instance) {
            if self.metric_names.is_retired(budget) {
                BudgetMetrics::retire(&metrics, budget);
            }
        }
    }
}

impl RetryBudget {
    /// Records the retries that the request used, unless that is done already. If Envoy does not provide the number of
    /// attempts, all granted retries count as used.
    fn record(&self, evaluation: &mut Evaluation, exchange: &Exchange) -> Result<(), Error> {
        if !evaluation.needs_report() {
            return Ok(());
        }
        let attempts = exchange.number(Property::AttemptCount);
        let attempts_or_all = attempts.map_or(u64::MAX, Option::unwrap_or_default);
        let flags = match evaluation.needs_flags(attempts_or_all) {
            true => exchange.number(Property::ResponseFlags),
            false => Ok(None),
        };
        let mut report = Report {
            attempts: attempts_or_all,
            flags: flags.ok().flatten().unwrap_or_default(),
            details: b"",
        };
        let details = match report.needs_details() {
            true => exchange.property(Property::ResponseCodeDetails),
            false => Ok(None),
        };
        report.details = details
            .as_ref()
            .ok()
            .and_then(Option::as_deref)
            .unwrap_or_default();
        let now = exchange.now(self.clock)?;
        let recorded = self
            .instance
            .record(evaluation, report, now, &mut self.tables.at(now));
        self.log(evaluation, recorded.denied, "no more retries");
        if let Some(metrics) = self.metrics(evaluation.budget()) {
            metrics.count_recorded(evaluation, &recorded);
        }
        attempts.and(flags).map(|_| ()).and(details.map(|_| ()))
    }

    /// Logs a request that is denied retries, or a retry that is denied.
    fn log(&self, evaluation: &Evaluation, denial: Option<Reason>, what: &str) {
        if let Some(reason) = denial {
            log::debug!(
                "portcullis retry_budget \"{}\": budget {}: {what}: {}{}",
                self.instance.name(),
                self.instance.budget_name(evaluation.budget()),
                reason.label(),
                if evaluation.is_enforced() {
                    ""
                } else {
                    " (shadow)"
                }
            );
        }
    }

    fn is_open(&self, query: BreakerQuery, handed_over: &HandedOver) -> bool {
        let breaker = self.breakers.get(query.budget.index());
        let breaker = breaker.and_then(Option::as_ref);
        breaker.is_some_and(|breaker| breaker.is_open(query, handed_over))
    }

    fn metrics(&self, budget: BudgetId) -> Option<&BudgetMetrics> {
        self.metrics.get(budget.index())
    }
}
