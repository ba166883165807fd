//! What Envoy knows of a request beside its headers.

use portcullis_core::key::{CLAIMS_PROPERTY, Needs, Request};
use portcullis_core::matcher::Subject;

use crate::exchange::{Error, Exchange, Property};

/// The properties of a request that a policy needs; those that it does not are empty. Ask for them
/// before any header is written, after which Envoy chooses the route anew.
#[derive(Debug, Default)]
pub struct RequestAttributes {
    route: Vec<u8>,
    remote_address: Vec<u8>,
    claims: Vec<u8>,
    cluster: Vec<u8>,
}

impl RequestAttributes {
    /// Asks Envoy. A property without a value is empty; one that Envoy refuses to show is an error,
    /// because an empty one may be treated more mildly.
    pub fn fetch(exchange: &Exchange, needs: Needs) -> Result<Self, Error> {
        let ask = |needed: bool, property| {
            let value = needed.then(|| exchange.property(property)).transpose()?;
            Ok(value.flatten().unwrap_or_default())
        };
        Ok(Self {
            route: ask(needs.route, Property::ROUTE_NAME)?,
            remote_address: ask(needs.remote_address, Property::REMOTE_ADDRESS)?,
            claims: ask(needs.claims, Property::filter_state(CLAIMS_PROPERTY))?,
            cluster: ask(needs.cluster, Property::CLUSTER_NAME)?,
        })
    }

    /// The name of the route.
    pub fn route(&self) -> &[u8] {
        &self.route
    }

    /// The request with these headers, for what counts by key.
    pub fn request<'a>(&'a self, subject: &'a Subject<'a>) -> Request<'a> {
        Request {
            subject,
            remote_address: &self.remote_address,
            claims: &self.claims,
            cluster: &self.cluster,
        }
    }
}
