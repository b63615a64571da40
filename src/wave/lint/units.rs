//! The rows of each unit together, and the units against each other.

use super::Problem;
use super::team::{Member, Team, check_team};
use crate::model::Lane;
use crate::scope::{Claims, Reach};
use indexmap::IndexSet;

/// Texts, each of which is kept once and known by its place.
#[derive(Default)]
pub(super) struct Texts(IndexSet<Box<str>>);

impl Texts {
    /// The place of the text, and whether it is new.
    pub fn add(&mut self, text: &str) -> (usize, bool) {
        match self.0.get_index_of(text) {
            Some(place) => (place, false),
            None => self.0.insert_full(text.into()),
        }
    }

    /// The text at a place.
    pub fn at(&self, place: usize) -> &str {
        &self.0[place]
    }
}

/// What must be known of a row when all have been read: its cells as places in the texts of [`Rows`], and its id as one in the ids.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeptRow {
    pub line: u64,
    pub id: usize,
    pub unit: usize,
    pub round: usize,
    pub role: usize,
    pub lane: usize,
    pub attempt: usize,
    pub scope: usize,
}

/// The rows that were read, and their texts.
#[derive(Default)]
pub(super) struct Rows {
    pub ids: Texts,
    pub texts: Texts,
    pub kept: Vec<KeptRow>,
}

impl Rows {
    /// The row with this index as a member of its unit.
    pub fn member(&self, index: usize) -> Member<'_> {
        let row = &self.kept[index];
        Member {
            number: index + 1,
            unit: self.texts.at(row.unit),
            round: self.texts.at(row.round),
            role: self.texts.at(row.role),
            lane: self.texts.at(row.lane),
            attempt: self.texts.at(row.attempt),
        }
    }

    /// Checks the rows of every unit, in the order of the units' names.
    pub fn check_units(&self, teams: &[Team]) -> Vec<Problem> {
        let unit = |index: &usize| self.kept[*index].unit;
        let mut by_unit: Vec<usize> = (0..self.kept.len()).collect();
        by_unit.sort_by(|one, other| self.texts.at(unit(one)).cmp(self.texts.at(unit(other))));
        let mut problems = Vec::new();
        let mut reaches: Vec<(usize, Reach)> = Vec::new();
        let mut claims = Claims::default();
        for indices in by_unit.chunk_by(|one, other| unit(one) == unit(other)) {
            let members = indices.iter().map(|index| self.member(*index));
            problems.extend(check_team(&members.collect::<Vec<_>>(), teams));
            problems.extend(self.disagreements(indices));
            let index = indices[0];
            let scope = self.texts.at(self.kept[index].scope);
            let globs = scope.split(';').filter(|glob| !glob.is_empty());
            let globs: Vec<String> = globs.map(str::to_owned).collect();
            match Reach::new(&globs) {
                Ok(reach) => {
                    if claims.conflicts_with(&reach) {
                        problems.push(self.overlap(index, &reach, &reaches));
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
    fn disagreements(&self, indices: &[usize]) -> Vec<Problem> {
        let mut problems = Vec::new();
        let first = self.member(indices[0]);
        for index in &indices[1..] {
            let row = self.member(*index);
            if row.lane == Lane::Patch.as_str() && !are_candidates(first.role, row.role) {
                let message = "a second author of the unit's patch";
                problems.push(Problem::in_row(row.number, "lane", message));
            }
            if self.kept[*index].scope != self.kept[indices[0]].scope {
                let number = first.number;
                let message = format!("differs from that of the same unit in row {number}");
                problems.push(Problem::in_row(row.number, "scope", message));
            }
        }
        problems
    }

    /// The problem with the first unit that may share a path with the one whose first row is `index`.
    fn overlap(&self, index: usize, reach: &Reach, others: &[(usize, Reach)]) -> Problem {
        let other = others.iter().find(|(_, other)| reach.may_meet(other));
        let whose = other.map_or_else(
            || "another unit".to_owned(),
            |(other, _)| format!("unit `{}` in row {}", self.member(*other).unit, other + 1),
        );
        let message = format!("may overlap the scope of {whose}");
        Problem::in_row(index + 1, "scope", message)
    }
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
