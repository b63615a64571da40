//! `codex exec`: JSON Lines of events; the schema goes to the service in strict mode and is not checked by the program.
//!
//! Read-only by its own sandbox. The user's configuration and rules are not loaded, so that a row runs alike on every
//! machine; the log-in is that of `CODEX_HOME`.

use super::agent::{
    Agent, REPORT_VARIABLES, Setting, count_at, events, is_refusal, stderr_failure, text_at,
    unwrapped,
};
use super::capabilities::SchemaBy;
use super::strict;
use crate::job::{AgentFailure, Call, Invocation, Printed, Reading, SharedFile};
use crate::model::Usage;
use crate::verdict::extract;
use serde_json::{Value, json};

const SCHEMA_FILE: &str = "codex-schema.json";

/// The program.
pub(super) const AGENT: Agent = Agent {
    name: "codex",
    install: "npm install -g @openai/codex",
    tried: "0.169.0",
    env: &[
        "CODEX_HOME",
        "CODEX_API_KEY",
        "CODEX_CA_CERTIFICATE",
        "OPENAI_*",
        "AZURE_OPENAI_*",
    ],
    state: &[("CODEX_HOME", ".codex", "")],
    schema: SchemaBy::Service,
    gives_cost: false,
    has_tool: true,
    has_effort: true,
    files,
    call,
    read,
};

/// No questions to the user, no web search, no sub-agents. Commands of the model inherit no keys and tokens.
const QUIET: [&str; 7] = [
    "sandbox_mode=\"read-only\"",
    "approval_policy=\"never\"",
    "web_search=\"disabled\"",
    "features.multi_agent=false",
    "features.goals=false",
    "check_for_update_on_startup=false",
    "shell_environment_policy.inherit=\"core\"",
];

fn files(_: &Setting<'_>, schema: Option<&Value>) -> Vec<SharedFile> {
    let derived = schema.and_then(strict::derive);
    derived
        .map(|schema| (SCHEMA_FILE, format!("{schema:#}\n")))
        .into_iter()
        .collect()
}

fn call(setting: &Setting<'_>, call: &Call<'_>) -> Invocation {
    let spec = setting.spec;
    let mut args = vec!["exec".to_owned()];
    if let Some(session) = call.session {
        args.extend(["resume".to_owned(), session.to_owned()]);
    }
    let flags = [
        "--json",
        "--skip-git-repo-check",
        "--ignore-user-config",
        "--ignore-rules",
    ];
    args.extend(flags.map(str::to_owned));
    if !call.may_follow {
        args.push("--ephemeral".to_owned());
    }
    if call.schema.and_then(strict::derive).is_some() {
        let file = call.folder.join(SCHEMA_FILE).display().to_string();
        args.extend(["--output-schema".to_owned(), file]);
    }
    if let Some(model) = &spec.model {
        args.extend(["-m".to_owned(), model.clone()]);
    }
    let effort = spec.effort.iter();
    let effort = effort.map(|effort| format!("model_reasoning_effort={}", json!(effort)));
    let settings = QUIET.map(str::to_owned).into_iter();
    for setting in settings.chain(effort).chain(tool(setting)) {
        args.extend(["-c".to_owned(), setting]);
    }
    args.extend(spec.args.iter().cloned());
    // After the user's own arguments: the prompt is on standard input.
    args.push("-".to_owned());
    Invocation {
        args,
        ..Invocation::default()
    }
}

/// The report tool. A JSON string is a TOML string as well.
fn tool(setting: &Setting<'_>) -> Vec<String> {
    let Some(mesh) = setting.mesh else {
        return Vec::new();
    };
    let server = |key: &str, value: Value| format!("mcp_servers.mesh.{key}={value}");
    vec![
        server("command", json!(mesh.to_string_lossy())),
        server("args", json!(["mcp", "--worker"])),
        server("env_vars", json!(REPORT_VARIABLES)),
        server("default_tools_approval_mode", json!("approve")),
    ]
}

fn read<'o>(printed: &Printed<'o>, patterns: &[String]) -> Reading<'o> {
    let mut reading = Reading::default();
    let (mut failed, mut last_error) = (None, None);
    for event in events(printed.stdout) {
        match text_at(&event, "/type").unwrap_or_default() {
            "thread.started" => reading.session = text_at(&event, "/thread_id").map(str::to_owned),
            "item.completed" if text_at(&event, "/item/type") == Some("agent_message") => {
                let text = text_at(&event, "/item/text").unwrap_or_default();
                reading.text = text.as_bytes().to_vec().into();
            }
            // The total of the whole conversation, including earlier attempts.
            "turn.completed" => reading.usage = Some(usage(&event) - printed.used_before),
            "turn.failed" => failed = text_at(&event, "/error/message").map(unwrapped),
            // It also reports reconnects.
            "error" => last_error = text_at(&event, "/message").map(unwrapped),
            _ => {}
        }
    }
    let counts =
        |error: &String| !printed.is_success || reading.text.is_empty() && is_refusal(error);
    let said = failed.or(last_error.filter(counts));
    reading.failure = match said {
        Some(text) => Some(AgentFailure::of(&text, patterns)),
        None => stderr_failure(printed, patterns),
    };
    relaxed(reading, printed.schema)
}

fn usage(event: &Value) -> Usage {
    Usage {
        input_tokens: count_at(event, "/usage/input_tokens"),
        cached_input_tokens: count_at(event, "/usage/cached_input_tokens"),
        output_tokens: count_at(event, "/usage/output_tokens"),
        cost_usd: None,
    }
}

/// Converts an answer to the strict derivative into one to the schema.
fn relaxed<'o>(mut reading: Reading<'o>, schema: Option<&Value>) -> Reading<'o> {
    if let Some(schema) = schema
        && let Ok(mut answer) = extract::value(&reading.text)
    {
        strict::relax(schema, &mut answer);
        reading.text = answer.to_string().into_bytes().into();
    }
    reading
}
