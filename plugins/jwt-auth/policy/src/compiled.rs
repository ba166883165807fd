//! Compiled rules: providers are positions instead of names, and each place is searched once.

use std::borrow::Cow;

use super::ProviderId;
use super::place::{Place, Search};
use super::provider::Provider;
use super::reason::Reason;
use super::rule::{Conditions, Rule};
use portcullis_core::config::{Mode, Name};
use portcullis_core::few::Few;
use portcullis_core::headers::HeaderMap;
use portcullis_core::matcher::Match;

/// A rule that is not off.
#[derive(Debug)]
pub(super) struct CompiledRule {
    pub(super) name: Name,
    pub(super) condition: Option<Match>,
    /// The milder one of the rule's mode and the plugin's.
    pub(super) mode: Mode,
    /// `None`: the rule requires nothing.
    pub(super) requirement: Option<Requirement>,
}

/// The tokens that a request must have.
#[derive(Debug)]
pub(super) struct Requirement {
    /// All of these, the client's first.
    pub(super) tokens: Vec<TokenSpec>,
    pub(super) allow_missing: bool,
    pub(super) conditions: Conditions,
}

/// One required token: the places where it may be, each with the providers that may have issued it there.
#[derive(Debug)]
pub(super) struct TokenSpec {
    pub(super) places: Vec<(Place, Vec<ProviderId>)>,
}

impl CompiledRule {
    /// Whether the rule matches on the name of the route.
    pub(super) fn needs_route(&self) -> bool {
        self.condition.as_ref().is_some_and(Match::needs_route)
    }

    /// Compiles a rule. The position of a provider in the list is its id.
    pub(super) fn new(rule: Rule, mode: Mode, providers: &[(Name, Provider)]) -> Self {
        let spec = |names: Vec<&Name>| {
            let mut spec = TokenSpec { places: Vec::new() };
            let wanted = providers.iter().enumerate();
            for (i, (_, provider)) in wanted.filter(|(_, (name, _))| names.contains(&name)) {
                for place in &provider.from {
                    spec.add(place, ProviderId(i));
                }
            }
            spec
        };
        let tokens: Vec<TokenSpec> = rule.require.tokens().into_iter().map(spec).collect();
        Self {
            name: rule.name,
            condition: rule.condition,
            mode: match mode {
                Mode::Enforce => rule.mode,
                Mode::Shadow | Mode::Off => mode,
            },
            requirement: (!tokens.is_empty()).then_some(Requirement {
                tokens,
                allow_missing: rule.allow_missing,
                conditions: rule.conditions,
            }),
        }
    }
}

/// A token in a request, not yet verified.
#[derive(Debug)]
pub(super) struct Found<'h> {
    /// The positions of the places where it was found; never empty.
    pub(super) places: Few<usize>,
    pub(super) token: Cow<'h, [u8]>,
}

impl TokenSpec {
    fn add(&mut self, place: &Place, provider: ProviderId) {
        match self.places.iter_mut().find(|(own, _)| own == place) {
            Some((_, providers)) => providers.push(provider),
            None => self.places.push((place.clone(), vec![provider])),
        }
    }

    /// Searches every place for the token: there must be neither a second token nor a lookalike beside it.
    pub(super) fn find<'h>(&self, headers: &'h HeaderMap) -> Result<Search<Found<'h>>, Reason> {
        let mut found: Option<Found<'h>> = None;
        let mut is_like = false;
        for (i, (place, _)) in self.places.iter().enumerate() {
            match place.find(headers)? {
                Search::Found(token) => match &mut found {
                    Some(known) if known.token == token => known.places.push(i),
                    Some(_) => return Err(Reason::SeveralTokens),
                    None => {
                        found = Some(Found {
                            places: Few::One(i),
                            token,
                        });
                    }
                },
                Search::Lookalike => is_like = true,
                Search::Nothing => {}
            }
        }
        match (found, is_like) {
            (Some(_), true) => Err(Reason::NotAToken),
            (Some(found), false) => Ok(Search::Found(found)),
            (None, true) => Ok(Search::Lookalike),
            (None, false) => Ok(Search::Nothing),
        }
    }

    /// The providers that may have issued a token in these places: those that may in each of them.
    pub(super) fn providers(&self, places: &[usize]) -> Cow<'_, [ProviderId]> {
        let mut providers = places.iter().map(|place| {
            let place = self.places.get(*place);
            place.map_or(&[][..], |(_, providers)| providers)
        });
        let first = providers.next().unwrap_or_default();
        match places {
            [_] => first.into(),
            _ => {
                let others: Vec<_> = providers.collect();
                let is_in_all =
                    |id: &&ProviderId| others.iter().all(|providers| providers.contains(id));
                first.iter().filter(is_in_all).copied().collect()
            }
        }
    }

    /// Removes the token.
    pub(super) fn strip(&self, places: &[usize], headers: &mut HeaderMap) {
        for place in places {
            if let Some((place, _)) = self.places.get(*place) {
                place.strip(headers);
            }
        }
    }
}
