//! What becomes of a request, as a value.

use std::rc::Rc;

use bytes::Bytes;

use super::RuleId;
use super::reason::{AdmitReason, Reason};
use super::verified::Verified;
use super::verify::Verification;
use portcullis_core::config::Mode;
use portcullis_core::few::Few;
use portcullis_core::time::{Nanos, UnixSeconds};

/// The current time on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The wall clock, for the times in tokens.
    pub wall: UnixSeconds,
    /// The steady clock, for fetched documents.
    pub steady: Nanos,
}

/// Whether a request may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitStatus {
    /// It may, and has waited this long.
    Waited(Nanos),
    /// It may not: as many requests as allowed wait already.
    NoSlot,
}

/// What becomes of a request.
#[derive(Debug)]
pub struct Decision {
    pub(super) rule: Option<RuleId>,
    pub(super) mode: Mode,
    pub(super) verdict: Verdict,
    pub(super) detail: &'static str,
    /// The valid tokens, and their places in the request.
    pub(super) tokens: Few<Accepted>,
    pub(super) verifications: Few<Verification>,
    /// Time until the next fetch of a missing document.
    pub(super) retry_after: Nanos,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Admitted(AdmitReason),
    /// It must not pass.
    Refused(Reason),
    /// It passes only because the rule or the plugin is in shadow mode.
    ShadowRefused(Reason),
    /// It waits for a document.
    Wait {
        /// The time on the steady clock at which the wait ends at the latest.
        until: Nanos,
    },
}

/// A valid token.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) verified: Rc<Verified>,
    /// The rule that requires it.
    pub(super) rule: Option<RuleId>,
    /// Its position among the tokens that the rule requires.
    pub(super) spec: usize,
    /// The positions of the places where it was found.
    pub(super) places: Few<usize>,
}

impl Decision {
    pub(super) fn new(rule: Option<RuleId>, mode: Mode, verdict: Verdict) -> Self {
        let verdict = match (verdict, mode) {
            (Verdict::Refused(reason), Mode::Shadow) => Verdict::ShadowRefused(reason),
            (verdict, _) => verdict,
        };
        Self {
            rule,
            mode,
            verdict,
            detail: "",
            tokens: Few::None,
            verifications: Few::None,
            retry_after: Nanos::ZERO,
        }
    }

    /// The rule that decided; `None` if no rule matches the request.
    pub fn rule(&self) -> Option<RuleId> {
        self.rule
    }

    /// What becomes of the request.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Details of a refusal for the log; possibly empty.
    pub fn detail(&self) -> &'static str {
        self.detail
    }

    /// How signatures were verified, for metrics.
    pub fn verifications(&self) -> &[Verification] {
        &self.verifications
    }

    /// The claims of the client's token as JSON, if it is valid.
    pub fn claims(&self) -> Option<&Bytes> {
        self.tokens.first().map(|token| &token.verified.payload)
    }
}
