//! The rows of each unit together, and the units against each other.

use super::Problem;
use super::team::{Member, Team, check_team};
use crate::model::Lane;
use crate::scope::{Claims, Reach};
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

/// What must be known of a row when all have been read. A cell that many rows have is kept once.
#[derive(Clone, Debug)]
pub(super) struct KeptRow {
    pub line: u64,
    pub id: Rc<str>,
    pub unit: Rc<str>,
    pub round: Rc<str>,
    pub role: Rc<str>,
    pub lane: Rc<str>,
    pub attempt: Rc<str>,
    pub scope: Rc<str>,
}

impl KeptRow {
    fn member(&self, number: usize) -> Member<'_> {
        Member {
            number,
            unit: &self.unit,
            round: &self.round,
            role: &self.role,
            lane: &self.lane,
            attempt: &self.attempt,
        }
    }
}

/// Texts, each of which is kept once.
#[derive(Default)]
pub(super) struct Texts(HashSet<Rc<str>>);

impl Texts {
    /// The text, and whether it is new.
    pub fn add(&mut self, text: &str) -> (Rc<str>, bool) {
        if let Some(known) = self.0.get(text) {
            return (known.clone(), false);
        }
        let text: Rc<str> = text.into();
        self.0.insert(text.clone());
        (text, true)
    }
}

/// All rows as members of their units, in order.
pub(super) fn members(rows: &[KeptRow]) -> Vec<Member<'_>> {
    let numbered = rows.iter().zip(1..);
    numbered.map(|(row, number)| row.member(number)).collect()
}

/// Checks the rows of every unit, in the order of the units' names.
pub(super) fn check_units(rows: &[KeptRow], teams: &[Team]) -> Vec<Problem> {
    let mut units: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        units.entry(&row.unit).or_default().push(index);
    }
    let mut problems = Vec::new();
    let mut reaches: Vec<(usize, Reach)> = Vec::new();
    let mut claims = Claims::default();
    for indices in units.values() {
        let members: Vec<Member<'_>> = indices
            .iter()
            .map(|index| rows[*index].member(index + 1))
            .collect();
        problems.extend(check_team(&members, teams));
        problems.extend(disagreements(rows, indices));
        let index = indices[0];
        let globs = rows[index].scope.split(';').filter(|glob| !glob.is_empty());
        let globs: Vec<String> = globs.map(str::to_owned).collect();
        match Reach::new(&globs) {
            Ok(reach) => {
                if claims.conflicts_with(&reach) {
                    problems.push(overlap(rows, index, &reach, &reaches));
                }
                claims.add(reach.clone());
                reaches.push((index, reach));
            }
            Err(error) => problems.push(Problem::in_row(index + 1, "scope", error.to_string())),
        }
    }
    problems
}

/// The rows of a unit that do not fit to its first one.
fn disagreements(rows: &[KeptRow], indices: &[usize]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let first = &rows[indices[0]];
    for index in &indices[1..] {
        let row = &rows[*index];
        let is_patch = &*row.lane == Lane::Patch.as_str();
        if is_patch && !are_candidates(&first.role, &row.role) {
            let message = "a second author of the unit's patch";
            problems.push(Problem::in_row(index + 1, "lane", message));
        }
        if row.scope != first.scope {
            let number = indices[0] + 1;
            let message = format!("differs from that of the same unit in row {number}");
            problems.push(Problem::in_row(index + 1, "scope", message));
        }
    }
    problems
}

/// Whether two roles are candidates for one patch: `author_1` and `author_2`.
fn are_candidates(one: &str, other: &str) -> bool {
    let author = |role: &str| {
        let (author, number) = role.rsplit_once('_')?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| author.to_owned())
    };
    one != other && author(one).is_some() && author(one) == author(other)
}

/// The problem with the first unit that may share a path with the one whose first row is `index`.
fn overlap(rows: &[KeptRow], index: usize, reach: &Reach, others: &[(usize, Reach)]) -> Problem {
    let other = others.iter().find(|(_, other)| reach.may_meet(other));
    let whose = other.map_or_else(
        || "another unit".to_owned(),
        |(other, _)| format!("unit `{}` in row {}", rows[*other].unit, other + 1),
    );
    let message = format!("may overlap the scope of {whose}");
    Problem::in_row(index + 1, "scope", message)
}
