//! Simulates fleets of up to 1,000 proxies that share the limits of many keys, and prints what leases cost and save.
//!
//! ```sh
//! cargo run --release -p rate-limit-policy --example fleet -- docs/fleet-simulation.svg
//! ```
//!
//! The table is in docs/fleet.md. With a file name, the program also draws the plot.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a program for developers, which prints its result"
)]

#[path = "../src/fleet/tests/random.rs"]
mod random;
#[path = "../src/fleet/tests/service.rs"]
#[allow(dead_code, reason = "tests use the rest")]
mod service;
#[path = "../src/fleet/tests/simulation.rs"]
#[allow(dead_code, reason = "tests use the rest")]
mod simulation;

use std::fmt::Write as _;

use portcullis_core::time::Nanos;
use random::Random;
use rate_limit_policy::fleet::lease::Leases;
use service::{Counting, Service};
use simulation::{Fleet, Network, Proxy, START};

/// The limit of each key, in a minute: small, and large enough for leases on a thousand proxies.
const LIMITS: [u32; 2] = [150, 6_000];
const MINUTE: Nanos = Nanos::from_secs(60);
const KEYS: usize = 2_000;
/// The popularity of the key of rank *r* is 1 / *r* to this power.
const SKEW: f64 = 1.1;
/// Requests in a second, of all keys together.
const RATE: u64 = 2_500;
/// Requests in a second, of one key alone.
const HOT: u64 = 5_000;
const COLUMNS: &str = "| service | limit | proxies | largest lease | over the limit | worst key | unused | calls/s | \
                       calls per request | waited |\n|---|---|---|---|---|---|---|---|---|---|";
/// The first window warms up; the others are measured.
const WINDOWS: u64 = 3;
const TIMEOUT: Nanos = Nanos::from_millis(50);

/// A fleet, and how it counts.
#[derive(Clone, Copy)]
struct Case {
    proxies: usize,
    counting: Counting,
    limit: u32,
    /// The largest lease; `None` for a call with each request.
    max: Option<u32>,
    /// Requests in a second, of all keys together.
    rate: u64,
    keys: usize,
}

/// What one simulation found.
struct Findings {
    /// Admitted beyond the limit, in percent of what may be admitted.
    over: f64,
    /// The worst key in a window, in percent of its limit.
    worst: f64,
    /// Denied although the limit had room, in percent of what may be admitted.
    unused: f64,
    calls_per_second: f64,
    calls_per_request: f64,
    /// Requests that waited for a call, in percent of those that passed.
    waited: f64,
}

/// The keys' ranks, by random number.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(keys: usize) -> Self {
        let mut sum = 0.0;
        let mut sums: Vec<f64> = (1..=keys)
            .map(|rank| {
                sum += (rank as f64).powf(-SKEW);
                sum
            })
            .collect();
        sums.iter_mut().for_each(|up_to| *up_to /= sum);
        Self(sums)
    }

    fn key(&self, random: &mut Random) -> u64 {
        let at = random.unit();
        self.0.partition_point(|up_to| *up_to < at) as u64
    }
}

fn simulate(case: Case) -> Findings {
    let mut random = Random(case.proxies as u64);
    let proxies = (0..case.proxies).map(|_| {
        let ahead = Nanos::new(random.below(MINUTE.get()));
        Proxy::new(ahead, random.below(200) as i64 - 100)
    });
    let proxies = proxies.collect();
    let leases = case.max.map(|max| Leases {
        max,
        share: 100,
        timeout: TIMEOUT,
        requests: case.limit,
        per: MINUTE,
        holds: false,
    });
    let network = Network {
        latency: (Nanos::from_millis(1), Nanos::from_millis(3)),
        processing: (Nanos::from_millis(1), Nanos::from_millis(2)),
        lost_calls: 0.0,
        lost_answers: 0.0,
        late_answers: false,
    };
    let service = Service::new(case.counting, case.limit, MINUTE);
    let mut fleet = Fleet::new(service, proxies, leases, TIMEOUT, network, 7);
    let zipf = Zipf::new(case.keys);
    let mut demand = vec![vec![0_u64; case.keys]; WINDOWS as usize];
    let mut before = (0, 0, 0, 0);
    for window in 0..WINDOWS {
        for _ in 0..case.rate * 60 {
            let at = START + MINUTE * window + Nanos::new(random.below(MINUTE.get()));
            let key = zipf.key(&mut random);
            demand[window as usize][key as usize] += 1;
            let proxy = random.below(case.proxies as u64) as usize;
            fleet.send(at, proxy, key, 1);
        }
        if window == 0 {
            fleet.run_until(START + MINUTE);
            let totals = &fleet.totals;
            before = (totals.calls, totals.requests, totals.waited, totals.passed);
        }
    }
    fleet.run_until(START + MINUTE * WINDOWS + Nanos::SECOND);
    let first = START.floor_secs() / 60;
    let limit = u64::from(case.limit);
    let (mut due, mut over, mut unused, mut worst) = (0, 0, 0, 0.0_f64);
    for window in 1..WINDOWS {
        for (key, sent) in demand[window as usize].iter().enumerate() {
            let at = (key as u64, first + window);
            let admitted = fleet.totals.admitted.get(&at).copied().unwrap_or(0);
            let allowed = limit.min(*sent);
            due += allowed;
            over += admitted.saturating_sub(limit);
            unused += allowed.saturating_sub(admitted);
            worst = worst.max(admitted as f64 * 100.0 / f64::from(case.limit));
        }
    }
    let requests = (fleet.totals.requests - before.1) as f64;
    let calls = (fleet.totals.calls - before.0) as f64;
    Findings {
        over: over as f64 * 100.0 / due as f64,
        worst,
        unused: unused as f64 * 100.0 / due as f64,
        calls_per_second: calls / (60 * (WINDOWS - 1)) as f64,
        calls_per_request: calls / requests,
        waited: (fleet.totals.waited - before.2) as f64 * 100.0
            / (fleet.totals.passed - before.3) as f64,
    }
}

const LEASES: [u32; 5] = [2, 5, 20, 50, 150];
const FLEETS: [usize; 4] = [2, 10, 100, 1_000];

fn main() -> std::io::Result<()> {
    println!(
        "{KEYS} keys, popularity by Zipf with exponent {SKEW}, {RATE} requests/s; limits are those of each key in a minute\n"
    );
    println!("{COLUMNS}");
    let mut plotted = Vec::new();
    for counting in [Counting::AddThenCompare, Counting::CompareThenAdd] {
        for (limit, proxies) in LIMITS
            .into_iter()
            .flat_map(|limit| FLEETS.map(|n| (limit, n)))
        {
            for max in std::iter::once(None).chain(LEASES.map(Some)) {
                let case = Case {
                    proxies,
                    counting,
                    limit,
                    max,
                    rate: RATE,
                    keys: KEYS,
                };
                let findings = simulate(case);
                print_row(case, &findings);
                plotted.push((case, findings));
            }
        }
    }
    println!("\nOne key with {HOT} requests/s, and more than enough limit\n");
    println!("{COLUMNS}");
    for (proxies, max) in [(4, 100), (4, 1_000), (20, 1_000)] {
        let case = Case {
            proxies,
            counting: Counting::AddThenCompare,
            limit: 1_000_000,
            max: Some(max),
            rate: HOT,
            keys: 1,
        };
        print_row(case, &simulate(case));
    }
    if let Some(file) = std::env::args().nth(1) {
        std::fs::write(file, plot(&plotted))?;
    }
    Ok(())
}

fn print_row(case: Case, findings: &Findings) {
    let service = match case.counting {
        Counting::AddThenCompare => "adds, then compares",
        Counting::CompareThenAdd => "compares, then adds",
    };
    let max = case.max.map_or("each".to_owned(), |max| max.to_string());
    let Findings {
        over,
        worst,
        unused,
        calls_per_second,
        calls_per_request,
        waited,
    } = findings;
    println!(
        "| {service} | {} | {} | {max} | {over:.2} % | {worst:.0} % | {unused:.2} % | {calls_per_second:.0} | \
         {calls_per_request:.3} | {waited:.1} % |",
        case.limit, case.proxies
    );
}

/// One line of a panel: a colour, a name, and a value for each lease.
type Line = (&'static str, String, Vec<f64>);

fn plot(findings: &[(Case, Findings)]) -> String {
    let colours = ["#0b7285", "#2b8a3e", "#e67700", "#c92a2a"];
    let of = |limit, value: fn(&Findings) -> f64| -> Vec<Line> {
        let line = |(proxies, colour)| {
            let cases = findings.iter().filter(|(case, _)| {
                case.counting == Counting::AddThenCompare
                    && case.limit == limit
                    && case.proxies == proxies
                    && case.max.is_some()
            });
            let values = cases.map(|(_, findings)| value(findings)).collect();
            (colour, format!("{proxies} proxies"), values)
        };
        FLEETS.into_iter().zip(colours).map(line).collect()
    };
    let [small, large] = LIMITS;
    let panels = [
        (
            format!("Calls per request, limit {small}/min"),
            of(small, |found| found.calls_per_request),
        ),
        (
            format!("Unused, %, limit {small}/min"),
            of(small, |found| found.unused),
        ),
        (
            format!("Calls per request, limit {large}/min"),
            of(large, |found| found.calls_per_request),
        ),
        (
            format!("Unused, %, limit {large}/min"),
            of(large, |found| found.unused),
        ),
    ];
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1440 330\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"1440\" height=\"330\" fill=\"#fff\"/>\n",
    );
    for (at, (title, lines)) in panels.iter().enumerate() {
        panel(&mut svg, 360 * at, title, lines);
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, left: usize, title: &str, lines: &[Line]) {
    let values = lines.iter().flat_map(|(_, _, values)| values);
    let most = values
        .fold(0.0_f64, |most, value| most.max(*value))
        .max(0.01);
    // A round number of steps above the largest value.
    let magnitude = 10_f64.powf(most.log10().floor());
    let top = (most / magnitude * 2.0).ceil() / 2.0 * magnitude;
    let x = |at: usize| left as f64 + 50.0 + 280.0 * at as f64 / (LEASES.len() - 1) as f64;
    let y = |value: f64| 240.0 - 190.0 * value / top;
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"28\" font-weight=\"bold\">{title}</text>",
        left + 50
    );
    for step in 0..=4 {
        let value = top * f64::from(step) / 4.0;
        let _ = writeln!(
            svg,
            "<path d=\"M{:.0} {at:.1}H{:.0}\" stroke=\"#ddd\"/><text x=\"{:.0}\" y=\"{text:.1}\" \
             text-anchor=\"end\">{value:.2}</text>",
            x(0),
            x(LEASES.len() - 1),
            x(0) - 6.0,
            at = y(value),
            text = y(value) + 4.0
        );
    }
    for (at, size) in LEASES.iter().enumerate() {
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"258\" text-anchor=\"middle\">{size}</text>",
            x(at)
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.0}\" y=\"278\" text-anchor=\"middle\">largest lease</text>",
        left as f64 + 190.0
    );
    for (i, (colour, name, values)) in lines.iter().enumerate() {
        let points = values.iter().enumerate();
        let points: Vec<_> = points
            .map(|(at, value)| format!("{:.1},{:.1}", x(at), y(*value)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        );
        let key = left + 50 + 150 * (i % 2);
        let line = 298 + 18 * (i / 2);
        let _ = writeln!(
            svg,
            "<path d=\"M{key} {}h18\" stroke=\"{colour}\" stroke-width=\"2\"/><text x=\"{}\" y=\"{line}\">{name}</text>",
            line - 4,
            key + 24
        );
    }
}
