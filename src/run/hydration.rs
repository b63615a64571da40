//! Metadata that a worker proposed: what of it goes into the plan.
//!
//! What stands in the plan is run without another question, so a proposed command gets there only when it begins like one
//! of `validation_allow` and holds nothing that a shell would read otherwise, or when the user said
//! `--trust-proposed-validation`.

use super::{RunError, Settings};
use crate::model::Risk;
use crate::plan::{ItemId, Metadata};
use crate::scope::Scope;
use serde::Deserialize;
use serde_json::Value;

/// Test runners, by what their commands begin with.
pub const VALIDATION_ALLOW: [&str; 36] = [
    "bazel test",
    "bun test",
    "bundle exec rake test",
    "bundle exec rspec",
    "cargo build",
    "cargo check",
    "cargo clippy",
    "cargo fmt --check",
    "cargo nextest run",
    "cargo test",
    "composer test",
    "ctest",
    "deno test",
    "dotnet test",
    "go build",
    "go test",
    "go vet",
    "gradle test",
    "./gradlew test",
    "just test",
    "make check",
    "make test",
    "meson test",
    "mix test",
    "mvn test",
    "npm run test",
    "npm test",
    "pnpm test",
    "pytest",
    "python -m pytest",
    "python -m unittest",
    "python3 -m pytest",
    "python3 -m unittest",
    "swift test",
    "uv run pytest",
    "yarn test",
];

/// The part of a hydration answer that becomes metadata; other keys are not taken over.
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

impl Settings {
    /// The metadata that `answer` proposes for `item`, and the commands that were left out of it.
    pub(super) fn proposed(
        &self,
        item: &ItemId,
        answer: &Value,
    ) -> Result<(Metadata, Vec<String>), RunError> {
        let block = read(answer).map_err(|why| RunError::Swarm {
            item: item.clone(),
            why,
        })?;
        let is_allowed = |command: &String| {
            self.trust_proposed_validation || is_allowed(command, &self.validation_allow)
        };
        let (validation, left_out) = block.validation.into_iter().partition(is_allowed);
        let metadata = Metadata {
            scope: block.scope,
            acceptance: block.acceptance,
            validation,
            risk: block.risk,
            ..Metadata::default()
        };
        Ok((metadata, left_out))
    }
}

/// What is wrong with a hydration answer, if anything.
pub(super) fn check(answer: &Value) -> Result<(), String> {
    let block = read(answer)?;
    if block.scope.is_empty() {
        return Err("its scope is empty".to_owned());
    }
    Scope::new(&block.scope)
        .map(drop)
        .map_err(|error| error.to_string())
}

fn read(answer: &Value) -> Result<Block, String> {
    Proposed::deserialize(answer)
        .map(|proposed| proposed.mesh)
        .map_err(|error| format!("the answer has no usable `mesh` object: {error}"))
}

/// Whether `command` is one of `allowed`, perhaps with further plain words.
fn is_allowed(command: &str, allowed: &[String]) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+, ".contains(c);
    command.chars().all(is_plain)
        && allowed.iter().any(|beginning| {
            let rest = command.strip_prefix(beginning.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn test_runners_pass_and_what_a_shell_would_read_does_not() {
        let allowed = VALIDATION_ALLOW.map(str::to_owned);
        for command in [
            "cargo test",
            "cargo test -p a --lib",
            "pytest tests/a.py::b",
            "make check",
        ] {
            assert!(is_allowed(command, &allowed), "{command}");
        }
        for command in [
            "cargo",
            "cargo tester",
            "cargo test; rm -rf x",
            "cargo test && x",
            "make test $(x)",
            "pytest | tee x",
            "pytest > x",
            "pytest\nx",
            "sh -c pytest",
            " pytest",
            "A=b pytest",
            "pytest 'a'",
            "pytest *",
            "pytest\t`x`",
        ] {
            assert!(!is_allowed(command, &allowed), "{command}");
        }
    }

    #[test]
    fn an_answer_must_have_a_block_whose_scope_can_be_read() {
        let good = json!({"mesh": {"scope": ["src/**"], "acceptance": ["x"], "validation": []}, "plan": []});
        assert_eq!(check(&good), Ok(()));
        for (answer, why) in [
            (json!({}), "no usable `mesh` object"),
            (
                json!({"mesh": {"scope": [], "acceptance": [], "validation": []}}),
                "its scope is empty",
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
            let refused = check(&answer).expect_err("refused");
            assert!(refused.contains(why), "{refused}");
        }
    }
}
