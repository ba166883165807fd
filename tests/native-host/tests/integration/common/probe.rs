//! A filter that follows a script, and logs every callback and the outcome of every host call.
//!
//! The plugin configuration is the script. Its first line is the filter's name; each further line is
//! `callback command arguments…`, to be run when that callback comes. Compiled to WebAssembly, the
//! same filter runs in a real Envoy: that is where the recorded traces come from.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use super::script::Script;

/// The body of the module's `_initialize`.
pub(crate) fn init() {
    proxy_wasm::set_root_context(|id| {
        Box::new(Root {
            id,
            ..Root::default()
        })
    });
}

#[derive(Default)]
struct Root {
    id: u32,
    script: Rc<Script>,
}

impl Context for Root {
    fn on_http_call_response(&mut self, _: u32, headers: usize, body: usize, trailers: usize) {
        let detail = format!("{headers} headers, {body} bytes, {trailers} trailers");
        self.script.run("root_call", &detail);
    }

    fn on_grpc_call_response(&mut self, _: u32, status: u32, size: usize) {
        let detail = format!("status {status}, {size} bytes");
        self.script.run("root_grpc_answer", &detail);
    }

    fn on_grpc_stream_initial_metadata(&mut self, _: u32, count: u32) {
        self.script.run("root_grpc_metadata", &count.to_string());
    }

    fn on_grpc_stream_message(&mut self, _: u32, size: usize) {
        self.script
            .run("root_grpc_message", &format!("{size} bytes"));
    }

    fn on_grpc_stream_trailing_metadata(&mut self, _: u32, count: u32) {
        self.script.run("root_grpc_trailers", &count.to_string());
    }

    fn on_grpc_stream_close(&mut self, _: u32, status: u32) {
        self.script
            .run("root_grpc_closed", &format!("status {status}"));
    }

    fn on_foreign_function(&mut self, function: u32, size: usize) {
        let detail = format!("{function} with {size} bytes");
        self.script.run("root_foreign", &detail);
    }

    /// Pausing here delays the end of the root context.
    fn on_done(&mut self) -> bool {
        self.script.run("root_done", "") == Action::Continue
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        self.script = Rc::new(Script::parse(&String::from_utf8_lossy(&text)));
        self.script.root.set(self.id);
        self.script.run("configure", "") == Action::Continue
    }

    fn on_tick(&mut self) {
        self.script.run("tick", "");
    }

    fn on_queue_ready(&mut self, _: u32) {
        self.script.run("queue_ready", "");
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let script = Rc::clone(&self.script);
        script.stream.set(id);
        script.run("create", "");
        Some(Box::new(Stream { script }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Stream {
    script: Rc<Script>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.script.run("drop", "");
    }
}

impl Context for Stream {
    fn on_http_call_response(&mut self, _: u32, headers: usize, body: usize, trailers: usize) {
        let detail = format!("{headers} headers, {body} bytes, {trailers} trailers");
        self.script.run("call", &detail);
    }

    fn on_grpc_call_response(&mut self, _: u32, status: u32, size: usize) {
        let detail = format!("status {status}, {size} bytes");
        self.script.run("grpc_answer", &detail);
    }

    fn on_grpc_stream_initial_metadata(&mut self, _: u32, count: u32) {
        self.script.run("grpc_metadata", &count.to_string());
    }

    fn on_grpc_stream_message(&mut self, _: u32, size: usize) {
        self.script.run("grpc_message", &format!("{size} bytes"));
    }

    fn on_grpc_stream_trailing_metadata(&mut self, _: u32, count: u32) {
        self.script.run("grpc_trailers", &count.to_string());
    }

    fn on_grpc_stream_close(&mut self, _: u32, status: u32) {
        self.script.run("grpc_closed", &format!("status {status}"));
    }

    fn on_foreign_function(&mut self, function: u32, size: usize) {
        let detail = format!("{function} with {size} bytes");
        self.script.run("foreign", &detail);
    }

    fn on_done(&mut self) -> bool {
        self.script.run("done", "") == Action::Continue
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, end: bool) -> Action {
        self.script.run("request_headers", end_mark(end))
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        self.script
            .run("request_body", &format!("{size} {}", end_mark(end)))
    }

    fn on_http_request_trailers(&mut self, count: usize) -> Action {
        self.script.run("request_trailers", &count.to_string())
    }

    fn on_http_response_headers(&mut self, _count: usize, end: bool) -> Action {
        self.script.run("response_headers", end_mark(end))
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        self.script
            .run("response_body", &format!("{size} {}", end_mark(end)))
    }

    fn on_http_response_trailers(&mut self, count: usize) -> Action {
        self.script.run("response_trailers", &count.to_string())
    }

    fn on_log(&mut self) {
        self.script.run("log", "");
    }
}

fn end_mark(end: bool) -> &'static str {
    if end { "end" } else { "" }
}
