//! A stand-in for jwt-auth in scenarios. It trusts every bearer token and uses the token itself as the claims.
//!
//! `authorization: Bearer {"sub": "ada"}` passes `{"sub": "ada"}` on as the verified claims of the request, in the
//! filter state that `portcullis_core::key::claim` defines. It uses only the SDK and no code of the plugins, so that
//! the plugins are not tested against themselves.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

#[cfg(target_arch = "wasm32")]
mod module {
    #![allow(missing_docs, reason = "`main!` makes a public function without")]

    proxy_wasm::main! {{ super::start(); }}
}

/// Registers the filter with the SDK. Loading the module calls this.
pub fn start() {
    proxy_wasm::set_root_context(|_| Box::new(Claims));
}

struct Claims;

impl Context for Claims {}

impl RootContext for Claims {
    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Claims))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl HttpContext for Claims {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let authorization = self.get_http_request_header_bytes("authorization");
        let token = authorization
            .as_deref()
            .and_then(|value| value.strip_prefix(b"Bearer "));
        if let Some(claims) = token {
            self.set_property(vec!["portcullis.jwt.claims"], Some(claims));
        }
        Action::Continue
    }
}
