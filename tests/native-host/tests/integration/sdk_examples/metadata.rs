//! envoy_filter_metadata: answers with what an earlier filter left in the dynamic metadata.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use proxy_wasm_native_host::{Filter, Host, Request};

struct Echo;

impl Context for Echo {}

impl HttpContext for Echo {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let path = vec![
            "metadata",
            "filter_metadata",
            "envoy.filters.http.lua",
            "shout",
        ];
        let Some(Ok(shout)) = self.get_property(path).map(String::from_utf8) else {
            return Action::Continue;
        };
        self.send_http_response(200, vec![("x-shout", &shout)], Some(shout.as_bytes()));
        Action::Pause
    }
}

#[test]
fn it_answers_with_the_metadata_or_not_at_all() {
    let init = || proxy_wasm::set_http_context(|_, _| Box::new(Echo));
    let host = Host::builder()
        .filter(Filter::from_fn("echo", init))
        .start()
        .unwrap();
    let path = "metadata.filter_metadata.envoy.filters.http.lua.shout";
    let outcome = host.send(Request::get("/").property(path, "HEY"));
    assert_eq!(outcome.response().body_text(), "HEY");
    assert_eq!(host.send(Request::get("/")).response().body_text(), "hello");
}
