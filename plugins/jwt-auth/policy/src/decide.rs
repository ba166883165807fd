//! What is to become of a request. The [module](super) is the specification.

use super::compiled::{Found, Requirement};
use super::decision::{Accepted, Decision, Moment, Patience, Verdict};
use super::place::Search;
use super::reason::{Grounds, Reason};
use super::state::State;
use super::verified::Verified;
use super::verify::Rejection;
use super::{Ambiguous, JwtAuth, RuleId};
use crate::jose::HostSignatures;
use portcullis_core::config::{Mode, OnError};
use portcullis_core::headers::HeaderMap;
use portcullis_core::matcher::{FirstMatch, Subject};

impl JwtAuth {
    /// Decides about a request.
    ///
    /// If it is to wait, ask again when there is news ([`look`](Self::look)), and at the time that the
    /// verdict names.
    pub fn decide(
        &self,
        subject: &Subject<'_>,
        state: &mut State,
        moment: Moment,
        patience: Patience,
        host: &impl HostSignatures,
    ) -> Decision {
        if self.guards_routes && self.has_claim_header(subject.headers()) {
            let refused = Verdict::Refused(Reason::ClientClaimHeader);
            return Decision::new(None, self.mode, refused);
        }
        let choice = self.choose(subject);
        if self.is_ambiguous(&choice, subject) && !self.is_preflight(subject) {
            let verdict = Verdict::Refused(Reason::AmbiguousPath);
            return Decision::new(None, self.mode, verdict);
        }
        // A rule that may be the first one is met, too, and what it found is not forgotten: the server
        // may take the request for one of that rule.
        let (mut tokens, mut verifications) = (Vec::new(), Vec::new());
        for position in choice.possible {
            let decision = self.decide_by(
                Some(RuleId(position)),
                subject,
                state,
                moment,
                patience,
                host,
            );
            if matches!(decision.verdict, Verdict::Refused(_) | Verdict::Wait { .. }) {
                return decision;
            }
            tokens.extend(decision.tokens);
            verifications.extend(decision.verifications);
        }
        let mut decision = self.decide_by(
            choice.certain.map(RuleId),
            subject,
            state,
            moment,
            patience,
            host,
        );
        decision.verifications.extend(verifications);
        if matches!(decision.verdict, Verdict::Admitted(_)) {
            decision.tokens.extend(tokens);
        }
        decision
    }

    /// Decides by one rule, or by none.
    fn decide_by(
        &self,
        id: Option<RuleId>,
        subject: &Subject<'_>,
        state: &mut State,
        moment: Moment,
        patience: Patience,
        host: &impl HostSignatures,
    ) -> Decision {
        let rule = id.and_then(|id| self.rules.get(id.0));
        let mode = rule.map_or(self.mode, |rule| rule.mode);
        let admitted = |grounds| Decision::new(id, mode, Verdict::Admitted(grounds));
        if self.is_preflight(subject) {
            return admitted(Grounds::Preflight);
        }
        let Some(rule) = rule else {
            return match self.admits_unmatched {
                true => admitted(Grounds::NoRule),
                false => Decision::new(None, mode, Verdict::Refused(Reason::NoRule)),
            };
        };
        let Some(requirement) = &rule.requirement else {
            return admitted(Grounds::NotRequired);
        };
        let mut decision = admitted(Grounds::Verified);
        let outcome = self.meet(
            requirement,
            subject.headers(),
            state,
            moment,
            host,
            &mut decision,
        );
        decision.verdict = match outcome {
            Ok(grounds) => Verdict::Admitted(grounds),
            Err(rejection) => {
                decision.detail = rejection.detail;
                self.refuse(
                    rejection,
                    mode,
                    state,
                    moment,
                    patience,
                    &mut decision.pause,
                )
            }
        };
        decision
    }

    /// The decision about a request of which Envoy does not say what is needed to judge it.
    pub fn on_error(&self) -> Decision {
        match self.on_error {
            OnError::Allow => Decision::new(None, self.mode, Verdict::Admitted(Grounds::Error)),
            OnError::Deny => self.on_refused_change(),
        }
    }

    /// The decision about a request that Envoy refuses to change. `on_error` is no excuse: the request may
    /// still bear the names of claims that a client made up.
    pub fn on_refused_change(&self) -> Decision {
        let verdict = match self.mode {
            Mode::Enforce => Verdict::Refused(Reason::Error),
            Mode::Shadow | Mode::Off => Verdict::ShadowRefused(Reason::Error),
        };
        Decision::new(None, self.mode, verdict)
    }

    /// Whether a client has sent a header that only tokens may set, in any spelling.
    fn has_claim_header(&self, headers: &HeaderMap) -> bool {
        let mut names = self.claim_headers.iter();
        names.any(|name| headers.spellings(name).next().is_some())
    }

    fn choose(&self, subject: &Subject<'_>) -> FirstMatch {
        FirstMatch::of(
            self.rules.iter().map(|rule| rule.condition.as_ref()),
            subject,
        )
    }

    /// Whether a browser only asks what it may do, and that passes. A request with credentials or a body
    /// asks for more.
    fn is_preflight(&self, subject: &Subject<'_>) -> bool {
        let headers = subject.headers();
        let has = |name| headers.contains(name);
        let has_body = || {
            let length = headers.get("content-length");
            length.is_some_and(|length| length != "0") || has("transfer-encoding")
        };
        self.bypasses_preflights
            && subject.method() == b"OPTIONS"
            && has("origin")
            && has("access-control-request-method")
            && !has("authorization")
            && !has("cookie")
            && !has_body()
    }

    /// Whether the readings of the path lead to different rules, and that is refused.
    fn is_ambiguous(&self, choice: &FirstMatch, subject: &Subject<'_>) -> bool {
        self.ambiguous == Ambiguous::Deny && !choice.possible.is_empty() && !subject.has_one_path()
    }

    /// Whether the request has what is required.
    fn meet(
        &self,
        requirement: &Requirement,
        headers: &HeaderMap,
        state: &mut State,
        moment: Moment,
        host: &impl HostSignatures,
        decision: &mut Decision,
    ) -> Result<Grounds, Rejection> {
        let mut missing = 0;
        let mut is_doubtful = false;
        let mut wanted = None;
        for (i, spec) in requirement.tokens.iter().enumerate() {
            let Found { places, token } = match spec.find(headers)? {
                Search::Found(found) => found,
                nothing => {
                    missing += 1;
                    is_doubtful |= matches!(nothing, Search::Lookalike);
                    continue;
                }
            };
            let providers = spec.providers(&places);
            match self.verify(&token, &providers, state, moment, host) {
                Ok((verified, verification)) => {
                    decision.verifications.push(verification);
                    if let Err(uncarried) = verified.headers {
                        return Err(Rejection {
                            detail: uncarried.label(),
                            ..Reason::ClaimHeader.into()
                        });
                    }
                    decision.tokens.push(Accepted {
                        verified,
                        rule: decision.rule,
                        spec: i,
                        places,
                    });
                }
                Err(rejection) => {
                    decision.verifications.extend(rejection.verification);
                    match rejection.wanted {
                        None => return Err(rejection),
                        Some(_) => wanted = wanted.or(Some(rejection)),
                    }
                }
            }
        }
        // Without one of the tokens, it makes no difference what becomes of the others.
        match missing {
            0 => {}
            all if all == requirement.tokens.len() && requirement.allow_missing => {
                return match is_doubtful {
                    true => Err(Reason::NotAToken.into()),
                    false => Ok(Grounds::NoToken),
                };
            }
            _ => return Err(Reason::NoToken.into()),
        }
        match (wanted, decision.tokens.first()) {
            (Some(rejection), _) => Err(rejection),
            (None, Some(token)) => {
                let Verified {
                    claims, provider, ..
                } = &*token.verified;
                let provider = self.provider(*provider);
                let skew = provider.map_or(0, |provider| provider.times.clock_skew);
                requirement.conditions.check(claims, moment.wall, skew)?;
                Ok(Grounds::Verified)
            }
            (None, None) => Err(Reason::NoToken.into()),
        }
    }

    /// Refuses a request, or lets it wait for what could change that.
    fn refuse(
        &self,
        rejection: Rejection,
        mode: Mode,
        state: &mut State,
        moment: Moment,
        patience: Patience,
        pause: &mut u64,
    ) -> Verdict {
        let refused = |reason| match mode {
            Mode::Shadow => Verdict::ShadowRefused(reason),
            Mode::Enforce | Mode::Off => Verdict::Refused(reason),
        };
        let wanted = rejection.wanted;
        let Some(watch) = wanted.and_then(|remote| state.watches.get_mut(remote.0)) else {
            return refused(rejection.reason);
        };
        *pause = watch.pause(moment.steady);
        let patience_left = match patience {
            Patience::Waited(waited) => watch.timeout().saturating_sub(waited),
            Patience::Exhausted => 0,
        };
        // Whoever makes up key ids does not wait until the next fetch.
        let longest_pause = match rejection.reason {
            Reason::UnknownKey => 0,
            _ => patience_left,
        };
        if *pause > 0 && *pause >= longest_pause {
            return refused(rejection.reason);
        }
        watch.want();
        match patience {
            _ if mode != Mode::Enforce => refused(rejection.reason),
            Patience::Exhausted => refused(Reason::TooManyWaiting),
            Patience::Waited(_) if patience_left == 0 => refused(rejection.reason),
            Patience::Waited(_) => Verdict::Wait {
                until: moment.steady.saturating_add(patience_left),
            },
        }
    }
}
