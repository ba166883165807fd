//! The endings of exchanges on a real Envoy, and the author to whom the breaker attributes each.
//!
//! Each [`Case`] produces one ending. It has its own circuit (the key is the header `x-case`) in a breaker that only
//! measures, so that one Envoy serves a whole list of cases. The verdict comes from the status view, the author from the
//! metrics, the details from Envoy's access log.

mod clients;
mod deadlines;
mod filters;
mod table;
mod tunnels;
mod upstream;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use portcullis_envoy_tests::bootstrap::PLAIN;
use portcullis_envoy_tests::envoy::{Builder, Envoy};
use portcullis_envoy_tests::filter::PluginFilter;
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::patience::wait_for;
use serde_json::{Value, json};

/// The upstream's delay for a response that misses every deadline of the matrix.
const LATE: Duration = Duration::from_secs(3);
/// Longer than an undelayed response, shorter than a slow one.
const SLOW: &str = "600ms";

/// One ending, and the breaker's expected verdict.
struct Case {
    /// A description, for the table in the README.
    what: &'static str,
    /// The path, unique.
    path: &'static str,
    /// The client's actions.
    client: Client,
    /// The prefix of Envoy's details.
    details: &'static str,
    /// `success`, `failure`, `neutral`, or `abandoned`.
    verdict: &'static str,
    /// `upstream`, `client`, `envoy`, `filter`.
    author: &'static str,
}

/// A client's actions.
enum Client {
    /// It sends this over HTTP/1.1, and waits for the end of the response.
    Sends(Request),
    /// The same over HTTP/2.
    SendsHttp2(Request),
    /// It sends this over HTTP/2 and disconnects after this time.
    LeavesHttp2(Request, u64),
    /// It sends parts of an HTTP/1 request, each after a delay in milliseconds, then reads until Envoy closes the connection
    /// or stops sending.
    Writes(Vec<(u64, String)>),
    /// The same, but it disconnects after a number of milliseconds instead of reading.
    Leaves(Vec<(u64, String)>, u64),
    /// It sends this and then reads nothing for a number of milliseconds.
    Stalls(String, u64),
}

/// The result of a case.
#[derive(Debug, PartialEq, Eq)]
struct Observed {
    verdict: String,
    author: String,
    is_slow: bool,
    details: String,
}

/// A verdict, and the author of the ending.
type Judged = (&'static str, &'static str);

const SUCCESS: Judged = ("success", "upstream");
const FAILURE: Judged = ("failure", "upstream");
/// The client disconnected, or its deadline passed.
const GONE: Judged = ("abandoned", "client");

fn case(
    what: &'static str,
    path: &'static str,
    client: Client,
    details: &'static str,
    (verdict, author): Judged,
) -> Case {
    Case {
        what,
        path,
        client,
        details,
        verdict,
        author,
    }
}

/// The upstream's script.
fn of_upstream(
    what: &'static str,
    path: &'static str,
    client: Client,
    details: &'static str,
    verdict: &'static str,
) -> Case {
    case(what, path, client, details, (verdict, "upstream"))
}

fn get(path: &'static str) -> Client {
    Client::Sends(Request::get(path))
}

/// A gRPC call with an empty message.
fn call(path: &str) -> Request {
    Request::post(path, b"\0\0\0\0\0".to_vec())
        .header("content-type", "application/grpc")
        .header("te", "trailers")
}

/// The head of a request over HTTP/1.1 whose connection is closed after it.
fn head(method: &str, path: &str, more: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: test.example\r\nx-case: {path}\r\nconnection: close\r\n\
         {more}\r\n"
    )
}

/// An Envoy whose instance `edge` has one breaker that measures.
fn builder() -> Builder {
    let configuration = json!({
        "name": "edge", "status_path": "/portcullis/breakers",
        "breakers": [{
            "name": "all", "state": "metrics_only", "key": [{"header": "x-case"}],
            "failure_rate": 50, "slow": {"threshold": SLOW, "rate": 50},
            "window": {"type": "count", "size": 100}
        }]
    });
    Envoy::builder()
        .concurrency(1)
        .plugin(&PluginFilter::new("circuit-breaker").configuration(&configuration.to_string()))
}

/// Produces each ending in turn, and reports the unexpected ones.
fn check(envoy: &Envoy, cases: Vec<Case>) {
    let mut wrong = Vec::new();
    for case in cases {
        let observed = observe(envoy, &case);
        let is_right = observed.verdict == case.verdict
            && observed.author == case.author
            && observed.details.starts_with(case.details)
            && (!case.details.is_empty() || observed.details.len() < 2);
        if !is_right {
            wrong.push(format!(
                "{} ({}): expected {} by {} with {:?}, found {observed:?}",
                case.what, case.path, case.verdict, case.author, case.details
            ));
        }
        wrong.extend(table::missing(&case));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    envoy.assert_no_vm_failed();
}

fn observe(envoy: &Envoy, case: &Case) -> Observed {
    let before = blames(envoy);
    let slow_before = stat(envoy, "slow").unwrap_or_default();
    act(envoy, &case.client, case.path);
    let details = details(envoy, case);
    // The log of the filter and the access log are written one after the other.
    std::thread::sleep(Duration::from_millis(20));
    let after = blames(envoy);
    let blamed = after.iter().zip(&before).find(|(now, then)| now.1 > then.1);
    let blamed = blamed.map_or("?", |((reason, _), _)| *reason);
    let is_slow = stat(envoy, "slow").unwrap_or_default() > slow_before;
    let circuit = circuit(envoy, case.path);
    let (results, rate) = (&circuit["results"], &circuit["failure_rate"]);
    let (verdict, author) = match (results.as_u64(), rate.as_u64()) {
        _ if blamed == "abandoned" => ("abandoned", "client"),
        // A circuit without results takes no memory.
        (Some(0) | None, _) if blamed != "?" => ("neutral", blamed),
        (Some(1), Some(0)) => ("success", "upstream"),
        (Some(1), _) => ("failure", "upstream"),
        _ => ("not seen", "?"),
    };
    Observed {
        verdict: verdict.to_owned(),
        author: author.to_owned(),
        is_slow,
        details,
    }
}

fn act(envoy: &Envoy, client: &Client, path: &str) {
    let with_case = |request: &Request| request.clone().header("x-case", path);
    match client {
        Client::Sends(request) => drop(envoy.client().try_send(&with_case(request))),
        Client::SendsHttp2(request) => drop(envoy.http2_client().try_send(&with_case(request))),
        Client::LeavesHttp2(request, after) => {
            let pending = envoy.http2_client().start(with_case(request));
            std::thread::sleep(Duration::from_millis(*after));
            pending.disconnect();
        }
        Client::Writes(parts) => {
            let mut stream = write(envoy, parts);
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all);
        }
        Client::Leaves(parts, after) => {
            let stream = write(envoy, parts);
            std::thread::sleep(Duration::from_millis(*after));
            let _ = stream.shutdown(Shutdown::Both);
        }
        Client::Stalls(text, silent) => {
            let mut stream = write(envoy, &[(0, text.clone())]);
            std::thread::sleep(Duration::from_millis(*silent));
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all);
        }
    }
}

fn write(envoy: &Envoy, parts: &[(u64, String)]) -> TcpStream {
    let mut stream = TcpStream::connect(envoy.address(PLAIN)).expect("a connection");
    let patience = Some(Duration::from_secs(4));
    stream.set_read_timeout(patience).expect("a timeout");
    stream.set_nodelay(true).expect("no delay");
    for (pause, text) in parts {
        std::thread::sleep(Duration::from_millis(*pause));
        // Envoy may already have closed the connection.
        let _ = stream.write_all(text.as_bytes());
    }
    stream
}

/// Envoy's access log entry for the exchange, after its end.
fn details(envoy: &Envoy, case: &Case) -> String {
    let path = case.path;
    // If Envoy follows a redirect, both entries have the path of the second request.
    let is_redirected = |details: &str| details == "internal_redirect" && case.details == details;
    wait_for(|| {
        let entries = envoy.wait_for_access_log(0);
        let mut entries_of_case = entries
            .iter()
            .filter(|entry| entry.target == path || is_redirected(&entry.details));
        let entry = entries_of_case.next();
        let details = entry.map(|entry| entry.details.clone());
        details.ok_or_else(|| format!("the end of {path}: {entries:#?}"))
    })
}

fn stat(envoy: &Envoy, metric: &str) -> Option<u64> {
    envoy.stats().get(&format!(
        "portcullis.circuit_breaker.policy=.=edge;.;breaker=.=all;.;{metric}"
    ))
}

/// The counters of neutral endings by author.
fn blames(envoy: &Envoy) -> Vec<(&'static str, u64)> {
    let by = |reason| {
        let metric = format!("reason=.={reason};.;neutral_by");
        (reason, stat(envoy, &metric).unwrap_or_default())
    };
    let abandoned = stat(envoy, "abandoned").unwrap_or_default();
    let mut blames = vec![("abandoned", abandoned)];
    blames.extend(["client", "envoy", "upstream"].map(by));
    let stats = envoy.stats();
    let all = stats.with_prefix("portcullis.circuit_breaker.");
    let all = all.filter(|(name, _)| name.ends_with(";.;neutral_by"));
    let all: u64 = all.map(|(_, value)| value).sum();
    let known: u64 = blames.iter().skip(1).map(|(_, value)| value).sum();
    blames.push(("filter", all - known));
    blames
}

/// The case's circuit in the status view.
fn circuit(envoy: &Envoy, path: &str) -> Value {
    let response = envoy.client().send(&Request::get("/portcullis/breakers"));
    let view: Value = serde_json::from_slice(&response.body).expect("JSON");
    let keys = view["breakers"][0]["keys"].as_array().expect("keys");
    let key = keys.iter().find(|key| key["key"] == path);
    key.cloned().unwrap_or_default()
}
