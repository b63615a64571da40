//! `mesh inspect`: the rows of waves, outputs and runs.

use crate::fixture::*;
use insta::assert_snapshot;

/// Six rows, of which two fail.
fn spawned() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "id,city,status\na,Rome,x\nb,Oslo,y\nc,Bern,\nd,\"Ulm\tand\nmore\",z\ne,Kyiv,\nf,日本語の町,\n");
    let script = r#"case $MESH_ITEM_ID in b) exit 3;; e) exit 1;; esac; echo "{\"score\": ${#MESH_ITEM_ID}, \"name\": \"$MESH_ITEM_ID\", \"at\": {\"x\": 7}}""#;
    let args = [
        "spawn",
        "in.csv",
        "--run-id",
        "R",
        "--id-column",
        "id",
        "--retries",
        "0",
        "--instruction",
        "look at {city}",
        "-o",
        "out.csv",
        "--",
        "sh",
        "-c",
        script,
    ];
    sandbox.mesh(&args).exits(1);
    sandbox
}

fn without_seconds(text: &str) -> String {
    let line = |line: &str| {
        let words = line
            .split_inclusive(' ')
            .map(|word| match word.trim().parse::<f64>() {
                Ok(_) if word.contains('.') => word.replace(word.trim(), "N.N"),
                _ => word.to_owned(),
            });
        words.collect::<String>()
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_rows_of_a_run_fit_the_terminal() {
    let sandbox = spawned();
    let mut command = sandbox.command("inspect R --format table");
    command.env("COLUMNS", "60");
    let shown = said(command.output().expect("started")).exits(0);
    assert_snapshot!(without_seconds(&shown.out), @r#"
    ITEM  STATUS     ATTEMPTS  SECONDS  WHAT
    a     completed         1      N.N  score: 1
    b     failed            1      N.N  worker_exit: exit code 3
    c     completed         1      N.N  score: 1
    d     completed         1      N.N  score: 1
    e     failed            1      N.N  worker_exit: exit code 1
    f     completed         1      N.N  score: 1

    6 rows: 4 completed, 2 failed
    6 attempts, N.N s of worker time
    failures: worker_exit 2
    adapters: command 6
    "#);
}

#[test]
fn rows_are_filtered_sorted_and_shown_by_column() {
    let sandbox = spawned();
    let items = |args: &str| sandbox.mesh(args).exits(0).out;
    assert_eq!(
        items("inspect R --failed --columns item,code"),
        "item\tcode\nb\tworker_exit\ne\tworker_exit\n"
    );
    assert_eq!(
        items("inspect R --where status=failed --sort -item --columns item"),
        "item\ne\nb\n"
    );
    assert_eq!(
        items("inspect R --where result.at.x>6 --where city~^[RB] --columns item,city"),
        "item\tcity\na\tRome\nc\tBern\n"
    );
    assert_eq!(
        items("inspect R --where input.status=x --columns item,input.status,status"),
        "item\tstatus\tstatus\na\tx\tcompleted\n"
    );
    // A cell with a tab and a line break stays one field.
    assert_eq!(
        items("inspect R --where item=d --columns city"),
        "city\nUlm\\tand\\nmore\n"
    );
    // The output says the same as the run.
    for args in [
        "--columns item,city,status,attempts,code,result.name",
        "--failed --columns item,error",
    ] {
        assert_eq!(
            items(&format!("inspect R {args}")),
            items(&format!("inspect out.csv {args}"))
        );
    }
}

#[test]
fn json_has_one_object_per_row_with_input_and_result() {
    let sandbox = spawned();
    let shown = sandbox.mesh("inspect R --json --where item=a").exits(0);
    let row: serde_json::Value = serde_json::from_str(&shown.out).expect("one object");
    assert_eq!(row["status"], "completed");
    assert_eq!(row["attempts"], 1);
    assert_eq!(row["result"]["at"]["x"], 7);
    assert_eq!(
        row["input"],
        serde_json::json!({"id": "a", "city": "Rome", "status": "x"})
    );
}

#[test]
fn a_row_is_shown_in_full_with_the_command_that_retries_it() {
    let sandbox = spawned();
    let shown = sandbox.mesh("inspect R --row b").exits(0);
    shown.out_has("look at Oslo");
    shown.out_has("worker_exit: exit code 3");
    shown.out_has("Try again\n  mesh resume R --retry-failed");
    let shown = sandbox.mesh("inspect out.csv --row a").exits(0);
    shown.out_has("city\n  Rome");
    shown.out_has("\"score\": 1");
    sandbox
        .mesh("inspect out.csv --row zz")
        .exits(2)
        .err_has("`out.csv` has no row `zz`");
}

#[test]
fn refused_answers_count_as_failed_and_show_their_verdict_and_patch() {
    let bench = Bench::new(&[Task::new("a").scope(&["b.txt"])]);
    bench.run("").exits(1);
    let failed = bench
        .mesh("inspect R --failed --columns item,status,verdict,code")
        .exits(0)
        .out;
    assert!(
        failed.contains("a.synthesis.synthesizer.1\tcompleted\t"),
        "{failed}"
    );
    assert!(failed.contains("\tout_of_scope\n"), "{failed}");
    let shown = bench
        .mesh("inspect R --row a.synthesis.synthesizer.1 --color always")
        .exits(0);
    shown.out_has("Verdict\n  retry: out_of_scope: ");
    shown.out_has("\u{1b}[32m+new\u{1b}[0m");
    let wave = bench.waves();
    assert!(!wave.is_empty());
    let waves = bench
        .run_folder()
        .join("waves/001-proposal.csv")
        .display()
        .to_string();
    let table = bench
        .mesh(&["inspect", &waves, "--format", "table"])
        .exits(0);
    assert_snapshot!(table.out, @r#"
    ITEM                   UNIT  ROUND     ROLE
    a.proposal.proposer.1  a     proposal  proposer

    1 row
    roles: proposer 1
    "#);
}

/// The data in a page.
fn page_data(page: &str) -> serde_json::Value {
    let begin = page.find("id=\"mesh-data\"").expect("the data");
    let begin = begin + page[begin..].find('>').expect("its beginning") + 1;
    let end = begin + page[begin..].find("</script>").expect("its end");
    serde_json::from_str(page[begin..end].trim()).expect("JSON")
}

#[test]
fn the_page_of_a_plan_run_has_its_tasks_votes_and_rows() {
    let bench = Bench::new(&[
        Task::new("a").agree(&[3, 4]),
        Task::new("b").after(&["a"]).validation(&["exit 3"]),
    ]);
    bench.run("max_tasks=2").exits(1);
    bench
        .mesh("inspect R --html page.html")
        .exits(0)
        .out_has("page.html");
    let data = page_data(&bench.read("page.html"));
    assert_eq!(data["run"]["status"], "completed");
    assert_eq!(
        data["totals"]["rows"],
        data["rows"].as_array().expect("rows").len()
    );
    assert_eq!(
        data["totals"]["longest_path"]["tasks"],
        serde_json::json!(["a", "b"])
    );
    let task = &data["tasks"][0];
    assert_eq!(
        (&task["id"], &task["state"]),
        (&"a".into(), &"completed".into())
    );
    assert_eq!(task["votes"][0]["agree"], 3);
    assert_eq!(
        task["votes"][1]["lines"].as_array().expect("lines").len(),
        5
    );
    assert!(
        task["patch"]
            .as_str()
            .is_some_and(|patch| patch.contains("+new")),
        "{task}"
    );
    assert_eq!(task["critiques"].as_array().expect("critiques").len(), 6);
    let blocked = &data["tasks"][1];
    assert_eq!(
        (&blocked["reason"], &blocked["deps"]),
        (&"validation_failed".into(), &serde_json::json!(["a"]))
    );
    assert_eq!(blocked["validation"][0]["outcome"], "exit 3");
    let integrations = data["marks"]
        .as_array()
        .expect("marks")
        .iter()
        .filter(|mark| mark["kind"] == "integration");
    assert_eq!(integrations.count(), 2);
    let row = &data["rows"][0];
    assert_eq!(row["id"], "a.proposal.proposer.1");
    assert!(
        row["prompt"]
            .as_str()
            .is_some_and(|prompt| !prompt.is_empty())
    );
    assert!(row["attempts"][0]["end"].as_i64() >= row["attempts"][0]["start"].as_i64());
    bench
        .mesh("inspect R --html page.html")
        .exits(2)
        .err_has("already exists\nhint: pass another file, or --force");
    bench.mesh("inspect R --html page.html --force").exits(0);
}

#[test]
fn texts_of_workers_are_data_in_a_page() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "in.csv",
        "id,text\na,\"</script><script>alert(1)</script>\"\n",
    );
    let script = r#"printf '{"x": "</script><img src=x onerror=alert(2)><!--"}'; echo '</script>' >&2; exit 1"#;
    let args = [
        "spawn",
        "in.csv",
        "--run-id",
        "R",
        "--retries",
        "0",
        "--instruction",
        "{text}",
        "--",
        "sh",
        "-c",
        script,
    ];
    sandbox.mesh(&args).exits(1);
    sandbox.mesh("inspect R --html page.html").exits(0);
    let page = sandbox.read("page.html");
    let data = page_data(&page);
    assert_eq!(
        data["rows"][0]["input"]["text"],
        "</script><script>alert(1)</script>"
    );
    assert_eq!(data["rows"][0]["retry"], "mesh resume R --retry-failed");
    assert!(
        data["rows"][0]["attempts"][0]["log"]
            .as_str()
            .is_some_and(|log| log.contains("</script>"))
    );
    for part in ["alert(1)</", "<img src=x", "<!--\""] {
        assert!(!page.contains(part), "{part}");
    }
    let output = std::fs::read_dir(sandbox.work())
        .expect("listed")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let output = output
        .into_iter()
        .find(|name| name.contains("agent-job"))
        .expect("an output");
    sandbox
        .mesh(&["inspect", &output, "--html", "two.html"])
        .exits(2)
        .err_has("is a CSV; a page shows a run");
}

#[test]
fn two_runs_are_compared_by_status_and_result() {
    let sandbox = spawned();
    let script = r#"case $MESH_ITEM_ID in e) exit 1;; esac; echo "{\"score\": 1, \"name\": \"x\", \"at\": {\"x\": 7}}""#;
    let args = [
        "spawn",
        "in.csv",
        "--run-id",
        "S",
        "--id-column",
        "id",
        "--retries",
        "0",
        "--rows",
        "1-5",
        "--instruction",
        "look",
        "-o",
        "two.csv",
        "--",
        "sh",
        "-c",
        script,
    ];
    sandbox.mesh(&args).exits(1);
    let diff = sandbox.mesh("inspect --diff R S --format table").exits(0);
    assert_snapshot!(diff.out, @r#"
    ITEM  FROM       TO         WHAT
    a     completed  completed  result: name "a" -> "x"
    b     failed     completed  result: new
    c     completed  completed  result: name "c" -> "x"
    d     completed  completed  result: name "d" -> "x"
    f     completed  absent

    5 rows changed, 1 the same
    "#);
    let same = sandbox.mesh("inspect --diff R out.csv").exits(0);
    assert_eq!(same.out, "ITEM\tFROM\tTO\tWHAT\n");
}

#[test]
fn a_run_from_another_machine_is_read_from_its_folder() {
    let sandbox = spawned();
    let copy = sandbox.beside("copied");
    let status = std::process::Command::new("cp")
        .arg("-r")
        .arg(sandbox.only_run())
        .arg(&copy)
        .status();
    assert!(status.expect("cp").success());
    std::fs::remove_dir_all(sandbox.only_run()).expect("removed");
    let shown = sandbox
        .mesh(&[
            "inspect",
            &copy.display().to_string(),
            "--columns",
            "item,city",
            "--failed",
        ])
        .exits(0);
    assert_eq!(shown.out, "item\tcity\nb\tOslo\ne\tKyiv\n");
}

#[test]
fn what_can_not_be_shown_is_named() {
    let sandbox = spawned();
    for (args, part) in [
        (
            "inspect in.csv",
            "`in.csv` is neither a wave CSV nor an output CSV of mesh: it has no column `job_id`\nhint: ",
        ),
        ("inspect none.csv", "`none.csv` can't be read"),
        (
            "inspect .",
            "is not the folder of a run: it has no ledger.jsonl\nhint: ",
        ),
        ("inspect r", "no run `r`"),
        (
            "inspect R --columns town",
            "`town` is not a column; columns: item, ",
        ),
        (
            "inspect R --where status",
            "condition `status`: write COLUMN=VALUE",
        ),
        ("inspect R --sort -town", "`town` is not a column"),
    ] {
        let said = sandbox.mesh(args).exits(2);
        assert!(said.err.contains(part), "{args}: {}", said.err);
        assert_eq!(said.out, "");
    }
}

/// A request of HTTP, and all of its answer.
fn get(url: &str, headers: &str) -> String {
    use std::io::{Read, Write};
    let rest = url.strip_prefix("http://").expect("an address");
    let (host, path) = rest.split_once('/').expect("a path");
    let mut stream = std::net::TcpStream::connect(host).expect("connected");
    let host = if headers.contains("Host:") {
        String::new()
    } else {
        format!("Host: {host}\r\n")
    };
    write!(
        stream,
        "GET /{path} HTTP/1.1\r\n{host}{headers}Connection: close\r\n\r\n"
    )
    .expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

/// A server, stopped at the end of its test.
struct Watch(std::process::Child);

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server of run `R`, and its address.
fn watched(sandbox: &Sandbox) -> (Watch, String) {
    use std::io::BufRead;
    let mut command = sandbox.command("watch R");
    let mut server = Watch(
        command
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("started"),
    );
    let out = server.0.stdout.take().expect("its output");
    let mut lines = std::io::BufReader::new(out).lines();
    let url = lines.next().expect("a line").expect("text");
    (server, url)
}

#[test]
fn a_watched_run_is_served_to_this_machine_alone() {
    let sandbox = spawned();
    let (_server, url) = watched(&sandbox);
    assert!(
        url.starts_with("http://127.0.0.1:") && url.ends_with("/run/R/"),
        "{url}"
    );

    let page = get(&url, "");
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    assert_contains(&page, "Content-Security-Policy: frame-ancestors 'none'");
    assert_eq!(page_data(&page)["live"], true);
    let events = get(&format!("{url}events"), "");
    let events: Vec<&str> = events
        .lines()
        .filter(|line| line.starts_with("event: "))
        .collect();
    assert_eq!(events, ["event: view", "event: rows", "event: end"]);
    assert_contains(
        &get(&format!("{url}row?wave=1&id=b"), ""),
        "worker_exit: exit code 3",
    );
    let runs = url.strip_suffix("run/R/").expect("the run");
    assert_contains(&get(runs, ""), "<a href=\"run/R/\">R</a> completed");

    for (address, headers, status) in [
        (url.clone(), "Host: evil.example\r\n", "403"),
        (url.clone(), "Origin: http://evil.example\r\n", "403"),
        (url.replace("/run/R/", "0/run/R/"), "", "404"),
        (url.replace("/run/R/", "/run/..%2f..%2fetc/"), "", "404"),
        (format!("{url}row?wave=1&id=zz"), "", "404"),
    ] {
        let answer = get(&address, headers);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{address}: {answer}"
        );
        assert_lacks(&answer, "worker_exit");
    }
}

#[test]
fn a_running_run_is_followed_to_its_end() {
    use std::io::{BufRead, BufReader, Write};
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "id\na\nb\n");
    // Row b ends when the test has seen row a.
    let seen = sandbox.beside("seen");
    let script = format!(
        "[ $MESH_ITEM_ID = a ] || until [ -e '{}' ]; do sleep 0.05; done; echo '{{\"x\": 1}}'",
        seen.display()
    );
    let args = [
        "spawn",
        "in.csv",
        "--run-id",
        "R",
        "--id-column",
        "id",
        "--instruction",
        "x",
        "--",
        "sh",
        "-c",
        &script,
    ];
    let mut run = Watch(sandbox.command(&args).spawn().expect("started"));
    wait_for("the first row", || {
        let ledger = sandbox.mesh_home().join("runs/R/ledger.jsonl");
        let text = std::fs::read_to_string(ledger);
        text.is_ok_and(|text| text.contains("attempt_started"))
    });
    let (_server, url) = watched(&sandbox);
    let rest = url.strip_prefix("http://").expect("an address");
    let (host, path) = rest.split_once('/').expect("a path");
    let mut stream = std::net::TcpStream::connect(host).expect("connected");
    write!(stream, "GET /{path}events HTTP/1.1\r\nHost: {host}\r\n\r\n").expect("sent");
    let mut events = Vec::new();
    for line in BufReader::new(stream).lines() {
        let line = line.expect("text");
        if line.contains("\"id\":\"a\"") && line.contains("\"status\":\"completed\"") {
            std::fs::write(&seen, "").expect("written");
        }
        events.extend(line.strip_prefix("event: ").map(str::to_owned));
        if events.last().is_some_and(|event| event == "end") {
            break;
        }
    }
    assert!(
        events.iter().filter(|event| *event == "rows").count() > 1,
        "{events:?}"
    );
    assert!(run.0.wait().expect("ended").success());
}
