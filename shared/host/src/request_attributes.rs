//! The properties of a request that matchers and keys use.

use portcullis_core::headers::HeaderMap;
use portcullis_core::key::Request;
use portcullis_core::matcher::Subject;

/// The properties of a request that a policy needs; the others are empty. See
/// [`Exchange::request_with`](crate::Exchange::request_with).
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestAttributes<'a> {
    /// The name of the route.
    pub route: &'a [u8],
    pub(crate) remote_address: &'a [u8],
    pub(crate) claims: &'a [u8],
    pub(crate) cluster: &'a [u8],
}

impl<'a> RequestAttributes<'a> {
    /// The subject with these headers, for matchers.
    pub fn subject(self, headers: &'a HeaderMap) -> Subject<'a> {
        Subject::new(headers, self.route).of_client(self.remote_address, self.claims)
    }

    /// The request with this subject, for matchers and keys.
    pub fn request(self, subject: &'a Subject<'a>) -> Request<'a> {
        Request {
            subject,
            remote_address: self.remote_address,
            claims: self.claims,
            cluster: self.cluster,
        }
    }
}
