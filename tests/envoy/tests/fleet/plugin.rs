//! Envoys with rate-limit and a limit of the fleet.

use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::filter::PluginFilter;
use portcullis_envoy_tests::fleet::{Fleet, SERVICE};
use serde_json::{Value, json};

/// More than the cores, so that a worker may be preempted between reading and writing.
const WORKERS: u32 = 4;
/// For tests that are not about it: no call takes that long, even on a busy machine.
pub(crate) const LONG: &str = "5s";

/// The response header with the seconds since 1970 on Envoy's wall clock.
pub(crate) const SECONDS: &str = "x-seconds";

/// A limit per minute, by `x-api-key`.
#[derive(Clone)]
pub(crate) struct Limit {
    pub(crate) requests: u32,
    pub(crate) mode: &'static str,
    pub(crate) on_outage: &'static str,
    pub(crate) timeout: &'static str,
    pub(crate) protocol: &'static str,
    /// How it counts in an outage.
    pub(crate) algorithm: &'static str,
}

impl Limit {
    /// One that admits nothing without the service.
    pub(crate) fn new(requests: u32, mode: &'static str) -> Self {
        Self {
            requests,
            mode,
            on_outage: "deny",
            timeout: LONG,
            protocol: "envoy",
            algorithm: "gcra",
        }
    }

    /// The same at a service that holds amounts until they are committed.
    pub(crate) fn reserving(requests: u32, mode: &'static str) -> Self {
        Self {
            protocol: "reserve",
            // Holds are short, and so are the times until they end.
            timeout: "1s",
            ..Self::new(requests, mode)
        }
    }

    /// The largest lease: 100 hits, and a tenth of the limit.
    pub(crate) fn largest_lease(&self) -> usize {
        match self.mode {
            "lease" => usize::try_from(self.requests / 10).map_or(100, |tenth| tenth.min(100)),
            _ => 0,
        }
    }

    fn configuration(&self) -> Value {
        let mut fleet = json!({
            "service": "main",
            "descriptor": ["api_key"],
            "mode": self.mode,
            "on_outage": self.on_outage,
        });
        if self.mode == "lease" {
            fleet["lease"] = json!({"max": 100, "share": 10});
        }
        json!({
            "name": "edge",
            "response_headers": ["x-ratelimit"],
            "services": {"main": {
                "cluster": SERVICE, "domain": "edge", "timeout": self.timeout, "protocol": self.protocol,
            }},
            "limits": [{
                "name": "per-tenant",
                "key": [{"header": "x-api-key"}],
                "algorithm": self.algorithm,
                "rate": {"requests": self.requests, "per": "1m"},
                "fleet": fleet,
            }],
        })
    }

    /// Envoys with this limit, and a service that has it too. They answer admitted requests with 200.
    pub(crate) fn fleet(&self, envoys: usize) -> Option<Fleet> {
        self.fleet_with_clocks(&vec![0; envoys])
    }

    /// The same: one Envoy for each shift of a wall clock, in seconds. The header [`SECONDS`] of responses has its time.
    pub(crate) fn fleet_with_clocks(&self, shifts: &[i64]) -> Option<Fleet> {
        let requests = self.requests;
        let limits = json!({
            "domain": "edge",
            "descriptors": [
                {"key": "api_key", "rate_limit": {"unit": "minute", "requests_per_unit": requests}},
            ],
        });
        let plugin =
            PluginFilter::new("rate-limit").configuration(&self.configuration().to_string());
        Fleet::start(shifts.len(), &limits.to_string(), |number| {
            Envoy::builder()
                .shift_wall_clock(shifts[number])
                .concurrency(WORKERS)
                .connection_manager(json!({"access_log": []}))
                .plugin(&plugin)
                .route(json!({
                    "match": {"prefix": "/"},
                    "direct_response": {"status": 200, "body": {"inline_string": "hello"}},
                    "response_headers_to_add": [
                        {"header": {"key": SECONDS, "value": "%START_TIME(%s)%"}},
                    ],
                }))
        })
    }
}

/// How many of the responses are 200. The others must have the status `denied`.
pub(crate) fn admitted(statuses: &[Vec<u16>], denied: u16) -> usize {
    let statuses = statuses.concat();
    let other = statuses
        .iter()
        .find(|status| ![200, denied].contains(status));
    assert_eq!(other, None, "neither 200 nor {denied}");
    statuses.iter().filter(|status| **status == 200).count()
}

pub(crate) fn assert_no_vm_failed(fleet: &Fleet) {
    for envoy in fleet.envoys() {
        envoy.assert_no_vm_failed();
    }
}
