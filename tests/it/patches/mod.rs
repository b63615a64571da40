//! Patches as models write them, through the integrator's own checks and git.

mod corpus;
mod history;
mod hostile;
mod placing;
mod readings;
mod shapes;

use crate::fixture::*;
use mesh::integrate::{Evidence, PatchPolicy, examine};
use mesh::patch::{Limits, Patch};
use mesh::plan::Metadata;
use mesh::platform::Repo;
use mesh::scope::Scope;
use std::path::PathBuf;

/// The plan, in a place of its own.
const PLAN: &str = "plan/st.jsonl";

/// What the integrator has at hand when it looks at a patch, and how it applies one.
pub struct Desk<'s> {
    sandbox: &'s Sandbox,
    repo: Repo,
    folder: PathBuf,
}

impl<'s> Desk<'s> {
    pub fn new(sandbox: &'s Sandbox) -> Self {
        let folder = sandbox.mesh_home().join("runs/R/units/a");
        std::fs::create_dir_all(&folder).expect("folders");
        Self {
            sandbox,
            repo: Repo::find(&sandbox.work()).expect("a repository"),
            folder,
        }
    }

    /// The artifacts lie in `state/` of the repository, as far as the checks know.
    pub fn examine(&self, text: &str, scope: &[String], limits: Limits) -> Evidence {
        let metadata = Metadata {
            scope: scope.to_vec(),
            ..Metadata::default()
        };
        let terms = PatchPolicy {
            metadata: &metadata,
            globs: &metadata.scope,
            scope: &Scope::new(scope).expect("globs"),
            plan_file: &self.sandbox.path(PLAN),
            artifacts: &self.sandbox.path("state"),
            limits,
        };
        examine(&self.repo, &terms, text, &self.folder).expect("examined")
    }

    /// Why a patch with the scope `**` is refused.
    pub fn refusal(&self, text: &str) -> String {
        match self.examine(text, &["**".to_owned()], Limits::default()) {
            Evidence::Refused { code, detail } => format!("{code}: {detail}"),
            Evidence::Applies { patch, .. } => panic!("not refused:\n{}", patch.text()),
        }
    }

    /// Examines and applies.
    pub fn take(&self, text: &str) {
        match self.examine(text, &["**".to_owned()], Limits::default()) {
            Evidence::Applies { patch, .. } => self.apply(&patch),
            Evidence::Refused { code, detail } => panic!("{code}: {detail}\n{text}"),
        }
    }

    pub fn apply(&self, patch: &Patch) {
        let file = self.folder.join("patch.diff");
        std::fs::write(&file, patch.bytes()).expect("written");
        self.repo.apply(&file).expect("applied");
    }
}

/// Globs for exactly these paths.
pub fn globs(paths: &[String]) -> Vec<String> {
    let escaped = |path: &String| {
        path.chars()
            .flat_map(|c| {
                [Some('\\').filter(|_| "*?[]{}\\".contains(c)), Some(c)]
                    .into_iter()
                    .flatten()
            })
            .collect()
    };
    paths.iter().map(escaped).collect()
}
