//! `mesh demo`: the example plan in a throw-away repository, run end to end with recorded answers.

use super::args::DemoArgs;
use super::context::Context;
use super::error::CliError;
use crate::adapter::{Choice, Configured};
use crate::integrate::{Delivery, Isolation, RepoLock};
use crate::job::{Backoff, Bounds, Budget, RATE_LIMIT_WAIT_MAX_SECONDS};
use crate::model::shell_word;
use crate::plan::SwarmOverrides;
use crate::platform::{Repo, TemporaryFolder, look};
use crate::run::{
    PlanOptions, PlanRun, Request, RoleSources, RunError, RunFolder, SandboxRequest, TaskBudget,
};
use crate::schedule::{Deps, Dispatch, TaskLimit};
use crate::scope::SHARED_PATHS;
use crate::{patch, run};
use include_dir::{Dir, include_dir};
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

static EXAMPLE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/examples/demo");

/// The number of tasks that end completed; the sixth one is blocked on purpose.
const COMPLETED: usize = 5;

/// Creates the repository, runs the plan, and prints what to try next.
pub fn execute(args: &DemoArgs, context: &Context) -> Result<u8, CliError> {
    let terminal = &context.terminal;
    let root = match &args.dir {
        Some(folder) => context.folder.join(folder),
        None => TemporaryFolder::new("mesh-demo-")?.keep(),
    };
    let repo = root.join("repo");
    let answers = root.join("answers");
    for path in [&repo, &answers] {
        if look::is_taken(path).map_err(CliError::unreadable(path))? {
            return Err(CliError::DemoExists(path.clone()));
        }
    }
    unpack(&repo, &answers)?;
    terminal.talk(&format!(
        "A throw-away repository with a plan of six tasks: {}",
        repo.display()
    ));
    terminal.talk(&format!("Its tests before: {}", tests(&repo)?));

    let preflight = run::prepare(&request(&repo, &answers))?;
    let lock = RepoLock::take(&preflight.repo, None).map_err(RunError::from)?;
    let folder = args.home.create_run(context)?;
    let unstarted = folder.remove_unless_begun();
    terminal.talk(&preflight.preflight_line(folder.id()));
    let plan_run = PlanRun::begin(preflight, folder.clone(), lock)?;
    unstarted.begun();
    let (code, report) = super::plan_run::drive(plan_run, terminal)?;
    if code > 1 {
        return Ok(code);
    }
    let tasks = report.map(|report| report.tasks).unwrap_or_default();
    let completed = tasks.iter().filter(|task| task.state == "completed");
    let completed = completed.count();
    if completed != COMPLETED || tasks.len() != COMPLETED + 1 {
        return Err(CliError::Demo(format!(
            "{completed} tasks were completed, expected {COMPLETED}"
        )));
    }
    print_summary(&repo, &folder, context)?;
    Ok(0)
}

fn print_summary(repo: &Path, folder: &RunFolder, context: &Context) -> Result<(), CliError> {
    let terminal = &context.terminal;
    terminal.talk(&format!("\nIts tests after: {}", tests(repo)?));
    terminal.talk("(st-006 is blocked on purpose: its patch was accepted, its validation failed, and the tree was restored.)");
    terminal.talk(&format!(
        "\nThe waves, one CSV each, in {}",
        folder.waves().display()
    ));
    for line in in_columns(&wave_names(folder)?) {
        terminal.talk(&line);
    }
    let mesh = std::env::args().next().unwrap_or_else(|| "mesh".to_owned());
    let mesh = shell_word(&mesh);
    terminal.talk(&format!(
        "\nExplore the result:\n  git -C {0} diff\n  {mesh} -C {0} st show\n  {mesh} runs show {1}",
        shell_word(&repo.to_string_lossy()),
        folder.id()
    ));
    terminal.talk("\nOn your own repository, with your own agent:");
    terminal.talk("  cargo install --path .        (puts mesh on PATH)");
    terminal.talk("  mesh st init && mesh st add --step 'Describe the task'");
    terminal.talk("  mesh run --dry-run -- your-agent");
    Ok(())
}

fn wave_names(folder: &RunFolder) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder.waves())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".csv") && !name.ends_with(".out.csv") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Names in lines of at most 80 columns.
fn in_columns(names: &[String]) -> Vec<String> {
    let width = names.iter().map(String::len).max().unwrap_or_default() + 2;
    let per_line = (78 / width).max(1);
    let line = |chunk: &[String]| {
        let cells: String = chunk.iter().map(|name| format!("{name:<width$}")).collect();
        format!("  {}", cells.trim_end())
    };
    names.chunks(per_line).map(line).collect()
}

fn request(repo: &Path, answers: &Path) -> Request {
    Request {
        folder: repo.to_owned(),
        plan_file: None,
        ids: Vec::new(),
        choice: Choice {
            name: Some("replay".to_owned()),
            answers: Some(answers.to_owned()),
            ..Choice::default()
        },
        roles: RoleSources::default(),
        adapters: Configured::default(),
        sandbox: SandboxRequest::default(),
        remaining: [None, None],
        protected_branches: Vec::new(),
        allow_protected: false,
        is_parallel_auto: false,
        options: options(),
    }
}

fn options() -> PlanOptions {
    PlanOptions {
        max_tasks: TaskLimit::Number(COMPLETED as u32 + 1),
        parallel_tasks: 2,
        parallel_arithmetic: None,
        is_headless: false,
        follow: false,
        // In lock step the waves are always the same; they are the reference waves.
        dispatch: Dispatch::Barrier,
        deps: Deps::Strict,
        shared_paths: SHARED_PATHS.map(str::to_owned).to_vec(),
        protocol: "swarm".to_owned(),
        protocols: BTreeMap::new(),
        swarm: SwarmOverrides::default(),
        validation_allow: Vec::new(),
        trust_proposed_validation: false,
        prevalidate: false,
        isolation: Isolation::default(),
        validation_parallel: 1,
        join: false,
        strict_validation: false,
        integrate: true,
        comment: false,
        delivery: Delivery::default(),
        no_verify: false,
        no_learnings: false,
        strict: false,
        budget: Budget::default(),
        max_wall_seconds: None,
        wall_hard: false,
        task_budget: TaskBudget::default(),
        bounds: Bounds {
            max_concurrency: 16,
            max_runtime_seconds: 60,
            retries: 1,
            grace_seconds: 5,
            max_idle_seconds: None,
            retry_delay: Backoff::default(),
            rate_limit_wait_max_seconds: RATE_LIMIT_WAIT_MAX_SECONDS,
        },
        patch: patch::Limits::default(),
        validation_timeout_seconds: 60,
        executor: crate::job::ExecutorChoice::default(),
        record: None,
        overrides: vec![
            format!("max_tasks={}", COMPLETED + 1),
            "parallel_tasks=2".to_owned(),
        ],
    }
}

/// Writes repository, plan and answers, and makes the first commit, whose id is always the same.
fn unpack(repo: &Path, answers: &Path) -> Result<(), CliError> {
    extract(&EXAMPLE, "repo", repo)?;
    extract(&EXAMPLE, "answers", answers)?;
    let plan = EXAMPLE
        .get_file("plan.jsonl")
        .map(include_dir::File::contents)
        .unwrap_or_default();
    crate::platform::write(&repo.join(".step/st-plan.jsonl"), plan)?;
    let message = "The text toolkit before its tasks";
    Repo::create(repo, message, "2026-02-13T01:50:00Z").map_err(RunError::from)?;
    Ok(())
}

fn extract(from: &Dir<'_>, name: &str, to: &Path) -> io::Result<()> {
    let Some(folder) = from.get_dir(name) else {
        return Ok(());
    };
    let mut open = vec![folder];
    while let Some(next) = open.pop() {
        open.extend(next.dirs());
        for file in next.files() {
            let name = file.path().strip_prefix(folder.path());
            let path = to.join(name.unwrap_or(file.path()));
            crate::platform::private::make_open_folders(crate::platform::parent(&path))?;
            std::fs::write(&path, file.contents())?;
            if file.contents().starts_with(b"#!") {
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
            }
        }
    }
    Ok(())
}

/// Runs the example's own tests: `4 of 7 pass`.
fn tests(repo: &Path) -> Result<String, CliError> {
    let mut scripts: Vec<PathBuf> = std::fs::read_dir(repo.join("tests"))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sh"))
        .collect();
    scripts.sort();
    let passes = |script: &&PathBuf| {
        let run = duct::cmd("/bin/sh", [script]).dir(repo);
        let run = run.stdout_null().stderr_null().stdin_null();
        run.run().is_ok()
    };
    let passing = scripts.iter().filter(passes).count();
    Ok(format!("{passing} of {} pass", scripts.len()))
}
