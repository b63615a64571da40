//! `mesh wave simulate`: reads plan, protocols and durations, and prints the predictions.

use super::args::SimulateArgs;
use super::context::Context;
use super::csv_file::CsvFile;
use super::error::{CliError, with_causes};
use super::terminal::Tone;
use crate::executor::slurm;
use crate::model::RunId;
use crate::plan::{ItemId, Metadata, Plan, ResolveError, Store};
use crate::platform::Repo;
use crate::run::{ProtocolSearchPath, Protocols, RunError, RunFolder};
use crate::schedule::{Concurrency, Limits, TaskArithmetic, TaskLimit};
use crate::scope::Reach;
use crate::simulate::{Durations, Given, Learned, Setup, Simulation, SimulationReport};
use crate::{ledger, plan};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// `-j` of a run.
const CONCURRENCY_DEFAULT: u64 = 16;

/// Predicts a run and prints the predictions.
pub fn execute(args: &SimulateArgs, context: &Context) -> Result<u8, CliError> {
    if let (Some(_), Some(rows), Some(nodes)) =
        (args.cluster.executor, args.cluster.rows, args.cluster.nodes)
    {
        return simulate_cluster(&setup(args, rows, nodes), context);
    }
    // Works outside of a repository too.
    let root = Repo::find(&context.folder)
        .map_or_else(|_| context.folder.clone(), |repo| repo.root().to_owned());
    let plan_file = find_plan(args, &root, context)?;
    let plan = Store::at(&plan_file).read()?;
    let closure = closure(&plan, &args.plan.ids)?;
    let search_path = ProtocolSearchPath {
        root: &root,
        named: &context.config.protocols,
    };
    let protocols = Protocols::load(&args.plan.protocol, search_path, args.plan.overrides())?;
    let protocol_of = |id: &ItemId, metadata: Option<&Metadata>, changed: Option<&str>| {
        let found = protocols.resolve(id, metadata, changed);
        found.map_err(|error| error.to_string())
    };
    let durations = durations(args, &plan, context)?;
    let parallel_tasks = parallel_tasks(args, &protocols);
    let slots = slots(args, parallel_tasks, &protocols);
    let simulation = Simulation::new(Setup {
        plan: &plan,
        closure: closure.as_ref(),
        shared: Reach::new(&args.plan.shared_paths).map_err(RunError::SharedPaths)?,
        slots,
        parallel_tasks: parallel_tasks as usize,
        max_tasks: args.max_tasks.count(),
        protocol_of: &protocol_of,
        lost_votes: args.lost_votes,
        times: &durations,
        // A real dispatch has no better estimates.
        estimates: &durations,
    });
    let dispatches = args.dispatch.dispatches().iter();
    let shown_file = plan_file.strip_prefix(&root).unwrap_or(&plan_file);
    let report = SimulationReport {
        plan_file: shown_file.to_string_lossy().into_owned(),
        protocol: &args.plan.protocol,
        unfinished: simulation.unfinished(),
        parallel_tasks,
        slots: slots.get(),
        cost_per_row: args.cost_per_row,
        durations: &durations,
        predictions: dispatches.map(|how| simulation.predict(*how)).collect(),
    };
    let terminal = &context.terminal;
    for warning in report.warnings() {
        terminal.warn(&warning);
    }
    if report.is_sequential() {
        terminal
            .talk("tasks run one at a time; with parallel_tasks=N, tasks with disjoint scopes run together");
    }
    terminal.data(&match terminal.json {
        true => report.json().to_string(),
        false => report.text(args.waves, |head| terminal.out_tone(Tone::Note, head)),
    })?;
    Ok(0)
}

fn setup(args: &SimulateArgs, rows: u64, nodes: u64) -> slurm::Setup {
    let cluster = &args.cluster;
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    slurm::Setup {
        rows,
        row_seconds: args.row_seconds,
        row_spread: cluster.row_spread,
        rows_per_task: cluster.rows_per_task,
        rows_at_once: count(cluster.rows_at_once),
        array_max: cluster.slurm_array_max,
        max_concurrency: args.max_concurrency.map(count),
        nodes: count(nodes),
        submit_rate: cluster.submit_rate,
        node_failure_rate: cluster.node_failure_rate,
        seed: cluster.seed,
    }
}

fn simulate_cluster(setup: &slurm::Setup, context: &Context) -> Result<u8, CliError> {
    let outcome = setup.simulate();
    let terminal = &context.terminal;
    if let Some(text) = outcome.stop_text() {
        terminal.warn(&text);
    }
    terminal.data(&match terminal.json {
        true => outcome.json().to_string(),
        false => outcome.text(),
    })?;
    Ok(0)
}

fn find_plan(args: &SimulateArgs, root: &Path, context: &Context) -> Result<PathBuf, RunError> {
    let explicit = args.plan.plan_file.as_ref();
    let explicit = explicit.map(|path| context.folder.join(path));
    let found = plan::resolve(root, explicit.as_deref()).map_err(|error| match error {
        // The suggested command runs in the folder of this call.
        ResolveError::Missing { file, .. } if root != context.folder => {
            ResolveError::missing(root, &root.join(file))
        }
        other => other,
    });
    Ok(found?)
}

/// The tasks named by `ids` and their dependencies; `None` if there is no restriction.
fn closure(plan: &Plan, ids: &[String]) -> Result<Option<BTreeSet<ItemId>>, CliError> {
    if ids.is_empty() {
        return Ok(None);
    }
    let ids = ids.iter().map(|id| ItemId::try_from(id.clone()));
    let ids: Vec<ItemId> = ids.collect::<Result<_, _>>()?;
    Ok(Some(plan.closure(&ids)?))
}

/// The number of tasks in flight, as the preflight of `mesh run` would compute it.
fn parallel_tasks(args: &SimulateArgs, protocols: &Protocols) -> u32 {
    match args.plan.parallel_tasks {
        TaskLimit::Number(number) => number,
        TaskLimit::Auto => {
            let number = concurrency(args, usize::MAX).get();
            TaskArithmetic::new(number, protocols.widest_round()).tasks
        }
    }
}

/// The concurrency number, as the preflight of `mesh run` would compute it.
fn slots(args: &SimulateArgs, parallel_tasks: u32, protocols: &Protocols) -> Concurrency {
    let tasks = args.max_tasks.count().min(parallel_tasks as usize);
    concurrency(args, protocols.widest_round().saturating_mul(tasks))
}

fn concurrency(args: &SimulateArgs, rows: usize) -> Concurrency {
    Concurrency::preflight(&Limits {
        allowed: usize::try_from(args.max_concurrency.unwrap_or(CONCURRENCY_DEFAULT))
            .unwrap_or(usize::MAX),
        rows,
        ..Limits::default()
    })
}

fn durations(args: &SimulateArgs, plan: &Plan, context: &Context) -> Result<Durations, CliError> {
    let given = match &args.durations {
        Some(name) => read_given(name, context)?,
        None => Given::default(),
    };
    let is_known = |id: &str| plan.items().iter().any(|item| item.id().as_str() == id);
    let unknown: BTreeSet<&str> = given.tasks().map(|task| task.as_str()).collect();
    let unknown: Vec<&str> = unknown.into_iter().filter(|id| !is_known(id)).collect();
    if let Some(first) = unknown.first() {
        let more = match unknown.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        context.terminal.warn(&format!(
            "the durations name task `{first}`{more}, which the plan does not have"
        ));
    }
    Ok(Durations {
        given,
        learned: read_learned(args, context)?,
        row_default_ms: args.row_seconds.saturating_mul(1000),
    })
}

fn read_given(name: &Path, context: &Context) -> Result<Given, CliError> {
    let file = CsvFile::read(&context.folder.join(name), name)?;
    Given::read(&file.header, &file.rows).map_err(|source| CliError::Durations {
        path: name.to_owned(),
        source,
    })
}

/// Learns from the ledgers of the runs named by `--from-run`, and with `--learn` from all others.
fn read_learned(args: &SimulateArgs, context: &Context) -> Result<Learned, CliError> {
    let mut learned = Learned::default();
    if args.from_run.is_empty() && !args.learn {
        return Ok(learned);
    }
    let home = args.home.folder(context)?;
    let named = args.from_run.iter();
    let named = named.map(|id| RunFolder::find(&home, &RunId::new(id.clone())));
    let mut folders = named.collect::<Result<Vec<_>, _>>()?;
    if args.learn {
        let all = RunFolder::list(&home)?.into_iter();
        let others: Vec<_> = all.filter(|folder| !folders.contains(folder)).collect();
        folders.extend(others);
    }
    for folder in &folders {
        let before = learned.clone();
        let read = ledger::scan(&folder.ledger(), |record, _| {
            learned.apply(&record.event, &record.ts);
        });
        match read {
            Ok(_) => {}
            // With --learn, an unreadable ledger must not keep the others from being used.
            Err(error) if args.learn => {
                context.terminal.warn(&with_causes(&error));
                learned = before;
            }
            Err(error) => return Err(error.into()),
        }
    }
    if learned.rows() == 0 {
        let runs = match folders.len() {
            1 => "the run has".to_owned(),
            many => format!("the {many} runs have"),
        };
        context.terminal.warn(&format!(
            "nothing to learn from: {runs} no row of a plan that ended with a result"
        ));
    }
    Ok(learned)
}
