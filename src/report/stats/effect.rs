//! How often what a role objected to changed the patch.
//!
//! An objection is an accepted critique that names at least one finding or one point that must be fixed, or a vote of `disagree`. It is
//! followed if the next accepted patch of its task differs from the last one before it. Patches are compared as text, without
//! line ends, blanks at line ends, and blank lines at the end. Who had nothing to object (a critique without findings, a vote of
//! `agree`) is counted in the same way, since a patch may change for what another role of the round said.

use super::rate::Rate;
use crate::model::{RoundName, Tally};
use crate::platform::sha256_of_bytes;
use crate::protocol::{AGREE, DISAGREE};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What an accepted answer is, told by its fields, since protocols name their rounds as they like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// A critique.
    Critique {
        /// Whether it names a finding, or a point that must be fixed.
        objects: bool,
    },
    /// A patch, by its hash.
    Patch(String),
    /// Anything else: votes are counted with their tally.
    Other,
}

impl Remark {
    /// Reads an answer.
    pub fn of(answer: &Value) -> Self {
        let has_entries = |name: &str| {
            let list = answer.get(name).and_then(Value::as_array);
            list.map(|list| !list.is_empty())
        };
        if let Some(patch) = answer.get("patch").and_then(Value::as_str) {
            return Self::Patch(patch_hash(patch));
        }
        match (has_entries("findings"), has_entries("must_fix")) {
            (None, None) => Self::Other,
            (findings, must_fix) => Self::Critique {
                objects: findings == Some(true) || must_fix == Some(true),
            },
        }
    }
}

/// The hash of a patch without what does not change it.
fn patch_hash(patch: &str) -> String {
    let lines: Vec<&str> = patch.lines().map(str::trim_end).collect();
    sha256_of_bytes(lines.join("\n").trim_end().as_bytes())
}

/// What became of what a role said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// How often it was said.
    pub said: u64,
    /// How often the task had no patch before, and a first one after: nothing to compare.
    pub first_patch: u64,
    /// How often the patch changed, of those with a patch before and after.
    pub changed: Rate,
}

/// What became of the answers of a role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoleEffect {
    /// Critiques that object.
    pub critiques: Followed,
    /// Critiques that do not.
    pub quiet_critiques: Followed,
    /// Votes of `disagree`.
    pub dissent: Followed,
    /// Votes of `agree`.
    pub assent: Followed,
    /// Votes that the validation confirmed: `agree` and passed, or `disagree` and failed; of those whose patch was validated.
    pub right_votes: Rate,
}

impl RoleEffect {
    /// Adds that of other answers.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.critiques, &other.critiques),
            (&mut self.quiet_critiques, &other.quiet_critiques),
            (&mut self.dissent, &other.dissent),
            (&mut self.assent, &other.assent),
        ] {
            sum.said += more.said;
            sum.first_patch += more.first_patch;
            sum.changed.add(more.changed);
        }
        self.right_votes.add(other.right_votes);
    }

    /// What became of all objections: critiques and votes.
    pub fn objections(&self) -> Followed {
        sum(self.critiques, self.dissent)
    }

    /// What became of patches to which the role had nothing to object.
    pub fn quiet(&self) -> Followed {
        sum(self.quiet_critiques, self.assent)
    }

    /// Whether the role has criticised or voted.
    pub fn is_some(&self) -> bool {
        self.objections().said + self.quiet().said > 0
    }

    /// `{critiques, quiet_critiques, dissent, assent: {said, first_patch, changed: {hits, of, …}}, right_votes: {hits, of, …}}`
    pub fn json(&self) -> Value {
        let followed = |one: Followed| json!({"said": one.said, "first_patch": one.first_patch, "changed": one.changed.json()});
        json!({
            "critiques": followed(self.critiques),
            "quiet_critiques": followed(self.quiet_critiques),
            "dissent": followed(self.dissent),
            "assent": followed(self.assent),
            "right_votes": self.right_votes.json(),
        })
    }
}

fn sum(one: Followed, two: Followed) -> Followed {
    let mut changed = one.changed;
    changed.add(two.changed);
    Followed {
        said: one.said + two.said,
        first_patch: one.first_patch + two.first_patch,
        changed,
    }
}

/// The count of a role that a remark belongs to.
type Count = fn(&mut RoleEffect) -> &mut Followed;

/// Who said something, and where it counts.
type Remarks = Vec<(String, Count)>;

/// The patches of one emission of a round: one, or several candidates.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Patches {
    emission: (RoundName, u32),
    hashes: BTreeSet<String>,
}

/// The fold over the answers of one task.
#[derive(Clone, Debug, Default)]
pub struct EffectFold {
    roles: BTreeMap<String, RoleEffect>,
    /// The last patches.
    patches: Option<Patches>,
    /// Remarks about them.
    open: Remarks,
    /// Remarks that the last patches follow, with the patches before. They are compared when all candidates are there.
    answered: Option<(Option<Patches>, Remarks)>,
}

impl EffectFold {
    /// An accepted answer of `role`, in an emission of a round.
    pub fn answer(&mut self, role: &str, emission: (RoundName, u32), remark: &Remark) {
        match remark {
            Remark::Critique { objects } => {
                let count: Count = match objects {
                    true => |role| &mut role.critiques,
                    false => |role| &mut role.quiet_critiques,
                };
                self.say(role, count);
            }
            Remark::Patch(hash) => match &mut self.patches {
                Some(patches) if patches.emission == emission => {
                    patches.hashes.insert(hash.clone());
                }
                _ => {
                    self.settle();
                    let before = self.patches.replace(Patches {
                        emission,
                        hashes: BTreeSet::from([hash.clone()]),
                    });
                    self.answered = Some((before, std::mem::take(&mut self.open)));
                }
            },
            Remark::Other => {}
        }
    }

    /// The votes of the task were counted.
    pub fn tally(&mut self, tally: &Tally) {
        for line in &tally.votes {
            match line.vote.as_str() {
                AGREE => self.say(line.role.as_str(), |role| &mut role.assent),
                DISAGREE => self.say(line.role.as_str(), |role| &mut role.dissent),
                _ => {}
            }
        }
    }

    /// The task starts over under another protocol: its next patch is no answer to what was said before.
    pub fn start_over(&mut self) {
        self.settle();
        self.open.clear();
        self.patches = None;
    }

    /// The counts of all roles.
    pub fn finish(mut self) -> BTreeMap<String, RoleEffect> {
        self.settle();
        self.roles
    }

    fn say(&mut self, role: &str, count: Count) {
        self.settle();
        count(self.roles.entry(role.to_owned()).or_default()).said += 1;
        self.open.push((role.to_owned(), count));
    }

    fn settle(&mut self) {
        let Some((before, remarks)) = self.answered.take() else {
            return;
        };
        let hashes = |patches: &Option<Patches>| patches.as_ref().map(|it| it.hashes.clone());
        let (before, after) = (hashes(&before), hashes(&self.patches));
        for (role, count) in remarks {
            let followed = count(self.roles.entry(role).or_default());
            match &before {
                None => followed.first_patch += 1,
                Some(_) => followed.changed.count(before != after),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Role, UnitId, VoteLine};

    fn emission(attempt: u32) -> (RoundName, u32) {
        (RoundName::new("synthesis"), attempt)
    }

    fn patch(text: &str) -> Remark {
        Remark::of(&json!({"patch": text, "decision_log": []}))
    }

    fn critique(findings: &[&str], must_fix: &[&str]) -> Remark {
        Remark::of(&json!({"findings": findings, "must_fix": must_fix, "risk": "low"}))
    }

    fn tally(votes: &[(&str, &str)]) -> Tally {
        let lines = votes.iter().map(|(role, vote)| VoteLine {
            role: Role::new(*role),
            vote: (*vote).to_owned(),
            reason: String::new(),
        });
        Tally {
            chosen: None,
            unit: UnitId::new("u"),
            attempt: 1,
            agree: 0,
            disagree: 0,
            absent: 0,
            threshold: 1,
            consensus: false,
            votes: lines.collect(),
        }
    }

    fn followed(said: u64, first_patch: u64, hits: u64, of: u64) -> Followed {
        let changed = Rate { hits, of };
        Followed {
            said,
            first_patch,
            changed,
        }
    }

    #[test]
    fn an_objection_counts_when_the_next_patch_differs_from_the_last() {
        let mut fold = EffectFold::default();
        let round = (RoundName::new("critique"), 1);
        fold.answer("a", round.clone(), &critique(&["slow"], &[]));
        fold.answer("b", round.clone(), &critique(&[], &[]));
        fold.answer("s", emission(1), &patch("-x\n+y\n"));
        fold.tally(&tally(&[
            ("a", "disagree"),
            ("b", "agree"),
            ("c", "absent"),
        ]));
        fold.answer("a", round.clone(), &critique(&["slow"], &["slow"]));
        fold.answer("b", round.clone(), &critique(&[], &["wrong"]));
        // The same patch: only line ends and blanks differ.
        fold.answer("s", emission(2), &patch("-x \r\n+y\n\n"));
        fold.tally(&tally(&[("a", "disagree"), ("b", "agree")]));
        fold.answer("s", emission(3), &patch("-x\n+z\n"));
        fold.answer("a", round, &critique(&["never answered"], &[]));
        let roles = fold.finish();
        assert_eq!(roles["a"].critiques, followed(3, 1, 0, 1));
        assert_eq!(roles["a"].dissent, followed(2, 0, 1, 2));
        assert_eq!(roles["b"].quiet_critiques, followed(1, 1, 0, 0));
        assert_eq!(roles["b"].critiques, followed(1, 0, 0, 1));
        assert_eq!(roles["b"].assent, followed(2, 0, 1, 2));
        assert_eq!(roles["a"].objections(), followed(5, 1, 1, 3));
        assert!(!roles.contains_key("s") && !roles.contains_key("c"));
    }

    #[test]
    fn candidates_of_one_emission_are_compared_together() {
        let mut fold = EffectFold::default();
        for text in ["one", "two"] {
            fold.answer("s", emission(1), &patch(text));
        }
        fold.tally(&tally(&[("a", "disagree")]));
        for text in ["two", "one"] {
            fold.answer("s", emission(2), &patch(text));
        }
        fold.tally(&tally(&[("a", "disagree")]));
        fold.answer("s", emission(3), &patch("one"));
        assert_eq!(fold.finish()["a"].dissent, followed(2, 0, 1, 2));
    }

    #[test]
    fn another_protocol_starts_over() {
        let mut fold = EffectFold::default();
        fold.answer("s", emission(1), &patch("one"));
        fold.tally(&tally(&[("a", "disagree")]));
        fold.start_over();
        fold.answer("s", emission(2), &patch("two"));
        assert_eq!(fold.finish()["a"].dissent, followed(1, 0, 0, 0));
    }
}
