//! The properties of a request that matchers and keys use.

use std::rc::Rc;

use portcullis_core::headers::HeaderMap;
use portcullis_core::key::{CLAIMS_PROPERTY, Needs, Request};
use portcullis_core::matcher::Subject;

use crate::error::Error;
use crate::exchange::Exchange;
use crate::property::Property;

/// The properties of a request that a policy needs; the others are empty. Fetch them before writing any header,
/// because Envoy then chooses the route again.
#[derive(Debug, Default)]
pub struct RequestAttributes {
    route: Option<Rc<[u8]>>,
    remote_address: Option<Rc<[u8]>>,
    claims: Option<Rc<[u8]>>,
    cluster: Option<Rc<[u8]>>,
}

impl RequestAttributes {
    /// Reads them from Envoy. A property without a value is empty. A property that Envoy refuses to provide is an
    /// error, because a policy may treat an empty one more mildly.
    pub fn fetch(exchange: &Exchange, needs: Needs) -> Result<Self, Error> {
        let fetch = |needed: bool, property| {
            let value = needed.then(|| exchange.property(property)).transpose()?;
            Ok(value.flatten())
        };
        Ok(Self {
            route: fetch(needs.route, Property::RouteName)?,
            remote_address: fetch(needs.remote_address, Property::RemoteAddress)?,
            claims: fetch(needs.claims, Property::FilterState(CLAIMS_PROPERTY))?,
            cluster: fetch(needs.cluster, Property::ClusterName)?,
        })
    }

    /// The subject with these headers, for matchers.
    pub fn subject<'a>(&'a self, headers: &'a HeaderMap) -> Subject<'a> {
        let route = self.route.as_deref().unwrap_or_default();
        Subject::new(headers, route).of_client(self.remote_address(), self.claims())
    }

    fn remote_address(&self) -> &[u8] {
        self.remote_address.as_deref().unwrap_or_default()
    }

    fn claims(&self) -> &[u8] {
        self.claims.as_deref().unwrap_or_default()
    }

    /// The request with this subject, for matchers and keys.
    pub fn request<'a>(&'a self, subject: &'a Subject<'a>) -> Request<'a> {
        Request {
            subject,
            remote_address: self.remote_address(),
            claims: self.claims(),
            cluster: self.cluster.as_deref().unwrap_or_default(),
        }
    }
}
