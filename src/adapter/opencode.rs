//! `opencode run`: JSON Lines of parts; the schema is only in the prompt.
//!
//! Read-only by its permissions: everything except reading is denied. The log-in and the providers are the user's.

use super::agent::{Agent, Setting, count_at, events, stderr_failure, text_at};
use super::capabilities::SchemaBy;
use crate::job::{AgentFailure, Call, Invocation, Printed, Reading};
use crate::model::Usage;
use crate::refusal::Reset;
use serde_json::Value;
use std::time::Duration;

/// The program.
pub(super) const AGENT: Agent = Agent {
    name: "opencode",
    install: "npm install -g opencode-ai",
    tried: "1.18.33",
    env: &[
        "OPENCODE_*",
        "OPENAI_*",
        "ANTHROPIC_*",
        "GEMINI_*",
        "GOOGLE_*",
        "OPENROUTER_*",
        "AWS_*",
    ],
    state: &[
        ("XDG_DATA_HOME", ".local/share", "opencode"),
        ("XDG_STATE_HOME", ".local/state", "opencode"),
        ("XDG_CONFIG_HOME", ".config", "opencode"),
    ],
    schema: SchemaBy::Prompt,
    gives_cost: true,
    has_tool: false,
    has_effort: true,
    files: |_, _| Vec::new(),
    call,
    read,
};

const PERMISSIONS: &str =
    r#"{"*":"deny","read":"allow","grep":"allow","glob":"allow","list":"allow"}"#;

fn call(setting: &Setting<'_>, call: &Call<'_>) -> Invocation {
    let spec = setting.spec;
    // With a given title it does not ask a model for one.
    let flags = ["run", "--format", "json", "--pure", "--title", "mesh"];
    let mut args: Vec<String> = flags.map(str::to_owned).to_vec();
    let mut option = |name: &str, value: &str| args.extend([name.to_owned(), value.to_owned()]);
    if let Some(model) = &spec.model {
        option("--model", model);
    }
    if let Some(effort) = &spec.effort {
        option("--variant", effort);
    }
    if let Some(session) = call.session {
        option("--session", session);
    }
    args.extend(spec.args.iter().cloned());
    Invocation {
        args,
        defaults: vec![("OPENCODE_DISABLE_AUTOUPDATE", "1".to_owned())],
        env: vec![("OPENCODE_PERMISSION", PERMISSIONS.to_owned())],
        ..Invocation::default()
    }
}

fn read<'o>(printed: &Printed<'o>, patterns: &[String]) -> Reading<'o> {
    let mut reading = Reading::default();
    let (mut message, mut text) = (String::new(), String::new());
    let mut error = None;
    for event in events(printed.stdout) {
        if let Some(id) = text_at(&event, "/sessionID") {
            reading.session = Some(id.to_owned());
        }
        match text_at(&event, "/type").unwrap_or_default() {
            "text" => {
                // The answer is the last message, which may have several parts.
                let id = text_at(&event, "/part/messageID").unwrap_or_default();
                if id != message {
                    message = id.to_owned();
                    text.clear();
                }
                text.push_str(text_at(&event, "/part/text").unwrap_or_default());
            }
            "step_finish" => *reading.usage.get_or_insert_default() += usage(&event),
            "error" => error = Some(failure(&event, patterns)),
            _ => {}
        }
    }
    reading.text = text.into_bytes().into();
    reading.failure = error.or_else(|| stderr_failure(printed, patterns));
    reading
}

fn usage(event: &Value) -> Usage {
    let count = |name: &str| count_at(event, &format!("/part/tokens/{name}"));
    let cached = count("cache/read");
    Usage {
        input_tokens: count("input") + cached + count("cache/write"),
        cached_input_tokens: cached,
        output_tokens: count("output") + count("reasoning"),
        // 0 also means "unknown".
        cost_usd: event["part"]["cost"].as_f64().filter(|cost| *cost > 0.0),
    }
}

fn failure(event: &Value, patterns: &[String]) -> AgentFailure {
    let message = text_at(event, "/error/data/message")
        .or_else(|| text_at(event, "/error/name"))
        .unwrap_or("it failed without a word");
    let wait = text_at(event, "/error/data/responseHeaders/retry-after");
    let wait = wait.and_then(|seconds| seconds.parse().ok());
    let reset = wait.map(|seconds| Reset::After(Duration::from_secs(seconds)));
    let status = event
        .pointer("/error/data/statusCode")
        .and_then(Value::as_u64);
    let body = text_at(event, "/error/data/responseBody").unwrap_or_default();
    // The kind of a refusal may be in the body only: `FreeUsageLimitError`.
    match AgentFailure::of(body, &[]) {
        AgentFailure::Unavailable(_, refusal) => {
            AgentFailure::Unavailable(message.to_owned(), refusal)
        }
        _ => AgentFailure::with_status(status, message, patterns),
    }
    .until(reset)
}
