//! Turns the metadata that a worker proposed into notes for the plan. A proposed command is stored only if [`is_allowed`]
//! accepts it, or under `--trust-proposed-validation`.

use crate::integrate::is_allowed;
use crate::model::Risk;
use crate::plan::{Item, Metadata, MetadataError, metadata};
use crate::run::settings::PlanOptions;
use crate::scope::Scope;
use serde::Deserialize;
use serde_json::Value;

/// The part of a hydration answer that becomes metadata; other keys are ignored.
#[derive(Deserialize)]
struct Proposed {
    mesh: Block,
}

#[derive(Deserialize)]
struct Block {
    scope: Vec<String>,
    acceptance: Vec<String>,
    validation: Vec<String>,
    risk: Option<Risk>,
}

/// What the plan gets.
pub(crate) struct Hydration {
    /// The metadata of the item from now on.
    pub metadata: Metadata,
    /// The notes of the item with that metadata.
    pub notes: String,
    /// Proposed commands that were not allowed.
    pub left_out: Vec<String>,
}

impl PlanOptions {
    /// What `answer` proposes for `item`, or what is wrong with it, as feedback for the worker.
    pub(crate) fn hydration(&self, item: &Item, answer: &Value) -> Result<Hydration, String> {
        hydrate(item, answer, |command| {
            self.trust_proposed_validation || is_allowed(command, &self.validation_allow)
        })
    }
}

fn hydrate(
    item: &Item,
    answer: &Value,
    is_allowed: impl Fn(&String) -> bool,
) -> Result<Hydration, String> {
    let block = read(answer)?;
    Scope::new(&block.scope).map_err(|error| error.to_string())?;
    let (validation, left_out) = block.validation.into_iter().partition(is_allowed);
    let proposed = Metadata {
        scope: block.scope,
        acceptance: block.acceptance,
        validation,
        risk: block.risk,
        ..Metadata::default()
    };
    let metadata = merge_with_task(item, proposed);
    // Writing refuses what could not be read back: an empty scope, or a block that is too large. Commands that are not
    // allowed leave a gap, which a later run that allows them fills.
    let is_gap = metadata.validation.is_empty() && !left_out.is_empty();
    let notes = match is_gap && !metadata.allow_no_validation {
        true => metadata::write_without_validation(item, &metadata),
        false => metadata::write(item, &metadata),
    };
    let notes = notes.map_err(|error| error.to_string())?;
    Ok(Hydration {
        metadata,
        notes,
        left_out,
    })
}

/// Fills the gaps in the metadata of the task with the proposal.
fn merge_with_task(item: &Item, proposed: Metadata) -> Metadata {
    let Err(MetadataError::Incomplete { keys, given, .. }) = metadata::read(item) else {
        return proposed;
    };
    let choose = |key, given, proposed| if keys.contains(&key) { proposed } else { given };
    Metadata {
        scope: choose("scope", given.scope, proposed.scope),
        acceptance: choose("acceptance", given.acceptance, proposed.acceptance),
        validation: choose("validation", given.validation, proposed.validation),
        test_scope: given.test_scope,
        risk: given.risk.or(proposed.risk),
        swarm: given.swarm,
        allow_no_validation: given.allow_no_validation,
    }
}

fn read(answer: &Value) -> Result<Block, String> {
    Proposed::deserialize(answer)
        .map(|proposed| proposed.mesh)
        .map_err(|error| format!("the answer has no usable `mesh` object: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_metadata_of_the_task_takes_precedence() {
        let notes =
            "```mesh\nscope: [src/a.rs]\nacceptance: [mine]\nswarm: {roles: 3}\nrisk: high\n```\n";
        let item = json!({"id": "a", "step": "s", "status": "pending", "deps": [], "notes": notes});
        let item: Item = item.to_string().parse().expect("an item");
        let answer = json!({"mesh": {"scope": ["**"], "acceptance": ["theirs"], "validation": ["make"], "risk": "low"}});
        let stored = hydrate(&item, &answer, |_| true).expect("usable").metadata;
        assert_eq!(
            (
                &stored.scope[..],
                &stored.acceptance[..],
                &stored.validation[..]
            ),
            (
                &["src/a.rs".to_owned()][..],
                &["mine".to_owned()][..],
                &["make".to_owned()][..]
            )
        );
        assert_eq!(
            (stored.swarm.roles, stored.risk),
            (Some(3), Some(Risk::High))
        );
    }

    #[test]
    fn an_answer_without_a_valid_block_is_refused() {
        let item =
            json!({"id": "a", "step": "s", "status": "pending", "deps": [], "notes": "Words."});
        let item: Item = item.to_string().parse().expect("an item");
        let take = |answer: &Value| hydrate(&item, answer, |command| command == "make");
        let good = json!({"mesh": {"scope": ["src/**"], "acceptance": ["x"], "validation": ["make", "rm"]}});
        let stored = take(&good).expect("usable");
        assert_eq!(stored.metadata.validation, ["make"]);
        assert_eq!(stored.left_out, ["rm"]);
        assert!(stored.notes.ends_with("\nWords."), "{}", stored.notes);
        let long = vec!["a/long/path"; 10_000];
        for (answer, why) in [
            (
                json!({"mesh": {"scope": long, "acceptance": ["x"], "validation": []}}),
                "65536 bytes",
            ),
            (json!({}), "no usable `mesh` object"),
            (
                json!({"mesh": {"scope": [], "acceptance": [], "validation": []}}),
                "lacks `scope`",
            ),
            (
                json!({"mesh": {"scope": ["../x"], "acceptance": [], "validation": []}}),
                "leaves the repository",
            ),
            (
                json!({"mesh": {"scope": ["x"], "acceptance": [], "validation": [], "risk": "none"}}),
                "unknown variant",
            ),
        ] {
            let refused = take(&answer).err().expect("refused");
            assert!(refused.contains(why), "{refused}");
        }
    }
}
