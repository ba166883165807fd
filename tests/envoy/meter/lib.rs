//! A plugin whose requests make gRPC calls to the cluster `meter`, for tests on all hosts.

use std::cell::Cell;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis_core::config::Name;
use portcullis_core::policy::Policy;
use portcullis_core::reply::Reply;
use portcullis_core::time::Nanos;
use portcullis_host::{
    CallId, CallResponse, Error, Exchange, Failure, Flow, GrpcCall, Instance, Memo, Plugin,
    SharedValue, SteadyClock, Worker,
};
use portcullis_table::Edit;
use serde::Deserialize;

#[cfg(target_arch = "wasm32")]
mod module {
    #![allow(missing_docs, reason = "the macro makes a public function without")]

    portcullis_proxy_wasm::module!(super::Meter);
}

/// The size limit of an answer.
const MAX_BODY: usize = 64;

/// The first part of the path says what a request does; the whole path is the message of its call:
///
/// - `/wait`: waits for the answer. If that is `again`, it makes another call.
/// - `/renew`: passes at once.
/// - `/follow`: makes no call, and waits for an answer to anybody.
/// - `/read`: all answers so far, as the reply.
/// - `/ticks`: the number of ticks of this worker so far.
#[derive(Debug)]
pub struct Meter {
    instance: Instance<Config>,
    clock: SteadyClock,
    answers: SharedValue,
    /// The earliest end of a wait.
    deadline: Cell<Nanos>,
    ticks: Cell<usize>,
}

/// The configuration, which is also the policy.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    name: Name,
    /// The time limit of calls. Zero is none.
    #[serde(default = "half_a_minute")]
    timeout_ms: u64,
    /// A request waits at most this long.
    #[serde(default = "minute")]
    patience_ms: u64,
    /// Whether each tick wakes all requests.
    #[serde(default)]
    polls: bool,
}

fn half_a_minute() -> u64 {
    30_000
}

fn minute() -> u64 {
    60_000
}

impl Policy for Config {
    const NAME: &'static str = "meter";
    const SCHEMA: &'static str = "{}";
    const EXAMPLE: &'static str = "{}";
    type Config = Self;

    fn instance(config: &Self) -> &Name {
        &config.name
    }

    fn compile(config: Self) -> Self {
        config
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plugin for tests")
    }
}

/// The state of a request.
#[derive(Debug, Default)]
pub struct Stream {
    looks: usize,
    since: Option<Nanos>,
    call: Option<Arc<Slot>>,
}

/// The memo of a call.
#[derive(Debug, Default)]
struct Slot {
    answer: Mutex<Option<String>>,
    is_for_all: bool,
}

impl Slot {
    fn take(&self) -> Option<String> {
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        answer.take()
    }

    fn put(&self, text: String) {
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        *answer = Some(text);
    }
}

fn reply(status: u16, text: &str) -> Flow {
    Flow::reply(Reply {
        status,
        grpc_status: None,
        details: "meter".into(),
        headers: Vec::new(),
        body: text.to_owned().into(),
    })
}

impl Plugin for Meter {
    type Policy = Config;
    type Stream = Stream;

    /// So rare that a request that was woken by a tick, and not by its answer, shows it by its time.
    const TICK_WHILE_WAITING: Duration = Duration::from_secs(1);

    fn new(instance: Instance<Self::Policy>) -> Self {
        Self {
            clock: SteadyClock::open(),
            answers: instance.shared_value("answers"),
            deadline: Cell::new(Nanos::MAX),
            ticks: Cell::new(0),
            instance,
        }
    }

    fn instance(&self) -> &Instance<Self::Policy> {
        &self.instance
    }

    fn on_error(&self, _: &mut Stream, _: &mut Exchange, _: Failure) -> Flow {
        reply(503, "refused")
    }

    fn on_request(&self, stream: &mut Stream, exchange: &mut Exchange) -> Result<Flow, Error> {
        stream.looks += 1;
        exchange.set_filter_state("meter.looks", stream.looks.to_string().into());
        let path = exchange.request()?.get(":path").cloned();
        let path = String::from_utf8_lossy(path.as_deref().unwrap_or_default()).into_owned();
        let now = exchange.now(self.clock)?;
        let since = *stream.since.get_or_insert(now);
        let (kind, is_first) = (path.split('/').nth(1), stream.looks == 1);
        match kind {
            Some("read") => return Ok(reply(200, &self.read())),
            Some("ticks") => return Ok(reply(200, &self.ticks.get().to_string())),
            Some("follow") => {
                let answers = self.read();
                if !answers.is_empty() {
                    return Ok(reply(200, &answers));
                }
            }
            Some("renew") => {
                self.call(stream, exchange, &path)?;
                return Ok(Flow::Continue);
            }
            _ if is_first => self.call(stream, exchange, &path)?,
            _ => match stream.call.as_ref().and_then(|slot| slot.take()) {
                Some(answer) if answer == "again" => self.call(stream, exchange, "/second")?,
                Some(answer) => return Ok(reply(200, &format!("{answer} {}", stream.looks))),
                None => {}
            },
        }
        let until = since + Nanos::from_millis(self.instance.patience_ms);
        if now >= until {
            return Ok(reply(503, "late"));
        }
        self.deadline.set(self.deadline.get().min(until));
        Ok(Flow::Wait)
    }

    fn on_response(&self, _: &mut Stream, _: &mut Exchange) -> Result<Flow, Error> {
        Ok(Flow::Continue)
    }

    fn tick_period(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }

    fn on_tick(&self, worker: &mut Worker) -> Result<(), Error> {
        self.ticks.set(self.ticks.get() + 1);
        let is_due = self.clock.now()? >= self.deadline.get();
        if is_due {
            self.deadline.set(Nanos::MAX);
        }
        if is_due || self.instance.polls {
            worker.wake();
        }
        Ok(())
    }

    fn max_call_body(&self) -> usize {
        MAX_BODY
    }

    fn on_call_response(
        &self,
        worker: &mut Worker,
        call: CallId,
        response: &CallResponse,
    ) -> Result<(), Error> {
        let Some(slot) = response.memo::<Slot>() else {
            return Ok(());
        };
        let text = match response.grpc_message() {
            Ok(message) => String::from_utf8_lossy(message).into_owned(),
            Err(error) => error.to_string(),
        };
        let _ = self.answers.update(|bytes| {
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(b';');
            Edit {
                changed: true,
                outcome: (),
            }
        });
        slot.put(text);
        match slot.is_for_all {
            true => worker.wake(),
            false => worker.wake_caller(call),
        }
        Ok(())
    }
}

impl Meter {
    fn call(
        &self,
        stream: &mut Stream,
        exchange: &mut Exchange,
        message: &str,
    ) -> Result<(), Error> {
        let slot = Arc::new(Slot {
            is_for_all: message.starts_with("/renew"),
            ..Slot::default()
        });
        let memo: Memo = Arc::clone(&slot) as Memo;
        exchange.grpc_call(&GrpcCall {
            cluster: "meter",
            path: "/test.Meter/Count",
            message: message.as_bytes(),
            timeout: Duration::from_millis(self.instance.timeout_ms),
            memo: Some(&memo),
        })?;
        stream.call = Some(slot);
        Ok(())
    }

    fn read(&self) -> String {
        let answers = self.answers.read().unwrap_or_default();
        String::from_utf8_lossy(&answers).into_owned()
    }
}
