//! `claude -p`: one JSON object at the end; the schema is checked by the program itself, in several turns.
//!
//! Read-only by its list of tools. Settings of the user and the project are not loaded, and neither are their hooks and
//! servers; the log-in is the user's.

use super::agent::{
    Agent, REPORT_TOOL, REPORT_VARIABLES, Setting, count_at, events, stderr_failure, text_at,
};
use super::capabilities::SchemaBy;
use crate::job::{AgentFailure, Call, Invocation, Printed, Reading, SharedFile};
use crate::model::Usage;
use serde_json::{Map, Value, json};

const TOOLS_FILE: &str = "claude-mcp.json";
/// An argument can't be longer than 128 KiB on Linux; a longer schema is only shown in the prompt.
const SCHEMA_BYTES_MAX: usize = 100 * 1024;

/// The program.
pub(super) const AGENT: Agent = Agent {
    name: "claude",
    install: "npm install -g @anthropic-ai/claude-code",
    tried: "2.1.329",
    env: &[
        "ANTHROPIC_*",
        "CLAUDE_CONFIG_DIR",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDE_CODE_USE_VERTEX",
        "CLAUDE_CODE_USE_FOUNDRY",
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS",
        "CLAUDE_CODE_MAX_RETRIES",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        "DISABLE_TELEMETRY",
        "DISABLE_ERROR_REPORTING",
        "DISABLE_AUTOUPDATER",
        "API_TIMEOUT_MS",
        "AWS_*",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "CLOUD_ML_REGION",
    ],
    state: &[
        ("CLAUDE_CONFIG_DIR", ".claude", ""),
        ("", ".claude.json", ""),
    ],
    schema: SchemaBy::Program,
    gives_cost: true,
    has_tool: true,
    has_effort: true,
    files,
    call,
    read,
};

/// The configuration of the report tool's server. It has no token, so all attempts share it.
fn files(setting: &Setting<'_>, _: Option<&Value>) -> Vec<SharedFile> {
    let Some(mesh) = setting.mesh else {
        return Vec::new();
    };
    let env: Map<String, Value> = REPORT_VARIABLES
        .iter()
        .map(|name| ((*name).to_owned(), json!(format!("${{{name}:-}}"))))
        .collect();
    let server =
        json!({"command": mesh.to_string_lossy(), "args": ["mcp", "--worker"], "env": env});
    let file = json!({"mcpServers": {"mesh": server}});
    vec![(TOOLS_FILE, format!("{file:#}\n"))]
}

fn call(setting: &Setting<'_>, call: &Call<'_>) -> Invocation {
    let spec = setting.spec;
    let mut args: Vec<String> = [
        "-p",
        "--output-format",
        "json",
        "--tools",
        "Read,Grep,Glob",
        "--permission-mode",
        "dontAsk",
        "--strict-mcp-config",
        "--setting-sources",
        "",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut option = |name: &str, value: String| args.extend([name.to_owned(), value]);
    if let Some(schema) = call.schema.and_then(schema) {
        option("--json-schema", schema);
    }
    if setting.mesh.is_some() {
        option(
            "--mcp-config",
            call.folder.join(TOOLS_FILE).display().to_string(),
        );
        option("--allowedTools", format!("mcp__mesh__{REPORT_TOOL}"));
    }
    if let Some(model) = &spec.model {
        option("--model", model.clone());
    }
    if let Some(effort) = &spec.effort {
        option("--effort", effort.clone());
    }
    if let Some(session) = call.session {
        option("--resume", session.to_owned());
    }
    if !call.may_follow {
        args.push("--no-session-persistence".to_owned());
    }
    args.extend(spec.args.iter().cloned());
    Invocation {
        args,
        // By default it retries ten times, which takes minutes; `mesh` schedules retries itself.
        defaults: vec![("CLAUDE_CODE_MAX_RETRIES", "2".to_owned())],
        ..Invocation::default()
    }
}

/// The schema as an argument, without `$schema`: the program rejects unknown drafts, though it can check by them.
fn schema(schema: &Value) -> Option<String> {
    let mut schema = schema.clone();
    schema.as_object_mut()?.shift_remove("$schema");
    let text = schema.to_string();
    (text.len() <= SCHEMA_BYTES_MAX).then_some(text)
}

fn read<'o>(printed: &Printed<'o>, patterns: &[String]) -> Reading<'o> {
    let is_end = |event: &Value| text_at(event, "/type") == Some("result");
    let Some(end) = events(printed.stdout).filter(is_end).last() else {
        return Reading {
            failure: stderr_failure(printed, patterns),
            ..Reading::default()
        };
    };
    let text = match &end["structured_output"] {
        Value::Null => text_at(&end, "/result").unwrap_or_default().to_owned(),
        structured => structured.to_string(),
    };
    Reading {
        text: text.into_bytes().into(),
        usage: Some(total(&end) - printed.used_before),
        session: text_at(&end, "/session_id").map(str::to_owned),
        failure: failure(&end, patterns),
    }
}

/// The usage of the whole conversation: the program's totals include earlier attempts.
fn total(end: &Value) -> Usage {
    let mut total = Usage::default();
    for model in end["modelUsage"].as_object().into_iter().flatten() {
        let count = |name: &str| count_at(model.1, name);
        let cached = count("/cacheReadInputTokens");
        total += Usage {
            input_tokens: count("/inputTokens") + cached + count("/cacheCreationInputTokens"),
            cached_input_tokens: cached,
            output_tokens: count("/outputTokens"),
            cost_usd: None,
        };
    }
    total.cost_usd = end["total_cost_usd"].as_f64();
    total
}

fn failure(end: &Value, patterns: &[String]) -> Option<AgentFailure> {
    let errors = end["errors"].as_array().into_iter().flatten();
    let errors: Vec<&str> = errors.filter_map(Value::as_str).collect();
    let text = match (errors.as_slice(), text_at(end, "/result")) {
        ([], result) => result.unwrap_or("it failed without a word").to_owned(),
        (errors, _) => errors.join("; "),
    };
    if text_at(end, "/subtype") == Some("error_max_structured_output_retries") {
        return Some(AgentFailure::Refused(text));
    }
    let has_answer = !end["structured_output"].is_null() || text_at(end, "/result").is_some();
    let has_errors = !errors.is_empty() && !has_answer;
    if end["is_error"] != true && !has_errors {
        return None;
    }
    let status = end["api_error_status"].as_u64();
    Some(AgentFailure::with_status(status, &text, patterns))
}
