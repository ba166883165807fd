//! Whether the host's verification of signatures is reliable.

use portcullis_core::config::Name;
use portcullis_host::{Error, Exchange, Failure, Flow, Instance, Plugin, SignatureVerifier};
use proxy_wasm_native_host::{Filter, Host, Request, Response};
use serde::Deserialize;

use crate::tiny::{Tiny, TinyConfig};

/// Sends the result of the check to the upstream.
struct Probe {
    instance: Instance<Tiny<Config>>,
    signatures: SignatureVerifier,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    name: Name,
}

impl TinyConfig for Config {
    const PLUGIN: &'static str = "probe";

    fn name(&self) -> &Name {
        &self.name
    }
}

impl Plugin for Probe {
    type Policy = Tiny<Config>;
    type Stream = ();

    fn new(instance: Instance<Self::Policy>) -> Self {
        Self {
            instance,
            signatures: SignatureVerifier::probe(),
        }
    }

    fn instance(&self) -> &Instance<Self::Policy> {
        &self.instance
    }

    fn on_error(&self, _: &mut (), _: &mut Exchange, _: Failure) -> Flow {
        Flow::Continue
    }

    fn on_request(&self, (): &mut (), exchange: &mut Exchange) -> Result<Flow, Error> {
        let found = self.signatures.is_reliable().to_string();
        exchange.request()?.set("x-found".into(), found.into());
        Ok(Flow::Continue)
    }

    fn on_response(&self, (): &mut (), _: &mut Exchange) -> Result<Flow, Error> {
        Ok(Flow::Continue)
    }
}

fn found(host: proxy_wasm_native_host::HostBuilder) -> String {
    let host = host
        .upstream(|_: &Request| Response::new(200))
        .filter(Filter::from_fn(
            "probe",
            portcullis_proxy_wasm::start::<Probe>,
        ))
        .start()
        .unwrap();
    let outcome = host.send(Request::get("/"));
    let found = outcome.upstream_request().unwrap().header_value("x-found");
    found.unwrap().to_owned()
}

#[test]
fn a_proxy_that_gives_the_known_answers_is_reliable() {
    assert_eq!(found(Host::builder()), "true");
}

#[test]
fn a_proxy_without_the_function_is_not_reliable() {
    let host = Host::builder().without_foreign_function("verify_signature");
    assert_eq!(found(host), "false");
}

#[test]
fn a_proxy_that_always_gives_the_same_answer_is_not_reliable() {
    for verdict in [&[8, 1][..], &[], &[8, 0]] {
        let host =
            Host::builder().foreign_function("verify_signature", move |_| Ok(verdict.to_vec()));
        assert_eq!(found(host), "false", "{verdict:?}");
    }
}
