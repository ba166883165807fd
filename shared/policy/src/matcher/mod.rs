//! Which requests a rule is for.
//!
//! A [`Match`] names any of path, methods, hosts, headers and route; a request matches when **all**
//! that are named hold. A match that names nothing matches every request. Everything is compiled
//! when the configuration is read, and what could never match is refused then.
//!
//! # Path
//!
//! `exact`, `prefix` (a prefix of the text, as in Envoy's routes: `/admin` also matches
//! `/administrator`; write `/admin/` to stay inside) or `regex` (see [`Regex`]; it is matched
//! against the whole path). Letter case counts.
//!
//! A rule must not be dodged by writing the same path in another way, so paths are compared in a
//! canonical form (see [`CanonicalPath`] for the details):
//!
//! 1. Query and fragment are cut off at the first `?` or `#`.
//! 2. Path parameters are dropped: `/admin;v=1/x` is `/admin/x`.
//! 3. Percent-encodings are decoded, once: `%61dmin` is `admin`, `%2f` is `/`, `%252f` is `%2f`. A
//!    `%` that does not start an encoding stays.
//! 4. `\` counts as `/`.
//! 5. Repeated slashes count as one; `.` and `..` segments are resolved, never above the root.
//!
//! `exact` and `prefix` are written in this form, too: plain characters, never percent-encoded.
//!
//! This is the reading of the most lenient servers: a rule for `/admin/` is for every spelling
//! under which one of them serves something below `/admin/`. Servers disagree, however, and a
//! strict one may find in the same spelling a path elsewhere: `/admin/..;/x` is `/x` here and to
//! Tomcat, but below `/admin/` to a server that knows no parameters. Leave only one reading where
//! that matters, above all where a rule *opens* what is closed otherwise:
//!
//! - `normalize_path: true`, `merge_slashes: true` and `path_with_escaped_slashes_action:
//!   REJECT_REQUEST` in Envoy's connection manager settle all but `;`. (Envoy 1.40 resolves
//!   `/..;/`, but forwards `/%2e%2e;/` as `/..;/`.)
//! - If the servers behind know no path parameters, let Envoy's RBAC filter refuse paths with `;`.
//!
//! What one kind of file system adds is not undone: letter case, a final dot or space, `%u002e`.
//!
//! A CONNECT without a path matches no rule that names one. (Envoy answers by itself what neither
//! is a path nor a CONNECT, such as `OPTIONS *`.)
//!
//! # Methods
//!
//! Any of the list. Letter case counts, as in HTTP.
//!
//! # Hosts
//!
//! Any of the list: exact names, or `*.example` for every name below `example`, at any depth, but
//! not `example` itself. Letter case, the port and a final dot do not count; IPv6 addresses are
//! written in brackets. The client chooses this header: a host is no proof of anything.
//!
//! # Headers
//!
//! All of the list. `exact`, `prefix`, `regex` hold when **any** line of the header fits; `present`
//! looks only whether the header is there (`false`: is not there). Values are compared as bytes;
//! a list in one line (`a, b`) is one value.
//!
//! # Route
//!
//! The name of Envoy's route (`xds.route_name`), which is empty when it was not given one.

mod header;
mod host;
mod path;
mod pattern;
mod regex;
mod token;

use serde::{Deserialize, Deserializer, de};

pub use host::HostPattern;
pub use path::CanonicalPath;
#[cfg(feature = "jwt")]
pub(crate) use pattern::not_exactly_one;
pub use regex::Regex;

use crate::headers::HeaderMap;
#[cfg(feature = "jwt")]
use crate::readings::is_spelling_of;
use header::HeaderMatch;
use pattern::PathPattern;
use token::Method;

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
    path: Option<CanonicalPath<'a>>,
    host: &'a [u8],
    method: &'a [u8],
    route: &'a [u8],
}

impl<'a> Subject<'a> {
    /// The subject of a request with these headers, on the route of this name.
    pub fn new(headers: &'a HeaderMap, route: &'a [u8]) -> Self {
        let pseudo = |name| headers.get(name).map_or(&b""[..], |value| &value[..]);
        Self {
            headers,
            path: CanonicalPath::new(pseudo(":path")),
            host: host::without_port(pseudo(":authority")),
            method: pseudo(":method"),
            route,
        }
    }

    /// The headers of the request.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// The path in canonical form; none if the request has no path.
    pub fn path(&self) -> Option<&CanonicalPath<'a>> {
        self.path.as_ref()
    }

    /// The host without port and final dot, in the letter case of the request.
    pub fn host(&self) -> &'a [u8] {
        self.host
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
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        let Self {
            path,
            methods,
            hosts,
            headers,
            route,
        } = self;
        path.as_ref()
            .is_none_or(|path| subject.path.as_ref().is_some_and(|own| path.matches(own)))
            && methods
                .as_ref()
                .is_none_or(|any| any.iter().any(|method| method.matches(subject.method)))
            && hosts
                .as_ref()
                .is_none_or(|any| any.iter().any(|host| host.matches(subject.host)))
            && headers.iter().all(|header| header.matches(subject.headers))
            && route
                .as_ref()
                .is_none_or(|route| route.as_bytes() == subject.route)
    }

    /// Whether the header of this name is looked at, in any spelling.
    #[cfg(feature = "jwt")]
    pub(crate) fn looks_at(&self, header: &str) -> bool {
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
