//! Counting votes.

use crate::model::{Role, Tally, UnitId, VoteLine};
use serde_json::Value;

/// A vote for the patch.
pub const AGREE: &str = "agree";
/// A vote against it.
pub const DISAGREE: &str = "disagree";
/// No usable vote of a role.
pub const ABSENT: &str = "absent";

/// Counts the votes of one round: `(role, its answer or the cause of its absence)`.
///
/// Only the exact text `agree` is a vote for the patch. Consensus is `agree >= threshold` over all roles, so that an absent
/// vote counts like a disagreeing one.
pub fn tally<'a>(
    unit: &UnitId,
    attempt: u32,
    threshold: u32,
    votes: impl IntoIterator<Item = (&'a Role, Result<&'a Value, &'a str>)>,
) -> Tally {
    let votes: Vec<VoteLine> = votes
        .into_iter()
        .map(|(role, vote)| vote_line(role, vote))
        .collect();
    let count = |vote: &str| votes.iter().filter(|line| line.vote == vote).count() as u32;
    let agree = count(AGREE);
    Tally {
        unit: unit.clone(),
        attempt,
        agree,
        disagree: count(DISAGREE),
        absent: count(ABSENT),
        threshold,
        consensus: agree >= threshold,
        votes,
    }
}

fn vote_line(role: &Role, vote: Result<&Value, &str>) -> VoteLine {
    let (vote, reason) = match vote {
        Err(cause) => (ABSENT, cause),
        Ok(answer) => {
            let text = |key: &str| answer.get(key).and_then(Value::as_str);
            let vote = match text("vote") {
                Some(AGREE) => AGREE,
                _ => DISAGREE,
            };
            (vote, text("reason").unwrap_or_default())
        }
    };
    VoteLine {
        role: role.clone(),
        vote: vote.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn four_of_five_agree() {
        let roles: Vec<Role> = ["a", "b", "c", "d", "e"].map(Role::new).into();
        let agree = json!({"vote": "agree", "reason": "fine"});
        let against = json!({"vote": "disagree", "reason": "breaks x"});
        let count = |votes: [Result<&Value, &str>; 5]| {
            let tally = tally(&UnitId::new("u"), 1, 4, roles.iter().zip(votes));
            (tally.agree, tally.disagree, tally.absent, tally.consensus)
        };
        assert_eq!(
            count([Ok(&agree), Ok(&agree), Ok(&agree), Ok(&agree), Ok(&against)]),
            (4, 1, 0, true)
        );
        assert_eq!(
            count([
                Ok(&agree),
                Ok(&agree),
                Ok(&agree),
                Ok(&against),
                Err("timeout")
            ]),
            (3, 1, 1, false)
        );
    }
}
