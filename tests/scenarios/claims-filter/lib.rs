//! Stands in for jwt-auth in scenarios: it believes every bearer token, and takes the token itself
//! for the claims.
//!
//! `authorization: Bearer {"sub": "ada"}` hands over `{"sub": "ada"}` as the verified claims of the
//! request, in the way that `rate_limit::key::claim` of the policy crate defines. The SDK is used
//! as any filter's author would, so that nothing of the plugins proves itself right.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

#[cfg(target_arch = "wasm32")]
mod module {
    #![allow(missing_docs, reason = "`main!` makes a public function without")]

    proxy_wasm::main! {{ super::start(); }}
}

/// Registers the filter with the SDK: what its module does when it is loaded.
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
