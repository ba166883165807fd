//! What is to become of a request, as a value.

use std::rc::Rc;

use bytes::Bytes;

use super::RuleId;
use super::reason::{AdmitReason, Reason};
use super::verified::Verified;
use super::verify::Verification;
use portcullis_core::config::Mode;

/// The time by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Of the wall clock, in seconds since the Unix epoch: what tokens say of time.
    pub wall: u64,
    /// Of the steady clock, in nanoseconds: for what is fetched.
    pub steady: u64,
}

/// Whether a request may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitStatus {
    /// It may, and has waited for so many nanoseconds.
    Waited(u64),
    /// It may not: too many wait already.
    NoSlot,
}

/// What is to become of a request.
#[derive(Debug)]
pub struct Decision {
    pub(super) rule: Option<RuleId>,
    pub(super) mode: Mode,
    pub(super) verdict: Verdict,
    pub(super) detail: &'static str,
    /// The tokens that are good, and where they are in the request.
    pub(super) tokens: Vec<Accepted>,
    pub(super) verifications: Vec<Verification>,
    /// For how long a document that is missing will not come, in nanoseconds.
    pub(super) retry_after: u64,
}

/// What is to become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Admitted(AdmitReason),
    /// It must not pass.
    Refused(Reason),
    /// It would not pass if the rule and the plugin were in earnest.
    ShadowRefused(Reason),
    /// It waits for a document, at most until this time of the steady clock.
    Wait {
        /// The time.
        until: u64,
    },
}

/// A token that is good.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) verified: Rc<Verified>,
    /// The rule that requires it.
    pub(super) rule: Option<RuleId>,
    /// Which of the required tokens it is.
    pub(super) spec: usize,
    /// The positions of the places where it is.
    pub(super) places: Vec<usize>,
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
            tokens: Vec::new(),
            verifications: Vec::new(),
            retry_after: 0,
        }
    }

    /// The rule that has decided; `None` if no rule is for the request.
    pub fn rule(&self) -> Option<RuleId> {
        self.rule
    }

    /// What is to become of the request.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// More on why it is refused, for the log; empty if there is no more.
    pub fn detail(&self) -> &'static str {
        self.detail
    }

    /// How signatures were verified, for metrics.
    pub fn verifications(&self) -> &[Verification] {
        &self.verifications
    }

    /// The claims of the client's token as JSON, if there is one that is good.
    pub fn claims(&self) -> Option<&Bytes> {
        self.tokens.first().map(|token| &token.verified.payload)
    }
}
