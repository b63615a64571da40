//! Errors -> one message, its causes, a hint, and an exit code.

use super::terminal::{NotPrinted, Terminal, Tone};
use crate::archive::ArchiveError;
use crate::audit::AuditError;
use crate::config::ConfigError;
use crate::eval::EvalError;
use crate::invoke::{InvokeError, KEYS};
use crate::job::{DEPTH_MAX, JobError, TooDeep};
use crate::learnings::LearningsError;
use crate::ledger::LedgerError;
use crate::model::{RunId, visible_lines};
use crate::plan::PlanError;
use crate::platform::{GitError, machine_fault};
use crate::report::RowError;
use crate::report::live::ListenError;
use crate::report::picture::GraphError;
use crate::report::view::ViewError;
use crate::report::workbook::WorkbookError;
use crate::run::{ErrorKind, RunError};
use crate::simulate::DurationsError;
use crate::verdict::SchemaError;
use std::error::Error;
use std::path::{Path, PathBuf};
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
    /// A call file is not valid.
    #[error("call file `{}`: {why}", path.display())]
    BadCall {
        /// As given.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The folder of an export is not empty.
    #[error("`{}` already exists and is not empty", .0.display())]
    FolderNotEmpty(PathBuf),
    /// The folder of an export for Slurm has a name that a comment for `sbatch` can't hold.
    #[error("`{}` has a line break or a double quote, which a comment for sbatch can't have", .0.display())]
    NoSlurmFolder(PathBuf),
    /// `mesh wave exec` without rows.
    #[error("which rows? Neither --index nor --slice is given, and no engine has set an index")]
    NoSlice,
    /// The index of an engine's task is not usable.
    #[error("{0}")]
    BadIndex(String),
    /// The folder of a job has another worker than the command line.
    #[error("`{}` was made with another command, or other options", .0.display())]
    OtherWorker(PathBuf),
    /// Options that only the export of a job takes.
    #[error("{} can't be changed: `{}` keeps what it was exported with", options.join(", "), job.display())]
    ExportedOptions {
        /// In words.
        options: Vec<String>,
        /// The folder or bundle.
        job: PathBuf,
    },
    /// An argument of `$mesh` in a message is wrong.
    #[error(transparent)]
    Invoke(#[from] InvokeError),
    /// A message is too long to have been written by a person.
    #[error("the message is longer than {0} bytes")]
    MessageTooLong(u64),
    /// `mesh spawn` without an instruction.
    #[error("no instruction")]
    NoInstruction,
    /// `mesh spawn` with two instructions from one source.
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
    /// A schema is not valid.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The learnings can't be read or written.
    #[error(transparent)]
    Learnings(#[from] LearningsError),
    /// An option of a new run with `--resume`.
    #[error("`{0}` can't be changed when a run is resumed")]
    FixedOption(&'static str),
    /// `--dry-run` together with `--resume`.
    #[error("`--dry-run` can't be combined with `--resume`")]
    DryRunResume,
    /// Settings of a new run for one that has started.
    #[error("{} can't be changed: run `{run}` keeps the settings that it was started with", options.join(", "))]
    FixedSettings {
        /// `--max-tasks`, in code marks.
        options: Vec<String>,
        /// The run.
        run: RunId,
    },
    /// A report file for a run that is driven one command at a time.
    #[error("`{0}` can't be used with `mesh wave next`: a run has no report before it ends")]
    NoReportYet(&'static str),
    /// `--output patch` of several tasks.
    #[error("`--output patch` prints the patch of one task; max_tasks is {0}")]
    SeveralPatches(String),
    /// `--output patch` with `--json`.
    #[error("`--output patch` can't be combined with `--json`")]
    PatchAsJson,
    /// `mesh integrate --task` of a run that integrates its patches itself.
    #[error("`--task` is for runs with integrate=false; run `{0}` integrates its patches itself")]
    NoKeptPatches(RunId),
    /// `--abandon` for a spawned CSV.
    #[error("`--abandon` is for runs of a plan; run `{0}` is a spawned CSV, which changes no tree")]
    NothingToAbandon(RunId),
    /// The repository of a run is no longer where the run was started.
    #[error("{source}")]
    RepositoryGone {
        /// The files saved before an integration.
        kept: PathBuf,
        /// Where it was searched for.
        source: GitError,
    },
    /// An option of a spawned CSV for a run of a plan.
    #[error("`{0}` is for spawned CSVs; run `{1}` is a run of a plan")]
    NotASpawnedRun(&'static str, RunId),
    /// An option of a CSV for a workbook.
    #[error("`{0}` is for a CSV; `{path}` is a workbook", path = .1.display())]
    OptionOfCsv(&'static str, PathBuf),
    /// `--flatten` without a schema.
    #[error("`--flatten` needs an output schema")]
    FlattenWithoutSchema,
    /// `--resume` without a run or an input.
    #[error("no run to resume")]
    NoRunToResume,
    /// `--resume` with an input that no run has.
    #[error("no run of `{}`", .0.display())]
    NoRunOfInput(PathBuf),
    /// `mesh cancel` of a run that is not running.
    #[error("run `{0}` is not running")]
    NotRunning(RunId),
    /// A ledger can't be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A run can't be judged.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// An evaluation can't start or go on.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// A run can't be exported, or an archive not be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A run can't start or be resumed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A run failed after it had started.
    #[error(transparent)]
    RunFailed(RunError),
    /// A given file can't be read.
    #[error("`{}` can't be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
    /// A given file can't be written.
    #[error("`{}` can't be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
    /// A copy of the skill that somebody changed.
    #[error("`{}` was edited; nothing was written", .0.display())]
    SkillEdited(PathBuf),
    /// A workbook can't be written.
    #[error("workbook `{}` can't be written", path.display())]
    Workbook {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<WorkbookError>,
    },
    /// Something can't be inspected.
    #[error(transparent)]
    View(ViewError),
    /// The address of `mesh watch` can't be used.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// `mesh man` of a command that does not exist.
    #[error("mesh has no command `{0}`")]
    NoCommand(String),
    /// A file to write exists.
    #[error("`{}` already exists", .0.display())]
    FileExists(PathBuf),
    /// `--html`, `--svg` or `--otel` of a CSV.
    #[error("`{}` is a CSV; a {noun} shows a run", path.display())]
    FileOfTable {
        /// As given.
        path: PathBuf,
        /// `page`, `timeline` and so on.
        noun: &'static str,
    },
    /// `--svg` with another word.
    #[error("`{}` is not a picture; pictures: timeline, graph", .0.display())]
    NoPicture(PathBuf),
    /// A run without the picture that was requested.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// `--row` of a row that a CSV does not have.
    #[error("`{}` has no row `{row}`", path.display())]
    NoRowInTable {
        /// As given.
        path: PathBuf,
        /// As given.
        row: String,
    },
    /// A row can't be shown.
    #[error(transparent)]
    Row(RowError),
    /// A worker starts a job.
    #[error(transparent)]
    Depth(#[from] TooDeep),
    /// `--junit` or `--markdown` for a spawned CSV.
    #[error("run `{0}` is a spawned CSV; its report is the output CSV")]
    NotAPlanRun(RunId),
    /// Standard output can't be written.
    #[error(transparent)]
    NotPrinted(#[from] NotPrinted),
    /// The same after work whose result is kept elsewhere.
    #[error("standard output can't be written; nothing is lost: {kept}")]
    OutputLost {
        /// Where they are.
        kept: String,
        /// What the stream said.
        #[source]
        source: std::io::Error,
    },
    /// A stream, a thread or a temporary file failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// `report-result` outside of a worker.
    #[error("`{0}` is not set: `mesh report-result` works only inside a worker started by mesh")]
    NotAWorker(&'static str),
    /// The demo would overwrite something.
    #[error("`{}` already exists; the demo writes only into new folders", .0.display())]
    DemoExists(PathBuf),
    /// The demo did not end as it always should.
    #[error("the demo did not end as expected: {0}")]
    Demo(String),
}

/// The exit code of finished work: `code`, but never success if its output could not be written.
pub fn final_exit_code(output: Result<(), CliError>, code: u8, terminal: &Terminal) -> u8 {
    match output {
        Ok(()) => code,
        Err(error) => {
            error.report(terminal);
            code.max(1)
        }
    }
}

/// Adds to a print error where the output is kept: the work itself is done.
pub fn or_kept<T>(
    printed: Result<T, impl Into<CliError>>,
    kept: impl FnOnce() -> String,
) -> Result<T, CliError> {
    printed.map_err(|error| match error.into() {
        CliError::NotPrinted(error) => CliError::OutputLost {
            kept: kept(),
            source: error.0,
        },
        other => other,
    })
}

impl From<JobError> for CliError {
    fn from(error: JobError) -> Self {
        Self::Run(error.into())
    }
}

impl CliError {
    /// For `map_err`: `path` can't be read.
    pub fn unreadable(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Read {
            path: path.into(),
            source,
        }
    }

    /// For `map_err`: an export to `path` failed, because its run can't be read or the file not be written.
    pub fn unexported(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| match error.downcast::<ViewError>() {
            Ok(unreadable) => unreadable.into(),
            Err(source) => Self::Write { path, source },
        }
    }

    /// The exit code (CONTRACT, "Exit codes"). A machine that has no more space, memory or descriptors is no bad input.
    pub fn code(&self) -> u8 {
        match (self.code_of_kind(), machine_fault::find(self)) {
            (2 | 70, Some(_)) if matches!(self, CliError::RunFailed(_)) => 4,
            (2 | 70, Some(_)) => 3,
            (code, _) => code,
        }
    }

    fn code_of_kind(&self) -> u8 {
        match self {
            CliError::Run(error) | CliError::RunFailed(error) => match error.kind() {
                ErrorKind::Input => 2,
                ErrorKind::Preflight => 3,
                ErrorKind::Resumable => 4,
                ErrorKind::Machine if matches!(self, CliError::RunFailed(_)) => 4,
                ErrorKind::Machine => 3,
                ErrorKind::Defect => 70,
            },
            CliError::Ledger(LedgerError::Locked { .. }) => 3,
            // The `$learnings` programs end with 1 here.
            CliError::Learnings(LearningsError::Empty) => 1,
            // The work is done, but its output is lost.
            CliError::NotPrinted(_) | CliError::OutputLost { .. } => 1,
            CliError::Archive(ArchiveError::Unpack { .. } | ArchiveError::Write(_)) => 3,
            CliError::Io(_) | CliError::Listen(_) | CliError::Depth(_) => 3,
            CliError::Eval(error) => error.code(),
            CliError::Demo(_) => 70,
            _ => 2,
        }
    }

    fn hint(&self) -> Option<String> {
        let machine = || machine_fault::advice(machine_fault::find(self)?).map(str::to_owned);
        self.hint_of_kind().or_else(machine)
    }

    fn hint_of_kind(&self) -> Option<String> {
        match self {
            CliError::Eval(error) => error.hint(),
            CliError::Archive(error) => error.hint().map(str::to_owned),
            CliError::SkillEdited(_) => Some("pass --force to replace it; the lines that would be lost are above".to_owned()),
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
            CliError::Invoke(InvokeError::NamedAdapter(_)) => {
                Some("leave it out, or write adapter=auto; the command line may have --adapter NAME".to_owned())
            }
            CliError::Invoke(InvokeError::OpenQuote(_)) => {
                Some("write a value with blanks as plan_file=\"my plan.jsonl\", on one line".to_owned())
            }
            CliError::View(ViewError::ForeignTable { .. }) => {
                Some("pass a file of a run's `waves` folder, the output of `mesh spawn`, or the id of a run: mesh runs list".to_owned())
            }
            CliError::View(ViewError::NoLedger(_)) | CliError::Audit(AuditError::NoLedger(_)) => {
                Some("pass the folder that contains ledger.jsonl, or the id of a run: mesh runs list".to_owned())
            }
            CliError::Listen(_) => Some("pass another port with --port, or leave it out".to_owned()),
            CliError::NoCommand(_) => Some("see the commands: mesh --help".to_owned()),
            CliError::FileExists(_) => Some("pass another file, or --force to replace it".to_owned()),
            CliError::FileOfTable { .. } => Some("pass the id of its run: mesh runs list".to_owned()),
            CliError::Depth(error) => Some(format!(
                "to nest jobs, start this command with {DEPTH_MAX}={}; mesh spawn --env {DEPTH_MAX} passes it to workers",
                error.depth
            )),
            CliError::NoPicture(_) => Some("mesh inspect RUN --svg timeline FILE".to_owned()),
            CliError::Graph(GraphError::NoTasks(run)) => Some(format!("its timeline: mesh inspect {run} --svg timeline FILE")),
            CliError::View(ViewError::NotStarted(run)) => Some(format!("start it again: mesh resume {run}")),
            CliError::NoSlurmFolder(_) => Some("choose another DIR".to_owned()),
            CliError::NoSlice => Some(
                "--index N runs one slice, --slice 1-100 these rows; an engine sets the index of its tasks itself"
                    .to_owned(),
            ),
            CliError::OtherWorker(folder) => Some(format!(
                "use the same command and options, or remove the folder to begin anew: rm -r {}",
                crate::model::shell_word(&folder.to_string_lossy())
            )),
            CliError::ExportedOptions { .. } => Some(
                "leave them out, or export the wave again with them: mesh wave export WAVE.csv".to_owned(),
            ),
            CliError::NoInstruction => {
                Some("pass --instruction 'Review {path}' or --instruction-file FILE; {column} is replaced by a cell".to_owned())
            }
            CliError::DemoExists(_) => Some("pass another folder with --dir, or leave --dir out".to_owned()),
            CliError::TwoInstructions => Some("pass only one of them".to_owned()),
            CliError::FixedOption(_) => Some("leave it out, or start a new run with --reuse RUN".to_owned()),
            CliError::DryRunResume => Some("leave out one of the two; `mesh runs show RUN` shows the progress of a run".to_owned()),
            CliError::OptionOfCsv(..) => Some("leave it out".to_owned()),
            CliError::FlattenWithoutSchema => Some("pass --output-schema FILE".to_owned()),
            CliError::NoRunToResume => Some("pass the input, or --resume=RUN".to_owned()),
            CliError::NoRunOfInput(_) => Some("list all runs with `mesh runs list`, then pass --resume=RUN".to_owned()),
            CliError::Row(RowError::NoRow { run, .. }) => Some(format!("list failed rows: mesh runs show {run} --failed")),
            CliError::Row(RowError::AmbiguousRow { run, numbers, .. }) => {
                let number = numbers.first()?;
                Some(format!("give the number of one: mesh runs show {run} --row {number}"))
            }
            CliError::NotAPlanRun(run) => Some(format!("see its path: mesh runs show {run}")),
            CliError::NotRunning(_) => Some("see its status: mesh runs list".to_owned()),
            CliError::FixedSettings { run, .. } => Some(format!(
                "leave it out: mesh wave next --run {run}; budgets, limits and concurrency may change: mesh resume --help"
            )),
            CliError::NoReportYet(option) => Some(format!(
                "leave it out; when the run has ended: mesh runs show RUN {option} FILE"
            )),
            CliError::SeveralPatches(_) => Some("leave max_tasks out, or --output".to_owned()),
            CliError::PatchAsJson => Some("leave out one of the two; `mesh runs show RUN --json` prints the report later".to_owned()),
            CliError::NoKeptPatches(run) => Some(format!("leave it out: mesh integrate {run}")),
            CliError::NothingToAbandon(run) => Some(format!("leave it out: mesh resume {run}")),
            CliError::RepositoryGone { kept, .. } => Some(format!(
                "move the repository back to where the run started, then repeat the command; files saved before an integration are in `{}`",
                kept.display()
            )),
            CliError::Plan(error) => error.hint(),
            CliError::Durations { source, .. } => Some(source.hint()),
            CliError::Learnings(error) => error.hint(),
            CliError::Run(error) | CliError::RunFailed(error) => error.hint(),
            _ => None,
        }
    }

    /// Prints the message to standard error and gives the exit code.
    pub fn report(&self, terminal: &Terminal) -> ExitCode {
        if let CliError::Usage(error) = self {
            // Help goes to standard output, usage errors to standard error; a closed pipe is no error.
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

impl From<RowError> for CliError {
    fn from(error: RowError) -> Self {
        match error {
            RowError::Run(error) => CliError::Run(error),
            error => CliError::Row(error),
        }
    }
}

impl From<ViewError> for CliError {
    fn from(error: ViewError) -> Self {
        match error {
            ViewError::Run(error) => CliError::Run(error),
            error => CliError::View(error),
        }
    }
}

/// The message of `error`, followed by one line for each cause that its effect does not quote.
pub fn with_causes(error: &dyn Error) -> String {
    machine_fault::messages(error).join("\n  caused by: ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_machine_that_fails_is_no_bad_input() {
        let unreadable =
            |number| CliError::unreadable("mesh.yaml")(io::Error::from_raw_os_error(number));
        let (io_error, missing) = (5, 2);
        assert_eq!(unreadable(io_error).code(), 3);
        assert!(unreadable(io_error).hint().is_some());
        assert_eq!(unreadable(missing).code(), 2);
        assert_eq!(unreadable(missing).hint(), None);
        let read = crate::job::JobError::Scratch(io::Error::from_raw_os_error(io_error));
        assert_eq!(CliError::RunFailed(read.into()).code(), 4);
    }

    #[test]
    fn an_export_of_a_run_that_can_not_be_read_is_not_an_unwritable_file() {
        let path = Path::new("out.json");
        let unreadable = ViewError::NotStarted("R".to_owned());
        let message = |error| CliError::unexported(path)(error).to_string();
        assert!(message(io::Error::other(unreadable)).starts_with("run `R`"));
        assert_eq!(
            message(io::ErrorKind::StorageFull.into()),
            "`out.json` can't be written"
        );
    }
}
