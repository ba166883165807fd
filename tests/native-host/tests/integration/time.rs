//! Virtual time: clocks, ticks, and what comes late.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant, SystemTime};

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use proxy_wasm_native_host::{Answer, Filter, Host, Request, Response, Route};

use crate::common::{count, said, scripted};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn ticks_come_on_every_thread_until_they_are_stopped() {
    let host = Host::builder()
        .filter(scripted("a", "configure tick 300"))
        .filter(scripted("b", "configure tick 500\ntick tick 0"))
        .workers(2)
        .start()
        .unwrap();
    assert_eq!(count(&host, "a tick"), 0);
    host.advance(Duration::from_millis(299));
    assert_eq!(count(&host, "a tick"), 0);
    host.advance(Duration::from_millis(1));
    assert_eq!(count(&host, "a tick"), 3, "two workers and the main thread");
    host.advance(SECOND);
    assert_eq!(count(&host, "a tick"), 4 * 3);
    assert_eq!(count(&host, "b tick"), 3);
}

#[test]
fn a_tick_can_set_its_period_anew() {
    let host = Host::builder()
        .filter(scripted("a", "configure tick 100\ntick tick 1000"))
        .start()
        .unwrap();
    host.advance(Duration::from_millis(1099));
    assert_eq!(count(&host, "a tick"), 2);
    host.advance(Duration::from_millis(1));
    assert_eq!(count(&host, "a tick"), 4);
}

/// Tells the time in three ways: the ABI's, and WASI's two clocks.
struct Clock;

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u16;
    fn random_get(buffer: *mut u8, size: usize) -> u16;
}

fn wasi_time(clock: u32) -> u64 {
    let mut time = 0;
    assert_eq!(unsafe { clock_time_get(clock, 0, &mut time) }, 0);
    time
}

impl Context for Clock {}

impl RootContext for Clock {
    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Self))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl HttpContext for Clock {
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let wall = hostcalls::get_current_time().unwrap();
        let wall = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(wall.as_nanos(), u128::from(wasi_time(0)));
        let mut random = [0; 11];
        assert_eq!(unsafe { random_get(random.as_mut_ptr(), random.len()) }, 0);
        for (name, value) in [
            ("x-wall", wall.as_nanos().to_string()),
            ("x-monotonic", wasi_time(1).to_string()),
            ("x-random", format!("{random:?}")),
        ] {
            self.set_http_response_header(name, Some(&value));
        }
        Action::Continue
    }
}

fn clock() -> Filter {
    Filter::from_fn("clock", || {
        proxy_wasm::set_root_context(|_| Box::new(Clock))
    })
}

fn reading(host: &Host, header: &str) -> u64 {
    let outcome = host.send(Request::get("/"));
    outcome
        .response()
        .headers()
        .get(header)
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn both_clocks_stand_still_until_they_are_advanced() {
    let host = Host::builder().filter(clock()).start().unwrap();
    let (wall, monotonic) = (reading(&host, "x-wall"), reading(&host, "x-monotonic"));
    assert_eq!(reading(&host, "x-monotonic"), monotonic);
    host.advance(SECOND);
    assert_eq!(reading(&host, "x-wall"), wall + 1_000_000_000);
    assert_eq!(reading(&host, "x-monotonic"), monotonic + 1_000_000_000);
}

/// Reads time and randomness as any Rust program does.
struct Ordinary {
    born: Instant,
}

impl Context for Ordinary {}

impl RootContext for Ordinary {
    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Self { born: self.born }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl HttpContext for Ordinary {
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let hashed = RandomState::new().hash_one(0);
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random).unwrap();
        for (name, value) in [
            ("x-wall", wall.unwrap().as_nanos().to_string()),
            ("x-age", self.born.elapsed().as_nanos().to_string()),
            ("x-random", format!("{hashed} {random:?}")),
        ] {
            self.set_http_response_header(name, Some(&value));
        }
        Action::Continue
    }
}

fn ordinary() -> Filter {
    Filter::from_fn("ordinary", || {
        let born = |_| -> Box<dyn RootContext> {
            let born = Instant::now();
            Box::new(Ordinary { born })
        };
        proxy_wasm::set_root_context(born);
    })
}

#[test]
fn the_standard_library_s_clocks_are_the_host_s() {
    let host = Host::builder().filter(ordinary()).start().unwrap();
    let wall = reading(&host, "x-wall");
    assert_eq!(
        u128::from(wall),
        host.wall_time()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_nanos()
    );
    assert_eq!(reading(&host, "x-age"), 0);
    host.advance(90 * SECOND);
    assert_eq!(reading(&host, "x-wall"), wall + 90_000_000_000);
    assert_eq!(reading(&host, "x-age"), 90_000_000_000);
    // The test's own clock goes on.
    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(2));
    assert!(start.elapsed() >= Duration::from_millis(2));
}

#[test]
fn the_standard_library_s_randomness_and_getrandom_s_are_the_host_s() {
    let random = |seed| {
        let host = Host::builder()
            .seed(seed)
            .filter(ordinary())
            .start()
            .unwrap();
        let outcome = host.send(Request::get("/"));
        outcome
            .response()
            .header_value("x-random")
            .unwrap()
            .to_owned()
    };
    assert_eq!(random(1), random(1));
    assert_ne!(random(1), random(2));
    let mut bytes = [[0_u8; 16]; 2];
    bytes
        .iter_mut()
        .for_each(|bytes| getrandom::fill(bytes).unwrap());
    assert_ne!(bytes[0], bytes[1]);
}

#[test]
fn only_the_wall_clock_can_go_back() {
    let host = Host::builder().filter(clock()).start().unwrap();
    let monotonic = reading(&host, "x-monotonic");
    host.set_wall_time(SystemTime::UNIX_EPOCH + SECOND);
    assert_eq!(reading(&host, "x-wall"), 1_000_000_000);
    assert_eq!(host.wall_time(), SystemTime::UNIX_EPOCH + SECOND);
    assert_eq!(reading(&host, "x-monotonic"), monotonic);
}

#[test]
fn randomness_can_be_repeated() {
    let random = |host: Host| {
        let outcome = host.send(Request::get("/"));
        outcome
            .response()
            .headers()
            .get("x-random")
            .unwrap()
            .to_owned()
    };
    let seeded = |seed| random(Host::builder().seed(seed).filter(clock()).start().unwrap());
    assert_eq!(seeded(1), seeded(1));
    assert_ne!(seeded(1), seeded(2));
    let unseeded = || random(Host::builder().filter(clock()).start().unwrap());
    assert_ne!(unseeded(), unseeded());
}

#[test]
fn what_is_late_comes_in_order() {
    let delay = |request: &Request| {
        let seconds = request.path().trim_matches('/').parse().unwrap();
        Answer::from(Response::new(200)).after(Duration::from_secs(seconds))
    };
    let host = Host::builder()
        .filter(scripted(
            "a",
            "log property request.path\nlog property request.duration",
        ))
        .upstream(delay)
        .route(Route::new("patient").timeout(Duration::ZERO))
        .start()
        .unwrap();
    let (late, soon) = (
        host.open(Request::get("/20")),
        host.open(Request::get("/3")),
    );
    host.advance(60 * SECOND);
    assert_eq!(
        (late.outcome().status(), soon.outcome().status()),
        (200, 200)
    );
    let lines = said(&host);
    let lines: Vec<_> = lines.iter().filter(|line| line.contains("->")).collect();
    let expected = [
        "a   property request.path -> \"/3\"",
        "a   property request.duration -> 3000000000",
        "a   property request.path -> \"/20\"",
        "a   property request.duration -> 20000000000",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn an_upstream_that_never_answers_meets_the_route_s_timeout() {
    let host = Host::builder()
        .upstream(|_: &Request| Answer::never())
        .start()
        .unwrap();
    let mut stream = host.open(Request::get("/"));
    host.advance(Duration::from_millis(14_999));
    assert!(!stream.is_over());
    host.advance(Duration::from_millis(1));
    assert_eq!(stream.outcome().flags().to_string(), "UT");
}
