//! What the workers of a run must not write: the repository, the plan and the runs themselves.

use super::error::RunError;
use crate::job::{AgentProtocol, Worker};
use crate::platform::sandbox::Choice;
use crate::platform::{Repo, Sandbox, SandboxError, look};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `--sandbox` and `--writable`.
#[derive(Clone, Debug, Default)]
pub struct SandboxRequest {
    /// Which mechanism; `None` where the kind of the run decides.
    pub choice: Option<Choice>,
    /// Folders that workers may write to all the same.
    pub writable: Vec<PathBuf>,
}

impl SandboxRequest {
    /// Confines `worker`, or returns what to tell about one that is not. A command that starts no worker stays as it is.
    ///
    /// # Errors
    /// [`SandboxError`].
    pub fn apply(
        &self,
        default: Choice,
        worker: &mut Worker,
        protected: &[PathBuf],
    ) -> Result<Option<String>, SandboxError> {
        if worker.is_in_process() {
            return Ok(None);
        }
        let choice = self.choice.unwrap_or(default);
        let (confinement, note) = choice.decide(protected, &self.writable)?;
        worker.sandbox = confinement;
        Ok(note)
    }
}

/// Checks that the sandbox of a resumed run still holds, or replaces it by `choice`. Returns what to tell about workers that
/// are not confined although `choice` asks for it.
///
/// # Errors
/// [`SandboxError`].
pub fn renew(
    worker: &mut Worker,
    choice: Option<Choice>,
    protected: &[PathBuf],
) -> Result<Option<String>, SandboxError> {
    let before = worker.sandbox.take();
    let writable = before.as_ref().map_or(Vec::new(), |it| it.writable.clone());
    let (confinement, note) = match (choice, before) {
        (Some(choice), _) => choice.decide(protected, &writable)?,
        (None, Some(confinement)) => {
            confinement.check(protected)?;
            (Some(confinement), None)
        }
        (None, None) => (None, None),
    };
    worker.sandbox = confinement;
    Ok(note)
}

/// What workers of a plan must not write: the work tree, git's folders and the plan.
pub(crate) fn protected_by_plan(repo: &Repo, plan_file: &Path) -> Result<Vec<PathBuf>, RunError> {
    let mut protected = of_repository(repo)?;
    // Replacing a file is a change of its folder. A plan that lies beside everything else is only checked afterwards.
    let folder = crate::platform::parent(plan_file);
    let home = variable("HOME");
    let is_shared = home.is_some_and(|home| home.starts_with(folder))
        || std::env::temp_dir().starts_with(folder);
    protected.push(match is_shared {
        true => plan_file.to_owned(),
        false => folder.to_owned(),
    });
    Ok(protected)
}

/// What workers of a CSV must not write: the repository that they are in, or else the folder that they start in.
pub fn protected_by_csv(folder: &Path) -> Result<Vec<PathBuf>, RunError> {
    match look::reachable(Repo::find(folder))? {
        Some(repo) => of_repository(&repo),
        None => Ok(vec![folder.to_owned()]),
    }
}

fn of_repository(repo: &Repo) -> Result<Vec<PathBuf>, RunError> {
    Ok(vec![repo.root().to_owned(), repo.common_dir()?])
}

fn variable(name: &str) -> Option<PathBuf> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty());
    value.map(PathBuf::from)
}

/// The sandbox of the workers of a job, if they are confined; `runs` is where runs and jobs keep their files.
pub(crate) fn sandbox(
    worker: &Worker,
    protocol: Option<&Arc<dyn AgentProtocol>>,
    mut protected: Vec<PathBuf>,
    runs: &Path,
) -> Result<Option<Arc<Sandbox>>, RunError> {
    let Some(confinement) = worker.sandbox.as_ref() else {
        return Ok(None);
    };
    protected.push(runs.to_owned());
    let state = protocol.map_or(Vec::new(), |protocol| protocol.state_folders(&variable));
    Ok(Some(Arc::new(confinement.sandbox(&protected, &state)?)))
}
