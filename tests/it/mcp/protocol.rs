use super::Client;
use crate::fixture::*;
use serde_json::{Value, json};

#[test]
fn every_version_of_the_protocol_lists_and_calls_the_tools() {
    let sandbox = Sandbox::new();
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut client = Client::connect(&mut sandbox.command("mcp"));
        let answer = client.initialize(version);
        assert_eq!(answer["result"]["protocolVersion"], version);
        client.notify("notifications/initialized", json!({}));
        let tools = client.request("tools/list", json!({}));
        let tools = tools["result"]["tools"].as_array().map(Vec::len);
        assert_eq!(tools, Some(10), "{version}");
        client.refused("get_agent_job", json!({"job_id": "none"}));
        assert_eq!(client.request("ping", json!({}))["result"], json!({}));
        client.close();
    }
    let mut client = Client::connect(&mut sandbox.command("mcp"));
    let answer = client.initialize("1999-01-01");
    assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");
}

#[test]
fn the_version_without_initialize_has_the_same_tools() {
    let sandbox = Sandbox::new();
    let mut client = Client::connect(&mut sandbox.command("mcp"));
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let found = client.request("server/discover", json!({"_meta": meta}));
    let versions = &found["result"]["supportedVersions"];
    assert!(
        versions
            .as_array()
            .is_some_and(|it| it.contains(&json!("2026-07-28"))),
        "{found}"
    );
    let tools = client.request("tools/list", json!({"_meta": meta}));
    assert_eq!(tools["result"]["tools"].as_array().map(Vec::len), Some(10));
    let call = json!({"name": "get_agent_job", "arguments": {"job_id": "none"}, "_meta": meta});
    let answer = client.request("tools/call", call);
    assert_eq!(answer["result"]["isError"], true, "{answer}");
}

#[test]
fn the_tools_and_their_arguments() {
    let sandbox = Sandbox::new();
    let list = |args: &str| {
        let mut client = Client::start(&sandbox, args);
        let answer = client.request("tools/list", json!({}));
        let tools = answer["result"]["tools"].as_array().expect("tools").clone();
        client.close();
        tools
    };
    let shown = |tool: &Value| {
        let schema = &tool["inputSchema"];
        let required: Vec<&str> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let arguments = schema["properties"].as_object().expect("arguments").iter();
        let arguments = arguments.map(|(name, of)| {
            let mark = if required.contains(&name.as_str()) {
                ""
            } else {
                "?"
            };
            format!("{name}{mark}: {}", of["type"].as_str().expect("a type"))
        });
        let arguments = arguments.collect::<Vec<_>>().join(", ");
        let hints = &tool["annotations"];
        let effect = match (&hints["readOnlyHint"], &hints["destructiveHint"]) {
            (Value::Bool(true), _) => "reads",
            (_, Value::Bool(true)) => "changes",
            _ => "adds",
        };
        format!(
            "{} ({arguments}) {effect}\n",
            tool["name"].as_str().expect("a name")
        )
    };
    let all = list("--allow-run");
    insta::assert_snapshot!(all.iter().map(shown).collect::<String>(), @"
    spawn_agents_on_csv (csv_path: string, instruction: string, id_column?: string, output_csv_path?: string, output_schema?: object, max_concurrency?: integer, max_workers?: integer, max_runtime_seconds?: integer) adds
    report_agent_job_result (job_id: string, item_id: string, result: object, stop?: boolean) adds
    get_agent_job (job_id: string, wait_seconds?: integer) reads
    get_failed_rows (job_id: string, offset?: integer, limit?: integer) reads
    retry_failed_rows (job_id: string) changes
    cancel_agent_job (job_id: string, now?: boolean) changes
    inspect_row (job_id: string, item_id: string) reads
    list_ready_tasks (plan_file?: string) reads
    compile_wave (mesh_run_id?: string, ids?: array, max_tasks?: integer, parallel_tasks?: integer, plan_file?: string) adds
    collect_wave (mesh_run_id: string, answers_path?: string, wave?: integer, give_up?: boolean) adds
    run_ready_tasks (ids?: array, max_tasks?: integer, parallel_tasks?: integer, plan_file?: string) changes
    ");
    let manual = read_file(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/mcp.md"));
    for tool in &all {
        let name = tool["name"].as_str().expect("a name");
        let row = manual
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("docs/mcp.md has no row for {name}"));
        for argument in tool["inputSchema"]["properties"]
            .as_object()
            .expect("arguments")
            .keys()
        {
            assert_contains(row, &format!("`{argument}`"));
        }
    }
    let without: Vec<Value> = list("");
    assert_eq!(without, all[..all.len() - 1]);
}

/// The names, types and requirements of the two tools of the original program hold.
#[test]
fn the_original_arguments_are_accepted() {
    let sandbox = Sandbox::new();
    let mut client = Client::start(&sandbox, "");
    let answer = client.request("tools/list", json!({}));
    let tools = answer["result"]["tools"].as_array().expect("tools").clone();
    let names = |at: usize| {
        let properties = tools[at]["inputSchema"]["properties"]
            .as_object()
            .expect("arguments");
        let mut names: Vec<&str> = properties.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(
        names(0),
        [
            "csv_path",
            "id_column",
            "instruction",
            "max_concurrency",
            "max_runtime_seconds",
            "max_workers",
            "output_csv_path",
            "output_schema"
        ]
    );
    assert_eq!(
        tools[0]["inputSchema"]["required"],
        json!(["csv_path", "instruction"])
    );
    assert_eq!(names(1), ["item_id", "job_id", "result", "stop"]);
    assert_eq!(
        tools[1]["inputSchema"]["required"],
        json!(["job_id", "item_id", "result"])
    );
    client.close();
}

#[test]
fn a_message_that_is_none_does_not_end_the_session() {
    let sandbox = Sandbox::new();
    let mut client = Client::start(&sandbox, "");
    for params in [json!({"name": "nothing"}), json!({"name": 7}), json!({})] {
        let answer = client.request("tools/call", params);
        assert!(answer["error"]["code"].is_number(), "{answer}");
    }
    let answer = client.request("nothing", json!({}));
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
    assert_eq!(client.request("ping", json!({}))["result"], json!({}));
    client.close();
}
