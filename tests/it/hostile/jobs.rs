//! Jobs: cells, ids, and everything that a worker hands back.

use super::outputs::{look_at_all, on_terminal};
use super::*;
use crate::hostile::matrix::assert_whole;
use serde_json::json;

/// How a row ends: with an answer on standard output, in the file, by a report, by the tool of an agent, or in failure.
const WAYS: [&str; 5] = ["stdout", "file", "report", "tool", "fail"];

/// Prints what is prepared for the row, and hands back its answer in the way that the row says.
const WORKER: &str = r#"cat "prepared/$0.err" >&2
case $1 in
stdout) cat "prepared/$0.prose" "prepared/$0.json";;
file) cat "prepared/$0.prose"; cat "prepared/$0.json" >"$MESH_RESULT_FILE";;
tool) "$MESH" mcp --worker <"prepared/$0.calls" >"prepared/$0.said";;
report) "$MESH" report-result --result "@prepared/$0.json" >"prepared/$0.said";;
fail) cat "prepared/$0.prose"; exit 3;;
esac"#;

/// A CSV in which every text is a cell and an id, and a worker for which every text is an answer, a key of one, prose before it, and
/// a message.
fn prepare(sandbox: &Sandbox, matrix: &mut Matrix) {
    let inputs =
        ["cell", "id", "answer", "key", "prose", "message"].map(|input| matrix.carry(input));
    let [cells, ids, answers, keys, prose, messages] = &inputs;
    let mut table = csv::Writer::from_writer(Vec::new());
    table
        .write_record(["n", "way", "id", "text"])
        .expect("memory");
    std::fs::create_dir(sandbox.path("prepared")).expect("a folder");
    // Failed rows at the front are those that a summary names: what a terminal would act on comes first.
    let (first, rest): (Vec<usize>, Vec<usize>) =
        (0..cells.len()).partition(|at| cells[*at].name.starts_with("terminal"));
    for at in first.into_iter().chain(rest) {
        let put = |ending: &str, content: &[u8]| {
            std::fs::write(sandbox.path(&format!("prepared/{at}.{ending}")), content)
                .expect("written");
        };
        let answer = [
            b"{\"value\":",
            &*answers[at].json(),
            b",",
            &*keys[at].json(),
            b":1}\n",
        ];
        let answer = answer.concat();
        put("json", &answer);
        put("calls", &calls_of_the_tool(&answer));
        put("prose", &[&*prose[at].bytes(), b"\n"].concat());
        put("err", &[b"first\n", &*messages[at].bytes(), b"\n"].concat());
        for way in WAYS {
            // An id with U+0000 is refused before anything starts.
            let id = ids[at].unicode().filter(|id| !id.contains('\0'));
            let id = id.map_or(String::new(), |id| format!("{id} {way}"));
            let cell = cells[at].unicode().unwrap_or_default();
            table
                .write_record([&at.to_string(), way, &id, cell])
                .expect("memory");
        }
    }
    let table = table.into_inner().expect("memory");
    std::fs::write(sandbox.path("in.csv"), table).expect("written");
    let schema = json!({"required": ["value"], "properties": {"value": {}}});
    sandbox.write("schema.json", &schema.to_string());
}

/// What an agent writes to its server of tools to report an answer.
fn calls_of_the_tool(answer: &[u8]) -> Vec<u8> {
    let client = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
    let begin = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
    ];
    let begin = begin.map(|message| format!("{message}\n")).concat();
    let call = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"report_agent_job_result","arguments":{"result":"#;
    [
        begin.as_bytes(),
        call.as_bytes(),
        answer.trim_ascii_end(),
        b"}}}\n",
    ]
    .concat()
}

#[test]
fn cells_ids_and_answers_stay_texts_in_every_output() {
    let (sandbox, mut matrix) = (Sandbox::new(), Matrix::default());
    prepare(&sandbox, &mut matrix);
    sandbox.write("step.md", "");
    let args = Args::from(
        "spawn in.csv --run-id R --id-column id --retries 0 -j 4 -o out.csv --flatten --output-schema schema.json --logs all \
         --instruction {text} --xlsx spawn.xlsx --env MESH --notify",
    );
    let worker = ["cat >>notices", "--", "sh", "-c", WORKER, "{n}", "{way}"];
    let mut command = sandbox.command(args.and(&worker));
    let said = command
        .env("GITHUB_STEP_SUMMARY", sandbox.path("step.md"))
        .run_to_end()
        .exits(1);
    matrix.look("spawn", terminal_is_tame, said.err.as_bytes());
    matrix.look(
        "step summary",
        markdown_has_only_our_markup,
        sandbox.read("step.md").as_bytes(),
    );
    let notices = read_file(sandbox.mesh_home().join("runs/R/notices"));
    matrix.look("--notify", json_is_valid, notices.as_bytes());
    let book = std::fs::read(sandbox.path("spawn.xlsx")).expect("a workbook");
    matrix.look("spawn --xlsx", workbook_is_inert, &book);
    let output = std::fs::read(sandbox.path("out.csv")).expect("an output");
    let texts = matrix.look("output CSV", output_csv_is_inert, &output);
    for input in ["cell", "answer"] {
        assert_whole("output CSV", &corpus::texts(input), &texts);
    }
    look_at_all(&sandbox, &mut matrix, &row_id("path: escape", "fail"));
    let (_, printed) = on_terminal(sandbox.command("resume R --retry-failed"));
    matrix.look("terminal: resume", printed_on_a_terminal_is_tame, &printed);
    matrix.assert_is_as_before("jobs");
    assert_no_canary(&sandbox);
}

/// The id of the row of a text.
fn row_id(name: &str, way: &str) -> String {
    let mut texts = corpus::unicode("id").into_iter();
    let (_, id) = texts
        .find(|(text, _)| text.name.ends_with(name))
        .expect("a text");
    format!("{id} {way}")
}

/// The summary of a step names five failed rows.
#[test]
fn the_summary_of_a_step_shows_every_text_as_text() {
    let (sandbox, mut matrix) = (Sandbox::new(), Matrix::default());
    let (ids, messages) = (matrix.carry("id"), matrix.carry("message"));
    let mut all = String::new();
    for (at, (ids, messages)) in ids.chunks(5).zip(messages.chunks(5)).enumerate() {
        let mut table = csv::Writer::from_writer(Vec::new());
        table.write_record(["n", "id"]).expect("memory");
        for (n, (id, message)) in ids.iter().zip(messages).enumerate() {
            let id = id
                .unicode()
                .filter(|id| !id.contains('\0'))
                .unwrap_or_default();
            table.write_record([&n.to_string(), id]).expect("memory");
            std::fs::write(sandbox.path(&format!("{n}.err")), message.bytes()).expect("written");
        }
        let table = table.into_inner().expect("memory");
        std::fs::write(sandbox.path("in.csv"), table).expect("written");
        sandbox.write("step.md", "");
        let args = Args::from(
            "spawn in.csv --id-column id --retries 0 --force -o out.csv --instruction x --",
        );
        let worker = ["sh", "-c", "cat $0.err >&2; exit 3", "{n}"];
        let mut command = sandbox.command(args.and(&worker));
        command
            .env("GITHUB_STEP_SUMMARY", sandbox.path("step.md"))
            .run_to_end()
            .exits(1);
        let text = sandbox.read("step.md");
        let texts = markdown_has_only_our_markup(text.as_bytes());
        all.push_str(
            &texts
                .unwrap_or_else(|wrong| panic!("summary {at}: {wrong}"))
                .concat(),
        );
    }
    matrix.look("step summary", terminal_is_tame, all.as_bytes());
    matrix.assert_is_as_before("summaries");
    assert_no_canary(&sandbox);
}
