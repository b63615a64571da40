//! Counting votes.

use crate::model::{Role, Tally, UnitId, VoteLine};
use serde_json::Value;

/// A vote for the patch.
pub const AGREE: &str = "agree";
/// A vote against it.
pub const DISAGREE: &str = "disagree";
/// No usable vote of a role.
pub const ABSENT: &str = "absent";

/// Counts one round of votes: `(role, its answer or why there is none)`.
///
/// Only the exact text `agree` counts as one; consensus is `agree >= threshold` over all roles, so an
/// absent vote weighs like a disagreeing one.
pub fn tally<'a>(
    unit: &UnitId,
    attempt: u32,
    threshold: u32,
    votes: impl IntoIterator<Item = (&'a Role, Result<&'a Value, &'a str>)>,
) -> Tally {
    let votes: Vec<VoteLine> = votes
        .into_iter()
        .map(|(role, vote)| line(role, vote))
        .collect();
    let count = |wanted: &str| votes.iter().filter(|line| line.vote == wanted).count() as u32;
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

fn line(role: &Role, vote: Result<&Value, &str>) -> VoteLine {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let (vote, reason) = match vote {
        Err(why) => (ABSENT.to_owned(), why.to_owned()),
        Ok(value) => match text(value, "vote").as_deref() {
            Some(AGREE) => (AGREE.to_owned(), text(value, "reason").unwrap_or_default()),
            _ => (
                DISAGREE.to_owned(),
                text(value, "reason").unwrap_or_default(),
            ),
        },
    };
    VoteLine {
        role: role.clone(),
        vote,
        reason,
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
