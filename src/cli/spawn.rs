//! `mesh spawn`.

use super::args::SpawnArgs;
use super::context::Context;
use super::csv_run::{Beside, drive_and_report, fit_bounds, reuse_results};
use super::error::CliError;
use super::files_in_use::{in_use, in_use_by_all};
use super::live_page::LivePage;
use super::progress::rows;
use super::report_files::check_files;
use super::resume_csv;
use super::spawn_input::{call, instruction};
use super::terminal::Terminal;
use crate::adapter::AdapterError;
use crate::job::{Selection, Survey, check_depth};
use crate::model::{JobId, RunId, WaveNo, counted};
use crate::platform::Readers;
use crate::platform::sandbox::Choice;
use crate::run::{EarlierRun, InputFile, RunError, RunFolder, SpawnRequest, SpawnRun};
use crate::table::RowsInCell;
use crate::verdict::Schema;
use crate::wave::Call;
use crate::{adapter, job, run};
use std::path::{Path, PathBuf};

/// Checks everything, then runs the rows.
pub fn execute(args: &SpawnArgs, context: &Context) -> Result<u8, CliError> {
    if !args.dry_run {
        check_depth()?;
    }
    let home = args.home.folder(context)?;
    check_reports(args, context)?;
    if let Some(run) = &args.resume {
        return resume_csv::resume_by_input(args, run, &home, context);
    }
    let call = args.call.as_deref().map(|path| call(path, context));
    let call = call.transpose()?;
    let mut request = request(args, call, context)?;
    let input = InputFile::open(&request.job.csv_path, args.sheet.as_deref())?;
    take_input(&mut request, &input, args, context)?;
    request.check_output()?;
    // Checks the user's file before a run exists; the run then uses its own copy.
    let draft = request.job(&RunFolder::dry_run())?;
    draft.result_columns().map_err(RunError::from)?;
    let survey = Survey::take(&draft).map_err(RunError::from)?;
    draft.check_delimiter(&survey).map_err(RunError::from)?;
    let total = survey.total();
    warn_about_input(&survey, &draft, &context.terminal);
    if args.dry_run {
        return dry_run(&draft, &survey, context);
    }
    drop(survey);
    let earlier = match &args.reuse {
        Some(id) => Some(EarlierRun::read(&RunFolder::find(&home, &RunId::new(id))?)?),
        None => None,
    };
    if let Some(earlier) = &earlier {
        earlier.check(&draft, &context.folder)?;
    }
    let claim = request.claim_output()?;
    let page = LivePage::listen(args.watch, &home)?;
    let folder = args.home.create_run(context)?;
    let unstarted = folder.remove_unless_begun();
    let mut spawn_run = SpawnRun::begin(&request, claim, folder, &context.folder)?;
    unstarted.begun();
    context.terminal.talk(&format!(
        "mesh_spawn mesh_run_id={} job_id={} rows={total} adapter={} concurrency={}",
        spawn_run.folder().id(),
        spawn_run.job().job_id,
        request.job.worker.adapter,
        request.job.bounds.max_concurrency,
    ));
    if let Some(earlier) = &earlier {
        reuse_results(&mut spawn_run, earlier, &context.terminal)?;
    }
    let beside = Beside {
        files: args.report.clone(),
        page,
        notices: args.notices.clone(),
    };
    drive_and_report(spawn_run, total, beside, context)
}

/// Reads the rows from the opened input.
fn take_input(
    request: &mut SpawnRequest,
    input: &InputFile,
    args: &SpawnArgs,
    context: &Context,
) -> Result<(), CliError> {
    let job = &mut request.job;
    job.input_path = input.source().to_owned();
    request.is_streamed = input.is_streamed();
    if request.is_streamed {
        request.output_folder.clone_from(&context.folder);
    }
    let Some(converted) = input.sheet() else {
        return Ok(());
    };
    let of_csv = [("--delimiter", "delimiter"), ("--encoding", "encoding")];
    if let Some((option, _)) = of_csv.iter().find(|(_, id)| args.is_typed(id)) {
        return Err(CliError::OptionOfCsv(option, job.csv_path.clone()));
    }
    job.sheet = Some(converted.sheet.clone());
    (job.delimiter, job.encoding) = (None, None);
    if args.sheet.is_none() && !converted.others.is_empty() {
        context.terminal.talk(&format!(
            "reading sheet `{}`; others: {}",
            converted.sheet,
            converted.others.join(", ")
        ));
    }
    if let Some((count, first)) = &converted.merged {
        let ranges = counted(*count as u64, "merged range");
        context.terminal.warn(&format!(
            "sheet `{}` has {ranges}, the first is {first}: only the first cell of a range has its value, the others are empty",
            converted.sheet
        ));
    }
    Ok(())
}

/// Checks the paths of the reports, which must also differ from that of the output.
fn check_reports(args: &SpawnArgs, context: &Context) -> Result<(), CliError> {
    let at = |path: &PathBuf| context.folder.join(path);
    let mut in_use = in_use_by_all(context);
    let read = [
        &args.csv_path,
        &args.instruction_file,
        &args.output_schema,
        &args.call,
    ];
    for path in read.into_iter().flatten() {
        in_use.add_file("is read by this command", at(path));
    }
    if let Some(output) = &args.output_csv_path {
        in_use.reserve("is the output", at(output));
    }
    check_files(&args.report, args.force, in_use, context)
}

fn request(
    args: &SpawnArgs,
    call: Option<Call>,
    context: &Context,
) -> Result<SpawnRequest, CliError> {
    let mut request = own_request(args, context)?;
    let Some(call) = call else {
        return Ok(request);
    };
    request
        .in_use
        .add_file("is the input", call.csv_path.clone());
    request.output_folder = crate::platform::parent(&call.csv_path).to_owned();
    request.output_csv_path = request.output_csv_path.or(call.output_csv_path);
    let job = &mut request.job;
    if let Some(rows) = call.max_concurrency {
        job.bounds.max_concurrency = rows.max(1);
    }
    if let Some(seconds) = call.max_runtime_seconds {
        job.bounds.max_runtime_seconds = seconds.max(1);
    }
    job.input_path.clone_from(&call.csv_path);
    job.csv_path = call.csv_path;
    job.instruction = call.instruction;
    job.id_column = call.id_column;
    job.output_schema = call.output_schema;
    Ok(request)
}

fn own_request(args: &SpawnArgs, context: &Context) -> Result<SpawnRequest, CliError> {
    let at = |path: &Path| context.folder.join(path);
    let instruction = instruction(args, context)?;
    let output_schema = match &args.output_schema {
        Some(path) => Some(Schema::read(&at(path))?.source().clone()),
        None if args.flatten && args.call.is_none() => return Err(CliError::FlattenWithoutSchema),
        None => None,
    };
    let adapters = &context.config.adapters;
    let chosen = adapter::select(&args.worker.agent.choice(), adapters, &context.folder);
    let mut chosen = chosen.map_err(RunError::from)?;
    if chosen.name == adapter::EXTERNAL {
        return Err(RunError::from(AdapterError::ExternalSpawn).into());
    }
    let protected = run::protected_by_csv(&context.folder)?;
    let sandbox = args.worker.agent.sandbox.request(context);
    let note = sandbox.apply(Choice::None, &mut chosen.worker, &protected);
    if let Some(note) = note.map_err(RunError::from)? {
        context.terminal.warn(&note);
    }
    let budget = args.budget.budget();
    chosen.check_budget(&budget).map_err(RunError::from)?;
    let bounds = fit_bounds(
        args.worker.bounds(&args.budget),
        &chosen.capabilities,
        args.worker.remaining(),
    );
    let folder = RunFolder::dry_run();
    Ok(SpawnRequest {
        output_folder: crate::platform::parent(&at(args.input())).to_owned(),
        output_csv_path: args.output_csv_path.as_ref().map(|path| at(path)),
        force: args.force,
        in_use: in_use(args, &chosen.worker, context)?,
        record: args.worker.record.as_ref().map(|path| at(path)),
        reuse: args.reuse.as_deref().map(RunId::new),
        is_streamed: false,
        job: job::Settings {
            run_id: folder.id().clone(),
            job_id: JobId::new(""),
            wave: WaveNo(1),
            input_path: at(args.input()),
            row_index: None,
            csv_path: at(args.input()),
            delimiter: args.delimiter,
            sheet: None,
            encoding: args.encoding.clone(),
            rename: args.rename.clone(),
            instruction,
            id_column: args.id_column.clone(),
            output_csv_path: PathBuf::new(),
            output_readers: Readers::Umask,
            output_schema,
            selection: Selection {
                rows: args.rows.clone(),
                sample: args.sample,
            },
            bounds,
            halt: args.halt,
            max_wall_seconds: args.budget.max_wall_seconds,
            wall_hard: args.budget.wall_hard,
            budget,
            flatten: args.flatten,
            formula_cells: args.formula_cells,
            keep_logs: args.logs,
            result_bytes_max: args.result_bytes_max as usize,
            output_bytes_max: args.output_bytes_max as usize,
            read_text: None,
            agent_protocol: None,
            others: job::OtherWorkers::default(),
            limits: None,
            executor: args.worker.executor.choice()?,
            worker: chosen.worker,
            scratch: folder.scratch(),
            logs: folder.logs(),
            sandbox: None,
        },
    })
}

/// Warns of input that is valid and probably a mistake.
fn warn_about_input(survey: &Survey, job: &job::Settings, terminal: &Terminal) {
    let header = survey.header();
    // A sheet has no quotes and no separators to get wrong.
    let is_csv = job.sheet.is_none();
    if let Some((cell, more)) = survey.rows_in_cells().filter(|_| is_csv) {
        terminal.warn(&rows_in_cell(cell, *more, header, &job.csv_path));
    }
    for name in job.unknown_placeholders(header) {
        terminal.warn(&format!(
            "{{{name}}} in the instruction is not a column; left unchanged; columns: {}",
            header.join(", ")
        ));
    }
    let other = match header {
        [only] if is_csv => {
            crate::table::probable(std::slice::from_ref(only), survey.delimiter(), &[])
        }
        _ => None,
    };
    if let Some(other) = other {
        let shown = crate::table::shown(other.separator);
        let option = crate::table::option(other.separator);
        terminal.warn(&format!(
            "the header is a single column that contains `{shown}`; if that is the separator, pass {option}"
        ));
    }
}

fn rows_in_cell(cell: &RowsInCell, more: u64, header: &[String], path: &Path) -> String {
    let (first, last) = (cell.line, cell.last_line);
    let name = header.get(cell.column - 1).map_or("", String::as_str);
    let more = match more {
        0 => String::new(),
        more => format!(" (and {more} more like it)"),
    };
    format!(
        "{}:{first}: lines {first} to {last} are one row: its cell in column {} ({name}) contains lines that look like rows{more}; if a stray quote caused this, double it (\"\") and quote its field; otherwise ignore this warning",
        path.display(),
        cell.column
    )
}

fn dry_run(job: &job::Settings, survey: &Survey, context: &Context) -> Result<u8, CliError> {
    let prompt = job.first_prompt(survey).map_err(RunError::from)?;
    let total = survey.total();
    let terminal = &context.terminal;
    if terminal.json {
        let object = serde_json::json!({"total_items": total, "max_concurrency": job.bounds.max_concurrency, "first_prompt": prompt});
        terminal.data(&object.to_string())?;
    } else {
        terminal.data(prompt.unwrap_or_default().trim_end())?;
        terminal.talk(&format!(
            "\nDry run: {}, at most {} at once; nothing was started.",
            rows(total),
            job.bounds.max_concurrency
        ));
    }
    Ok(0)
}
