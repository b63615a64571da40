//! Errors -> one message, its causes, a hint, and an exit code.

use super::terminal::{NotPrinted, Terminal, Tone};
use crate::config::ConfigError;
use crate::invoke::{InvokeError, KEYS};
use crate::job::JobError;
use crate::learnings::LearningsError;
use crate::ledger::LedgerError;
use crate::model::{RunId, visible_lines};
use crate::plan::PlanError;
use crate::platform::GitError;
use crate::run::{ErrorKind, RunError};
use crate::simulate::DurationsError;
use crate::verdict::SchemaError;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

/// Everything that a command can fail with.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Not a valid command line; also `--help` and `--version`.
    #[error("{0}")]
    Usage(clap::Error),
    /// `-C` names no folder.
    #[error("`{}` is not a folder", .0.display())]
    NoFolder(PathBuf),
    /// An argument that is no `key=value` of an option.
    #[error("`{setting}` is not a setting of `mesh {command}`")]
    BadSetting {
        /// As given.
        setting: String,
        /// The command.
        command: String,
    },
    /// A call file that is none.
    #[error("call file `{}`: {why}", path.display())]
    BadCall {
        /// As given.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// A folder that is to be written anew is there.
    #[error("`{}` already exists and is not empty", .0.display())]
    FolderInTheWay(PathBuf),
    /// An argument of `$mesh` in a message is wrong.
    #[error(transparent)]
    Invoke(#[from] InvokeError),
    /// A message that is no message of a person any more.
    #[error("the message is longer than {0} bytes")]
    LongMessage(u64),
    /// `mesh spawn` without an instruction.
    #[error("no instruction")]
    NoInstruction,
    /// `mesh spawn` with two of them from one source.
    #[error("`--instruction` and `--instruction-file` are both given")]
    TwoInstructions,
    /// `mesh.yaml` is not usable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The plan is not usable.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A file of durations is not usable.
    #[error("`{}`: {source}", path.display())]
    Durations {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: DurationsError,
    },
    /// A schema is not one.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The learnings can't be read or written.
    #[error(transparent)]
    Learnings(#[from] LearningsError),
    /// An option of a new run with `--resume`.
    #[error("`{0}` can't be changed when a run is resumed")]
    ToldAgain(&'static str),
    /// A dry run of a run that goes on.
    #[error("`--dry-run` can't be combined with `--resume`")]
    DryResume,
    /// Settings of a run for one that has begun.
    #[error("{} can't be changed: run `{run}` keeps the settings that it was started with", options.join(", "))]
    Settled {
        /// `--max-tasks`, in code marks.
        options: Vec<String>,
        /// The run.
        run: RunId,
    },
    /// An option of `mesh run` that a run of single steps has no use for.
    #[error("`{0}` can't be used with `mesh wave next`: a run has no report before it ends")]
    NoReportYet(&'static str),
    /// `--abandon` for a spawned CSV.
    #[error("`--abandon` is for runs of a plan; run `{0}` is a spawned CSV, which changes no tree")]
    NothingToAbandon(RunId),
    /// The repository of a run is not where the run started.
    #[error("{source}")]
    RepositoryGone {
        /// The copies of files from before an integration.
        kept: PathBuf,
        /// Where it was looked for.
        source: GitError,
    },
    /// An option of a spawned CSV for a run of a plan.
    #[error("`{0}` is for spawned CSVs; run `{1}` is a run of a plan")]
    NotASpawnedRun(&'static str, RunId),
    /// `--flatten` without a schema.
    #[error("`--flatten` needs an output schema")]
    FlattenWhat,
    /// `--resume` without a run or an input.
    #[error("no run to resume")]
    ResumeWhat,
    /// `--resume` of an input that no run is over.
    #[error("no run of `{}`", .0.display())]
    NoRunOver(PathBuf),
    /// `mesh cancel` of a run that nobody drives.
    #[error("run `{0}` is not running")]
    NotUnderWay(RunId),
    /// A ledger can't be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A run can't start or go on.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A run that is under way can't go on.
    #[error(transparent)]
    UnderWay(RunError),
    /// A file that was named can't be read.
    #[error("`{}` can't be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
    /// A file that was named can't be written.
    #[error("`{}` can't be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
    /// `--row` of a row that a run does not have.
    #[error("run `{run}` has no row `{row}`")]
    NoRow {
        /// The run.
        run: RunId,
        /// As given.
        row: String,
    },
    /// A report in another form of a run that has none.
    #[error("run `{0}` is a spawned CSV; its report is the output CSV")]
    NotAPlanRun(RunId),
    /// Standard output did not take what was to be printed.
    #[error(transparent)]
    NotPrinted(#[from] NotPrinted),
    /// The same at the end of a run, whose results are kept elsewhere.
    #[error("standard output can't be written; nothing is lost: {kept}")]
    Unsaid {
        /// Where they are.
        kept: String,
        /// What the stream said.
        #[source]
        source: std::io::Error,
    },
    /// A stream or a temporary file failed.
    #[error("input or output failed")]
    Io(#[from] std::io::Error),
    /// `report-result` outside of a worker.
    #[error("`{0}` is not set: `mesh report-result` works only inside a worker started by mesh")]
    NotAWorker(&'static str),
    /// The demo would write over something.
    #[error("`{}` already exists; the demo writes only into new folders", .0.display())]
    DemoInTheWay(PathBuf),
    /// The demo's tests did not behave as they must.
    #[error("the demo did not end as expected: {0}")]
    Demo(String),
}

/// The exit code of work that is done: its own, unless that is success and what it came to could not be told.
pub fn code_of_done(told: Result<(), CliError>, code: u8, terminal: &Terminal) -> u8 {
    match told {
        Ok(()) => code,
        Err(error) => {
            error.report(terminal);
            code.max(1)
        }
    }
}

impl From<JobError> for CliError {
    fn from(error: JobError) -> Self {
        Self::Run(error.into())
    }
}

impl CliError {
    /// The exit code (CONTRACT, "Exit codes").
    fn code(&self) -> u8 {
        match self {
            CliError::Run(error) | CliError::UnderWay(error) => match error.kind() {
                ErrorKind::Input => 2,
                ErrorKind::Preflight => 3,
                ErrorKind::Resumable => 4,
                ErrorKind::Machine if matches!(self, CliError::UnderWay(_)) => 4,
                ErrorKind::Machine => 3,
                ErrorKind::Defect => 70,
            },
            CliError::Ledger(LedgerError::Locked { .. }) => 3,
            // The `$learnings` programs end with 1 here.
            CliError::Learnings(LearningsError::Empty) => 1,
            // The work is done, but what it came to did not arrive.
            CliError::NotPrinted(_) | CliError::Unsaid { .. } => 1,
            CliError::Io(_) => 3,
            CliError::Demo(_) => 70,
            _ => 2,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            CliError::BadSetting { command, .. } => {
                let agent = match command.as_str() {
                    "run" | "wave next" => " the agent's command goes after `--`;",
                    _ => "",
                };
                Some(format!(
                    "settings are key=value, such as max_tasks=2;{agent} see mesh {command} --help"
                ))
            }
            CliError::Invoke(InvokeError::UnknownKey(_)) => {
                Some(format!("a message can set {}", KEYS.join(", ")))
            }
            CliError::Invoke(InvokeError::OpenQuote(_)) => {
                Some("write a value with blanks as plan_file=\"my plan.jsonl\", on one line".to_owned())
            }
            CliError::NoInstruction => {
                Some("pass --instruction 'Review {path}' or --instruction-file FILE; {column} is replaced by a cell".to_owned())
            }
            CliError::DemoInTheWay(_) => Some("pass another folder with --dir, or leave --dir out".to_owned()),
            CliError::TwoInstructions => Some("pass only one of them".to_owned()),
            CliError::ToldAgain(_) => Some("leave it out, or start a new run with --reuse RUN".to_owned()),
            CliError::DryResume => Some("leave out one of the two; `mesh runs show RUN` shows the progress of a run".to_owned()),
            CliError::FlattenWhat => Some("pass --output-schema FILE".to_owned()),
            CliError::ResumeWhat => Some("pass the input, or --resume=RUN".to_owned()),
            CliError::NoRunOver(_) => Some("list all runs with `mesh runs list`, then pass --resume=RUN".to_owned()),
            CliError::NoRow { run, .. } => Some(format!("list failed rows: mesh runs show {run} --failed")),
            CliError::NotAPlanRun(run) => Some(format!("see its path: mesh runs show {run}")),
            CliError::NotUnderWay(_) => Some("see its status: mesh runs list".to_owned()),
            CliError::Settled { run, .. } => Some(format!(
                "leave it out: mesh wave next --run {run}; budgets, limits and concurrency may change: mesh resume --help"
            )),
            CliError::NoReportYet(option) => Some(format!(
                "leave it out; when the run has ended: mesh runs show RUN {option} FILE"
            )),
            CliError::NothingToAbandon(run) => Some(format!("leave it out: mesh resume {run}")),
            CliError::RepositoryGone { kept, .. } => Some(format!(
                "move the repository back to where the run started, then repeat the command; files saved before an integration are in `{}`",
                kept.display()
            )),
            CliError::Plan(error) => error.hint(),
            CliError::Durations { source, .. } => Some(source.hint()),
            CliError::Learnings(error) => error.hint(),
            CliError::Run(error) | CliError::UnderWay(error) => error.hint(),
            _ => None,
        }
    }

    /// Prints the message to standard error and gives the exit code.
    pub fn report(&self, terminal: &Terminal) -> ExitCode {
        if let CliError::Usage(error) = self {
            // Help goes to standard output, usage errors to standard error; a closed pipe is neither's fault.
            let plain = error.render().to_string();
            match visible_lines(&plain) {
                visible if visible != plain => terminal.error(visible.trim_end()),
                _ => drop(error.print()),
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
        let label = terminal.err_tone(Tone::Bad, "error:");
        let message = terminal.pasteable(&with_causes(self));
        let mut text = format!("{label} {message}");
        if let Some(hint) = self.hint() {
            let hint = terminal.pasteable(&hint);
            let label = terminal.err_tone(Tone::Note, "hint:");
            text.push_str(&format!("\n{label} {hint}"));
        }
        terminal.error(&text);
        ExitCode::from(self.code())
    }
}

/// The message of `error`, and on lines below it those of its causes that it does not repeat itself.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut said = text.clone();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !said.contains(&message) {
            text.push_str(&format!("\n  caused by: {message}"));
        }
        said = message;
        cause = error.source();
    }
    text
}
