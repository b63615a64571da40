//! What agent programs print, as recorded from the versions that `tests/agents/run` pins, and what is made of it.

use super::agent::{AgentSpec, BuiltInProtocol};
use super::command::CommandSpec;
use super::price::Price;
use super::recorded_protocol::{ProtocolSettings, agent_protocol, answer_settings};
use super::registry::{agent_named, agent_names};
use crate::job::{AgentFailure, AgentProtocol, Call, Printed, Reading, Worker};
use crate::model::{Fault, Usage};
use crate::refusal::{Refusal, Reset};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

fn speaker(name: &str) -> BuiltInProtocol {
    BuiltInProtocol {
        agent: agent_named(name).expect("built in"),
        spec: AgentSpec {
            agent: name.to_owned(),
            ..AgentSpec::default()
        },
        mesh: Some("/bin/mesh".into()),
    }
}

fn printed<'o>(is_success: bool, stdout: &'o str, stderr: &'o str) -> Printed<'o> {
    Printed {
        stdout: stdout.as_bytes(),
        stderr: stderr.as_bytes(),
        is_success,
        schema: None,
        used_before: Usage::default(),
    }
}

fn usage(input: u64, cached: u64, output: u64, cost_usd: Option<f64>) -> Option<Usage> {
    Some(Usage {
        input_tokens: input,
        cached_input_tokens: cached,
        output_tokens: output,
        cost_usd,
    })
}

fn text<'r>(reading: &'r Reading<'_>) -> &'r str {
    std::str::from_utf8(&reading.text).expect("text")
}

fn failed(text: &str) -> Option<AgentFailure> {
    Some(AgentFailure::Failed(text.to_owned()))
}

fn limited(text: &str, seconds: Option<u64>) -> Option<AgentFailure> {
    unavailable(text, Fault::RateLimit, seconds)
}

fn unavailable(text: &str, fault: Fault, seconds: Option<u64>) -> Option<AgentFailure> {
    let reset = seconds.map(|seconds| Reset::After(Duration::from_secs(seconds)));
    let refusal = Refusal { fault, reset };
    Some(AgentFailure::Unavailable(text.to_owned(), refusal))
}

const CODEX: &str = r#"{"type":"thread.started","thread_id":"01a2"}
{"type":"item.completed","item":{"id":"item_0","type":"error","message":"Model metadata for `mock` not found."}}
{"type":"turn.started"}
{"type":"item.completed","item":{"id":"item_1","type":"agent_message","text":"I look."}}
{"type":"item.completed","item":{"id":"item_2","type":"agent_message","text":"{\"a\": 1, \"note\": null}"}}
{"type":"turn.completed","usage":{"input_tokens":1000,"cached_input_tokens":400,"cache_write_input_tokens":0,"output_tokens":50,"reasoning_output_tokens":10}}
"#;

#[test]
fn codex_answers_with_its_last_message() {
    let reading = speaker("codex").read(&printed(true, CODEX, ""));
    assert_eq!(text(&reading), r#"{"a": 1, "note": null}"#);
    assert_eq!(reading.usage, usage(1000, 400, 50, None));
    assert_eq!(reading.session.as_deref(), Some("01a2"));
    assert_eq!(reading.failure, None);
}

#[test]
fn codex_gives_totals_of_a_conversation_and_fillers_of_a_strict_schema() {
    let schema = json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}, "note": {"type": "string"}}});
    let reading = speaker("codex").read(&Printed {
        schema: Some(&schema),
        used_before: usage(600, 400, 20, Some(1.0)).expect("some"),
        ..printed(true, CODEX, "")
    });
    assert_eq!(text(&reading), r#"{"a":1}"#);
    assert_eq!(reading.usage, usage(400, 0, 30, None));
}

#[test]
fn codex_failures_are_classified() {
    let failure = |message: &str| {
        let message = serde_json::to_string(message).expect("JSON");
        let stdout = format!(
            "{{\"type\":\"error\",\"message\":\"Reconnecting... 1/5\"}}\n{{\"type\":\"turn.failed\",\"error\":{{\"message\":{message}}}}}\n"
        );
        speaker("codex").read(&printed(false, &stdout, "")).failure
    };
    let limit = "exceeded retry limit, last status: 429 Too Many Requests";
    assert_eq!(failure(limit), limited(limit, None));
    assert_eq!(
        failure("Rate limit reached for m. Please try again in 14s."),
        limited(
            "Rate limit reached for m. Please try again in 14s.",
            Some(14)
        )
    );
    assert_eq!(
        failure(r#"{"type":"error","error":{"code":400,"message":"No such thing"}}"#),
        failed("No such thing")
    );
    let reading = speaker("codex").read(&printed(false, "", "one\n\nno such option\n"));
    assert_eq!(reading.failure, failed("one; no such option"));
    let reading = speaker("codex").read(&printed(
        true,
        "{\"type\":\"error\",\"message\":\"Reconnecting\"}",
        "",
    ));
    assert_eq!(reading.failure, None);
}

const CLAUDE: &str = r#"{"type":"result","subtype":"success","is_error":false,"api_error_status":null,"num_turns":2,
"result":"{\"a\":1}","structured_output":{"a":1},"session_id":"13ea","total_cost_usd":0.00348,
"modelUsage":{"opus":{"inputTokens":500,"outputTokens":50,"cacheReadInputTokens":400,"cacheCreationInputTokens":100,"costUSD":0.00348}}}"#;

fn claude(stdout: &str) -> String {
    stdout.replace('\n', "")
}

#[test]
fn claude_answers_with_its_structured_output_else_with_its_result() {
    let stdout = claude(CLAUDE);
    let reading = speaker("claude").read(&printed(true, &stdout, ""));
    assert_eq!(text(&reading), r#"{"a":1}"#);
    assert_eq!(reading.usage, usage(1000, 400, 50, Some(0.00348)));
    assert_eq!(reading.session.as_deref(), Some("13ea"));
    assert_eq!(reading.failure, None);
    let going_on = speaker("claude").read(&Printed {
        used_before: usage(600, 300, 20, Some(0.002)).expect("some"),
        ..printed(true, &stdout, "")
    });
    assert_eq!(going_on.usage, usage(400, 100, 30, Some(0.00148)));
    let prose = stdout.replace(r#""structured_output":{"a":1},"#, "");
    let reading = speaker("claude").read(&printed(true, &prose, ""));
    assert_eq!(text(&reading), r#"{"a":1}"#);
}

#[test]
fn claude_failures_are_classified() {
    let failure = |stdout: &str| speaker("claude").read(&printed(false, stdout, "")).failure;
    assert_eq!(
        failure(
            r#"{"type":"result","subtype":"error_max_structured_output_retries","is_error":true,"errors":["after 5 attempts: /a: must be string"]}"#
        ),
        Some(AgentFailure::Refused(
            "after 5 attempts: /a: must be string".to_owned()
        ))
    );
    let limit = "API Error: Request rejected (429) · Rate limit reached";
    assert_eq!(
        failure(&format!(
            r#"{{"type":"result","is_error":true,"api_error_status":429,"result":"{limit}"}}"#
        )),
        limited(limit, None)
    );
    assert_eq!(
        failure(r#"{"type":"result","is_error":true,"api_error_status":529,"result":"API Error"}"#),
        limited("API Error", None)
    );
    assert_eq!(
        failure(
            r#"{"type":"result","is_error":true,"api_error_status":null,"result":"You've hit your limit · resets 3pm"}"#
        ),
        Some(AgentFailure::of("You've hit your limit · resets 3pm", &[]))
    );
    for (text, fault) in [
        ("You've reached your Opus weekly limit", Fault::Quota),
        ("Credit balance is too low", Fault::Credit),
        ("Invalid API key · Please run /login", Fault::LogIn),
    ] {
        let end = format!(r#"{{"type":"result","is_error":true,"result":"{text}"}}"#);
        assert_eq!(failure(&end), unavailable(text, fault, None));
    }
    assert_eq!(
        failure(r#"{"type":"result","is_error":true,"api_error_status":401,"result":"Failed"}"#),
        unavailable("Failed", Fault::LogIn, None)
    );
    assert_eq!(
        failure(
            r#"{"type":"result","is_error":true,"api_error_status":400,"result":"API Error: 400 No such thing"}"#
        ),
        failed("API Error: 400 No such thing")
    );
    assert_eq!(
        failure(r#"{"type":"result","is_error":true}"#),
        failed("it failed without a word")
    );
    let reading = speaker("claude").read(&printed(false, "", "error: unknown option"));
    assert_eq!(reading.failure, failed("error: unknown option"));
}

#[test]
fn gemini_answers_at_the_end_and_fails_on_standard_error() {
    let stdout = r#"{"session_id":"53c5","response":"{\"a\":1}","stats":{"models":{
        "m":{"tokens":{"input":600,"prompt":1000,"candidates":50,"total":1060,"cached":400,"thoughts":10,"tool":0}},
        "other":{"tokens":{"prompt":0,"candidates":0,"cached":0,"thoughts":0}}}}}"#;
    let reading = speaker("gemini").read(&printed(true, stdout, "Warning: 256-color support\n"));
    assert_eq!(text(&reading), r#"{"a":1}"#);
    assert_eq!(reading.usage, usage(1000, 400, 60, None));
    assert_eq!(
        (reading.session.as_deref(), reading.failure),
        (Some("53c5"), None)
    );
    let stderr = "    at Turn.run (chunk.js:1:1) {\n  status: 400\n}\n{\n  \"session_id\": \"09\",\n  \"error\": {\n    \"message\": \"{\\\"error\\\":{\\\"message\\\":\\\"No such thing\\\"}}\",\n    \"code\": 400\n  }\n}\n";
    let failure = speaker("gemini").read(&printed(false, "", stderr)).failure;
    assert_eq!(failure, failed("No such thing"));
    let stderr = "Attempt 1 failed with status 429. Retrying with backoff...\nYour quota will reset after 5s.";
    let failure = speaker("gemini").read(&printed(false, "", stderr)).failure;
    assert!(
        matches!(&failure, Some(AgentFailure::Unavailable(_, refusal)) if refusal.reset == Some(Reset::After(Duration::from_secs(5)))),
        "{failure:?}"
    );
    let empty = r#"{"session_id":"1","response":"","error":{"message":"empty response"}}"#;
    let reading = speaker("gemini").read(&printed(true, empty, ""));
    assert_eq!((reading.session, reading.failure), (None, None));
}

#[test]
fn an_error_without_an_answer_counts_after_an_exit_with_0() {
    let limit =
        "You have exhausted your capacity on this model. Your quota will reset after 5m16s.";
    let quota = || unavailable(limit, Fault::Quota, Some(316));
    let down = "fetch failed: connect ECONNREFUSED 1.2.3.4:443";
    let envelopes = [
        (
            "gemini",
            r#"{"session_id":"s","error":{"type":"Error","message":"TEXT","code":1}}"#,
            r#"{"session_id":"s","response":"{}","error":{"type":"Error","message":"TEXT"}}"#,
        ),
        (
            "codex",
            r#"{"type":"error","message":"TEXT"}"#,
            "{\"type\":\"error\",\"message\":\"TEXT\"}\n{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":\"{}\"}}",
        ),
        (
            "claude",
            r#"{"type":"result","subtype":"error_during_execution","is_error":false,"errors":["TEXT"]}"#,
            r#"{"type":"result","subtype":"success","is_error":false,"result":"{}","errors":["TEXT"]}"#,
        ),
    ];
    for (name, error, answer) in envelopes {
        let failure = |envelope: &str, message: &str| {
            let stdout = envelope.replace("TEXT", message);
            speaker(name).read(&printed(true, &stdout, "")).failure
        };
        assert_eq!(failure(error, limit), quota(), "{name}");
        assert_eq!(failure(error, down), failed(down), "{name}");
        assert_eq!(failure(answer, limit), None, "{name}");
    }
    let event = r#"{"type":"error","error":{"name":"APIError","data":{"message":"TEXT"}}}"#;
    let stdout = event.replace("TEXT", limit);
    let reading = speaker("opencode").read(&printed(true, &stdout, ""));
    assert_eq!(reading.failure, quota());
}

#[test]
fn opencode_answers_in_parts_and_fails_in_events() {
    let stdout = concat!(
        r#"{"type":"step_start","sessionID":"ses_1","part":{"messageID":"m1"}}"#,
        "\n",
        r#"{"type":"text","sessionID":"ses_1","part":{"messageID":"m1","text":"I look."}}"#,
        "\n",
        r#"{"type":"step_finish","sessionID":"ses_1","part":{"tokens":{"input":100,"output":5,"reasoning":0,"cache":{"write":0,"read":0}},"cost":0}}"#,
        "\n",
        r#"{"type":"text","sessionID":"ses_1","part":{"messageID":"m2","text":"{\"a\":"}}"#,
        "\n",
        r#"{"type":"text","sessionID":"ses_1","part":{"messageID":"m2","text":" 1}"}}"#,
        "\n",
        r#"{"type":"step_finish","sessionID":"ses_1","part":{"tokens":{"input":600,"output":50,"reasoning":2,"cache":{"write":0,"read":400}},"cost":0.5}}"#,
        "\n",
    );
    let reading = speaker("opencode").read(&printed(true, stdout, ""));
    assert_eq!(text(&reading), r#"{"a": 1}"#);
    assert_eq!(reading.usage, usage(1100, 400, 57, Some(0.5)));
    assert_eq!(
        (reading.session.as_deref(), reading.failure),
        (Some("ses_1"), None)
    );
    let failure = |data: &str| {
        let stdout = format!(r#"{{"type":"error","error":{{"name":"APIError","data":{data}}}}}"#);
        speaker("opencode")
            .read(&printed(false, &stdout, ""))
            .failure
    };
    assert_eq!(
        failure(
            r#"{"message":"slow down","statusCode":429,"responseHeaders":{"retry-after":"7"}}"#
        ),
        limited("slow down", Some(7))
    );
    assert_eq!(
        failure(r#"{"message":"No such thing","statusCode":400}"#),
        failed("No such thing")
    );
    assert_eq!(failure("{}"), failed("APIError"));
}

#[test]
fn foreign_output_breaks_no_agent() {
    for name in agent_names() {
        for stdout in [
            "",
            "\u{fffd}{",
            "[]",
            "null\n7\n\"x\"",
            r#"{"type":7}"#,
            r#"{"type":"text","part":[]}"#,
        ] {
            let reading = speaker(name).read(&printed(true, stdout, ""));
            assert_eq!(
                (text(&reading), reading.failure.as_ref()),
                ("", None),
                "{name}: {stdout}"
            );
        }
    }
}

fn args(name: &str, spec: AgentSpec, call: &Call<'_>) -> String {
    let speaker = BuiltInProtocol {
        spec,
        ..speaker(name)
    };
    speaker.call(call).args.join(" ")
}

#[test]
fn every_agent_is_called_read_only() {
    let schema = json!({"$schema": "x", "type": "object", "properties": {"a": {"type": "string"}}});
    let first = Call {
        folder: Path::new("/s"),
        schema: Some(&schema),
        session: None,
        may_follow: false,
    };
    let again = Call {
        session: Some("S"),
        may_follow: true,
        schema: None,
        ..first
    };
    let spec = || AgentSpec {
        model: Some("M".to_owned()),
        effort: Some("high".to_owned()),
        args: vec!["--more".to_owned()],
        ..AgentSpec::default()
    };
    insta::assert_snapshot!(args("codex", AgentSpec::default(), &first), @r#"exec --json --skip-git-repo-check --ignore-user-config --ignore-rules --ephemeral --output-schema /s/codex-schema.json -c sandbox_mode="read-only" -c approval_policy="never" -c web_search="disabled" -c features.multi_agent=false -c features.goals=false -c check_for_update_on_startup=false -c shell_environment_policy.inherit="core" -c mcp_servers.mesh.command="/bin/mesh" -c mcp_servers.mesh.args=["mcp","--worker"] -c mcp_servers.mesh.env_vars=["MESH_REPORT_SOCKET","MESH_REPORT_TOKEN","MESH_ITEM_ID","MESH_ATTEMPT","MESH_SCHEMA_FILE"] -c mcp_servers.mesh.default_tools_approval_mode="approve" -"#);
    let codex = args("codex", spec(), &again);
    assert!(
        codex.starts_with("exec resume S --json ")
            && !codex.contains("--ephemeral")
            && !codex.contains("--output-schema"),
        "{codex}"
    );
    assert!(
        codex.contains(" -m M ")
            && codex.contains("-c model_reasoning_effort=\"high\"")
            && codex.ends_with(" --more -"),
        "{codex}"
    );
    insta::assert_snapshot!(args("claude", AgentSpec::default(), &first), @r#"-p --output-format json --tools Read,Grep,Glob --permission-mode dontAsk --strict-mcp-config --setting-sources  --json-schema {"type":"object","properties":{"a":{"type":"string"}}} --mcp-config /s/claude-mcp.json --allowedTools mcp__mesh__report_agent_job_result --no-session-persistence"#);
    insta::assert_snapshot!(args("claude", spec(), &again), @"-p --output-format json --tools Read,Grep,Glob --permission-mode dontAsk --strict-mcp-config --setting-sources  --mcp-config /s/claude-mcp.json --allowedTools mcp__mesh__report_agent_job_result --model M --effort high --resume S --more");
    insta::assert_snapshot!(args("gemini", spec(), &again), @"--output-format json --approval-mode plan --skip-trust --extensions none --model M --resume S --more");
    insta::assert_snapshot!(args("opencode", spec(), &again), @"run --format json --pure --title mesh --model M --variant high --session S --more");
    let env = speaker("opencode").call(&first).env;
    assert!(
        env[0].0 == "OPENCODE_PERMISSION" && env[0].1.starts_with(r#"{"*":"deny","#),
        "{env:?}"
    );
}

#[test]
fn the_shared_files_contain_no_secret() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let files = speaker("claude").files(Some(&schema));
    assert_eq!(files.len(), 1);
    assert!(
        files[0]
            .1
            .contains("\"MESH_REPORT_TOKEN\": \"${MESH_REPORT_TOKEN:-}\""),
        "{}",
        files[0].1
    );
    let files = speaker("codex").files(Some(&schema));
    assert!(
        files[0].1.contains("\"additionalProperties\": false"),
        "{}",
        files[0].1
    );
    assert!(
        speaker("codex")
            .files(Some(&json!({"type": "object"})))
            .is_empty()
    );
}

#[test]
fn a_price_turns_tokens_into_cost() {
    let mut codex = speaker("codex");
    codex.spec.price = Some(Price {
        input: 1.0,
        cached_input: Some(0.0),
        output: 10.0,
    });
    let reading = codex.read(&printed(true, CODEX, ""));
    assert_eq!(reading.usage, usage(1000, 400, 50, Some(0.0011)));
}

#[test]
fn the_output_of_a_command_is_read_by_its_settings() {
    let spec: CommandSpec = serde_json::from_value(json!({
        "result": "file",
        "usage": {"input_tokens": "/usage/in", "output_tokens": "/usage/out", "cost_usd": "/cost"},
        "rate_limit_patterns": ["come back later"],
    }))
    .expect("a spec");
    let reading = spec.read(&printed(
        true,
        "log\n{\"usage\":{\"in\":7,\"out\":2},\"cost\":0.5}\n",
        "",
    ));
    assert_eq!(
        (text(&reading), reading.usage),
        ("", usage(7, 0, 2, Some(0.5)))
    );
    assert_eq!(spec.read(&printed(true, "{\"a\":1}", "")).usage, None);
    assert_eq!(spec.read(&printed(true, "nothing", "")).usage, None);
    let failure = |is_success, stderr| spec.read(&printed(is_success, "", stderr)).failure;
    assert_eq!(
        failure(false, "x\ncome back later\n"),
        limited("x\ncome back later", None)
    );
    assert_eq!(
        failure(false, "HTTP 429, retry-after: 3"),
        limited("HTTP 429, retry-after: 3", Some(3))
    );
    assert_eq!(failure(false, "some other thing"), None);
    assert_eq!(failure(true, "come back later"), None);
}

#[test]
fn the_recorded_settings_restore_the_agent_protocol() {
    let worker = |speaks| Worker {
        adapter: "x".to_owned(),
        program: "/bin/true".into(),
        fixed_args: Vec::new(),
        args: Vec::new(),
        folder: "/".into(),
        env_names: Vec::new(),
        speaks,
        sandbox: None,
    };
    assert!(
        agent_protocol(&worker(Value::Null))
            .expect("none")
            .is_none()
    );
    let speaks = ProtocolSettings::Agent(speaker("claude").spec).to_value();
    let there = agent_protocol(&worker(speaks))
        .expect("known")
        .expect("one");
    assert!(there.has_service() && there.result_instructions().is_some());
    let priced = |price| {
        let mut spec = speaker("codex").spec;
        spec.price = price;
        answer_settings(&worker(ProtocolSettings::Agent(spec).to_value()))
    };
    let price = Price {
        input: 1.0,
        cached_input: None,
        output: 2.0,
    };
    assert_eq!(priced(Some(price)), priced(None), "a price asks nothing");
    let message = |speaks| {
        agent_protocol(&worker(speaks))
            .expect_err("refused")
            .to_string()
    };
    assert!(message(json!({"agent": {"agent": "gpt"}})).ends_with("there is no agent `gpt`"));
    assert!(message(json!({"alien": {}})).contains("unknown variant `alien`"));
}
