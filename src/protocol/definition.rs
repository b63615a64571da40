//! A protocol file: rounds, roles, lanes, the consensus gate and its retries.
//!
//! ```yaml
//! name: swarm
//! roles: [proposer, critic_a]
//! hydration: {role: proposer, prompt: hydrate.md, schema: hydrate.json}                  # optional
//! rounds:
//!   - {name: proposal, roles: [proposer], lane: read_only, prompt: proposal.md, schema: proposal.json, inputs: []}
//! consensus: {round: vote, threshold: 4, retries: 2, retry_from: critique, early_vote: false}   # optional
//! fallback: swarm3                                                                        # optional
//! ```
//!
//! A round of the lane `patch` may ask for several patches at once, the candidates; `mesh` validates each of them in a copy of the
//! tree, and [`candidates`](super::candidates) says which remain:
//!
//! ```yaml
//!   - {name: synthesis, roles: [author], lane: patch, candidates: 3, select: evidence, prompt: synthesis.md, schema: synthesis.json}
//! ```
//!
//! A round with `test: true` before it writes a test within the `test_scope` of the task, with the lane `patch` as well. `mesh` sees
//! the test fail without a patch, and pass with it; it is a part of what is integrated.
//!
//! The rows of candidates have the roles `author_1`, `author_2`, `author_3`. `select` is `evidence` where nobody votes, else `vote`.
//!
//! or, for the protocol by risk, the names of three others:
//!
//! ```yaml
//! name: tiered
//! tiers: {low: solo, medium: duo, high: swarm}
//! ```
//!
//! `roles` may also be a mapping, of each role to the adapter, the model and the effort that it is bound to, if any; candidates are
//! bound together by the name of their author, or one by one:
//!
//! ```yaml
//! roles: {author: {}, author_2: {model: opus}, skeptic: {adapter: codex, effort: high}}
//! ```
//!
//! `prompt` and `schema` name files beside the protocol file, or built-in templates. A protocol that can't
//! work is refused with the file, the line and the reason.

use crate::model::{Lane, Role, RoleBindings, RoundName};
use crate::template::Template;
use crate::verdict::Schema;
use serde::Deserialize;
use std::sync::Arc;

/// The content of a protocol file.
#[derive(Clone, Debug)]
pub enum Definition {
    /// Rounds.
    Rounds(Box<Protocol>),
    /// Other protocols, by the risk of the task.
    Tiers(Tiers),
}

/// Names of protocols by risk; a unit that would be blocked is promoted to the next.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tiers {
    /// For low risk.
    pub low: String,
    /// For medium risk, and for tasks without a risk.
    pub medium: String,
    /// For high risk.
    pub high: String,
}

/// A checked protocol. Cheap to copy: each task has one of its own, with its threshold.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// Its name.
    pub name: String,
    /// All roles, in the order in which rows are written.
    pub roles: Vec<Role>,
    /// What the file binds roles to; a role that it does not name is worked as the rest of the run.
    pub bindings: Arc<RoleBindings>,
    /// The rounds, in order.
    pub rounds: Arc<[Round]>,
    /// The gate; without one, only the mechanical checks and the validation decide on the patch.
    pub consensus: Option<Consensus>,
    /// The round that asks for missing metadata.
    pub hydration: Option<Arc<Round>>,
    /// The protocol to change to when workers give no usable answer.
    pub fallback: Option<String>,
    /// The next tier, for a unit that would be blocked. Not in the file: the caller that reads tiers sets it.
    pub promotion: Option<String>,
}

/// One round.
#[derive(Clone, Debug)]
pub struct Round {
    /// Its name.
    pub name: RoundName,
    /// The roles that answer, one row each.
    pub roles: Vec<Role>,
    /// What the rows may return.
    pub lane: Lane,
    /// The prompt.
    pub prompt: Template,
    /// The schema of an answer.
    pub schema: Schema,
    /// Earlier rounds whose answers the prompt may show.
    pub inputs: Vec<RoundName>,
    /// Whether its patch is a test that fails before the patch of the task and passes after it.
    pub is_test: bool,
    /// How one of several patches is selected; `None` for a round with one author, or none.
    pub select: Option<Select>,
}

/// How one of several candidates is selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Select {
    /// By what `mesh` has seen of them.
    Evidence,
    /// By the voters, if `mesh` can't tell them apart.
    Vote,
}

/// The round that asks for metadata, before all others.
pub const HYDRATION: &str = "hydrate";

/// The consensus gate.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consensus {
    /// The round whose answers are votes; the last one.
    pub round: RoundName,
    /// How many must agree.
    pub threshold: u32,
    /// How often to retry without consensus.
    pub retries: u32,
    /// The round to retry from.
    pub retry_from: RoundName,
    /// Whether voters are asked only until the outcome is settled: first as many as must agree, then as many as may still decide.
    #[serde(default)]
    pub early_vote: bool,
}

impl Protocol {
    /// The round called `name`, the hydration included.
    pub fn round(&self, name: &RoundName) -> Option<&Round> {
        let rounds = self.rounds.iter().chain(self.hydration.as_deref());
        rounds.into_iter().find(|round| round.name == *name)
    }

    /// The place of the round called `name`, without the hydration.
    pub fn position(&self, name: &RoundName) -> Option<usize> {
        self.rounds.iter().position(|round| round.name == *name)
    }

    /// The round whose answer is the patch.
    pub fn patch_round(&self) -> Option<&Round> {
        self.rounds
            .iter()
            .find(|round| round.lane == Lane::Patch && !round.is_test)
    }

    /// Whether patches are tried in a copy of the tree before they are accepted.
    pub fn tries_patches(&self) -> bool {
        self.select().is_some() || self.test_round().is_some()
    }

    /// The round whose answer is a test that shows the fault, if there is one.
    pub fn test_round(&self) -> Option<&Round> {
        self.rounds.iter().find(|round| round.is_test)
    }

    /// How one of several patches is selected, if the protocol asks for several.
    pub fn select(&self) -> Option<Select> {
        self.patch_round()?.select
    }

    /// The role that the protocol file names for a role of a row: the author of a candidate, else the same.
    pub fn author_of(&self, role: &Role) -> Role {
        let several = self.rounds.iter().filter(|round| round.select.is_some());
        let is_candidate = several
            .flat_map(|round| &round.roles)
            .any(|one| one == role);
        match role.as_str().rsplit_once('_').filter(|_| is_candidate) {
            Some((author, _)) => Role::new(author),
            None => role.clone(),
        }
    }

    /// The roles that vote.
    pub fn voters(&self) -> &[Role] {
        let gate = self.consensus.as_ref();
        let round = gate.and_then(|gate| self.round(&gate.round));
        round.map_or(&[], |round| &round.roles)
    }

    /// The most rows that one unit can have in one wave.
    pub fn widest_round(&self) -> usize {
        self.rounds
            .iter()
            .map(|round| round.roles.len())
            .max()
            .unwrap_or(1)
    }
}
