//! Whether a proxy's verification of signatures is relied on.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use portcullis_host::{EnvoySignatures, Error, Exchange, Failure, Flow, Plugin, Summary};
use portcullis_policy::config::{Document, Errors};
use proxy_wasm_native_host::{Filter, Host, Request, Response};

/// Tells the upstream what it found when it was configured.
struct Probe(EnvoySignatures);

impl Plugin for Probe {
    const NAME: &'static str = "probe";
    type Config = ();
    type Stream = ();

    fn read(_: Document) -> Result<(), Errors> {
        Ok(())
    }

    fn new((): ()) -> Self {
        Self(EnvoySignatures::probe())
    }

    fn summaries(&self) -> Vec<Summary> {
        Vec::new()
    }

    fn on_error(&self, _: &mut (), _: &mut Exchange, _: Failure) -> Flow {
        Flow::Continue
    }

    fn on_request(&self, (): &mut (), exchange: &mut Exchange) -> Result<Flow, Error> {
        let found = self.0.is_reliable().to_string();
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
        .filter(Filter::from_fn("probe", portcullis_host::start::<Probe>))
        .start()
        .unwrap();
    let outcome = host.send(Request::get("/"));
    let found = outcome.upstream_request().unwrap().header_value("x-found");
    found.unwrap().to_owned()
}

#[test]
fn a_proxy_that_knows_the_answers_is_relied_on() {
    assert_eq!(found(Host::builder()), "true");
}

#[test]
fn a_proxy_that_cannot_tell_is_not_relied_on() {
    let host = Host::builder().without_foreign_function("verify_signature");
    assert_eq!(found(host), "false");
}

#[test]
fn a_proxy_that_always_says_the_same_is_not_relied_on() {
    for verdict in [&[8, 1][..], &[], &[8, 0]] {
        let host =
            Host::builder().foreign_function("verify_signature", move |_| Ok(verdict.to_vec()));
        assert_eq!(found(host), "false", "{verdict:?}");
    }
}
