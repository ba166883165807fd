//! The wiring of [`policy::retry_budget`](portcullis_policy::retry_budget) to Envoy.
//!
//! What happens and why is told there, and in this folder's README for those who configure it.

mod metrics;

use portcullis_host::{
    Error, Exchange, Facts, Flow, Metrics, Plugin, Property, SharedValue, SteadyClock, Summary,
    TableSpec, Tables, random,
};
use portcullis_policy::circuit_breaker::board;
use portcullis_policy::config::{Document, Errors, Name};
use portcullis_policy::matcher::Subject;
use portcullis_policy::retry_budget::{
    BreakerName, BreakerQuery, BudgetId, Config, Evaluation, Report, RetryBudget as Policy,
};

use metrics::BudgetMetrics;

/// The plugin.
#[derive(Debug)]
pub struct RetryBudget {
    name: Name,
    policy: Policy,
    clock: SteadyClock,
    tables: Tables,
    /// By budget.
    metrics: Vec<BudgetMetrics>,
    /// What the breakers tell that budgets respect, by budget.
    boards: Vec<Option<SharedValue>>,
}

impl Plugin for RetryBudget {
    const NAME: &'static str = "retry_budget";
    type Config = Config;
    /// What came of the request; `None` if no budget is for it, or if this plugin has not seen it.
    type Stream = Option<Evaluation>;

    fn read(document: Document) -> Result<Config, Errors> {
        Config::read(document)
    }

    fn new(config: Config) -> Self {
        let name = config.name.clone();
        let policy = Policy::new(config);
        let metrics = Metrics::new(Self::NAME, &name);
        let metrics: Vec<BudgetMetrics> = policy
            .budgets()
            .map(|budget| BudgetMetrics::define(&metrics, budget.as_str()))
            .collect();
        let specs = policy
            .tables()
            .zip(&metrics)
            .map(|(table, metrics)| TableSpec {
                identity: table.identity,
                retries: metrics.cas_retries,
                gave_up: metrics.gave_up,
            });
        Self {
            clock: SteadyClock::open(),
            tables: Tables::open(Self::NAME, &name, specs),
            boards: policy
                .breakers()
                .map(|breaker| Some(board_of(breaker?)))
                .collect(),
            name,
            policy,
            metrics,
        }
    }

    fn summaries(&self) -> Vec<Summary> {
        vec![Summary {
            plugin: Self::NAME,
            policy: self.name.clone(),
            what: self.policy.to_string(),
        }]
    }

    fn on_request(
        &self,
        stream: &mut Option<Evaluation>,
        exchange: &mut Exchange,
    ) -> Result<Flow, Error> {
        if !self.policy.needs_request() {
            return Ok(Flow::Continue);
        }
        let facts = Facts::ask(exchange, self.policy.needs(), Self::NAME);
        let headers = exchange.request()?;
        let subject = Subject::new(headers, facts.route());
        let request = facts.request(&subject);
        let is_open = |query| self.is_open(query);
        let now = self.clock.now();
        let evaluation = self
            .policy
            .on_request(&request, now, &mut self.tables.at(now), is_open);
        let Some(evaluation) = evaluation else {
            return Ok(Flow::Continue);
        };
        if let Some(metrics) = self.metrics(evaluation.budget()) {
            metrics.count(&evaluation);
        }
        if evaluation.denial().is_some() && evaluation.is_enforced() {
            let chance = random().map(u64::from_le_bytes);
            let chance = exchange.settle(Self::NAME, chance);
            let reply = self.policy.reply(&evaluation, chance);
            *stream = Some(evaluation);
            return Ok(reply.map_or(Flow::Continue, Flow::Reply));
        }
        self.policy.write_headers(&evaluation, headers);
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
        self.settle(evaluation, exchange);
        if evaluation.needs_response() {
            self.policy.on_response(evaluation, exchange.response()?);
        }
        Ok(Flow::Continue)
    }

    fn on_trailers(
        &self,
        stream: &mut Option<Evaluation>,
        exchange: &mut Exchange,
    ) -> Result<(), Error> {
        if let Some(evaluation) = stream.as_mut().filter(|it| it.needs_trailers()) {
            self.policy.on_trailers(evaluation, exchange.trailers()?);
        }
        Ok(())
    }

    fn on_log(
        &self,
        stream: &mut Option<Evaluation>,
        exchange: &mut Exchange,
    ) -> Result<(), Error> {
        if let Some(evaluation) = stream {
            self.settle(evaluation, exchange);
        }
        Ok(())
    }
}

impl RetryBudget {
    /// Gives back what the request did not use, if that was not done before.
    fn settle(&self, evaluation: &mut Evaluation, exchange: &mut Exchange) {
        if !evaluation.needs_report() {
            return;
        }
        let mut ask = |needed: bool, property| {
            let number = needed.then(|| exchange.number(property)).transpose();
            let number = exchange.settle(Self::NAME, number);
            number.flatten().unwrap_or_default()
        };
        let report = Report {
            attempts: ask(true, Property::ATTEMPT_COUNT),
            flags: ask(evaluation.needs_flags(), Property::RESPONSE_FLAGS),
        };
        let now = self.clock.now();
        let settlement = self
            .policy
            .settle(evaluation, report, now, &mut self.tables.at(now));
        if let Some(metrics) = self.metrics(evaluation.budget()) {
            metrics.count_settlement(evaluation, &settlement);
        }
    }

    /// Whether the breaker is open; not if its board cannot be read.
    fn is_open(&self, query: BreakerQuery) -> bool {
        let board = self
            .boards
            .get(query.budget.index())
            .and_then(Option::as_ref);
        let board = board.and_then(|board| board.read().ok());
        board.is_some_and(|board| board::is_open(&board, query.shape, query.key, query.now))
    }

    fn metrics(&self, budget: BudgetId) -> Option<&BudgetMetrics> {
        self.metrics.get(budget.index())
    }
}

/// Where circuit-breaker tells of a breaker. If it is configured later, there is nothing yet.
fn board_of(BreakerName { policy, breaker }: &BreakerName) -> SharedValue {
    SharedValue::open("circuit_breaker", policy, &format!("{breaker}/board"))
}
