//! The decision about a request. The [module](super) is the specification.

use super::compiled::{Found, Requirement};
use super::config::Ambiguous;
use super::decision::{Accepted, Decision, Now, Verdict, WaitStatus};
use super::place::Search;
use super::reason::{AdmitReason, Reason};
use super::state::State;
use super::verified::Verified;
use super::verify::Rejection;
use super::{JwtAuth, RuleId};
use crate::jose::HostSignatures;
use portcullis_core::config::{Mode, OnError};
use portcullis_core::few::Few;
use portcullis_core::headers::HeaderMap;
use portcullis_core::matcher::{FirstMatch, Subject};
use portcullis_core::time::Nanos;

impl JwtAuth {
    /// Decides about a request.
    ///
    /// After [`Verdict::Wait`], decide again when a [`poll`](Self::poll) says so, and at the time that the verdict
    /// names.
    pub fn decide(
        &self,
        subject: &Subject<'_>,
        state: &mut State,
        now: Now,
        wait_status: WaitStatus,
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
        // The request must also meet each rule that may be the first one, and those rules' tokens count: the server
        // may read the request as one of theirs.
        let (mut tokens, mut verifications) = (Few::None, Few::None);
        for position in choice.possible {
            let decision = self.decide_by(
                Some(RuleId(position)),
                subject,
                state,
                now,
                wait_status,
                host,
            );
            if matches!(decision.verdict, Verdict::Refused(_) | Verdict::Wait { .. }) {
                return decision;
            }
            tokens.append(decision.tokens);
            verifications.append(decision.verifications);
        }
        let mut decision = self.decide_by(
            choice.certain.map(RuleId),
            subject,
            state,
            now,
            wait_status,
            host,
        );
        decision.verifications.append(verifications);
        if matches!(decision.verdict, Verdict::Admitted(_)) {
            decision.tokens.append(tokens);
        }
        decision
    }

    /// Decides by one rule, or without a rule.
    fn decide_by(
        &self,
        id: Option<RuleId>,
        subject: &Subject<'_>,
        state: &mut State,
        now: Now,
        wait_status: WaitStatus,
        host: &impl HostSignatures,
    ) -> Decision {
        let rule = id.and_then(|id| self.rules.get(id.0));
        let mode = rule.map_or(self.mode, |rule| rule.mode);
        let admitted = |reason| Decision::new(id, mode, Verdict::Admitted(reason));
        if self.is_preflight(subject) {
            return admitted(AdmitReason::Preflight);
        }
        let Some(rule) = rule else {
            return match self.admits_unmatched {
                true => admitted(AdmitReason::NoRule),
                false => Decision::new(None, mode, Verdict::Refused(Reason::NoRule)),
            };
        };
        let Some(requirement) = &rule.requirement else {
            return admitted(AdmitReason::NotRequired);
        };
        let mut decision = admitted(AdmitReason::Verified);
        let outcome = self.meet(
            requirement,
            subject.headers(),
            state,
            now,
            host,
            &mut decision,
        );
        decision.verdict = match outcome {
            Ok(reason) => Verdict::Admitted(reason),
            Err(rejection) => {
                decision.detail = rejection.detail;
                self.refuse(
                    rejection,
                    mode,
                    state,
                    now,
                    wait_status,
                    &mut decision.retry_after,
                )
            }
        };
        decision
    }

    /// The decision about a request if Envoy withholds something that the verdict depends on.
    pub fn on_error(&self) -> Decision {
        match self.on_error {
            OnError::Allow => Decision::new(None, self.mode, Verdict::Admitted(AdmitReason::Error)),
            OnError::Deny => self.on_refused_change(),
        }
    }

    /// The decision about a request that Envoy refuses to change. `on_error` does not apply: the request may still
    /// have claim headers that its client forged.
    pub fn on_refused_change(&self) -> Decision {
        let verdict = match self.mode {
            Mode::Enforce => Verdict::Refused(Reason::Error),
            Mode::Shadow | Mode::Off => Verdict::ShadowRefused(Reason::Error),
        };
        Decision::new(None, self.mode, verdict)
    }

    /// Whether the client has sent a header that only tokens may set, in any spelling.
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

    /// Whether the request is a CORS preflight that passes. A request with credentials or a body is not one.
    fn is_preflight(&self, subject: &Subject<'_>) -> bool {
        let headers = subject.headers();
        let has = |name| headers.contains(name);
        let has_body = || {
            let length = headers.value("content-length");
            length.is_some_and(|length| length != b"0") || has("transfer-encoding")
        };
        self.bypasses_preflights
            && subject.method() == b"OPTIONS"
            && has("origin")
            && has("access-control-request-method")
            && !has("authorization")
            && !has("cookie")
            && !has_body()
    }

    /// Whether the readings of the path lead to different rules, and the configuration refuses that.
    fn is_ambiguous(&self, choice: &FirstMatch, subject: &Subject<'_>) -> bool {
        self.ambiguous == Ambiguous::Deny && !choice.possible.is_empty() && !subject.has_one_path()
    }

    /// Checks whether the request meets a requirement.
    fn meet(
        &self,
        requirement: &Requirement,
        headers: &HeaderMap,
        state: &mut State,
        now: Now,
        host: &impl HostSignatures,
        decision: &mut Decision,
    ) -> Result<AdmitReason, Rejection> {
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
            match self.verify(&token, &providers, state, now, host) {
                Ok((verified, verification)) => {
                    decision.verifications.push(verification);
                    if let Err(error) = verified.headers {
                        return Err(Rejection {
                            detail: error.label(),
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
                    if let Some(verification) = rejection.verification {
                        decision.verifications.push(verification);
                    }
                    match rejection.wanted {
                        None => return Err(rejection),
                        Some(_) => wanted = wanted.or(Some(rejection)),
                    }
                }
            }
        }
        // If one of the tokens is missing, the result for the others makes no difference.
        match missing {
            0 => {}
            all if all == requirement.tokens.len() && requirement.allow_missing => {
                return match is_doubtful {
                    true => Err(Reason::NotAToken.into()),
                    false => Ok(AdmitReason::NoToken),
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
                requirement.conditions.check(claims, now.wall, skew)?;
                Ok(AdmitReason::Verified)
            }
            (None, None) => Err(Reason::NoToken.into()),
        }
    }

    /// Refuses a request, or lets it wait for a document that could change the verdict.
    fn refuse(
        &self,
        rejection: Rejection,
        mode: Mode,
        state: &mut State,
        now: Now,
        wait_status: WaitStatus,
        retry_after: &mut Nanos,
    ) -> Verdict {
        let refused = |reason| match mode {
            Mode::Shadow => Verdict::ShadowRefused(reason),
            Mode::Enforce | Mode::Off => Verdict::Refused(reason),
        };
        let wanted = rejection.wanted;
        let Some(remote) = wanted.and_then(|remote| state.remotes.get_mut(remote.0)) else {
            return refused(rejection.reason);
        };
        *retry_after = remote.fetch_in(now.steady);
        let time_left = match wait_status {
            WaitStatus::Waited(waited) => remote.timeout() - waited,
            WaitStatus::NoSlot => Nanos::ZERO,
        };
        // A client that invents key ids does not wait until the next fetch.
        let longest_wait = match rejection.reason {
            Reason::UnknownKey => Nanos::ZERO,
            _ => time_left,
        };
        if *retry_after > Nanos::ZERO && *retry_after >= longest_wait {
            return refused(rejection.reason);
        }
        remote.request_fetch();
        match wait_status {
            _ if mode != Mode::Enforce => refused(rejection.reason),
            WaitStatus::NoSlot => refused(Reason::TooManyWaiting),
            WaitStatus::Waited(_) if time_left == Nanos::ZERO => refused(rejection.reason),
            WaitStatus::Waited(_) => Verdict::Wait {
                until: now.steady + time_left,
            },
        }
    }
}
