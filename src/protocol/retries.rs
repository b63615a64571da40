//! What follows from an answer that is not usable: the role is asked again, or not.

use super::state::{Answer, UnitState};
use crate::model::{Role, RoundName, VerdictKind};

/// How many faults of a role in one round are followed by another try.
const FAULTS_MAX: usize = 2;

impl<A> UnitState<A> {
    /// The verdict on an answer of `role` that is refused: a role may correct one in each round, unless its unit fell back in that
    /// round.
    pub fn verdict_on_refused(&self, round: &RoundName, role: &Role) -> VerdictKind {
        let runs = self.current_emissions().iter();
        let mut answers = runs.filter_map(|run| run.answer(role));
        let had_retry = answers.any(|answer| matches!(answer, Answer::Retry { .. }));
        match had_retry || self.fell_back_in.as_ref() == Some(round) {
            true => VerdictKind::Rejected,
            false => VerdictKind::Retry,
        }
    }

    /// The verdict on a row of `role` that has no answer after so many `failures`: the executor has retried what may be retried.
    pub fn verdict_on_failed_row(
        &self,
        round: &RoundName,
        role: &Role,
        failures: u16,
    ) -> VerdictKind {
        match failures {
            ..=1 => self.verdict_on_refused(round, role),
            _ => VerdictKind::Rejected,
        }
    }

    /// The verdict on a row of `role` that a fault kept from an answer. A fault is not the role's, so the role is asked again a few
    /// times in a round and keeps its retry.
    pub fn verdict_on_fault(&self, role: &Role) -> VerdictKind {
        match self.count_faults(role) {
            ..FAULTS_MAX => VerdictKind::Retry,
            _ => VerdictKind::Rejected,
        }
    }

    /// How many faults `role` has had in the current round.
    pub fn count_faults(&self, role: &Role) -> usize {
        let runs = self.current_emissions().iter();
        let answers = runs.filter_map(|run| run.answer(role));
        answers
            .filter(|answer| matches!(answer, Answer::Fault { .. }))
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(answers: &[Answer]) -> (UnitState, RoundName, Role) {
        let (round, role) = (RoundName::new("vote"), Role::new("skeptic"));
        let mut state = UnitState::default();
        for (attempt, answer) in (1..).zip(answers) {
            state.record_emission(&round, attempt, [role.clone()]);
            state.record_answer(&round, attempt, &role, answer.clone());
        }
        (state, round, role)
    }

    fn retry() -> Answer {
        Answer::Retry {
            code: "lane".to_owned(),
            detail: String::new(),
        }
    }

    fn fault() -> Answer {
        Answer::Fault {
            detail: String::new(),
            is_final: false,
        }
    }

    #[test]
    fn a_role_corrects_one_answer_in_a_round_and_none_after_a_fallback() {
        let (mut state, round, role) = asked(&[fault(), Answer::Open]);
        assert_eq!(state.verdict_on_refused(&round, &role), VerdictKind::Retry);
        state.change_protocol("smaller", true);
        let after_fallback = state.verdict_on_refused(&round, &role);
        assert_eq!(after_fallback, VerdictKind::Rejected);
        let (state, ..) = asked(&[retry(), Answer::Open]);
        let second = state.verdict_on_refused(&round, &role);
        assert_eq!(second, VerdictKind::Rejected);
    }

    /// A kill ends an attempt, but no answer failed: such an attempt is none of the failures.
    #[test]
    fn a_row_that_a_kill_interrupted_may_fail_once_like_any_other() {
        let (state, round, role) = asked(&[Answer::Open]);
        let verdict = |failures| state.verdict_on_failed_row(&round, &role, failures);
        assert_eq!(verdict(1), VerdictKind::Retry);
        assert_eq!(verdict(2), VerdictKind::Rejected);
    }

    #[test]
    fn the_third_fault_in_a_round_is_final() {
        let verdict = |faults: usize| {
            let (state, _, role) = asked(&vec![fault(); faults]);
            state.verdict_on_fault(&role)
        };
        let verdicts = [0, 1, 2].map(verdict);
        let [first, second, third] = verdicts;
        assert_eq!((first, second), (VerdictKind::Retry, VerdictKind::Retry));
        assert_eq!(third, VerdictKind::Rejected);
    }
}
