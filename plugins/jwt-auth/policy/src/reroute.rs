//! The route that the policy judges must be the one that Envoy takes.
//!
//! After a WebAssembly filter has written request headers, Envoy chooses the route again, with the new headers
//! (proxy-wasm ABI 0.2.1: Envoy's `Context::onHeadersModified`). It does so once the filter has finished, and
//! `xds.route_name` is the old name until then: no host call chooses the route at once, and none writes a header
//! without this effect. So if a rule matches on the route, the policy's changes must not lead to another one:
//!
//! - **A client's claim headers** would have to be removed. A request with one is refused
//!   ([`Reason::ClientClaimHeader`](super::Reason)), before any rule is evaluated.
//! - **After a token is verified**, the policy removes it and sets claims. A configuration is refused if the request
//!   could then be on the route of a rule with stricter requirements than the one that it has met. Such a rule is the
//!   first one that matches on the route, or a later one (earlier rules decide as before), and has other tokens or
//!   conditions. No rule, with `unmatched: deny`, is stricter, too.
//!
//! The policy does not know what routes match on. `stable_routes: true` asserts that no route matches on anything that
//! the policy changes; then nothing is refused. `stable_routes: false` states that some do: then requests with such
//! headers are refused whatever the rules match on, for the sake of later filters that use the route.

use std::collections::BTreeMap;

use super::config::Unmatched;
use super::provider::Provider;
use super::rule::{Require, Rule};
use portcullis_core::config::{Mode, Name};
use portcullis_core::matcher::Match;

/// Checks that no rule's changes can lead a request to the route of a stricter rule.
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
            "rule {:?}: found a provider {:?} that changes request headers (it removes tokens or sets \
             claims), together with rules that match on the route; Envoy then chooses the route again, \
             and {where_to}; expected \"stable_routes\": true, if no route in Envoy matches on these \
             headers, cookies or query parameters, or rules that do not match on the route",
            rule.name.as_str(),
            provider.as_str(),
        ));
    }
    Ok(())
}

/// Whether a request that meets one rule also meets the other.
fn is_met_with(rule: &Rule, other: &Rule) -> bool {
    other.require == Require::None
        || other.mode == Mode::Shadow
        || (other.require == rule.require && rule.conditions.include(&other.conditions))
}
