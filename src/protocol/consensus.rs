//! Counting votes.

use crate::model::{Role, Tally, UnitId, VoteLine};
use serde_json::Value;

/// A vote for the patch.
pub const AGREE: &str = "agree";
/// A vote against it.
pub const DISAGREE: &str = "disagree";
/// No usable vote of a role.
pub const ABSENT: &str = "absent";
/// A role that was not asked, because the outcome was settled.
pub const NOT_ASKED: &str = "not_asked";

/// Counts the votes of one round: `(role, its answer or the cause of its absence)`.
///
/// Only the exact text `agree` is a vote for the patch. Consensus is `agree >= threshold` over all roles, so that an absent
/// vote counts like a disagreeing one.
///
/// Among several `candidates` (the best first) a vote names one of them, and any other text is a vote for none. The one with most
/// votes is chosen, of equal ones the better; `agree` are the votes for it. There is no consensus if more voters want none.
pub fn tally<'a>(
    unit: &UnitId,
    attempt: u32,
    threshold: u32,
    candidates: &[&Role],
    votes: impl IntoIterator<Item = (&'a Role, Result<&'a Value, &'a str>)>,
) -> Tally {
    let votes: Vec<(&Role, Result<&Value, &str>)> = votes.into_iter().collect();
    let named = |vote: &Result<&Value, &str>| {
        let vote = vote.ok()?.get("vote")?.as_str()?;
        candidates
            .iter()
            .copied()
            .find(|role| role.as_str() == vote)
    };
    let for_one = |role: &Role| {
        let votes = votes.iter().filter(|(_, vote)| named(vote) == Some(role));
        votes.count()
    };
    // The first of the equal ones: `max_by_key` would give the last.
    let chosen = candidates
        .iter()
        .copied()
        .rev()
        .max_by_key(|role| for_one(role));
    let lines = votes.iter().map(|(role, vote)| match (chosen, vote) {
        (None, _) | (_, Err(_)) => vote_line(role, *vote, AGREE),
        (Some(chosen), Ok(_)) => vote_line(role, *vote, chosen.as_str()),
    });
    let lines: Vec<VoteLine> = lines.collect();
    let count = |vote: &str| lines.iter().filter(|line| line.vote == vote).count() as u32;
    let (agree, disagree, absent) = (count(AGREE), count(DISAGREE), count(ABSENT));
    let answered = votes.iter().filter(|(_, vote)| vote.is_ok());
    let for_none = answered.filter(|(_, vote)| named(vote).is_none()).count() as u32;
    Tally {
        unit: unit.clone(),
        attempt,
        agree,
        disagree,
        absent,
        threshold,
        consensus: agree >= threshold && (chosen.is_none() || agree >= for_none),
        chosen: chosen.cloned(),
        votes: lines,
    }
}

/// A vote counts for the patch if it is `wanted`. The reason of a vote for another candidate names it.
fn vote_line(role: &Role, vote: Result<&Value, &str>, wanted: &str) -> VoteLine {
    let (vote, reason) = match vote {
        Err(NOT_ASKED) => (NOT_ASKED, "the outcome was settled".to_owned()),
        Err(cause) => (ABSENT, cause.to_owned()),
        Ok(answer) => {
            let text = |key: &str| answer.get(key).and_then(Value::as_str);
            let reason = text("reason").unwrap_or_default();
            match text("vote") {
                Some(vote) if vote == wanted => (AGREE, reason.to_owned()),
                Some(other) if wanted != AGREE => (DISAGREE, format!("for {other}: {reason}")),
                _ => (DISAGREE, reason.to_owned()),
            }
        }
    };
    VoteLine {
        role: role.clone(),
        vote: vote.to_owned(),
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
            let tally = tally(&UnitId::new("u"), 1, 4, &[], roles.iter().zip(votes));
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

    #[test]
    fn the_candidate_with_most_votes_is_chosen_unless_more_want_none() {
        let voters: Vec<Role> = ["a", "b", "c"].map(Role::new).into();
        let candidates = ["x_1", "x_2"].map(Role::new);
        let candidates: Vec<&Role> = candidates.iter().collect();
        let count = |votes: [&str; 3]| {
            let answers = votes.map(|vote| json!({"vote": vote, "reason": "r"}));
            let votes = voters.iter().zip(answers.iter().map(Ok));
            let tally = tally(&UnitId::new("u"), 1, 1, &candidates, votes);
            let chosen = tally.chosen.expect("one").to_string();
            (chosen, tally.agree, tally.consensus)
        };
        let of = |role: &str, agree, consensus| (role.to_owned(), agree, consensus);
        assert_eq!(count(["x_2", "x_1", "x_2"]), of("x_2", 2, true));
        // Of equal ones the better, which is the first.
        assert_eq!(count(["x_2", "x_1", "none"]), of("x_1", 1, true));
        assert_eq!(count(["none", "x_2", "agree"]), of("x_2", 1, false));
        assert_eq!(count(["none", "none", "none"]), of("x_1", 0, false));
    }
}
