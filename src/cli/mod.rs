//! The command line: arguments -> calls, errors -> messages and exit codes. The only place that prints.
//!
//! Standard output is data, standard error is talk. This folder contains no logic: the library does the work.

mod adapters;
mod archives;
mod args;
mod audit;
mod call_file;
mod call_location;
mod cancel;
mod command_line;
mod completions;
mod context;
mod csv_file;
mod csv_run;
mod defaults;
mod demo;
mod doctor;
mod error;
mod eval;
mod files_in_use;
mod follow;
#[cfg(test)]
mod hints;
mod inspect;
mod invoke;
mod kept_patches;
mod learnings;
mod live_page;
mod man;
mod mcp;
mod notices;
mod patch_output;
mod plan_run;
mod progress;
mod replay_worker;
mod report_files;
mod report_result;
mod resume;
mod resume_csv;
mod rows;
mod run;
mod runs;
mod runs_gc;
mod simulate;
mod single_steps;
mod skill;
mod slice_outcome;
mod spawn;
mod spawn_input;
mod st;
mod stats;
mod step_summary;
mod stop;
mod terminal;
mod typed_options;
mod undo;
mod watch;
mod wave;
mod wave_bundle;
mod wave_slices;
mod workbook;

use crate::adapter::WORKER_COMMAND;
use crate::mcp::DETACHED;
use crate::platform::{sandbox, threads};
use args::{Cli, Command};
use error::CliError;
use std::ffi::OsString;
use std::process::ExitCode;
use terminal::Terminal;

/// Parses the command line, runs the command, and returns an exit code (CONTRACT, "Exit codes").
pub fn main() -> ExitCode {
    if let Some(code) = run_as_worker() {
        return code;
    }
    completions::answer();
    stop::outlive_file_size_limit();
    let parsed = defaults::parse(leave_session(std::env::args_os().collect()));
    let (cli, context) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return error.report(&Terminal::plain()),
    };
    // The panic has printed its message already, and the run is resumable like any other.
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| dispatch(cli, &context))) {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(error)) => error.report(&context.terminal),
        Err(_) => {
            context
                .terminal
                .warn("internal error of mesh; please report the message above");
            ExitCode::from(70)
        }
    }
}

/// Whether the command computes nothing in parallel.
fn is_simple(command: &Command) -> bool {
    matches!(
        command,
        Command::Spawn(_)
            | Command::Cancel(_)
            | Command::Runs(_)
            | Command::St(_)
            | Command::Skill(_)
            | Command::Learnings(_)
            | Command::ReportResult(_)
            | Command::Completions(_)
            | Command::Man(_)
    )
}

/// Leaves the session of the parent process if the first argument asks for it, and gives the other ones.
fn leave_session(mut args: Vec<OsString>) -> Vec<OsString> {
    if args.get(1).is_some_and(|arg| arg == DETACHED) {
        args.remove(1);
        // Fails only for the leader of a process group, which is detached already.
        let _ = rustix::process::setsid();
    }
    args
}

/// The commands that are started once for each row: they skip the command line's parser, which takes
/// longer than they do. The sandbox also comes before anything that starts a thread.
fn run_as_worker() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if mcp::is_worker(std::env::args_os().skip(1)) {
        return Some(match mcp::serve_worker() {
            Ok(code) => ExitCode::from(code),
            Err(error) => error.report(&Terminal::plain()),
        });
    }
    let (result, code) = match args.next()?.to_str()? {
        sandbox::COMMAND => (sandbox::main(args).map_err(CliError::from), 127),
        WORKER_COMMAND => (replay_worker::execute(args), 2),
        _ => return None,
    };
    Some(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.report(&Terminal::plain());
            ExitCode::from(code)
        }
    })
}

fn dispatch(cli: Cli, context: &context::Context) -> Result<u8, CliError> {
    if !is_simple(&cli.command) {
        threads::start_pool()?;
    }
    match cli.command {
        Command::Run(args) => run::execute(&args.options, &args.extras, context),
        Command::Invoke(args) => invoke::execute(&args, context),
        Command::Spawn(args) => spawn::execute(&args, context),
        Command::Resume(args) => resume::execute(&args, context),
        Command::Cancel(args) => cancel::execute(&args, context),
        Command::Undo(args) => undo::execute(&args, context),
        Command::Inspect(args) => inspect::execute(&args, context),
        Command::Audit(args) => audit::execute(&args, context),
        Command::Skill(args) => skill::execute(&args, context),
        Command::Watch(args) => watch::execute(&args, context),
        Command::Runs(args) => runs::execute(&args, context),
        Command::Stats(args) => stats::execute(&args, context),
        Command::Eval(args) => eval::execute(&args, context),
        Command::St(args) => {
            let json = context.terminal.json;
            let mut out = terminal::Pieces::new(std::io::stdout().lock());
            st::run(&args, &context.folder, json, &mut out)?;
            Ok(0)
        }
        Command::Learnings(args) => learnings::execute(&args, context),
        Command::ReportResult(args) => report_result::execute(&args, context),
        Command::Collect(args) => single_steps::collect(&args, context),
        Command::Integrate(args) => single_steps::integrate(&args, context),
        Command::Wave(command) => wave::execute(&command, context),
        Command::Mcp(args) => mcp::execute(&args, context),
        Command::Adapters => adapters::execute(context),
        Command::Doctor(args) => doctor::execute(&args, context),
        Command::Completions(args) => completions::execute(&args),
        Command::Man(args) => man::execute(&args, context),
        Command::Demo(args) => demo::execute(&args, context),
    }
}
