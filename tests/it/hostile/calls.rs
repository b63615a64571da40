//! Calls of the MCP server: arguments, names of tools, addresses of resources.

use super::*;
use crate::mcp::Client;
use serde_json::json;

#[test]
fn arguments_of_calls_are_answered_as_texts() {
    let (sandbox, mut matrix) = (
        Sandbox::with_repo(&[("in.csv", "id,text\na,b\n")]),
        Matrix::default(),
    );
    sandbox.mesh("st init").exits(0);
    sandbox.mesh("st add --id a --step x").exits(0);
    let mut client = Client::start(&sandbox, "--allow-run -- true");
    let calls = [
        (
            "path",
            "spawn_agents_on_csv",
            json!({"csv_path": "TEXT", "instruction": "x"}),
        ),
        (
            "column",
            "spawn_agents_on_csv",
            json!({"csv_path": "in.csv", "instruction": "x", "id_column": "TEXT"}),
        ),
        (
            "output",
            "spawn_agents_on_csv",
            json!({"csv_path": "in.csv", "instruction": "TEXT", "output_csv_path": "../TEXT"}),
        ),
        ("job", "get_agent_job", json!({"job_id": "TEXT"})),
        (
            "row",
            "inspect_row",
            json!({"job_id": "TEXT", "item_id": "TEXT"}),
        ),
        (
            "result",
            "report_agent_job_result",
            json!({"job_id": "TEXT", "item_id": "TEXT", "result": {"TEXT": "TEXT"}}),
        ),
        ("task", "run_ready_tasks", json!({"ids": ["TEXT"]})),
        ("plan", "list_ready_tasks", json!({"plan_file": "TEXT"})),
        ("argument", "get_agent_job", json!({"TEXT": 1})),
    ];
    for (input, tool, arguments) in calls {
        matrix.carry(input);
        let mut answers = Vec::new();
        for (_, text) in corpus::unicode(input) {
            let quoted = serde_json::to_string(&text).expect("JSON");
            let arguments = arguments
                .to_string()
                .replace("TEXT", &quoted[1..quoted.len() - 1]);
            let arguments = serde_json::from_str::<serde_json::Value>(&arguments).expect("JSON");
            answers
                .push(client.request("tools/call", json!({"name": tool, "arguments": arguments})));
        }
        matrix.look(
            &format!("{tool}: {input}"),
            json_is_valid,
            json!(answers).to_string().as_bytes(),
        );
    }
    for (input, method, name) in [
        ("tool", "tools/call", "name"),
        ("uri", "resources/read", "uri"),
    ] {
        matrix.carry(input);
        let texts = corpus::unicode(input).into_iter();
        let answers: Vec<_> = texts
            .map(|(_, text)| client.request(method, json!({name: text})))
            .collect();
        matrix.look(method, json_is_valid, json!(answers).to_string().as_bytes());
    }
    client.close();
    matrix.assert_is_as_before("calls");
    assert_no_canary(&sandbox);
    let files: Vec<_> = sandbox.tree().into_iter().map(|(name, ..)| name).collect();
    assert_eq!(files, [Path::new(".gitignore"), Path::new("in.csv")]);
}
