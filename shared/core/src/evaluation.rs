//! Several rules about one request: which of them are asked, and the decision that results.
//!
//! - Rules that enforce are asked in order. If one denies the request, the request does not count under any: those
//!   that admitted it roll back what they reserved.
//! - Rules in shadow mode are asked only for a request that all others admit. Their denials are counted and do
//!   nothing.
//! - If the whole policy is in shadow mode, every denial is one in shadow.

use smallvec::SmallVec;

use crate::config::Mode;

/// The decision of one rule about a request. `R` is the reason for a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<R> {
    /// The rule admits the request.
    Admitted,
    /// The rule admitted the request, but another one denies it: the request does not count here.
    Released,
    /// The rule denies the request.
    Denied(R),
    /// The rule would deny the request if it were enforced.
    ShadowDenied(R),
    /// The rule admits the request because its state could not be read or written.
    Uncounted,
}

impl<R> Decision<R> {
    /// The reason why the rule denies the request, enforced or not.
    pub fn denial(self) -> Option<R> {
        match self {
            Self::Denied(reason) | Self::ShadowDenied(reason) => Some(reason),
            Self::Admitted | Self::Released | Self::Uncounted => None,
        }
    }

    fn in_shadow(self) -> Self {
        match self {
            Self::Denied(reason) => Self::ShadowDenied(reason),
            other => other,
        }
    }
}

/// What a rule found about a request, with its decision.
pub trait Check {
    /// The reasons for a denial.
    type Reason: Copy;

    /// The decision.
    fn decision(&mut self) -> &mut Decision<Self::Reason>;
}

/// The results of the rules that apply to a request. Mostly there is one, and then it takes no memory of its
/// own.
pub type Checks<C> = SmallVec<[C; 1]>;

/// One request before the rules of a policy.
pub trait Evaluate {
    /// Identifies a rule.
    type Rule;
    /// What a rule finds.
    type Check: Check;

    /// Asks a rule; `None` if it does not apply. `is_denied`: an earlier rule denies the request, so this one must not
    /// reserve anything.
    fn check(&mut self, rule: Self::Rule, is_denied: bool) -> Option<Self::Check>;

    /// Rolls back what the rule reserved, because another rule denies the request.
    fn roll_back(&mut self, check: &mut Self::Check);

    /// Asks the rules of a policy in this mode. Returns the result of each rule that applies, and whether the request
    /// is denied.
    fn evaluate(
        &mut self,
        mode: Mode,
        enforcing: impl Iterator<Item = Self::Rule>,
        in_shadow: impl Iterator<Item = Self::Rule>,
    ) -> (Checks<Self::Check>, bool) {
        let mut checks = Checks::new();
        let is_denied = self.ask(enforcing, &mut checks);
        let is_denied = self.conclude(mode, &mut checks, is_denied, in_shadow);
        (checks, is_denied)
    }

    /// The first half of [`evaluate`](Self::evaluate): asks the rules that enforce, and adds their results.
    fn ask(
        &mut self,
        enforcing: impl Iterator<Item = Self::Rule>,
        checks: &mut Checks<Self::Check>,
    ) -> bool {
        let mut is_denied = false;
        for rule in enforcing {
            if let Some(mut check) = self.check(rule, is_denied) {
                is_denied |= matches!(check.decision(), Decision::Denied(_));
                checks.push(check);
            }
        }
        is_denied
    }

    /// The second half: rolls back, or asks the rules in shadow mode.
    fn conclude(
        &mut self,
        mode: Mode,
        checks: &mut Checks<Self::Check>,
        is_denied: bool,
        in_shadow: impl Iterator<Item = Self::Rule>,
    ) -> bool {
        if is_denied {
            for check in checks.iter_mut() {
                self.roll_back(check);
            }
        } else {
            for rule in in_shadow {
                if let Some(mut check) = self.check(rule, false) {
                    put_in_shadow(&mut check);
                    checks.push(check);
                }
            }
        }
        match mode {
            Mode::Shadow => {
                checks.iter_mut().for_each(put_in_shadow);
                false
            }
            Mode::Enforce | Mode::Off => is_denied,
        }
    }
}

fn put_in_shadow<C: Check>(check: &mut C) {
    let decision = check.decision();
    *decision = decision.in_shadow();
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::Decision::*;
    use super::*;

    /// Rules are decisions to be made, and notes of what they were asked.
    #[derive(Default)]
    struct Notes(Vec<String>);

    struct Made(Decision<u8>);

    impl Check for Made {
        type Reason = u8;

        fn decision(&mut self) -> &mut Decision<u8> {
            &mut self.0
        }
    }

    impl Evaluate for Notes {
        type Rule = Option<Decision<u8>>;
        type Check = Made;

        fn check(&mut self, rule: Self::Rule, is_denied: bool) -> Option<Made> {
            self.0.push(format!("asked {rule:?} {is_denied}"));
            rule.map(Made)
        }

        fn roll_back(&mut self, check: &mut Made) {
            self.0.push(format!("rolled back {:?}", check.0));
        }
    }

    fn evaluate(
        mode: Mode,
        enforcing: &[Option<Decision<u8>>],
        in_shadow: &[Option<Decision<u8>>],
    ) -> (Vec<Decision<u8>>, bool, Vec<String>) {
        let mut notes = Notes::default();
        let rules = (enforcing.iter().copied(), in_shadow.iter().copied());
        let (checks, is_denied) = notes.evaluate(mode, rules.0, rules.1);
        let decisions = checks.into_iter().map(|check| check.0);
        (decisions.collect(), is_denied, notes.0)
    }

    #[test]
    fn a_denial_rolls_back_all_and_asks_no_rule_in_shadow() {
        let rules = [Some(Admitted), None, Some(Denied(1)), Some(Admitted)];
        let (decisions, is_denied, notes) = evaluate(Mode::Enforce, &rules, &[Some(Denied(2))]);
        assert_eq!(decisions, [Admitted, Denied(1), Admitted]);
        assert!(is_denied);
        assert_eq!(
            notes,
            [
                "asked Some(Admitted) false",
                "asked None false",
                "asked Some(Denied(1)) false",
                "asked Some(Admitted) true",
                "rolled back Admitted",
                "rolled back Denied(1)",
                "rolled back Admitted",
            ]
        );
    }

    #[test]
    fn rules_in_shadow_deny_nothing() {
        let (decisions, is_denied, notes) = evaluate(
            Mode::Enforce,
            &[Some(Uncounted)],
            &[Some(Denied(2)), Some(Admitted)],
        );
        assert_eq!(decisions, [Uncounted, ShadowDenied(2), Admitted]);
        assert!(!is_denied);
        assert_eq!(notes.len(), 3);
    }

    #[test]
    fn a_policy_in_shadow_decides_as_if_it_were_enforced() {
        let rules = [Some(Admitted), Some(Denied(1))];
        let (decisions, is_denied, notes) = evaluate(Mode::Shadow, &rules, &[Some(Denied(2))]);
        assert_eq!(decisions, [Admitted, ShadowDenied(1)]);
        assert!(!is_denied);
        assert_eq!(
            notes.iter().filter(|it| it.starts_with("rolled")).count(),
            2
        );
    }
}
