//! Limits of a fleet: calls to services, requests that wait, and what all workers know about the services.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use portcullis_core::time::Nanos;
use portcullis_host::{
    Error, Exchange, Gauge, GrpcCall, GrpcError, Instance, Memo, Metrics, SharedValue,
    TableMetrics, Worker,
};
use rate_limit_policy::fleet::config::Protocol;
use rate_limit_policy::fleet::lease::Ended;
use rate_limit_policy::fleet::messages::MAX_ANSWER;
use rate_limit_policy::fleet::reserve;
use rate_limit_policy::{
    Call, Evaluation, FleetEvent, LimitId, RateLimit as Policy, ServiceId, ServiceState, Services,
};

use crate::counters::FleetCounters;
use crate::holds::Holds;

/// The most requests that wait for a service in one worker. Each of them takes memory.
const MAX_WAITING: u32 = 1_000;

/// The most calls to a service that an instance has open in one worker. A limit in shadow mode makes calls for requests
/// that do not wait.
const MAX_CALLS: u32 = 4_000;

/// The age at which the copy of a service's state is read again. A service that is out gets at most this many more
/// milliseconds of calls.
const COPY_AGE: Nanos = Nanos::from_millis(10);

/// The time between two looks at the services, for their gauges.
pub(crate) const PERIOD: Duration = Duration::from_secs(1);

/// The same while holds are due.
pub(crate) const BEHIND: Duration = Duration::from_millis(5);

/// The longest body of an answer: one frame.
pub(crate) const MAX_BODY: usize = MAX_ANSWER + 5;

/// No request waits.
const NEVER: Nanos = Nanos::MAX;

/// The requests that wait for another one's call, in this worker; in the library, in all workers. An answer wakes them
/// only if there are some.
static WAIT_FOR_OTHERS: AtomicU32 = AtomicU32::new(0);

/// The services of an instance, in one worker.
#[derive(Debug)]
pub(crate) struct Fleet {
    services: Vec<Service>,
    /// By limit; `None` for one without a fleet.
    counters: Vec<Option<FleetCounters>>,
    /// The earliest end of a wait.
    deadline: Cell<Nanos>,
    pub(crate) holds: Holds,
    instance: String,
}

#[derive(Debug)]
struct Service {
    name: String,
    protocol: Protocol,
    state: SharedValue,
    /// The requests that wait for it.
    waiting: Rc<Cell<u32>>,
    /// The calls that are open. In the library, they end in another thread.
    open: Arc<AtomicU32>,
    /// When the state was read last, and the state.
    copy: Cell<Option<(Nanos, ServiceState)>>,
    out: Gauge,
    out_seconds: Gauge,
}

/// A request that waits. Dropping it ends the wait, also when the client disconnects.
#[derive(Debug)]
pub(crate) struct Wait {
    /// The counts of its services.
    counts: Vec<Rc<Cell<u32>>>,
    is_for_others: bool,
}

/// A call that was sent: the memo of its response. Dropping it ends the call, also if no response ever comes.
#[derive(Debug)]
pub(crate) struct Sent {
    call: Arc<Call>,
    /// The calls that are open to the service, whose instance may be gone by then.
    open: Arc<AtomicU32>,
}

/// The services at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FleetAt<'a> {
    fleet: Option<&'a Fleet>,
    now: Nanos,
}

impl Fleet {
    /// `None` if no limit has a fleet.
    pub(crate) fn open(instance: &Instance<Policy>, metrics: &Metrics) -> Option<Self> {
        if !instance.has_fleets() {
            return None;
        }
        let services = instance.services().map(|(name, service)| {
            let metrics = metrics.with("service", name.as_str());
            let value = format!("service/{name}/{:016x}", service.identity());
            Service {
                name: name.as_str().to_owned(),
                protocol: service.protocol(),
                state: instance.shared_value(&value),
                waiting: Rc::default(),
                open: Arc::default(),
                copy: Cell::new(None),
                out: metrics.gauge("service_out"),
                out_seconds: metrics.gauge("service_out_seconds"),
            }
        });
        let limits = instance.limits().zip(instance.fleets());
        let counters = limits.map(|(name, fleet)| {
            let metrics = metrics.with("limit", name.as_str());
            fleet.map(|fleet| FleetCounters::define(name.as_str(), fleet, &metrics))
        });
        Some(Self {
            services: services.collect(),
            counters: counters.collect(),
            deadline: Cell::new(NEVER),
            holds: Holds::default(),
            instance: instance.name().as_str().to_owned(),
        })
    }

    /// The metrics of the tables of leases, by limit. Those of a limit without leases count nothing.
    pub(crate) fn table_metrics(&self) -> impl Iterator<Item = TableMetrics> {
        let counters = self.counters.iter();
        counters.map(|it| it.as_ref().map(|it| it.table).unwrap_or_default())
    }

    /// Reads the services' states again before the next use: a request goes on because of an answer, which the library
    /// handles in another thread.
    pub(crate) fn refresh(&self) {
        for service in &self.services {
            service.copy.set(None);
        }
    }

    /// Sends a call.
    pub(crate) fn send(
        &self,
        policy: &Policy,
        call: &Arc<Call>,
        exchange: &mut Exchange,
    ) -> Result<(), Error> {
        let id = call.service();
        let service = policy.service(id).ok_or(Error::Malformed)?;
        let open = self.services.get(id.index()).ok_or(Error::Malformed)?;
        let memo: Memo = Arc::new(Sent::new(call, &open.open));
        let path = call.path();
        let call = GrpcCall {
            cluster: service.cluster(),
            path: &path,
            message: call.message(),
            timeout: service.timeout().into(),
            memo: Some(&memo),
        };
        exchange.grpc_call(&call).map(|_| ())
    }

    /// A pending evaluation waits.
    pub(crate) fn wait(&self, policy: &Policy, evaluation: &Evaluation) -> Wait {
        let deadline = evaluation.deadline().unwrap_or(NEVER);
        self.deadline.set(self.deadline.get().min(deadline));
        let services = policy.awaited(evaluation).into_iter();
        let services = services.filter_map(|id| self.services.get(id.index()));
        let counts: Vec<_> = services.map(|it| Rc::clone(&it.waiting)).collect();
        for count in &counts {
            count.set(count.get().saturating_add(1));
        }
        let is_for_others = evaluation.waits_for_others();
        if is_for_others {
            WAIT_FOR_OTHERS.fetch_add(1, Ordering::Relaxed);
        }
        Wait {
            counts,
            is_for_others,
        }
    }

    /// Wakes the requests whose time is over, and those that wait for an answer that another worker may receive.
    pub(crate) fn on_tick(&self, worker: &mut Worker, now: Nanos) {
        let is_due = now >= self.deadline.get();
        if is_due {
            self.deadline.set(NEVER);
        }
        let waits = self.services.iter().any(|it| it.waiting.get() > 0);
        if is_due || (waits && others_wait()) {
            worker.wake();
        }
        for service in &self.services {
            let health = service.state(now).health;
            service.out.set(health.is_out().into());
            let out_for = health.out_for(now).unwrap_or_default();
            service.out_seconds.set(out_for.floor_secs());
        }
    }

    /// Logs headers of an answer that cannot be added.
    pub(crate) fn log_invalid_headers(&self, service: ServiceId, headers: usize) {
        if let Some(service) = self.services.get(service.index())
            && headers > 0
        {
            log::debug!(
                "portcullis rate_limit \"{}\": service {}: {headers} headers cannot be added",
                self.instance,
                service.name,
            );
        }
    }

    /// Logs whether a service is out, if an answer or a failure has changed that.
    pub(crate) fn log_outage(
        &self,
        service: ServiceId,
        error: Option<GrpcError>,
        is_out: Option<bool>,
    ) {
        let Some(service) = self.services.get(service.index()) else {
            return;
        };
        let (instance, name) = (&self.instance, &service.name);
        match is_out {
            Some(true) if is_unimplemented(error) && service.protocol == Protocol::Reserve => {
                log::warn!(
                    "portcullis rate_limit \"{instance}\": service {name} is out: it does not implement {}; Limitador \
                     does from 0.14 on; for other services, remove \"protocol\": \"reserve\"",
                    reserve::SERVICE
                );
            }
            Some(true) => {
                let why = error.map_or_else(
                    || "an answer that cannot be read".to_owned(),
                    |error| error.to_string(),
                );
                log::warn!("portcullis rate_limit \"{instance}\": service {name} is out: {why}");
            }
            Some(false) => {
                log::info!("portcullis rate_limit \"{instance}\": service {name} answers again");
            }
            None => {}
        }
    }
}

fn is_unimplemented(error: Option<GrpcError>) -> bool {
    const UNIMPLEMENTED: u32 = 12;

    error == Some(GrpcError::Status(UNIMPLEMENTED))
}

/// Whether a request waits for another one's call.
pub(crate) fn others_wait() -> bool {
    WAIT_FOR_OTHERS.load(Ordering::Relaxed) > 0
}

impl Service {
    fn state(&self, now: Nanos) -> ServiceState {
        match self.copy.get() {
            Some((read_at, state)) if now < read_at + COPY_AGE => state,
            _ => {
                // A service counts as one that answers if its state cannot be read.
                let state = self.state.read();
                let state =
                    state.map_or_else(|_| ServiceState::default(), |it| ServiceState::of(&it));
                self.copy.set(Some((now, state)));
                state
            }
        }
    }
}

impl Sent {
    fn new(call: &Arc<Call>, open: &Arc<AtomicU32>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self {
            call: Arc::clone(call),
            open: Arc::clone(open),
        }
    }

    pub(crate) fn call(&self) -> &Arc<Call> {
        &self.call
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        for count in &self.counts {
            count.set(count.get().saturating_sub(1));
        }
        if self.is_for_others {
            WAIT_FOR_OTHERS.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl<'a> FleetAt<'a> {
    pub(crate) fn new(fleet: Option<&'a Fleet>, now: Nanos) -> Self {
        Self { fleet, now }
    }

    fn service(&self, id: ServiceId) -> Option<&'a Service> {
        self.fleet?.services.get(id.index())
    }
}

impl Services for FleetAt<'_> {
    fn state(&mut self, service: ServiceId) -> ServiceState {
        let service = self.service(service);
        service.map_or_else(ServiceState::default, |it| it.state(self.now))
    }

    fn update<T>(
        &mut self,
        service: ServiceId,
        mut change: impl FnMut(ServiceState) -> (ServiceState, T),
    ) -> Option<T> {
        let service = self.service(service)?;
        let updated = service
            .state
            .update(|bytes| ServiceState::edit(bytes, &mut change));
        let (state, outcome) = updated.ok()?;
        service.copy.set(Some((self.now, state)));
        Some(outcome)
    }

    fn may_wait(&self, service: ServiceId) -> bool {
        self.service(service).is_some_and(|service| {
            service.open.load(Ordering::Relaxed) < MAX_CALLS && service.waiting.get() < MAX_WAITING
        })
    }

    fn count(&mut self, limit: LimitId, event: FleetEvent) {
        let Some(fleet) = self.fleet else {
            return;
        };
        let counters = fleet.counters.get(limit.index());
        let Some(counters) = counters.and_then(Option::as_ref) else {
            return;
        };
        match event {
            FleetEvent::Taken(hits) => counters.taken.add(hits),
            FleetEvent::Returned(hits) => counters.returned.add(hits),
            FleetEvent::Wasted(hits) => counters.wasted.add(hits),
            FleetEvent::Ended(Ended { why, age_ms }) => {
                counters.leases.increment(why);
                counters.lease_milliseconds.add(why, age_ms);
            }
            FleetEvent::CachedDenial => counters.cached_denials.increment(),
            FleetEvent::Released(hits) => counters.released.add(hits),
            FleetEvent::Committed(result) => counters.commits.increment(result),
            FleetEvent::Called(result) => counters.calls.increment(result),
            FleetEvent::Waited => counters.waited.increment(),
            FleetEvent::Outage(decision) => counters.outage.increment(decision),
            FleetEvent::Table(events) => counters.table.count(events),
            FleetEvent::Differs { limit: found } => {
                if !counters.has_warned.replace(true) {
                    log::warn!(
                        "portcullis rate_limit \"{}\": the limit {} has {found} requests at its service, and another \
                         rate here; the service's limit counts",
                        fleet.instance,
                        counters.limit
                    );
                }
            }
        }
    }
}
