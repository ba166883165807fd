//! Which requests a rule is for.
//!
//! A [`Match`] names any of path, methods, hosts, headers and route; a request matches when **all**
//! that are named hold. A match that names nothing matches every request. Everything is compiled
//! when the configuration is read, and what could never match is refused then.
//!
//! # Certain and possible
//!
//! A request can be [read](crate::readings) in several ways, so a condition has three answers
//! ([`Fit`]): it holds in every reading (**certain**), in some (**possible**), or in none. A rule that
//! restricts applies if it possibly fits; a rule that grants must fit for certain. Each policy says
//! which of its rules do what.
//!
//! # Path
//!
//! `exact`, `prefix` (a prefix of the text, as in Envoy's routes: `/admin` also matches
//! `/administrator`; write `/admin/` to stay inside) or `regex` (see [`Regex`]; it is matched
//! against the whole path).
//!
//! A condition is compared with each reading of the path (see [`readings::path`](crate::readings::path)).
//! It fits for certain if it fits all of them to the letter. It fits possibly if it fits one of them
//! when letter case and a final slash do not count, because there are servers that ignore these:
//! `/ADMIN/x`, `/admin` and `/public/..;/admin/x` possibly fit the prefix `/admin/`.
//!
//! `exact` and `prefix` are written in the [canonical form](crate::readings::path::CanonicalPath):
//! plain characters, never percent-encoded, without dot segments and repeated slashes.
//!
//! `normalize_path: true`, `merge_slashes: true` and `path_with_escaped_slashes_action:
//! REJECT_REQUEST` in Envoy's connection manager leave one reading of nearly all paths.
//!
//! A CONNECT without a path matches no rule that names one, and neither does `OPTIONS *`.
//!
//! # Methods
//!
//! Any of the list. In another letter case a method fits possibly: HTTP tells them apart, some servers do
//! not. `HEAD` fits `GET` possibly, because it runs the same handler.
//!
//! # Hosts
//!
//! Any of the list: exact names, or `*.example` for every name below `example`, at any depth, but
//! not `example` itself. The port does not count; IPv6 addresses are written in brackets. Other spellings of
//! a host (letter case, a final dot, userinfo, an address in another form) fit possibly. The client chooses
//! this header: a host is no proof of anything.
//!
//! # Headers
//!
//! All of the list. `exact`, `prefix`, `regex` fit possibly when any line does, under any spelling of the
//! name (`x_tier` for `x-tier`, as CGI and WSGI read it), and for certain when all lines do, under the exact
//! name. `present` looks only whether the header is there (`false`: is not there).
//!
//! # Route
//!
//! The name of Envoy's route (`xds.route_name`), which is empty when it was not given one.

mod first_match;
mod header;
mod host;
mod method;
mod pattern;
mod regex;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Deserializer, de};

pub use first_match::FirstMatch;
pub use host::HostPattern;
pub use pattern::not_exactly_one;
pub use regex::Regex;

use crate::headers::HeaderMap;
use crate::readings::Fit;
use crate::readings::authority::Authority;
use crate::readings::is_spelling_of;
use crate::readings::path::Paths;
use header::HeaderMatch;
use method::Method;
use pattern::PathPattern;

/// The conditions under which a rule applies.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// The path, without the query.
    path: Option<PathPattern>,
    /// Any of these methods; letter case counts.
    #[serde(deserialize_with = "at_least_one")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    methods: Option<Vec<Method>>,
    /// Any of these hosts: `api.example`, `*.example`.
    #[serde(deserialize_with = "at_least_one")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    hosts: Option<Vec<HostPattern>>,
    /// All of these conditions on headers.
    headers: Vec<HeaderMatch>,
    /// The name of Envoy's route.
    route: Option<String>,
}

/// What a [`Match`] looks at. Build it once for each request and try all rules on it.
#[derive(Debug)]
pub struct Subject<'a> {
    headers: &'a HeaderMap,
    paths: Option<Paths<'a>>,
    authority: Authority<'a>,
    method: &'a [u8],
    route: &'a [u8],
}

impl<'a> Subject<'a> {
    /// The subject of a request with these headers, on the route of this name.
    pub fn new(headers: &'a HeaderMap, route: &'a [u8]) -> Self {
        let pseudo = |name| headers.get(name).map_or(&b""[..], |value| &value[..]);
        Self {
            headers,
            paths: Paths::of_request(headers),
            authority: Authority::new(pseudo(":authority")),
            method: pseudo(":method"),
            route,
        }
    }

    /// The headers of the request.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// The readings of the path; none if the request has no path.
    pub fn paths(&self) -> Option<&Paths<'a>> {
        self.paths.as_ref()
    }

    /// Whether the path can be read in one way only.
    pub fn has_one_path(&self) -> bool {
        self.paths
            .as_ref()
            .is_none_or(|paths| paths.only().is_some())
    }

    /// The readings of the host.
    pub fn authority(&self) -> &Authority<'a> {
        &self.authority
    }

    /// The method.
    pub fn method(&self) -> &'a [u8] {
        self.method
    }

    /// The name of the route.
    pub fn route(&self) -> &'a [u8] {
        self.route
    }
}

impl Match {
    /// Whether the request fits all conditions.
    pub fn fit(&self, subject: &Subject<'_>) -> Fit {
        let Self {
            path,
            methods,
            hosts,
            headers,
            route,
        } = self;
        let is_route = |route: &String| route.as_bytes() == subject.route;
        if !route.as_ref().is_none_or(is_route) {
            return Fit::No;
        }
        let mut fit = Fit::Certain;
        if let Some(path) = path {
            fit = subject.paths.as_ref().map_or(Fit::No, |own| path.fit(own));
        }
        if let Some(methods) = methods {
            let method = |method: &Method| method.fit(subject.method);
            fit = fit.min(Fit::any(methods.iter().map(method)));
        }
        if let Some(hosts) = hosts {
            let host = |host: &HostPattern| host.fit(&subject.authority);
            fit = fit.min(Fit::any(hosts.iter().map(host)));
        }
        if fit == Fit::No {
            return fit;
        }
        let header = |header: &HeaderMatch| header.fit(subject.headers);
        fit.min(Fit::all(headers.iter().map(header)))
    }

    /// Whether the other condition is written for a path that fits this one only loosely.
    fn is_told_apart_by(&self, other: &Self) -> bool {
        match (&self.path, &other.path) {
            (Some(own), Some(other)) => own.is_told_apart_by(other),
            _ => false,
        }
    }

    /// Whether the header of this name is looked at, in any spelling.
    pub fn looks_at(&self, header: &str) -> bool {
        let mut names = self.headers.iter().map(HeaderMatch::name);
        names.any(|own| is_spelling_of(own.as_bytes(), header))
    }

    /// Whether the route's name is looked at, so that the host must ask for it.
    pub fn needs_route(&self) -> bool {
        self.route.is_some()
    }
}

/// A list of which any member may hold: an empty one would never match.
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
