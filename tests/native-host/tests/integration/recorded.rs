//! The host does what a real Envoy did: every scenario in `tests/traces` was recorded on Envoy
//! 1.40.0 with `tests/traces/record.py`, and must come out the same here, line by line.

use std::path::PathBuf;
use std::time::Duration;

use proxy_wasm_native_host::{
    Answer, FailurePolicy, Filter, GrpcReply, GrpcRequest, GrpcStage, Host, Outcome, Request,
    Response, Route, Thread,
};

use crate::common::probe;

/// What a `*.trace` file says.
#[derive(Default)]
struct Scenario {
    options: Vec<(String, String)>,
    filters: Vec<(String, String)>,
    request: Vec<String>,
    trace: Vec<String>,
    response: Vec<String>,
}

impl Scenario {
    fn parse(text: &str) -> Self {
        let mut scenario = Self::default();
        let mut section = "";
        for line in text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            if let Some(name) = line
                .strip_prefix('[')
                .and_then(|line| line.strip_suffix(']'))
            {
                section = name;
                if let Some(name) = name.strip_prefix("filter ") {
                    scenario.filters.push((name.to_owned(), name.to_owned()));
                }
                continue;
            }
            match section {
                "options" => {
                    let (name, value) = line.split_once(' ').unwrap();
                    scenario.options.push((name.to_owned(), value.to_owned()));
                }
                "request" => scenario.request.push(line.to_owned()),
                "trace" => scenario.trace.push(line.to_owned()),
                "response" => scenario.response.push(line.to_owned()),
                _ => {
                    let (_, script) = scenario.filters.last_mut().unwrap();
                    script.push_str(&format!("\n{line}"));
                }
            }
        }
        scenario
    }

    fn option(&self, name: &str) -> Option<&str> {
        let mut options = self.options.iter();
        Some(&options.find(|(option, _)| option == name)?.1)
    }

    fn host(&self) -> Host {
        let mut host = Host::builder()
            .tolerate_crashes()
            .cluster("up", upstream)
            .grpc_service("up", grpc)
            .cluster("dead", |_: &Request| Answer::connect_failure())
            .empty_cluster("nohosts");
        for (prefix, cluster) in [("/uh", "nohosts"), ("/uf", "dead"), ("/nc", "ghost")] {
            let route = Route::new(&format!("r{prefix}")).prefix(prefix);
            host = host.route(route.cluster(cluster));
        }
        let timeout = Route::new("r/slow/timeout")
            .prefix("/slow/timeout")
            .cluster("up");
        let retried = Route::new("r/500").prefix("/500").cluster("up");
        let direct = Route::new("r/direct").prefix("/direct");
        host = host
            .route(timeout.timeout(Duration::from_millis(500)))
            .route(retried.retry("5xx", 2))
            .route(direct.direct_response(Response::new(200).body("direct")));
        if self.option("few_routes").is_none() {
            host = host.route(Route::new("r/").cluster("up"));
        }
        if self.option("attempt_counts").is_some() {
            host = host.attempt_counts();
        }
        let policy = match self.option("policy") {
            Some("FAIL_OPEN") => FailurePolicy::Open,
            _ => FailurePolicy::Closed,
        };
        for (index, (name, script)) in self.filters.iter().enumerate() {
            let vm_id = match self.option("own_vms") {
                Some(_) => format!("vm{index}"),
                None => "vm".to_owned(),
            };
            let filter = Filter::from_fn(name, probe::init)
                .config(script)
                .vm_id(&vm_id);
            let filter = filter.root_id(&format!("root{index}"));
            host = host.filter(filter.failure_policy(policy));
        }
        host.start().unwrap()
    }

    fn request(&self) -> Request {
        let (method, path) = self.request[0].split_once(' ').unwrap();
        let mut request = Request::new(method, path);
        for line in &self.request[1..] {
            request = match line.split_once(' ').unwrap() {
                ("chunk", bytes) => request.chunk(bytes),
                ("body", bytes) => request.body(bytes),
                ("trailer", trailer) => {
                    let (name, value) = trailer.split_once(": ").unwrap();
                    request.trailer(name, value)
                }
                (name, value) => request.header(name.trim_end_matches(':'), value),
            };
        }
        if request.headers().contains("content-length") || self.request.len() == 1 {
            return request;
        }
        let chunked = self.request.iter().any(|line| line.starts_with("chunk "));
        if chunked {
            return request.header("transfer-encoding", "chunked");
        }
        request
    }

    /// As the recorder does it: a client that gets nothing more for a while goes away.
    fn run(&self) -> (Vec<String>, Vec<String>) {
        let host = self.host();
        let before = host.logs().len();
        let mut stream = host.open(self.request());
        let patience = self
            .option("patience")
            .map_or(2.0, |seconds| seconds.parse().unwrap());
        host.advance(Duration::from_secs_f64(patience));
        if !stream.is_over() {
            stream.disconnect();
        }
        // The recorder gives Envoy this long to finish.
        host.advance(Duration::from_millis(300));
        let outcome = stream.outcome();
        let names: Vec<_> = self
            .filters
            .iter()
            .map(|(name, _)| format!("{name} "))
            .collect();
        let lines = host.logs().split_off(before);
        // The main thread's timers are left out, as they are by the recorder.
        let on_worker = lines.iter().filter(|line| line.thread != Thread::Main);
        let said = on_worker.map(|line| normalised(&line.message));
        let trace = said.filter(|line| names.iter().any(|name| line.starts_with(name)));
        (trace.collect(), response_lines(&outcome))
    }
}

/// What the recorder's upstream answers.
fn upstream(request: &Request) -> Answer {
    let answer = match request.path() {
        "/reset" => Answer::reset(),
        "/reset-after" => {
            let head = Response::new(200).header("content-length", "100");
            Answer::reset_after(head.chunk("hello"))
        }
        "/chunks" => Response::new(200)
            .header("transfer-encoding", "chunked")
            .chunk("one")
            .chunk("two")
            .into(),
        "/trailers" => Response::new(200)
            .header("transfer-encoding", "chunked")
            .chunk("abc")
            .trailer("x-t", "v")
            .into(),
        "/grpc" => Response::new(200)
            .header("content-type", "application/grpc")
            .header("grpc-status", "7")
            .header("content-length", "0")
            .into(),
        "/grpc-trailers" => Response::new(200)
            .header("content-type", "application/grpc")
            .header("transfer-encoding", "chunked")
            .chunk("abc")
            .trailer("grpc-status", "14")
            .into(),
        "/empty" => Response::new(204).header("x-up", "1").into(),
        "/500" => Response::new(500).body("no").into(),
        _ => Response::new(200)
            .header("x-up", "1")
            .header("server", "up")
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .body("hello")
            .into(),
    };
    match request.path().starts_with("/slow") {
        true => answer.after(Duration::from_secs(1)),
        false => answer,
    }
}

/// What the recorder's gRPC service answers.
fn grpc(request: &GrpcRequest) -> GrpcReply {
    let chat = request.method() == "Chat";
    match request.stage() {
        GrpcStage::Opened if chat => {
            let begin = grpc_head().header("x-meta", "m");
            let metadata = begin.headers().iter().skip(2);
            let reply = GrpcReply::message("hello");
            metadata.fold(reply, |reply, (name, value)| reply.metadata(name, value))
        }
        GrpcStage::Ended if chat => GrpcReply::message("bye")
            .and_end(0, "")
            .trailer("x-tail", "t"),
        GrpcStage::Call | GrpcStage::Ended => grpc_answer(request),
        _ => GrpcReply::nothing(),
    }
}

fn grpc_head() -> Response {
    Response::new(200)
        .header("content-type", "application/grpc")
        .header("transfer-encoding", "chunked")
}

fn grpc_answer(request: &GrpcRequest) -> GrpcReply {
    let frame = |text: &str| {
        let mut frame = vec![0, 0, 0, 0, text.len() as u8];
        frame.extend(text.as_bytes());
        frame
    };
    let ok = |text: &str| {
        let head = grpc_head().header("x-meta", "m").chunk(frame(text));
        head.trailer("grpc-status", "0").trailer("x-tail", "t")
    };
    let http = |status: u16| {
        let head = Response::new(status).header("content-type", "application/grpc");
        head.body("no").into()
    };
    let part = || grpc_head().chunk(frame("part"));
    match request.method() {
        "Reset" => Answer::reset().into(),
        "Reset-after" => Answer::reset_after(part()).into(),
        "Late" => GrpcReply::from(ok("reply")).after(Duration::from_secs(1)),
        "Refuse" => Response::new(200)
            .header("content-type", "application/grpc")
            .header("content-length", "0")
            .header("grpc-status", "7")
            .header("grpc-message", "no%20way")
            .header("x-tail", "t")
            .into(),
        "Broken" => http(500),
        "Http404" => http(404),
        "Http503" => http(503),
        "Unfinished" => part().into(),
        "Empty" => grpc_head().trailer("grpc-status", "0").into(),
        "Fails" => part()
            .trailer("grpc-status", "13")
            .trailer("grpc-message", "oops")
            .into(),
        "Twice" => grpc_head()
            .chunk(frame("one"))
            .chunk(frame("two"))
            .trailer("grpc-status", "0")
            .into(),
        "Echo" => ok(&echo(request)).into(),
        _ => ok("reply").into(),
    }
}

/// The request as the recorder's service has it over HTTP/1.1.
fn echo(request: &GrpcRequest) -> String {
    let http = request.as_http();
    let mut lines = vec![format!("{} {} HTTP/1.1", http.method(), http.path())];
    for (name, value) in http.headers().iter() {
        let name = if name == ":authority" { "host" } else { name };
        if !name.starts_with(':') {
            lines.push(format!("{name}: {}", String::from_utf8_lossy(value)));
        }
    }
    lines.push("transfer-encoding: chunked".to_owned());
    lines.push(String::from_utf8_lossy(request.message()).into_owned());
    lines.join(";")
}

/// Hides what differs from run to run: request ids, dates and durations.
fn normalised(line: &str) -> String {
    let mut line = line.to_owned();
    let mut hide = |start: &str, end: &str, by: &str| {
        if let Some((head, tail)) = line.split_once(start) {
            let (_, tail) = tail.split_once(end).unwrap_or_default();
            line = format!("{head}{by}{tail}");
        }
    };
    hide("\"00000000-", "\"", "\"<id>\"");
    hide("\"Thu, 01 Jan 2026", "\"", "\"<date>\"");
    hide(
        "x-envoy-upstream-service-time=\"",
        "\"",
        "x-envoy-upstream-service-time=<ms>",
    );
    if let Some((head, latency)) = line.split_once("backend_latency -> ") {
        if latency.parse::<u64>().is_ok() {
            line = format!("{head}backend_latency -> <ns>");
        }
    }
    line.trim_end().to_owned()
}

fn response_lines(outcome: &Outcome) -> Vec<String> {
    let Some(response) = outcome.try_response() else {
        return vec!["none".to_owned()];
    };
    let mut lines = vec![response.status().to_string()];
    for (name, value) in response.headers().iter().skip(1) {
        let value = match name {
            "x-envoy-upstream-service-time" => "<ms>".to_owned(),
            "date" if value.ends_with(b"GMT") => "<date>".to_owned(),
            _ => String::from_utf8_lossy(value).into_owned(),
        };
        lines.push(format!("{name}: {value}"));
    }
    // The recorder cannot tell this one from what Envoy's codec adds.
    lines.retain(|line| line != "content-length: 0");
    if !response.body_bytes().is_empty() {
        lines.push(format!("body {}", response.body_text()));
    }
    for (name, value) in response.trailers().iter() {
        let value = String::from_utf8_lossy(value);
        lines.push(format!("trailer {name}: {value}"));
    }
    lines
}

#[test]
fn every_scenario_comes_out_as_recorded() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/traces");
    let files = std::fs::read_dir(directory).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "trace")
    });
    // One scenario calls `verify_signature`.
    paths.retain(|path| cfg!(feature = "verify-signature") || !path.ends_with("foreign.trace"));
    paths.sort();
    assert!(paths.len() > 50, "only {} scenarios", paths.len());
    let mut failures = 0;
    for path in paths {
        let scenario = Scenario::parse(&std::fs::read_to_string(&path).unwrap());
        let (trace, response) = scenario.run();
        for (what, wanted, got) in [
            ("trace", &scenario.trace, &trace),
            ("response", &scenario.response, &response),
        ] {
            if wanted != got {
                failures += 1;
                eprintln!("{}: {what}", path.display());
                report_difference(wanted, got);
            }
        }
    }
    assert_eq!(failures, 0, "see above");
}

fn report_difference(wanted: &[String], got: &[String]) {
    let same = wanted.iter().zip(got).take_while(|(a, b)| a == b).count();
    let show = |lines: &[String]| lines.iter().skip(same).take(4).cloned().collect::<Vec<_>>();
    eprintln!(
        "  after line {same}\n  Envoy: {:#?}\n  here:  {:#?}",
        show(wanted),
        show(got)
    );
}
