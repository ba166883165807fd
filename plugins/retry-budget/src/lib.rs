//! The wiring of [`policy::retry_budget`](portcullis_policy::retry_budget) to Envoy.
//!
//! What happens and why is told there, and in this folder's README for those who configure it.

mod metrics;

use portcullis_host::{
    Error, Exchange, Facts, Failure, Flow, Metrics, Phase, Plugin, Property, SharedValue,
    SteadyClock, Summary, TableSpec, Tables, random,
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

    const NEEDS_ENDS: bool = true;

    /// With `on_error: deny` a request gets no retries, and is refused where even that cannot be told to
    /// the router. Once a response has begun there are no retries any more: the error is counted.
    fn on_error(
        &self,
        _: &mut Option<Evaluation>,
        exchange: &mut Exchange,
        failure: Failure,
    ) -> Flow {
        for metrics in &self.metrics {
            metrics.errors.increment();
        }
        if !self.policy.denies_on_error() || exchange.phase() != Phase::Request {
            return Flow::Continue;
        }
        match (failure, exchange.request()) {
            (Failure::Undecided, Ok(headers)) => {
                self.policy.forbid_retries(headers);
                Flow::Continue
            }
            (Failure::Undecided, Err(_)) | (Failure::NotDone, _) => {
                Flow::Reply(self.policy.unavailable())
            }
        }
    }

    fn on_request(
        &self,
        stream: &mut Option<Evaluation>,
        exchange: &mut Exchange,
    ) -> Result<Flow, Error> {
        if !self.policy.needs_request() {
            return Ok(Flow::Continue);
        }
        let facts = Facts::ask(exchange, self.policy.needs())?;
        let headers = exchange.request()?;
        let subject = Subject::new(headers, facts.route());
        let request = facts.request(&subject);
        let is_open = |query| self.is_open(query);
        let now = self.clock.now()?;
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
            // It only spreads the clients that come back.
            let chance = random().map_or(0, u64::from_le_bytes);
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
        let settled = self.settle(evaluation, exchange);
        if evaluation.needs_response() {
            self.policy.on_response(evaluation, exchange.response()?);
        }
        settled.map(|()| Flow::Continue)
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
        match stream {
            Some(evaluation) => self.settle(evaluation, exchange),
            None => Ok(()),
        }
    }
}

impl RetryBudget {
    /// Gives back what the request did not use, if that was not done before. Where Envoy does not say
    /// what it used, that is everything.
    fn settle(&self, evaluation: &mut Evaluation, exchange: &Exchange) -> Result<(), Error> {
        if !evaluation.needs_report() {
            return Ok(());
        }
        let attempts = exchange.number(Property::ATTEMPT_COUNT);
        let flags = match evaluation.needs_flags() {
            true => exchange.number(Property::RESPONSE_FLAGS),
            false => Ok(None),
        };
        let now = self.clock.now()?;
        let report = Report {
            attempts: attempts.map_or(u64::MAX, Option::unwrap_or_default),
            flags: flags.ok().flatten().unwrap_or_default(),
        };
        let settlement = self
            .policy
            .settle(evaluation, report, now, &mut self.tables.at(now));
        if let Some(metrics) = self.metrics(evaluation.budget()) {
            metrics.count_settlement(evaluation, &settlement);
        }
        attempts.and(flags).map(|_| ())
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
