//! http_config: adds a response header whose value is the configuration.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use proxy_wasm_native_host::{Filter, Host, Request};

use super::header;

struct Label(String);

impl Context for Label {}

impl RootContext for Label {
    fn on_configure(&mut self, _: usize) -> bool {
        let config = self.get_plugin_configuration().unwrap_or_default();
        match String::from_utf8(config) {
            Ok(text) => self.0 = text,
            Err(_) => return false,
        }
        true
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Self(self.0.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl HttpContext for Label {
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.add_http_response_header("x-label", &self.0);
        Action::Continue
    }
}

fn filter(config: impl AsRef<[u8]>) -> Filter {
    let init = || proxy_wasm::set_root_context(|_| Box::new(Label(String::new())));
    Filter::from_fn("label", init).config(config)
}

#[test]
fn the_configuration_is_the_header() {
    let host = Host::builder().filter(filter("blue")).start().unwrap();
    assert_eq!(
        header(&host.send(Request::get("/")), "x-label"),
        Some("blue")
    );
    host.update(vec![filter("green")]).unwrap();
    assert_eq!(
        header(&host.send(Request::get("/")), "x-label"),
        Some("green")
    );
}

#[test]
fn a_configuration_that_is_no_text_is_refused() {
    let error = Host::builder().filter(filter(b"\xff")).start().unwrap_err();
    assert_eq!(error.reason, "on_configure returned false");
}
