//! Decides which requests a rule applies to.
//!
//! A [`Match`] has conditions on any of path, methods, hosts, headers, route, address and claims, and on what the request
//! must not match. A request matches if **all** of them hold; a match without conditions matches every request. Reading
//! the configuration compiles the conditions and refuses those that could never match.
//!
//! # Certain and possible
//!
//! A request can have several [interpretations](crate::readings), so a condition has three possible results
//! ([`Fit`]): it holds in every interpretation (**certain**), in some (**possible**), or in none. A rule that
//! restricts applies to a possible match; a rule that grants applies only to a certain match. Each policy documents
//! which of its rules restrict and which grant.
//!
//! # Path
//!
//! `exact`, `prefix` (a prefix of the text, as in Envoy's routes: `/admin` also matches `/administrator`; write
//! `/admin/` to match only paths below it) or `regex` (see [`Regex`]; it must match the whole path).
//!
//! A condition is compared with each variant of the path (see [`readings::path`](crate::readings::path)). The match
//! is certain if every variant matches exactly. It is possible if at least one variant matches when letter case and
//! a trailing slash are ignored, because some servers ignore them: `/ADMIN/x`, `/admin` and `/public/..;/admin/x`
//! are possible matches of the prefix `/admin/`.
//!
//! `exact` and `prefix` are written in the [canonical form](crate::readings::path::CanonicalPath): plain
//! characters, never percent-encoded, without dot segments and repeated slashes.
//!
//! With `normalize_path: true`, `merge_slashes: true` and `path_with_escaped_slashes_action: REJECT_REQUEST` in
//! Envoy's connection manager, nearly every path has one variant.
//!
//! A CONNECT request without a path does not match a rule with a path, and neither does `OPTIONS *`.
//!
//! # Methods
//!
//! One of the list. A method in a different letter case is a possible match: HTTP distinguishes them, but some
//! servers do not. `HEAD` is a possible match of `GET`, because it runs the same handler.
//!
//! # Hosts
//!
//! One of the list: exact names, or `*.example` for every name below `example` at any depth, but not `example`
//! itself. The port is ignored; IPv6 addresses are written in brackets. Other spellings of a host (letter case, a
//! trailing dot, userinfo, another form of an address) are possible matches. The client chooses this header, so a
//! host proves nothing.
//!
//! # Headers
//!
//! All of the list. For `exact`, `prefix` and `regex`, the match is possible if any line matches under any spelling
//! of the name (`x_tier` for `x-tier`, as CGI and WSGI read it), and certain if all lines match under the exact
//! name. `present` only checks whether the header is present (`true`) or absent (`false`).
//!
//! # Route
//!
//! The name of Envoy's route (`xds.route_name`). It is empty if the route has no name.
//!
//! # Address
//!
//! One of a list of networks. An IPv4 address in IPv6 form is an IPv4 address. The match is certain or there is none. Only
//! text that is no address (the path of a Unix socket), or a missing address, is a possible match of each network:
//! nobody knows where the client is.
//!
//! # Claims
//!
//! All of the list, on claims of the token that jwt-auth has verified (see [`claim`](crate::key::claim)): their value is
//! one text, so the match is certain or there is none. Without a token, all claims are absent. Rules that are chosen
//! before a token is verified cannot have these conditions ([`without_claims`]).
//!
//! # Not
//!
//! Other matches, none of which may hold. Each holds in the interpretations in which its match does not, so the opposite of
//! a certain match is none, of a possible match a possible one, and of none a certain one. They have no `not` of their own,
//! and are not empty, since then nothing would match.

mod claim;
mod condition;
mod first_match;
mod header;
mod host;
mod method;
mod network;
mod not;
mod pattern;
mod regex;
#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer, de};

pub use claim::{AsMatch, without_claims};
pub use first_match::FirstMatch;
pub use host::HostPattern;
pub use pattern::not_exactly_one;
pub use regex::Regex;

use crate::headers::HeaderMap;
use crate::key::address;
use crate::readings::Fit;
use crate::readings::authority::Authority;
use crate::readings::is_spelling_of;
use crate::readings::path::Paths;
use claim::ClaimMatch;
use header::HeaderMatch;
use method::Method;
use network::Network;
use not::Not;
use pattern::PathPattern;

/// The conditions under which a rule applies. All of them must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// Condition on the path without the query.
    path: Option<PathPattern>,
    /// The method is one of these. Methods are case-sensitive.
    #[serde(deserialize_with = "at_least_one")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    methods: Option<Vec<Method>>,
    /// The host is one of these, such as `api.example` or `*.example`.
    #[serde(deserialize_with = "at_least_one")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    hosts: Option<Vec<HostPattern>>,
    /// Conditions on headers. All of them must hold.
    headers: Vec<HeaderMatch>,
    /// The name of the Envoy route.
    route: Option<String>,
    /// The client's address, as far as Envoy trusts it, is in one of these networks.
    #[serde(deserialize_with = "at_least_one")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    remote_address: Option<Vec<Network>>,
    /// Conditions on claims of the token that jwt-auth has verified. All of them must hold.
    claims: Vec<ClaimMatch>,
    /// Exemptions: conditions of which at least one must not hold, or a list of several exemptions. They have no `not` of
    /// their own.
    not: Not,
}

/// The parts of a request that a [`Match`] looks at. Build it once per request and try all rules on it.
///
/// Path and host are read when a rule first looks at them: many configurations never do.
#[derive(Debug)]
pub struct Subject<'a> {
    headers: &'a HeaderMap,
    paths: OnceCell<Option<Paths<'a>>>,
    authority: OnceCell<Authority<'a>>,
    route: &'a [u8],
    remote_address: &'a [u8],
    /// `None` if that is no address.
    address: OnceCell<Option<IpAddr>>,
    claims: &'a [u8],
}

impl<'a> Subject<'a> {
    /// The subject for a request with these headers on the route of this name.
    pub fn new(headers: &'a HeaderMap, route: &'a [u8]) -> Self {
        Self {
            headers,
            paths: OnceCell::new(),
            authority: OnceCell::new(),
            route,
            remote_address: b"",
            address: OnceCell::new(),
            claims: b"",
        }
    }

    /// The same with the client's address, such as `192.0.2.1:51000`, and the [claims](crate::key::CLAIMS_PROPERTY) of a
    /// verified token. Either is empty if it is unknown.
    #[must_use]
    pub fn of_client(self, remote_address: &'a [u8], claims: &'a [u8]) -> Self {
        Self {
            remote_address,
            claims,
            ..self
        }
    }

    fn pseudo_header(&self, name: &str) -> &'a [u8] {
        self.headers.value(name).unwrap_or_default()
    }

    /// The headers of the request.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// The variants of the path; `None` if the request has no path.
    pub fn paths(&self) -> Option<&Paths<'a>> {
        let paths = self.paths.get_or_init(|| Paths::of_request(self.headers));
        paths.as_ref()
    }

    /// Whether the path has at most one variant.
    pub fn has_one_path(&self) -> bool {
        self.paths().is_none_or(|paths| paths.only().is_some())
    }

    /// The interpretations of the host.
    pub fn authority(&self) -> &Authority<'a> {
        let authority = || Authority::new(self.pseudo_header(":authority"));
        self.authority.get_or_init(authority)
    }

    /// The method.
    pub fn method(&self) -> &'a [u8] {
        self.pseudo_header(":method")
    }

    /// The name of the route.
    pub fn route(&self) -> &'a [u8] {
        self.route
    }

    /// The client's address; `None` if it is unknown.
    fn address(&self) -> Option<IpAddr> {
        let address = || address::parse(self.remote_address);
        *self.address.get_or_init(address)
    }
}

impl Match {
    /// Whether the request satisfies all conditions.
    pub fn fit(&self, subject: &Subject<'_>) -> Fit {
        let Self {
            path,
            methods,
            hosts,
            headers,
            route,
            remote_address,
            claims,
            not,
        } = self;
        let is_route = |route: &String| route.as_bytes() == subject.route;
        if !route.as_ref().is_none_or(is_route) {
            return Fit::No;
        }
        let mut fit = Fit::Certain;
        if let Some(networks) = remote_address {
            fit = match subject.address() {
                Some(own) => Fit::over([networks.iter().any(|network| network.contains(own))]),
                None => Fit::Possible,
            };
        }
        if fit == Fit::No || !claims.iter().all(|claim| claim.holds(subject.claims)) {
            return Fit::No;
        }
        if let Some(path) = path {
            fit = fit.min(subject.paths().map_or(Fit::No, |own| path.fit(own)));
        }
        if let Some(methods) = methods {
            let own = subject.method();
            let method = |method: &Method| method.fit(own);
            fit = fit.min(Fit::any(methods.iter().map(method)));
        }
        if let Some(hosts) = hosts {
            let host = |host: &HostPattern| host.fit(subject.authority());
            fit = fit.min(Fit::any(hosts.iter().map(host)));
        }
        if fit == Fit::No {
            return fit;
        }
        let header = |header: &HeaderMatch| header.fit(subject.headers);
        fit = fit.min(Fit::all(headers.iter().map(header)));
        match fit {
            Fit::No => fit,
            _ => fit.min(not.fit(subject)),
        }
    }

    /// Whether the other condition names a path that this one matches only loosely.
    fn is_told_apart_by(&self, other: &Self) -> bool {
        match (&self.path, &other.path) {
            (Some(own), Some(other)) => own.is_told_apart_by(other),
            _ => false,
        }
    }

    /// Whether a condition looks at the header of this name, in any spelling.
    pub fn looks_at(&self, header: &str) -> bool {
        self.any(|one| {
            let mut names = one.headers.iter().map(HeaderMatch::name);
            names.any(|own| is_spelling_of(own.as_bytes(), header))
        })
    }

    /// Whether a condition looks at headers, so that the host must fetch them.
    pub fn needs_headers(&self) -> bool {
        self.any(|one| {
            let has_pseudo = one.path.is_some() || one.methods.is_some() || one.hosts.is_some();
            has_pseudo || !one.headers.is_empty()
        })
    }

    /// The same for the name of the route.
    pub fn needs_route(&self) -> bool {
        self.any(|one| one.route.is_some())
    }

    /// The same for the client's address.
    pub fn needs_remote_address(&self) -> bool {
        self.any(|one| one.remote_address.is_some())
    }

    /// The same for the claims of the verified token.
    pub fn needs_claims(&self) -> bool {
        self.any(|one| !one.claims.is_empty())
    }

    /// Whether this match or one of its exemptions is such a one.
    fn any(&self, is: impl Fn(&Self) -> bool) -> bool {
        is(self) || self.not.iter().any(is)
    }

    fn is_empty(&self) -> bool {
        !(self.needs_headers()
            || self.needs_route()
            || self.needs_remote_address()
            || self.needs_claims())
    }
}

/// Reads a list of alternatives, which must not be empty: an empty one would never match.
fn at_least_one<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let list = Option::<Vec<T>>::deserialize(deserializer)?;
    if list.as_ref().is_some_and(Vec::is_empty) {
        return Err(de::Error::custom(
            "found an empty array, which never matches; leave it out to match any",
        ));
    }
    Ok(list)
}
