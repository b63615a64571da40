//! `--watch` of `mesh run` and `mesh spawn`: the live page beside a run; and the list of runs of `mesh watch`.

use crate::fixture::*;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

/// The answer to a request of `url`.
fn get(url: &str) -> String {
    let rest = url.strip_prefix("http://").expect("an address");
    let (host, path) = rest.split_once('/').expect("a path");
    let mut stream = std::net::TcpStream::connect(host).expect("connected");
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn the_page_is_served_while_the_job_runs_and_ends_with_it() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "id\na\n");
    // A browser that would be seen.
    sandbox.write("browser", "#!/bin/sh\n: >opened\n");
    let script = "while ! [ -e open ]; do sleep 0.02; done; printf '{}'";
    let args =
        Args::from("spawn in.csv --watch --run-id R --id-column id -o out.csv --instruction x --");
    let mut command = sandbox.command(args.and(&["sh", "-c", script]));
    command.env("BROWSER", sandbox.path("browser"));
    let mut mesh = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut said = BufReader::new(mesh.stderr.take().expect("standard error"));
    let mut url = None;
    let mut line = String::new();
    while url.is_none() && said.read_line(&mut line).expect("text") > 0 {
        url = line
            .strip_prefix("live page: ")
            .map(|url| url.trim_end().to_owned());
        line.clear();
    }
    let url = url.expect("the address");
    assert!(
        url.starts_with("http://127.0.0.1:") && url.ends_with("/run/R/"),
        "{url}"
    );
    let page = get(&url);
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert_contains(&page, "mesh-data");
    sandbox.write("open", "");
    let mut rest = String::new();
    said.read_to_string(&mut rest).expect("text");
    assert!(mesh.wait().expect("ended").success(), "{rest}");
    let host = url.split('/').nth(2).expect("a host");
    assert!(
        std::net::TcpStream::connect(host).is_err(),
        "the server has ended"
    );
    // Standard error is no terminal, so nobody would see it.
    assert!(!sandbox.path("opened").exists());
}

#[test]
fn a_run_of_a_plan_has_it_too() {
    let bench = Bench::new(&[Task::new("a")]);
    bench
        .run("--watch")
        .exits(0)
        .err_has("live page: http://127.0.0.1:");
}

#[test]
fn the_list_of_the_live_page_has_active_runs_first() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "id\na\n");
    let spawn = |id: &str, script: &str| {
        let args = Args::from("spawn in.csv --id-column id --instruction x --run-id").and(&[id]);
        sandbox.command(args.and(&["--", "sh", "-c", script]))
    };
    said(spawn("Ended", "printf '{}'").output().expect("it ends")).exits(0);
    let script = "while ! [ -e open ]; do sleep 0.02; done; printf '{}'";
    let active = spawn("Active", script)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    wait_for("the run", || {
        sandbox.mesh("runs list --active").out.contains("Active")
    });
    let mut watch = sandbox.command("watch --port 0");
    let mut watch = watch
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut line = String::new();
    let out = watch.stdout.take().expect("standard output");
    BufReader::new(out).read_line(&mut line).expect("text");
    let page = get(line.trim());
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
    assert!(place("Active (1)") < place("\u{25cf} <a href=\"run/Active/\">"));
    assert!(place("run/Active/") < place("Others (1)"));
    assert!(place("Others (1)") < place("<li><a href=\"run/Ended/\">"));
    signal(watch.id(), "-TERM");
    watch.wait().expect("it ends");
    sandbox.write("open", "");
    said(active.wait_with_output().expect("it ends")).exits(0);
}
