//! The route that is judged is the one that is taken.
//!
//! Envoy chooses the route again when a WebAssembly filter has written request headers (proxy-wasm ABI
//! 0.2.1: Envoy's `Context::onHeadersModified`), with the headers as they are then. It does so after the
//! filter is done, and `xds.route_name` is the old name until then: no call of the host chooses the route at
//! once, and none writes a header without that. So where a rule looks at the route, what this policy changes
//! must not lead to another one:
//!
//! - **Headers that a client sends** in place of claims are removed from every request. A request that has
//!   one is refused ([`Reason::ClientClaimHeader`](super::Reason)), before anything is judged.
//! - **After a token is verified**, the token is taken away and claims are set. A configuration is refused
//!   if the request could then be on the route of a rule that asks for more than the one that it has met.
//!   That rule is at, or behind, the first that looks at the route (those before it decide as they did), and
//!   has other tokens or conditions. No rule at all, where `unmatched` is `deny`, asks for more, too.
//!
//! What routes match on is not known here. With `stable_routes` the configuration asserts that none matches
//! on what is changed, and nothing is refused. `stable_routes: false` says that some do: then requests with
//! such headers are refused whatever the rules look at, for the sake of filters behind that look at the route.

use std::collections::BTreeMap;

use super::config::Unmatched;
use super::provider::Provider;
use super::rule::{Require, Rule};
use portcullis_core::config::{Mode, Name};
use portcullis_core::matcher::Match;

/// Whether each rule that changes requests can be trusted on whatever route they are then.
pub(super) fn check(
    rules: &[Rule],
    providers: &BTreeMap<Name, Provider>,
    unmatched: Unmatched,
) -> Result<(), String> {
    let in_use: Vec<&Rule> = rules.iter().filter(|rule| rule.mode != Mode::Off).collect();
    let looks = |rule: &&Rule| rule.condition.as_ref().is_some_and(Match::needs_route);
    let exposed = in_use.into_iter().skip_while(|rule| !looks(rule));
    let exposed: Vec<&Rule> = exposed.collect();
    let ends = exposed.iter().any(|rule| rule.condition.is_none());
    for rule in &exposed {
        let mut names = rule.require.tokens().into_iter().flatten();
        let changes = |name: &&Name| providers.get(*name).is_some_and(Provider::changes_requests);
        let Some(provider) = names.find(changes) else {
            continue;
        };
        let stricter = exposed.iter().find(|other| !is_met_with(rule, other));
        let where_to = match stricter {
            Some(other) => format!("rule {:?} has other requirements", other.name.as_str()),
            None if unmatched == Unmatched::Deny && !ends => "\"unmatched\" is \"deny\"".to_owned(),
            None => continue,
        };
        return Err(format!(
            "rule {:?}: found a provider {:?} that changes request headers (it takes tokens away or \
             sets claims), beside rules that look at the route; Envoy then chooses the route again, \
             and {where_to}; expected \"stable_routes\": true, if no route of Envoy matches on these \
             headers, cookies or query parameters, or rules that do not look at the route",
            rule.name.as_str(),
            provider.as_str(),
        ));
    }
    Ok(())
}

/// Whether a request that has met the one rule meets the other.
fn is_met_with(rule: &Rule, other: &Rule) -> bool {
    other.require == Require::None
        || other.mode == Mode::Shadow
        || (other.require == rule.require && rule.conditions.include(&other.conditions))
}
