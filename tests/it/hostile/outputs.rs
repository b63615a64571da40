//! Every output of a run that has ended.

use super::*;
use crate::mcp::Client;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

/// Reads what the commands print about run `R`, and the files that they write; some commands are about `row`.
pub fn look_at_all(sandbox: &Sandbox, matrix: &mut Matrix, row: &str) {
    let print = |args: &str| sandbox.mesh(args);
    for args in [
        "runs show R",
        "runs show R --failed --verbose",
        "inspect R",
        "inspect R --format table --wide",
        "inspect R --failed",
        "inspect R --where error~Q",
        "stats R",
        "audit R",
        "runs list",
    ] {
        let said = print(args);
        matrix.look(args, terminal_is_tame, said.out.as_bytes());
        terminal_is_tame(said.err.as_bytes()).expect(args);
    }
    let of_row = sandbox.mesh(&["runs", "show", "R", "--row", row]).exits(0);
    matrix.look("runs show --row", terminal_is_tame, of_row.out.as_bytes());
    for args in [
        "runs show R",
        "inspect R --color always",
        "runs show R --failed",
    ] {
        let (_, printed) = on_terminal(sandbox.command(args));
        matrix.look(
            &format!("terminal: {args}"),
            printed_on_a_terminal_is_tame,
            &printed,
        );
    }
    for args in [
        "runs show R --json",
        "inspect R --json",
        "stats R --json",
        "audit R --json",
        "runs list --json",
    ] {
        let said = print(args);
        matrix.look(args, printed_json_is_tame, said.out.as_bytes());
    }
    let of_row = sandbox.mesh(&["runs", "show", "R", "--row", row, "--json"]);
    matrix.look(
        "runs show --row --json",
        printed_json_is_tame,
        of_row.out.as_bytes(),
    );
    files(sandbox, matrix);
    live_page(sandbox, matrix, row);
    server(sandbox, matrix, row);
    assert_names_are_plain(&sandbox.mesh_home());
}

/// The files that a command writes on request, and those in the folder of the run.
fn files(sandbox: &Sandbox, matrix: &mut Matrix) {
    let files: [(&str, &str, matrix::Check); 6] = [
        ("inspect R --html", "page.html", html_has_no_foreign_element),
        ("inspect R --xlsx", "book.xlsx", workbook_is_inert),
        (
            "inspect R --svg timeline",
            "timeline.svg",
            xml_is_well_formed,
        ),
        ("inspect R --otel", "trace.json", json_is_valid),
        ("inspect R --junit", "junit.xml", xml_is_well_formed),
        ("runs show R --junit", "report.xml", xml_is_well_formed),
    ];
    for (args, file, check) in files {
        sandbox.mesh(Args::from(args).and(file));
        let bytes =
            std::fs::read(sandbox.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        matrix.look(args, check, &bytes);
    }
    let ledger = sandbox.mesh_home().join("runs/R/ledger.jsonl");
    let ledger = std::fs::read(ledger).expect("a ledger");
    matrix.look("ledger", ledger_has_a_record_a_line, &ledger);
    sandbox.mesh("runs export R run.tar.zst").exits(0);
    let said = sandbox.mesh("inspect run.tar.zst --json");
    matrix.look(
        "inspect an archive --json",
        printed_json_is_tame,
        said.out.as_bytes(),
    );
}

/// What `mesh watch` serves.
fn live_page(sandbox: &Sandbox, matrix: &mut Matrix, row: &str) {
    let mut watch = sandbox.command("watch --port 0");
    let mut watch = watch
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let mut url = String::new();
    let out = watch.stdout.take().expect("standard output");
    BufReader::new(out).read_line(&mut url).expect("an address");
    let url = url.trim();
    let body = |path: &str| body_of(&format!("{url}{path}")).unwrap_or_else(|| panic!("no {path}"));
    let id: String = row.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let events = body("run/R/events");
    let data = events
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    let data: String = data.collect::<Vec<_>>().join("\n");
    matrix.look(
        "live: list of runs",
        list_has_no_foreign_element,
        body("").as_bytes(),
    );
    matrix.look(
        "live: page",
        html_has_no_foreign_element,
        body("run/R/").as_bytes(),
    );
    matrix.look("live: events", json_is_valid, data.as_bytes());
    // The rows of a job are in wave 0.
    let in_wave = |wave: u32| body_of(&format!("{url}run/R/row?wave={wave}&id={id}"));
    let of_row = (0..40).find_map(in_wave).expect("the row");
    matrix.look("live: row", json_is_valid, of_row.as_bytes());
    signal(watch.id(), "-TERM");
    watch.wait().expect("it ends");
}

/// The body of the answer to a request, if there is one. In HTTP 1.0, which has no chunks.
fn body_of(url: &str) -> Option<String> {
    let (host, path) = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))?;
    let mut stream = TcpStream::connect(host).expect("connected");
    write!(stream, "GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n").expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let answer = String::from_utf8(answer).expect("UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    head.lines()
        .next()?
        .contains(" 200 ")
        .then(|| body.to_owned())
}

/// What the MCP server answers.
fn server(sandbox: &Sandbox, matrix: &mut Matrix, row: &str) {
    let mut client = Client::start(sandbox, "-- true");
    let mut answers: Vec<Value> = vec![
        client.call("get_agent_job", json!({"job_id": "R"})),
        client.call("get_failed_rows", json!({"job_id": "R"})),
        client.call("inspect_row", json!({"job_id": "R", "item_id": row})),
    ];
    for what in ["report", "output"] {
        let params = json!({"uri": format!("mesh://runs/R/{what}")});
        answers.push(client.request("resources/read", params));
    }
    client.close();
    let answers = Value::from(answers).to_string();
    matrix.look("mcp", json_is_valid, answers.as_bytes());
}

/// Runs a command whose output is a terminal of 80 columns: its exit code, and everything it printed.
pub fn on_terminal(mut command: Command) -> (i32, Vec<u8>) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master)
        .and_then(|()| unlockpt(&master))
        .expect("it can be opened");
    let name = ptsname(&master, Vec::new())
        .expect("a name")
        .into_string()
        .expect("UTF-8");
    let slave = File::options()
        .read(true)
        .write(true)
        .open(name)
        .expect("opened");
    let size = Winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&slave, size).expect("a size");
    command
        .env("TERM", "xterm")
        .stdout(slave.try_clone().expect("a copy"))
        .stderr(slave);
    let mut child = command.spawn().expect("it starts");
    // This copy of the other end would keep the terminal open.
    drop(command);
    let mut printed = Vec::new();
    // Reading fails when the other end is closed.
    let _ = File::from(master).read_to_end(&mut printed);
    (child.wait().expect("it ends").code().unwrap_or(-1), printed)
}
