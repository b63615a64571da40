//! Which mechanism a run uses: as asked for, or the first that holds here.

use super::mechanism::Mechanism;
use super::spawn::Sandbox;
use crate::platform::look;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// Landlock lets every program write there.
const SHARED_MEMORY: &str = "/dev/shm";

/// `--sandbox`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Choice {
    /// The first mechanism that holds here; without one, none, which is said.
    Auto,
    /// A user and mount namespace.
    Namespace,
    /// Landlock rules.
    Landlock,
    /// No sandbox.
    #[default]
    None,
}

/// How the workers of a run are confined; recorded in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confinement {
    /// The mechanism.
    pub mechanism: Mechanism,
    /// `--writable`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writable: Vec<PathBuf>,
}

/// Why workers can't be confined.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The mechanism that was asked for does not hold.
    #[error("sandbox `{}` can't be used here: {why}", mechanism.as_str())]
    Refused {
        /// The mechanism.
        mechanism: Mechanism,
        /// What the kernel said.
        why: String,
    },
    /// What is at a path can't be told, so it can't be protected.
    #[error("`{}` can't be looked at", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// No process can be started that tries it.
    #[error("the sandbox can't be tried")]
    NotTried(#[source] io::Error),
    /// A folder of `--writable` is not there.
    #[error("`--writable {}` is not a folder", .0.display())]
    NoFolder(PathBuf),
    /// Workers could write what they must not.
    #[error("`--writable {}` contains `{}`, which workers must not write", folder.display(), protected.display())]
    Contains {
        /// The folder.
        folder: PathBuf,
        /// What it contains.
        protected: PathBuf,
    },
}

impl SandboxError {
    fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Unreadable { path, source }
    }
}

impl Choice {
    /// Decides on a mechanism by trying it on `read_only`. The second value is what to tell the user, if anything.
    ///
    /// # Errors
    /// A folder of `writable` can't be one, or the mechanism that was asked for does not hold; or the machine is at fault, so that it isn't known
    /// which one does.
    pub fn decide(
        self,
        read_only: &[PathBuf],
        writable: &[PathBuf],
    ) -> Result<(Option<Confinement>, Option<String>), SandboxError> {
        check_writable(read_only, writable)?;
        let tried: &[Mechanism] = match self {
            Self::None => return Ok((None, None)),
            Self::Auto => Mechanism::HERE,
            Self::Namespace => &[Mechanism::Namespace],
            Self::Landlock => &[Mechanism::Landlock],
        };
        let mut refusals = Vec::new();
        for mechanism in tried {
            let confinement = Confinement {
                mechanism: *mechanism,
                writable: writable.to_vec(),
            };
            match confinement.check(read_only) {
                Ok(()) => return Ok((Some(confinement), None)),
                // What can't be looked at says nothing about a mechanism.
                Err(error @ (SandboxError::Unreadable { .. } | SandboxError::NotTried(_))) => {
                    return Err(error);
                }
                Err(error) if self != Self::Auto => return Err(error),
                Err(error) => refusals.push(error.to_string()),
            }
        }
        let note = format!(
            "workers run without a sandbox, and changes that they make are only noticed: {}",
            match refusals.as_slice() {
                [] => "this system has none".to_owned(),
                refusals => refusals.join("; "),
            }
        );
        Ok((None, Some(note)))
    }
}

impl Confinement {
    /// Whether it holds.
    ///
    /// # Errors
    /// [`SandboxError::Refused`]; [`SandboxError::Unreadable`] and [`SandboxError::NotTried`] don't say whether it does.
    pub fn check(&self, read_only: &[PathBuf]) -> Result<(), SandboxError> {
        let sandbox = self.sandbox(read_only, &[])?;
        let refused = |why| SandboxError::Refused {
            mechanism: self.mechanism,
            why,
        };
        let is_shared = |path: &&PathBuf| path.starts_with(SHARED_MEMORY);
        match sandbox.read_only.iter().find(is_shared) {
            Some(path) if self.mechanism == Mechanism::Landlock => Err(refused(format!(
                "`{}` is in `{SHARED_MEMORY}`, where programs have their shared memory and so every worker may write; move it to another folder",
                path.display()
            ))),
            _ => sandbox
                .probe()
                .map_err(SandboxError::NotTried)?
                .map_err(refused),
        }
    }

    /// The sandbox that protects `read_only`, for a program that writes its own `state`.
    ///
    /// # Errors
    /// [`SandboxError::Unreadable`].
    pub fn sandbox(
        &self,
        read_only: &[PathBuf],
        state: &[PathBuf],
    ) -> Result<Sandbox, SandboxError> {
        let read_only = all_real(read_only)?;
        let mut writable = all_real(self.writable.iter().chain(state))?;
        if self.mechanism == Mechanism::Landlock {
            let temporary = [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()];
            writable.extend(all_real(&temporary)?);
        }
        // What contains a protected folder is writable around it in a namespace, and with Landlock it can't be.
        writable.retain(|folder| !read_only.iter().any(|path| path.starts_with(folder)));
        Ok(Sandbox {
            mechanism: self.mechanism,
            read_only,
            writable,
        })
    }
}

fn check_writable(read_only: &[PathBuf], writable: &[PathBuf]) -> Result<(), SandboxError> {
    for folder in writable {
        let is_folder = look::is_folder(folder).map_err(SandboxError::unreadable(folder))?;
        let found = real(folder)?.filter(|_| is_folder);
        let found = found.ok_or_else(|| SandboxError::NoFolder(folder.clone()))?;
        let mut read_only = all_real(read_only)?.into_iter();
        if let Some(protected) = read_only.find(|path| path.starts_with(&found)) {
            return Err(SandboxError::Contains {
                folder: folder.clone(),
                protected,
            });
        }
    }
    Ok(())
}

/// Without links, as the kernel compares it; `None` if nothing is there.
fn real(path: &Path) -> Result<Option<PathBuf>, SandboxError> {
    look::reachable(path.canonicalize()).map_err(SandboxError::unreadable(path))
}

/// Those of `paths` where something is.
fn all_real<'p>(
    paths: impl IntoIterator<Item = &'p PathBuf>,
) -> Result<Vec<PathBuf>, SandboxError> {
    let all = paths.into_iter().map(|path| real(path));
    let all: Vec<Option<PathBuf>> = all.collect::<Result<_, _>>()?;
    Ok(all.into_iter().flatten().collect())
}
