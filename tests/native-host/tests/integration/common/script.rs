//! The scripts of the probe.

use std::cell::Cell;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::Context;
use proxy_wasm::types::{Action, Status};

use super::raw::{self, Bytes};

#[derive(Default)]
pub(super) struct Script {
    name: String,
    lines: Vec<(String, String, Vec<String>)>,
    /// The id of the metric defined last.
    metric: Cell<u32>,
    /// The ids of the root context and of the stream opened last, for `enter`.
    pub(super) root: Cell<u32>,
    pub(super) stream: Cell<u32>,
    /// The tokens of the gRPC call and stream opened last, and of the queue.
    grpc_call: Cell<u32>,
    grpc_stream: Cell<u32>,
    queue: Cell<u32>,
}

impl Script {
    pub(super) fn parse(text: &str) -> Self {
        let mut lines = text.lines().map(str::trim);
        let name = lines.next().unwrap_or_default().to_owned();
        let parse = |line: &str| {
            let mut words = line.split(' ').map(str::to_owned);
            Some((words.next()?, words.next()?, words.collect()))
        };
        Self {
            name,
            lines: lines.filter_map(parse).collect(),
            ..Self::default()
        }
    }

    /// Logs a callback and runs its commands; says what it should return.
    pub(super) fn run(&self, callback: &str, detail: &str) -> Action {
        raw::log(format!("{} {callback} {detail}", self.name).trim_end());
        let mut action = Action::Continue;
        for (_, command, arguments) in self.lines.iter().filter(|line| line.0 == callback) {
            match command.as_str() {
                "pause" => action = Action::Pause,
                "panic" => panic!("as the script says"),
                command => {
                    let result = self.perform(command, arguments);
                    let arguments = arguments.join(" ");
                    raw::log(&format!(
                        "{}   {command} {arguments} -> {result}",
                        self.name
                    ));
                }
            }
        }
        action
    }

    fn perform(&self, command: &str, arguments: &[String]) -> String {
        let text = |index: usize| arguments.get(index).map_or("", String::as_str);
        let number = |index: usize| text(index).parse::<i64>().unwrap_or_default();
        let status = |status: u32| format!("status {status}");
        let map = match text(0) {
            "request" => 0,
            "request_trailers" => 1,
            "response" => 2,
            "response_trailers" => 3,
            "call" => 6,
            "call_trailers" => 7,
            other => other.parse().unwrap_or(99),
        };
        let metric = self.metric.get();
        match command {
            "map" => match raw::header_pairs(map) {
                Ok(Some(pairs)) => show_pairs(&pairs),
                other => show(other),
            },
            "get" => show(raw::header(map, text(1))),
            "set" => status(raw::set_header(map, text(1), text(2))),
            "add" => status(raw::add_header(map, text(1), text(2))),
            "remove" => status(raw::remove_header(map, text(1))),
            "replace" => status(raw::set_header_pairs(map, &pairs(&arguments[1..]))),
            "property" => show(raw::property(text(0))),
            "set_property" => status(raw::set_property(text(0), text(1))),
            "body" => show(raw::buffer(number(0) as u32)),
            "set_body" => status(raw::set_buffer(
                number(0) as u32,
                number(1) as usize,
                number(2) as usize,
                text(3),
            )),
            "reply" => {
                let grpc_status = text(2).parse().unwrap_or(-1);
                let headers = pairs(arguments.get(3..).unwrap_or_default());
                let (code, body) = (number(0) as u32, text(1).trim_matches('-'));
                status(raw::reply(code, "", body, &headers, grpc_status))
            }
            "resume" => status(raw::resume(number(0) as u32)),
            "close" => status(raw::close(number(0) as u32)),
            "enter" => {
                let context = match text(0) {
                    "root" => self.root.get(),
                    "stream" => self.stream.get(),
                    _ => number(0) as u32,
                };
                status(raw::set_effective_context(context))
            }
            "foreign" => show(raw::call_foreign_function(text(0), text(1))),
            "tick" => status(raw::set_tick_period(number(0) as u32)),
            "call" => call(text(0), text(1), number(2) as u64),
            "grpc_call" => {
                let timeout = Duration::from_millis(number(3) as u64);
                let (metadata, message) = (grpc_metadata(arguments, 5), text(4).as_bytes());
                token(
                    &self.grpc_call,
                    hostcalls::dispatch_grpc_call(
                        text(0),
                        text(1),
                        text(2),
                        metadata,
                        Some(message),
                        timeout,
                    ),
                )
            }
            "grpc_open" => {
                let metadata = grpc_metadata(arguments, 3);
                let opened = hostcalls::open_grpc_stream(text(0), text(1), text(2), metadata);
                token(&self.grpc_stream, opened)
            }
            "grpc_send" => {
                let message = text(0).trim_matches('-');
                status(raw::grpc_send(
                    self.grpc_stream.get(),
                    message,
                    text(1) == "end",
                ))
            }
            "grpc_close" => status(raw::grpc_close(self.grpc_stream.get())),
            "grpc_cancel" => status(raw::grpc_cancel(self.grpc_stream.get())),
            "grpc_cancel_call" => status(raw::grpc_cancel(self.grpc_call.get())),
            "queue" => {
                let (status, queue) = raw::register_queue(text(0));
                self.queue.set(queue);
                format!("status {status} token {queue}")
            }
            "resolve" => {
                let (status, queue) = raw::resolve_queue(text(0), text(1));
                self.queue.set(queue);
                format!("status {status} token {queue}")
            }
            "enqueue" => status(raw::enqueue(self.queue.get(), text(0))),
            "dequeue" => show(raw::dequeue(self.queue.get())),
            "finish" => status(raw::done()),
            "call_status" => {
                let (message, code) = raw::call_status();
                format!("{code} {}", show(message))
            }
            "define" => {
                let (status, id) = raw::define_metric(number(0) as u32, text(1));
                self.metric.set(id);
                format!("status {status} id {id}")
            }
            "increment" => status(raw::increment_metric(metric, number(0))),
            "record" => status(raw::record_metric(metric, number(0) as u64)),
            "value" => {
                let (status, value) = raw::metric(metric);
                format!("status {status} value {value}")
            }
            "metric" => {
                self.metric.set(number(0) as u32);
                String::new()
            }
            "read" => {
                let (value, cas) = raw::shared_data(text(0));
                format!("{} cas {cas}", show(value))
            }
            "write" => {
                let cas = number(2) as u32;
                status(raw::set_shared_data(text(0), text(1), cas))
            }
            other => panic!("the script has an unknown command {other:?}"),
        }
    }
}

fn call(cluster: &str, path: &str, timeout: u64) -> String {
    struct Caller;
    impl Context for Caller {}
    let mut headers = vec![(":method", "GET"), (":path", path)];
    if path != "/incomplete" {
        headers.push((":authority", "callee.example"));
    }
    let timeout = Duration::from_millis(timeout);
    match Caller.dispatch_http_call(cluster, headers, None, vec![], timeout) {
        Ok(_) => "ok".to_owned(),
        Err(status) => format!("status {}", status as u32),
    }
}

fn grpc_metadata(words: &[String], from: usize) -> Vec<(&str, &[u8])> {
    let pairs = words.iter().skip(from);
    let pairs = pairs.filter_map(|word| word.split_once('='));
    pairs
        .map(|(name, value)| (name, value.as_bytes()))
        .collect()
}

fn token(to: &Cell<u32>, result: Result<u32, Status>) -> String {
    match result {
        Ok(token) => {
            to.set(token);
            format!("token {token}")
        }
        Err(status) => format!("status {}", status as u32),
    }
}

fn show(result: Bytes) -> String {
    match result {
        Err(status) => format!("status {status}"),
        Ok(None) => "null".to_owned(),
        Ok(Some(bytes)) => match <[u8; 8]>::try_from(bytes.as_slice()) {
            Ok(number) if number.contains(&0) => i64::from_le_bytes(number).to_string(),
            _ => format!("{:?}", String::from_utf8_lossy(&bytes)),
        },
    }
}

fn show_pairs(bytes: &[u8]) -> String {
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let count = number(0);
    let mut at = 4 + 8 * count;
    let mut take = |size: usize| {
        at += size + 1;
        String::from_utf8_lossy(&bytes[at - size - 1..at - 1]).into_owned()
    };
    let field = |field: usize| {
        let name = take(number(4 + 8 * field));
        format!("{name}={:?}", take(number(8 + 8 * field)))
    };
    (0..count).map(field).collect::<Vec<_>>().join(" ")
}

fn pairs(words: &[String]) -> Vec<u8> {
    let words: Vec<_> = words
        .iter()
        .filter_map(|word| word.split_once('='))
        .collect();
    let mut bytes = (words.len() as u32).to_le_bytes().to_vec();
    for (name, value) in &words {
        bytes.extend((name.len() as u32).to_le_bytes());
        bytes.extend((value.len() as u32).to_le_bytes());
    }
    for (name, value) in &words {
        bytes.extend(format!("{name}\0{value}\0").as_bytes());
    }
    bytes
}
