//! The errors of a run. Each has a kind, which decides the exit code, and may have a hint.

use super::csv_run::Difference;
use super::refusal::Refusal;
use super::role_error::RoleError;
use crate::adapter::AdapterError;
use crate::archive::ArchiveError;
use crate::executor::slices::SliceError;
use crate::integrate::{DeliveryError, IntegrateError};
use crate::job::JobError;
use crate::ledger::LedgerError;
use crate::model::{RunId, RunKind, UnitId, shell_word};
use crate::plan::{Item, ItemId, MetadataError, PlanError, ResolveError};
use crate::platform::{ClaimError, GitError, SandboxError, digest};
use crate::protocol::ProtocolError;
use crate::schedule::SkipReason;
use crate::scope::ScopeError;
use crate::workspace::SnapshotError;
use std::io;
use std::path::{Path, PathBuf};

/// Why a run can't start or continue.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no home folder for runs.
    #[error("no folder for runs: neither MESH_HOME, XDG_STATE_HOME nor HOME is set")]
    NoHome,
    /// There is no such run.
    #[error("no run `{id}` in `{}`", home.display())]
    NoRun {
        /// The id, as given.
        id: RunId,
        /// The run with the most similar id.
        nearest: Option<RunId>,
        /// The folder that was searched.
        home: PathBuf,
    },
    /// Another run holds the task.
    #[error("task `{unit}` is held by run `{run}`, which has not ended")]
    TaskHeld {
        /// The task.
        unit: UnitId,
        /// The run.
        run: RunId,
        /// Whether an external runner works its waves.
        is_external: bool,
    },
    /// The paths of a task are in use by a joined run.
    #[error("task `{unit}` shares paths with one that another joined run works at the moment")]
    ScopeLeased {
        /// The task.
        unit: UnitId,
    },
    /// An option does not go with `--join`.
    #[error("--join does not go with {option}: {why}")]
    NotWithJoin {
        /// The option.
        option: &'static str,
        /// The reason.
        why: &'static str,
    },
    /// A joined run can't be driven one command at a time.
    #[error(
        "run `{id}` shares its plan with other runs (--join), so it can't be driven step by step"
    )]
    NoSteps {
        /// The run.
        id: RunId,
    },
    /// The command needs a run of another kind.
    #[error("run `{id}` is {}", describe_kind(*.kind))]
    WrongKind {
        /// The run.
        id: RunId,
        /// Its kind.
        kind: RunKind,
    },
    /// The id of a new run can't be the name of a folder.
    #[error("run id `{id}` may hold only letters, digits, `-`, `_` and inner dots")]
    BadRunId {
        /// The id, as given.
        id: RunId,
    },
    /// A new run was given the id of another one.
    #[error("run `{id}` {}", match has_begun { true => "already exists", false => "was killed before it began" })]
    RunExists {
        /// The id, as given.
        id: RunId,
        /// Its folder.
        path: PathBuf,
        /// Whether it has a ledger.
        has_begun: bool,
    },
    /// The ledger can't be resumed from.
    #[error("run `{id}` can't be resumed: {why}")]
    NotResumable {
        /// The run.
        id: RunId,
        /// The reason.
        why: String,
    },
    /// A run can't be undone.
    #[error("run `{id}` can't be undone: {why}")]
    NotUndone {
        /// The run.
        id: RunId,
        /// The reason.
        why: String,
        /// The next command.
        hint: Option<String>,
    },
    /// The rows of the earlier run had another prompt, schema, worker or commit.
    #[error("nothing of run `{id}` can be reused: its {what} is different")]
    NotReusable {
        /// The earlier run.
        id: RunId,
        /// What differs.
        what: &'static str,
    },
    /// No wave awaits answers, or no answer is new.
    #[error("nothing to collect: {why}")]
    NothingToCollect {
        /// The reason.
        why: String,
        /// The next command.
        hint: Option<String>,
    },
    /// No file has answers to the waves.
    #[error("{}", list_refusals(.0))]
    BadAnswers(Vec<Refusal>),
    /// A file of the run's folder can't be used.
    #[error("`{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the file system.
        #[source]
        source: io::Error,
    },
    /// An input can't be copied, as is needed for a pipe and for the sheet of a workbook.
    #[error("can't copy the rows of `{}` to the temporary folder `{}`", path.display(), std::env::temp_dir().display())]
    Temporary {
        /// The input.
        path: PathBuf,
        /// The error of the file system.
        #[source]
        source: io::Error,
    },
    /// The output can't be written there.
    #[error("output `{}` {why}", path.display())]
    Output {
        /// The output, as given.
        path: PathBuf,
        /// The reason, as the predicate of a sentence.
        why: String,
        /// The option to change.
        hint: Option<String>,
    },
    /// No file can be created for the output.
    #[error("output `{}` is in a folder in which no file can be created", path.display())]
    OutputFolder {
        /// The output, as given.
        path: PathBuf,
        /// The option to change.
        hint: String,
        /// The error of the file system.
        #[source]
        source: io::Error,
    },
    /// Another run writes the output.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// A thread can't be started.
    #[error("{0}")]
    Thread(#[source] io::Error),
    /// The input differs from the run's copy of it.
    #[error("`{}` has changed since run `{id}` began: its sha256 was {}… and {is}", path.display(), digest::short(was))]
    InputChanged {
        /// The run.
        id: RunId,
        /// The input, as given.
        path: PathBuf,
        /// The hash of the copy.
        was: String,
        /// `is …`, with the hash of the input now, or why it can't be read.
        is: String,
    },
    /// A setting that changes the prompt of the rows was changed on resume.
    #[error("`{}` can't be changed: run `{id}` has another one\n  {}", difference.option, difference.shown)]
    PromptChanged {
        /// The run.
        id: RunId,
        /// The setting and its two values.
        difference: Difference,
    },
    /// No plan file, or two.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The plan is not usable.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The lock sidecar of the plan is not git-ignored.
    #[error(transparent)]
    LockNotIgnored(PlanError),
    /// No selected task is usable; this is the reason of the first one.
    #[error(transparent)]
    UnusableTask(SkipReason),
    /// The metadata of a task in flight became unusable.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The scope of a task in flight became unusable.
    #[error("item `{item}`")]
    Scope {
        /// The item.
        item: ItemId,
        /// What is wrong with it.
        #[source]
        source: ScopeError,
    },
    /// The list of shared paths is unusable.
    #[error("`shared_paths` can't be used")]
    SharedPaths(#[source] ScopeError),
    /// No protocol fits the swarm settings of a task.
    #[error("item `{item}`: {why}")]
    Swarm {
        /// The item.
        item: ItemId,
        /// The mismatch.
        why: String,
    },
    /// The protocol is not usable.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// No protocol of that name.
    #[error("no protocol `{name}`: neither known ({}) nor a file", known.join(", "))]
    NoProtocol {
        /// The name, as given.
        name: String,
        /// The built-in names, and those of mesh.yaml.
        known: Vec<String>,
    },
    /// A protocol with tiers where one with rounds is needed.
    #[error("protocol `{name}` has tiers; a tier or a fallback must have rounds")]
    NoRounds {
        /// The name, as given.
        name: String,
    },
    /// There is no usable adapter.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// A role can't be worked by what it is bound to.
    #[error(transparent)]
    Role(#[from] Box<RoleError>),
    /// Git failed, or the folder is not in a repository.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The ledger can't be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A job failed.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The copy of the repository can't be created.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The plan became unusable during the run.
    #[error(transparent)]
    PlanLost(PlanError),
    /// Workers can't be confined as requested.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A slice can't be worked.
    #[error(transparent)]
    Slice(#[from] SliceError),
    /// A wave can't be bundled, or a bundle not be used.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The workspace of a bundle contains the user's home folder.
    #[error("the rows start in `{}`, which contains your home folder; all of it would be in the bundle", .0.display())]
    BundleOfHome(PathBuf),
    /// A wave of a plan is exported from another repository.
    #[error("the wave belongs to commit {commit:.12}, which the repository `{}` does not have", root.display())]
    OtherRepository {
        /// The root of the repository.
        root: PathBuf,
        /// The commit.
        commit: String,
    },
    /// The integrator failed.
    #[error(transparent)]
    Integrate(#[from] IntegrateError),
    /// The patches can't be delivered as requested.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
}

fn describe_kind(kind: RunKind) -> &'static str {
    match kind {
        RunKind::Spawn => {
            "a CSV job (`mesh spawn`), not a run of a plan: it has no waves to hand out, collect or integrate"
        }
        RunKind::Plan => "a run of a plan (`mesh run`), not a CSV job (`mesh spawn`)",
    }
}

/// Every refused file with its reason, one per line.
fn list_refusals(files: &[Refusal]) -> String {
    let line = |file: &Refusal| format!("answers `{}`: {}", file.path.display(), file.why);
    files.iter().map(line).collect::<Vec<_>>().join("\n  ")
}

/// The kinds that the exit codes distinguish (CONTRACT, "Exit codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Exit 2.
    Input,
    /// Exit 3.
    Preflight,
    /// Exit 4: the run can be resumed once the cause is removed.
    Resumable,
    /// Exit 3 before anything started, 4 afterwards: the machine or the repository failed.
    Machine,
    /// Exit 70: `mesh` itself.
    Defect,
}

impl RunError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(super) fn temporary(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Temporary { path, source }
    }

    pub(super) fn scope(item: &Item) -> impl FnOnce(ScopeError) -> Self {
        let item = item.id().clone();
        move |source| Self::Scope { item, source }
    }

    /// Whether another process, or a run that has not ended, has what is needed.
    pub(super) fn is_held_elsewhere(&self) -> bool {
        matches!(
            self,
            RunError::TaskHeld { .. }
                | RunError::Ledger(LedgerError::Locked { .. })
                | RunError::Integrate(
                    IntegrateError::Locked { .. }
                        | IntegrateError::Joined { .. }
                        | IntegrateError::Pending { .. }
                        | IntegrateError::IndexLocked { .. }
                        | IntegrateError::StillRunning { .. },
                )
        )
    }

    /// The kind, which decides the exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            RunError::Delivery(DeliveryError::Pattern(_)) => ErrorKind::Input,
            RunError::TaskHeld { .. }
            | RunError::ScopeLeased { .. }
            | RunError::Resolve(_)
            | RunError::LockNotIgnored(_)
            | RunError::Delivery(_) => ErrorKind::Preflight,
            RunError::Adapter(
                AdapterError::Both { .. }
                | AdapterError::Unknown { .. }
                | AdapterError::ExternalSpawn,
            ) => ErrorKind::Input,
            RunError::Role(error) if error.is_input() => ErrorKind::Input,
            RunError::Adapter(_)
            | RunError::Role(_)
            | RunError::Git(GitError::Filter { .. })
            | RunError::Sandbox(SandboxError::Refused { .. })
            | RunError::Claim(ClaimError::Held { .. }) => ErrorKind::Preflight,
            held if held.is_held_elsewhere() => ErrorKind::Preflight,
            RunError::Io { .. }
            | RunError::Temporary { .. }
            | RunError::Thread(_)
            | RunError::Snapshot(_) => ErrorKind::Machine,
            RunError::Git(
                GitError::Run(_) | GitError::Unreadable { .. } | GitError::Failed { .. },
            ) => ErrorKind::Machine,
            // The ledger has the work so far.
            RunError::Integrate(_) | RunError::PlanLost(_) => ErrorKind::Resumable,
            RunError::Job(
                JobError::NoProgram { .. } | JobError::Descriptors { .. } | JobError::Slurm { .. },
            ) => ErrorKind::Preflight,
            RunError::Job(JobError::Ledger(LedgerError::Locked { .. }))
            | RunError::Slice(
                SliceError::Held { .. }
                | SliceError::ResultsInUse(_)
                | SliceError::Ledger(LedgerError::Locked { .. }),
            ) => ErrorKind::Preflight,
            RunError::Job(JobError::Ledger(LedgerError::TakenOver(_)))
            | RunError::Ledger(LedgerError::TakenOver(_)) => ErrorKind::Resumable,
            RunError::Archive(ArchiveError::Unpack { .. } | ArchiveError::Write(_)) => {
                ErrorKind::Machine
            }
            RunError::Slice(SliceError::Io { .. } | SliceError::Ledger(LedgerError::Io { .. })) => {
                ErrorKind::Machine
            }
            RunError::Job(JobError::Defect { .. }) => ErrorKind::Defect,
            RunError::Ledger(LedgerError::Io { .. })
            | RunError::Job(
                JobError::Scratch(_)
                | JobError::ProgramUnknown { .. }
                | JobError::Thread(_)
                | JobError::Output { .. }
                | JobError::Ledger(LedgerError::Io { .. }),
            ) => ErrorKind::Machine,
            _ => ErrorKind::Input,
        }
    }

    /// A suggestion for the user, if there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            RunError::NothingToCollect { hint, .. } | RunError::NotUndone { hint, .. } => hint.clone(),
            RunError::Temporary { .. } => {
                Some("free space there, or set TMPDIR to another folder".to_owned())
            }
            RunError::Sandbox(SandboxError::Refused { .. }) => Some(
                "--sandbox auto takes what holds here; with --sandbox none changes by workers are only noticed".to_owned(),
            ),
            RunError::BadAnswers(_) => Some(
                "a refused file is ignored as a whole; correct it, or pass the answers of a wave of this run".to_owned(),
            ),
            // The folder that holds all runs, not a file of one of them.
            RunError::Io { path, .. } if path.ends_with("runs") => Some(
                "choose a writable folder for runs with MESH_HOME or --artifacts DIR"
                    .to_owned(),
            ),
            RunError::NoHome => Some("set MESH_HOME to a folder for runs".to_owned()),
            RunError::RunExists {
                id, path, has_begun,
            } => Some(match has_begun {
                true => format!("resume it: mesh resume {id}; or pass another --run-id"),
                false => format!("remove `{}`, or pass another --run-id", path.display()),
            }),
            RunError::NoRun { nearest: None, .. } => Some("list all runs: mesh runs list".to_owned()),
            RunError::NoRun { nearest: Some(id), .. } => {
                Some(format!("did you mean `{id}`? List all runs: mesh runs list"))
            }
            RunError::TaskHeld {
                run, is_external, ..
            } => {
                let resume = match is_external {
                    true => format!("mesh wave next --run {run}"),
                    false => format!("mesh resume {run}"),
                };
                Some(format!(
                    "resume it: {resume}; or release its tasks: mesh cancel {run}"
                ))
            }
            RunError::ScopeLeased { .. } => {
                Some("resume this run when that task has ended; see: mesh runs list".to_owned())
            }
            RunError::NoSteps { id } => Some(format!("resume it: mesh resume {id}")),
            RunError::WrongKind { id, kind } => Some(match kind {
                RunKind::Spawn => {
                    format!("resume it: mesh resume {id}; or show it: mesh runs show {id}")
                }
                RunKind::Plan => format!(
                    "resume it: mesh resume {id}; or step by step: mesh wave next --run {id}"
                ),
            }),
            RunError::Output { hint, .. } => hint.clone(),
            RunError::OutputFolder { hint, .. } => Some(hint.clone()),
            RunError::Claim(ClaimError::Held { .. }) => {
                Some("wait for it, or pass another file with -o".to_owned())
            }
            RunError::Claim(ClaimError::Io { .. }) => Some("pass another file with -o".to_owned()),
            RunError::InputChanged { id, .. } => Some(format!(
                "`mesh resume {id} --input-changed ignore` resumes with the copy that the run keeps; `--reuse {id}` in a new run reuses the results of identical rows"
            )),
            RunError::PromptChanged { id, .. } => Some(format!(
                "leave it out to resume, or start a new run with --reuse {id}"
            )),
            RunError::Resolve(error) => error.hint(),
            RunError::Plan(error) | RunError::LockNotIgnored(error) | RunError::PlanLost(error) => {
                error.hint()
            }
            RunError::Integrate(IntegrateError::Plan(error)) => error.hint(),
            RunError::Metadata(error) | RunError::UnusableTask(SkipReason::Metadata(error)) => {
                error.hint()
            }
            RunError::Integrate(IntegrateError::Pending { run_folder }) => {
                let run = run_folder.file_name().unwrap_or_default().to_string_lossy();
                Some(format!("restore the tree first: mesh resume {run}"))
            }
            RunError::Protocol(error) => error.hint(),
            RunError::Snapshot(error)
            | RunError::Integrate(IntegrateError::Snapshot(error)) => {
                error.hint().map(str::to_owned)
            }
            RunError::Slice(error) => error.hint(),
            RunError::Archive(error) => error.hint().map(str::to_owned),
            RunError::BundleOfHome(_) => {
                Some("pass the folder that the rows need with --workspace DIR".to_owned())
            }
            RunError::OtherRepository { .. } => Some(
                "run this in the repository of the plan (-C DIR), or pass the folder where workers start with --workspace DIR"
                    .to_owned(),
            ),
            RunError::Delivery(error) => Some(error.hint()),
            RunError::Adapter(error) => error.hint(),
            RunError::Role(error) => error.hint(),
            RunError::Job(error) => error.hint(),
            RunError::Git(error) => error.hint().map(str::to_owned),
            RunError::Integrate(IntegrateError::IndexLocked { path }) => Some(format!(
                "wait for it; if no git command is running: rm {}",
                shell_word(&path.to_string_lossy())
            )),
            RunError::Integrate(IntegrateError::Restore { run_folder, .. }) => {
                let run = run_folder.file_name().unwrap_or_default().to_string_lossy();
                Some(format!(
                    "try again: mesh resume {run}; or leave the tree as it is and keep every copy: mesh resume {run} --abandon"
                ))
            }
            RunError::Integrate(IntegrateError::StillRunning { .. }) => Some(
                "terminate them or wait for them, then resume with `mesh resume`".to_owned(),
            ),
            RunError::Integrate(IntegrateError::Locked { .. })
            | RunError::Ledger(LedgerError::Locked { .. }) => {
                Some("wait for it to end; see it with `mesh runs list`".to_owned())
            }
            RunError::Integrate(IntegrateError::Joined { .. }) => Some(
                "work on the same plan beside them: mesh run --join; or wait for them to end: mesh runs list"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}
