//! `gemini`: one JSON object at the end, errors as one on standard error; the schema is only in the prompt.
//!
//! Read-only by its plan mode. The log-in and the settings are the user's.

use super::agent::{Agent, Setting, count_at, is_refusal, stderr_failure, text_at, unwrapped};
use super::capabilities::SchemaBy;
use crate::job::{AgentFailure, Call, Invocation, Printed, Reading};
use crate::model::Usage;
use serde_json::Value;

/// The program.
pub(super) const AGENT: Agent = Agent {
    name: "gemini",
    install: "npm install -g @google/gemini-cli",
    tried: "0.61.0",
    env: &["GEMINI_*", "GOOGLE_*"],
    state: &[("GEMINI_CLI_HOME", "", ".gemini")],
    schema: SchemaBy::Prompt,
    gives_cost: false,
    has_tool: false,
    has_effort: false,
    files: |_, _| Vec::new(),
    call,
    read,
};

fn call(setting: &Setting<'_>, call: &Call<'_>) -> Invocation {
    let spec = setting.spec;
    let flags = [
        "--output-format",
        "json",
        "--approval-mode",
        "plan",
        "--skip-trust",
        "--extensions",
        "none",
    ];
    let mut args: Vec<String> = flags.map(str::to_owned).to_vec();
    if let Some(model) = &spec.model {
        args.extend(["--model".to_owned(), model.clone()]);
    }
    if let Some(session) = call.session {
        args.extend(["--resume".to_owned(), session.to_owned()]);
    }
    args.extend(spec.args.iter().cloned());
    Invocation {
        args,
        ..Invocation::default()
    }
}

fn read<'o>(printed: &Printed<'o>, patterns: &[String]) -> Reading<'o> {
    let end: Value = serde_json::from_slice(printed.stdout).unwrap_or_default();
    let failed = last_object(printed.stderr);
    let answer = text_at(&end, "/response").unwrap_or_default();
    // After an exit with 0 an error may also be that the answer is empty, which is not a failure of the service.
    let counts = |message: &&str| !printed.is_success || answer.is_empty() && is_refusal(message);
    let error = [Some(&end), failed.as_ref()]
        .into_iter()
        .flatten()
        .find_map(|object| text_at(object, "/error/message"))
        .filter(counts);
    // A conversation without an answer is not kept: continuing it would fail.
    let session = text_at(&end, "/session_id").filter(|_| !answer.is_empty());
    Reading {
        text: answer.as_bytes().to_vec().into(),
        usage: usage(&end),
        session: session.map(str::to_owned),
        failure: match error {
            Some(message) => Some(AgentFailure::of(&unwrapped(message), patterns)),
            None => stderr_failure(printed, patterns),
        },
    }
}

/// The object at the end of standard error, after stack traces and warnings.
fn last_object(stderr: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(stderr);
    let text = text.trim_end();
    let begins = text.match_indices("{\n").map(|(at, _)| at);
    let at_line_start = |at: &usize| *at == 0 || text.as_bytes()[at - 1] == b'\n';
    begins
        .filter(at_line_start)
        .find_map(|at| serde_json::from_str(&text[at..]).ok())
}

/// The sum over all models used.
fn usage(end: &Value) -> Option<Usage> {
    let models = end.pointer("/stats/models")?.as_object()?;
    let mut sum = Usage::default();
    for model in models.values() {
        sum += Usage {
            input_tokens: count_at(model, "/tokens/prompt"),
            cached_input_tokens: count_at(model, "/tokens/cached"),
            output_tokens: count_at(model, "/tokens/candidates")
                + count_at(model, "/tokens/thoughts"),
            cost_usd: None,
        };
    }
    Some(sum)
}
