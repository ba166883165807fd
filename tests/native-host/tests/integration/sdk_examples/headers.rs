//! http_headers: logs all headers with the number of the stream, and answers one path itself.

use log::info;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use proxy_wasm_native_host::{Filter, Host, Request};

use super::header;

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Witness { id }))
    }
}

struct Witness {
    id: u32,
}

impl Context for Witness {}

impl HttpContext for Witness {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        for (name, value) in self.get_http_request_headers() {
            info!("{} > {name}: {value}", self.id);
        }
        if self.get_http_request_header(":path").as_deref() != Some("/hello") {
            return Action::Continue;
        }
        self.send_http_response(200, vec![("x-greeting", "yes")], Some(b"hello, world\n"));
        Action::Pause
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        for (name, value) in self.get_http_response_headers() {
            info!("{} < {name}: {value}", self.id);
        }
        Action::Continue
    }

    fn on_log(&mut self) {
        info!("{} is over", self.id);
    }
}

fn host() -> Host {
    let filter = Filter::from_fn("witness", || {
        proxy_wasm::set_log_level(LogLevel::Trace);
        proxy_wasm::set_root_context(|_| Box::new(Root));
    });
    Host::builder().filter(filter).start().unwrap()
}

#[test]
fn it_answers_its_own_path() {
    let outcome = host().send(Request::get("/hello"));
    assert_eq!(outcome.response().body_text(), "hello, world\n");
    assert_eq!(header(&outcome, "x-greeting"), Some("yes"));
    assert!(outcome.upstream_request().is_none(), "{outcome}");
}

#[test]
fn it_logs_each_header_of_its_own_stream() {
    let host = host();
    let lines = |path: &str| {
        let request = [(":method", "GET"), (":path", path), (":authority", "a")];
        let logs = host.send(Request::exact(request)).logs();
        logs.into_iter()
            .map(|line| line.message)
            .collect::<Vec<_>>()
    };
    let first = lines("/");
    assert_eq!(
        first[..3],
        ["2 > :method: GET", "2 > :path: /", "2 > :authority: a"]
    );
    assert!(first.contains(&"2 < :status: 200".to_owned()), "{first:?}");
    assert_eq!(first.last().unwrap(), "2 is over");
    assert!(lines("/").iter().all(|line| line.starts_with("3 ")));
}
