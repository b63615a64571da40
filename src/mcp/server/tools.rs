//! The declarations of the tools: names, descriptions and arguments.
//!
//! The first two have the names and arguments of the original `spawn_agents_on_csv`.

use crate::adapter::REPORT_TOOL;
use serde_json::{Map, Value, json};

/// Runs an agent for every row of a CSV.
pub const SPAWN: &str = "spawn_agents_on_csv";
/// Shows a job, and waits for it.
pub const GET_JOB: &str = "get_agent_job";
/// Lists the failed rows of a job.
pub const FAILED_ROWS: &str = "get_failed_rows";
/// Runs the failed rows again.
pub const RETRY: &str = "retry_failed_rows";
/// Ends a job early.
pub const CANCEL: &str = "cancel_agent_job";
/// Shows one row.
pub const INSPECT_ROW: &str = "inspect_row";
/// Lists the ready tasks of the plan.
pub const READY_TASKS: &str = "list_ready_tasks";
/// Compiles the next wave of a run.
pub const COMPILE_WAVE: &str = "compile_wave";
/// Collects the answers of a wave.
pub const COLLECT_WAVE: &str = "collect_wave";
/// Runs ready tasks of the plan.
pub const RUN_TASKS: &str = "run_ready_tasks";

/// What a tool does to its surroundings.
enum Effect {
    Reads,
    Adds,
    Changes,
}

/// All tools; [`RUN_TASKS`] only if it is allowed.
pub fn all(allow_run: bool) -> Vec<Value> {
    let mut tools = vec![
        spawn(),
        report(),
        get_job(),
        failed_rows(),
        retry(),
        cancel(),
        inspect_row(),
        ready_tasks(),
        compile_wave(),
        collect_wave(),
    ];
    if allow_run {
        tools.push(run_tasks());
    }
    tools
}

fn spawn() -> Value {
    tool(
        SPAWN,
        "Run an agent for every row of a CSV",
        "Process a CSV by running one worker agent per row. The instruction is a template in which {column} is replaced by the cell \
         of the row. Each worker returns one JSON object, which must match output_schema if it is given; rows without one fail. Waits \
         for the job for a limited time and returns its summary, or its state with `status` running: the job goes on by itself, and \
         get_agent_job, or the same call again, waits for the rest. The same call never starts a second job; to run it again, pass \
         another output_csv_path. The results are in output_csv_path: the columns of the input, then job_id, item_id, row_index, \
         source_id, status, attempt_count, last_error, result_json, reported_at, completed_at.",
        Effect::Adds,
        &["csv_path", "instruction"],
        json!({
            "csv_path": text("Path of the CSV with the rows, in the folder of this server."),
            "instruction": text("What to do with each row. {column} is replaced by a cell, {{ and }} by braces."),
            "id_column": text("Column whose cells identify the rows. Omit to use row numbers."),
            "output_csv_path": text("Path of the output CSV, which must not exist. Omit to create one next to the input."),
            "output_schema": {"type": "object", "description": "JSON Schema of each worker's result. Omit to accept any object."},
            "max_concurrency": count("Most workers at once. Defaults to 16 and is capped by the configuration."),
            "max_workers": count("Alias for max_concurrency."),
            "max_runtime_seconds": count("Time limit of one worker. Defaults to 1800 seconds; the configuration may differ."),
        }),
    )
}

fn report() -> Value {
    tool(
        REPORT_TOOL,
        "Report the result of an item",
        "Worker-only tool to report a result for an item of a job. Main agents should not call this.",
        Effect::Adds,
        &["job_id", "item_id", "result"],
        json!({
            "job_id": text("The job."),
            "item_id": text("The item."),
            "result": {"type": "object", "description": "The result of this item."},
            "stop": flag("True ends the job early: no further items are started."),
        }),
    )
}

fn get_job() -> Value {
    tool(
        GET_JOB,
        "Show a job, or wait for it",
        "The state of a job or run: counts, output_csv_path, errors, and what to call next. With wait_seconds, waits until it ends, but \
         no longer than the limit of this server.",
        Effect::Reads,
        &["job_id"],
        json!({"job_id": job_id(), "wait_seconds": whole("How long to wait for the end. Defaults to 0.", 0)}),
    )
}

fn failed_rows() -> Value {
    tool(
        FAILED_ROWS,
        "List the failed rows of a job",
        "The rows that failed, each with the last error and the path of its log.",
        Effect::Reads,
        &["job_id"],
        json!({
            "job_id": job_id(),
            "offset": whole("How many failed rows to skip. Defaults to 0.", 0),
            "limit": count("The most rows to return. Defaults to 50."),
        }),
    )
}

fn retry() -> Value {
    tool(
        RETRY,
        "Run the failed rows again",
        "Runs the failed rows of an ended job again, and those that were not started, in the same job and with the same output. Waits \
         like spawn_agents_on_csv.",
        Effect::Changes,
        &["job_id"],
        json!({"job_id": job_id()}),
    )
}

fn cancel() -> Value {
    tool(
        CANCEL,
        "End a job early",
        "No further rows start; running rows finish, or are terminated with now. The results so far are in the output. \
         retry_failed_rows goes on with the rest.",
        Effect::Changes,
        &["job_id"],
        json!({"job_id": job_id(), "now": flag("Terminate the running rows as well. Defaults to false.")}),
    )
}

fn inspect_row() -> Value {
    tool(
        INSPECT_ROW,
        "Show one row in full",
        "The prompt of a row, its attempts with their errors and the paths of their logs, its result and the verdict on it.",
        Effect::Reads,
        &["job_id", "item_id"],
        json!({"job_id": job_id(), "item_id": text("The item_id of the row, or its number from 1 on.")}),
    )
}

fn ready_tasks() -> Value {
    tool(
        READY_TASKS,
        "List the ready tasks of the plan",
        "The pending tasks of the $st plan whose dependencies are completed.",
        Effect::Reads,
        &[],
        json!({"plan_file": plan_file()}),
    )
}

fn compile_wave() -> Value {
    tool(
        COMPILE_WAVE,
        "Compile the next waves of a run",
        "Without mesh_run_id, starts a run of ready tasks; else continues one. Returns the waves that await answers: csv_path, call_path \
         and output_csv_path of each, and the folder of a copy of the repository. Run their rows elsewhere and then call collect_wave. \
         Changes no file of the repository but the plan.",
        Effect::Adds,
        &[],
        json!({
            "mesh_run_id": text("The run to continue, with the settings that it was started with."),
            "ids": ids(),
            "max_tasks": count("The most tasks of a new run. Defaults to 1."),
            "parallel_tasks": count("The most tasks of a new run in flight at once."),
            "plan_file": plan_file(),
        }),
    )
}

fn collect_wave() -> Value {
    tool(
        COLLECT_WAVE,
        "Collect the answers of waves",
        "Checks the answers of the waves of a run and judges every wave whose rows are all answered. Then call compile_wave for the next \
         waves.",
        Effect::Adds,
        &["mesh_run_id"],
        json!({
            "mesh_run_id": text("The run."),
            "answers_path": text("An output CSV, or a folder with ID.json for each row. Omit to read the output_csv_path of every wave."),
            "wave": count("Only this wave. Defaults to all that wait."),
            "give_up": flag("Judge rows without an answer as failed instead of waiting for them. Defaults to false."),
        }),
    )
}

fn run_tasks() -> Value {
    tool(
        RUN_TASKS,
        "Run ready tasks of the plan",
        "Runs tasks of the $st plan: proposal, critiques, synthesis, votes; then applies and validates the accepted patch in the work \
         tree. Waits like spawn_agents_on_csv, and the same call again attaches to a run that is going on.",
        Effect::Changes,
        &[],
        json!({
            "ids": ids(),
            "max_tasks": count("The most tasks. Defaults to 1."),
            "parallel_tasks": count("The most tasks in flight at once."),
            "plan_file": plan_file(),
        }),
    )
}

fn tool(
    name: &str,
    title: &str,
    description: &str,
    effect: Effect,
    required: &[&str],
    properties: Value,
) -> Value {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), properties);
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema.insert("additionalProperties".to_owned(), json!(false));
    json!({
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": schema,
        "annotations": {
            "readOnlyHint": matches!(effect, Effect::Reads),
            "destructiveHint": matches!(effect, Effect::Changes),
            "idempotentHint": matches!(effect, Effect::Reads) || name == SPAWN,
            "openWorldHint": matches!(name, SPAWN | RETRY | RUN_TASKS),
        },
    })
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn flag(description: &str) -> Value {
    json!({"type": "boolean", "description": description})
}

fn count(description: &str) -> Value {
    whole(description, 1)
}

fn whole(description: &str, minimum: u64) -> Value {
    json!({"type": "integer", "minimum": minimum, "description": description})
}

fn job_id() -> Value {
    text("The job_id or mesh_run_id of an earlier answer.")
}

fn plan_file() -> Value {
    text("The plan. Omit to use the one of the repository.")
}

fn ids() -> Value {
    json!({"type": "array", "items": {"type": "string"}, "description": "Only these tasks. Omit for the next ready ones."})
}
