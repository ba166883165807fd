//! The compiled form of the configuration for one rule.

use bytes::Bytes;

use super::defaults::{DefaultHeader, DefaultValue, default_headers};
use super::feature_policy::{self, UpstreamFeatures};
use super::frame_ancestors::{self, UpstreamFraming};
use super::lines::{NameSet, has};
use super::{Config, Cookies, CrossSite, HeaderMutation, Nonce, Refusal, ResponseOutcome, RuleId};
use portcullis_core::config::Mode;
use portcullis_core::headers::HeaderMap;

/// A configuration with everything precomputed that does not depend on the exchange.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) mode: Mode,
    /// Sorted names of headers to remove.
    removed: &'static [&'static str],
    defaults: Vec<DefaultHeader>,
    /// The lines of all defaults on a response over TLS; `None` if one has a nonce.
    over_tls: Option<Vec<(Bytes, Bytes)>>,
    /// The same on a response over plain TCP.
    over_plain: Option<Vec<(Bytes, Bytes)>>,
    /// The headers of the upstream that removals, defaults and [`restore`](UpstreamHeaders::restore) depend on. Most
    /// responses have none of them.
    relevant: NameSet,
    override_upstream: bool,
    mutations: Vec<HeaderMutation>,
    cookies: Option<Cookies>,
    cross_site: Option<CrossSite>,
    /// Equal for all plans of a policy that give responses the same headers.
    pub(super) response_class: usize,
}

/// Assigns the [response classes](Plan::response_class) of all plans of a policy.
pub(super) fn assign_response_classes<'a>(plans: impl Iterator<Item = &'a mut Plan>) {
    let mut classes: Vec<&Plan> = Vec::new();
    for plan in plans {
        let known = classes.iter().position(|other| other.responds_like(plan));
        plan.response_class = known.unwrap_or(classes.len());
        if known.is_none() {
            classes.push(plan);
        }
    }
}

impl Plan {
    /// `checks_site`: whether any plan of the policy checks for cross-site requests.
    pub(super) fn new(config: &Config, checks_site: bool) -> Self {
        let mut defaults = default_headers(config, checks_site);
        defaults.retain(|header| {
            let replaces = |mutation: &HeaderMutation| {
                mutation.replaces_default() && *mutation.name() == header.name
            };
            !config.headers.iter().any(replaces)
        });
        let removed = config.preset.headers().removed;
        let relevant = removed
            .iter()
            .map(|name| Bytes::from_static(name.as_bytes()));
        let relevant = relevant
            .chain(defaults.iter().map(|header| header.name.clone()))
            .chain(frame_ancestors::NAMES)
            .chain(feature_policy::NAMES);
        let is_constant = !defaults.iter().any(DefaultHeader::has_nonce);
        let constant = |tls| {
            let lines = defaults.iter();
            is_constant.then(|| {
                lines
                    .filter_map(|header| header.line_for(None, tls))
                    .collect()
            })
        };
        Self {
            mode: config.mode,
            over_tls: constant(true),
            over_plain: constant(false),
            removed,
            relevant: NameSet::new(relevant),
            defaults,
            override_upstream: config.override_upstream,
            mutations: config.headers.clone(),
            cookies: config.cookies.clone(),
            cross_site: config
                .cross_site
                .clone()
                .and_then(|cross_site| cross_site.within(config.mode)),
            response_class: 0,
        }
    }

    /// Whether both plans give every response the same headers.
    fn responds_like(&self, other: &Self) -> bool {
        self.mode == other.mode
            && self.removed == other.removed
            && self.override_upstream == other.override_upstream
            && self.defaults == other.defaults
            && self.mutations == other.mutations
            && self.cookies == other.cookies
    }

    pub(super) fn checks_site(&self) -> bool {
        self.cross_site.is_some()
    }

    /// The refusal of the request, if it must not pass. The plan is that of `rule`.
    pub(super) fn check_site(&self, rule: RuleId, request: &HeaderMap) -> Option<Refusal> {
        self.cross_site.as_ref()?.check(rule, request)
    }

    pub(super) fn needs_nonce(&self) -> bool {
        self.mode == Mode::Enforce && self.defaults.iter().any(DefaultHeader::has_nonce)
    }

    pub(super) fn needs_tls(&self) -> bool {
        self.mode != Mode::Off
            && self
                .defaults
                .iter()
                .any(|header| matches!(header.value, DefaultValue::OverTls(_)))
    }

    /// Gives a response its headers; in shadow mode, only returns the result.
    pub(super) fn respond(
        &self,
        nonce: Option<&Nonce>,
        tls: bool,
        response: &mut HeaderMap,
    ) -> ResponseOutcome {
        match self.mode {
            Mode::Enforce => self.apply(nonce, tls, response),
            Mode::Shadow => self.apply(nonce, tls, &mut response.clone()),
            Mode::Off => ResponseOutcome::default(),
        }
    }

    fn apply(&self, nonce: Option<&Nonce>, tls: bool, response: &mut HeaderMap) -> ResponseOutcome {
        let not_modified = is_not_modified(response);
        let upstream = match self.relevant.are_in(response) {
            true => {
                let upstream = UpstreamHeaders::of(response);
                self.remove(response);
                Some(upstream)
            }
            false => None,
        };
        let mut kept_from_upstream = 0;
        if upstream.is_some() || not_modified {
            for header in &self.defaults {
                let kept = self.apply_default(header, nonce, tls, not_modified, response);
                kept_from_upstream += u32::from(kept);
            }
        } else {
            self.append_defaults(nonce, tls, response);
        }
        for mutation in &self.mutations {
            kept_from_upstream += u32::from(mutation.apply(not_modified, response));
        }
        if let Some(upstream) = upstream {
            upstream.restore(response);
        }
        ResponseOutcome {
            kept_from_upstream,
            cookies_rewritten: self
                .cookies
                .as_ref()
                .map_or(0, |cookies| cookies.apply(response)),
        }
    }

    /// Adds all defaults to a response without any header of theirs.
    fn append_defaults(&self, nonce: Option<&Nonce>, tls: bool, response: &mut HeaderMap) {
        let constant = if tls {
            &self.over_tls
        } else {
            &self.over_plain
        };
        match constant {
            Some(headers) => response.append_all(headers.iter().cloned()),
            None => {
                let headers = self.defaults.iter();
                response.append_all(headers.filter_map(|header| header.line_for(nonce, tls)));
            }
        }
    }

    fn remove(&self, response: &mut HeaderMap) {
        let is_removed = |name: &&[u8]| {
            self.removed
                .binary_search_by(|removed| removed.as_bytes().cmp(name))
                .is_ok()
        };
        let names = response.iter().map(|(name, _)| name).filter(is_removed);
        let names: Vec<Bytes> = names.map(Bytes::copy_from_slice).collect();
        for name in names {
            response.remove(name);
        }
    }

    /// Applies a default. Returns true if the header was left as the upstream had set it.
    fn apply_default(
        &self,
        header: &DefaultHeader,
        nonce: Option<&Nonce>,
        tls: bool,
        not_modified: bool,
        response: &mut HeaderMap,
    ) -> bool {
        let name = header.name.clone();
        let is_there = has(response, &name);
        if is_there && !self.override_upstream {
            return true;
        }
        if not_modified && !is_there {
            return false;
        }
        if not_modified && header.has_nonce() {
            response.remove(name);
            return false;
        }
        let Some(value) = header.value_for(nonce, tls) else {
            return is_there;
        };
        match is_there {
            true => response.set(name, value),
            false => response.append(name, value),
        }
        false
    }
}

fn is_not_modified(response: &HeaderMap) -> bool {
    response
        .value(":status")
        .is_some_and(|status| status == b"304")
}

/// Headers of the upstream whose restrictions stay.
struct UpstreamHeaders {
    framing: UpstreamFraming,
    features: UpstreamFeatures,
}

impl UpstreamHeaders {
    fn of(response: &HeaderMap) -> Self {
        Self {
            framing: UpstreamFraming::of(response),
            features: UpstreamFeatures::of(response),
        }
    }

    /// Restores their restrictions, unless the headers were replaced.
    fn restore(&self, response: &mut HeaderMap) {
        self.framing.restore(response);
        self.features.restore(response);
    }
}
