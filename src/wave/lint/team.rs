//! Checks the rows of a unit against the protocols that are known: their roles, their lane and the schema of their answers.

use crate::model::{Lane, Role, RoundName};
use crate::wave::Problem;
use serde_json::Value;

/// The roles of a round of a protocol.
#[derive(Clone, Debug)]
pub struct Team {
    /// The protocol.
    pub protocol: String,
    /// The round.
    pub round: RoundName,
    /// The roles, one row each.
    pub roles: Vec<Role>,
    /// What the rows may return.
    pub lane: Lane,
    /// The schema of an answer, for a built-in protocol. A file of the user may have changed since the wave was compiled.
    pub schema: Option<Value>,
}

impl Team {
    fn has(&self, role: &str) -> bool {
        self.roles.iter().any(|known| known.as_str() == role)
    }
}

/// The cells of a row that place it in a protocol.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'r> {
    /// The row, 1-based.
    pub number: usize,
    pub unit: &'r str,
    pub round: &'r str,
    pub role: &'r str,
    pub lane: &'r str,
    pub attempt: &'r str,
}

/// The schema that the call file of a wave must have.
pub(super) struct ExpectedSchema<'t> {
    pub round: &'t str,
    /// One for each protocol that the wave may belong to.
    pub schemas: Vec<&'t Value>,
}

/// The schema of a wave whose rows can only belong to built-in protocols.
pub(super) fn expected_schema<'r, 't>(
    rows: impl Iterator<Item = Member<'r>> + Clone,
    teams: &'t [Team],
) -> Option<ExpectedSchema<'t>> {
    let first = rows.clone().next()?;
    let has_role = |team: &&Team| rows.clone().any(|row| team.has(row.role));
    let teams: Vec<&Team> = of_round(first.round, teams).filter(has_role).collect();
    let schemas: Option<Vec<&Value>> = teams.iter().map(|team| team.schema.as_ref()).collect();
    Some(ExpectedSchema {
        round: teams.first()?.round.as_str(),
        schemas: schemas?,
    })
}

fn of_round<'t>(round: &str, teams: &'t [Team]) -> impl Iterator<Item = &'t Team> {
    teams
        .iter()
        .filter(move |team| team.round.as_str() == round)
}

/// Checks the rows of one unit: every role has a part in the round, every role of the round has a row, and the lane is that
/// of the round. Only a first attempt must be complete, since later ones ask only the roles whose answers were refused.
pub(super) fn check_team(rows: &[Member<'_>], teams: &[Team]) -> Vec<Problem> {
    let first = rows[0];
    let teams: Vec<&Team> = of_round(first.round, teams).collect();
    let fits = |team: &&&Team| rows.iter().all(|row| team.has(row.role));
    match teams
        .iter()
        .filter(fits)
        .min_by_key(|team| team.roles.len())
    {
        Some(team) => {
            let mut problems = check_lane(rows, team);
            problems.extend(missing_roles(rows, team));
            problems
        }
        None => foreign_roles(rows, &teams),
    }
}

/// The rows that fit no known protocol.
fn foreign_roles(rows: &[Member<'_>], teams: &[&Team]) -> Vec<Problem> {
    const ADVICE: &str = "pass the protocol of the wave with --protocol";
    let first = rows[0];
    if teams.is_empty() {
        let message = format!(
            "`{}` is a round of no known protocol; {ADVICE}",
            first.round
        );
        return vec![Problem::in_row(first.number, "round", message)];
    }
    let is_foreign = |row: &&Member<'_>| !teams.iter().any(|team| team.has(row.role));
    let foreign = rows.iter().filter(is_foreign).map(|row| {
        let message = format!(
            "`{}` has no part in round `{}` of any known protocol; {ADVICE}",
            row.role, row.round
        );
        Problem::in_row(row.number, "role", message)
    });
    let problems: Vec<Problem> = foreign.collect();
    if !problems.is_empty() {
        return problems;
    }
    let message = format!(
        "no known protocol has all roles of unit `{}` in round `{}`; {ADVICE}",
        first.unit, first.round
    );
    vec![Problem::in_row(first.number, "role", message)]
}

fn check_lane(rows: &[Member<'_>], team: &Team) -> Vec<Problem> {
    let others = rows.iter().filter(|row| row.lane != team.lane.as_str());
    let wrong = others.map(|row| {
        let message = format!(
            "is `{}`; round `{}` of protocol `{}` is `{}`",
            row.lane,
            team.round,
            team.protocol,
            team.lane.as_str()
        );
        Problem::in_row(row.number, "lane", message)
    });
    wrong.collect()
}

fn missing_roles(rows: &[Member<'_>], team: &Team) -> Option<Problem> {
    if rows.iter().any(|row| row.attempt != "1") {
        return None;
    }
    let is_missing = |role: &&Role| !rows.iter().any(|row| row.role == role.as_str());
    let missing = team.roles.iter().filter(is_missing);
    let missing: Vec<String> = missing.map(|role| format!("`{role}`")).collect();
    let first = rows[0];
    let message = format!(
        "unit `{}` has no row of {}, which also answers in round `{}` of protocol `{}`",
        first.unit,
        missing.join(" and "),
        team.round,
        team.protocol
    );
    (!missing.is_empty()).then(|| Problem::in_row(first.number, "role", message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn team(protocol: &str, round: &str, roles: &[&str], schema: Option<Value>) -> Team {
        Team {
            protocol: protocol.to_owned(),
            round: RoundName::new(round),
            roles: roles.iter().map(|role| Role::new(*role)).collect(),
            lane: Lane::ReadOnly,
            schema,
        }
    }

    fn rows<'r>(round: &'r str, roles: &[&'r str]) -> Vec<Member<'r>> {
        let row = |(index, role): (usize, &&'r str)| Member {
            number: index + 1,
            unit: "a",
            round,
            role,
            lane: "read_only",
            attempt: "1",
        };
        roles.iter().enumerate().map(row).collect()
    }

    #[test]
    fn rows_of_no_known_protocol_are_named() {
        let teams = [
            team("p", "critique", &["critic", "skeptic"], None),
            team("q", "critique", &["judge"], None),
        ];
        let found = |round: &str, roles: &[&str]| -> Vec<String> {
            let problems = check_team(&rows(round, roles), &teams);
            problems.iter().map(ToString::to_string).collect()
        };
        assert_eq!(found("critique", &["critic", "skeptic"]), [""; 0]);
        assert_eq!(found("critique", &["judge"]), [""; 0]);
        let advice = "pass the protocol of the wave with --protocol";
        assert_eq!(
            found("vote", &["critic", "skeptic"]),
            [format!(
                "row 1, column `round`: `vote` is a round of no known protocol; {advice}"
            )]
        );
        assert_eq!(
            found("critique", &["critic", "judge"]),
            [format!(
                "row 1, column `role`: no known protocol has all roles of unit `a` in round `critique`; {advice}"
            )]
        );
    }

    #[test]
    fn a_schema_is_expected_only_of_built_in_protocols() {
        let of = |teams: &[Team]| {
            let rows = rows("vote", &["skeptic"]);
            let expected = expected_schema(rows.into_iter(), teams)?;
            Some(expected.schemas.into_iter().cloned().collect::<Vec<_>>())
        };
        let [one, other] = [json!({"title": "1"}), json!({"title": "2"})];
        let built_in = team("p", "vote", &["skeptic"], Some(one.clone()));
        let of_others = team("q", "vote", &["judge"], None);
        let own = team("r", "vote", &["skeptic"], None);
        let second = team("s", "vote", &["skeptic"], Some(other.clone()));
        assert_eq!(of(&[built_in.clone(), of_others]), Some(vec![one.clone()]));
        assert_eq!(of(&[built_in.clone(), second]), Some(vec![one, other]));
        assert_eq!(of(&[built_in, own]), None);
        assert_eq!(of(&[]), None);
    }
}
