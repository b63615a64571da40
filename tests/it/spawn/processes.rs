//! What becomes of the processes of workers, and of what they print.

use super::*;
use rustix::process::{Signal, kill_process};
use std::path::PathBuf;

/// The files kept of what workers printed, with their content.
fn logs(sandbox: &Sandbox) -> BTreeMap<String, String> {
    let folder = sandbox.only_run().join("logs/001");
    let files = std::fs::read_dir(folder).into_iter().flatten();
    let content = |path: PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy();
        let text = read_file(&path);
        (name.into_owned(), text)
    };
    files
        .map(|file| content(file.expect("a file").path()))
        .collect()
}

/// A row that succeeds and one that fails at its second attempt as well.
fn printed(options: impl Into<Args>) -> BTreeMap<String, String> {
    let sandbox = with_rows("id\ngood\nbad\n");
    let script =
        r#"echo "$1 $MESH_ATTEMPT" >&2; if [ "$1" = good ]; then echo '{"n":1}'; else echo no; fi"#;
    let options = Args::from("--id-column id --retry-delay 0").and(options);
    spawn(&sandbox, options, &["sh", "-c", script, "sh", "{id}"]).exits(1);
    logs(&sandbox)
}

#[test]
fn what_failed_attempts_print_is_kept() {
    let wanted = [
        ("bad.1.err", "bad 1\n"),
        ("bad.1.out", "no\n"),
        ("bad.2.err", "bad 2\n"),
        ("bad.2.out", "no\n"),
    ];
    let wanted = wanted.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let kept = printed("--retries 1");
    assert_eq!(kept, BTreeMap::from(wanted));
}

#[test]
fn what_all_attempts_print_is_kept_where_that_is_wanted_and_nothing_where_not() {
    let kept = printed("--logs all --retries 0");
    let names: Vec<&str> = kept.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["bad.1.err", "bad.1.out", "good.1.err", "good.1.out"]
    );
    let kept = printed("--logs none --retries 0");
    assert_eq!(kept, BTreeMap::new());
}

#[test]
fn the_adapter_without_a_process_answers_an_empty_object_and_is_in_no_list() {
    let sandbox = with_rows("id\n1\n2\n");
    let said = "spawn in.csv -o out.csv --instruction work --adapter noop --id-column id";
    sandbox.mesh(said).exits(0);
    let wanted = "1 | completed | 1 | {}\n2 | completed | 1 | {}";
    let columns = "item_id status attempt_count result_json";
    assert_eq!(table(&sandbox, columns), wanted);
    resume(&sandbox).exits(0);
    assert!(!sandbox.mesh("adapters").exits(0).out.contains("noop"));
}

#[test]
fn an_idle_worker_is_ended_and_an_active_one_is_not() {
    let sandbox = with_rows("id\nsilent\ntalking\n");
    let script = r#"if [ $1 = silent ]; then exec sleep 600; fi
        for n in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 0.5; echo $n; done; echo '{"n":1}'"#;
    let options = "--id-column id --max-idle-seconds 5";
    spawn(&sandbox, options, &["sh", "-c", script, "sh", "{id}"]).exits(1);
    assert_snapshot!(table(&sandbox, "item_id status last_error"), @r"
    silent | failed | timeout: worker printed nothing for 5s
    talking | completed |
    ");
}

/// Whether this process is there and has not ended.
#[cfg(target_os = "linux")]
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// The name of its program.
#[cfg(target_os = "linux")]
fn name(pid: &str) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
    name.unwrap_or_default().trim_end().to_owned()
}

#[cfg(target_os = "linux")]
#[test]
fn processes_left_by_a_worker_are_ended_and_reported() {
    let sandbox = with_rows("id\n1\n");
    let script = r#"sleep 600 >/dev/null 2>&1 & echo $! >pid
        while [ "$(cat /proc/$!/comm)" != sleep ]; do sleep 0.01; done; echo '{"n":1}'"#;
    let said = spawn(&sandbox, "--id-column id", &["sh", "-c", script]).exits(0);
    let pid = sandbox.read("pid");
    let pid = pid.trim();
    let wanted = format!("item `1` left processes running, which were killed: sleep ({pid})");
    said.err_has(&wanted);
    wait_for("it ends", || !runs(pid));
}

#[cfg(target_os = "linux")]
#[test]
fn orphaned_workers_are_ended_before_their_rows_run_again() {
    let sandbox = with_rows("id\n1\n2\n");
    let script = r#"echo $$ >>"pids.$MESH_ITEM_ID"; [ -e open ] || exec sleep 600; echo '{"n":1}'"#;
    let options = "--id-column id -j 2";
    let mut mesh = start(&sandbox, options, &["sh", "-c", script]);
    let pid_files = ["pids.1", "pids.2"];
    let is_written = |name: &str| {
        std::fs::read_to_string(sandbox.path(name)).is_ok_and(|text| text.ends_with('\n'))
    };
    wait_for("both work", || pid_files.into_iter().all(is_written));
    let workers = pid_files.map(|name| sandbox.read(name).trim().to_owned());
    kill_process(rustix::process::Pid::from_child(&mesh), Signal::KILL).expect("killed");
    mesh.wait().expect("dead");
    assert!(workers.iter().all(|pid| runs(pid)), "nobody has ended them");
    let is_asleep = |pid: &String| name(pid) == "sleep";
    wait_for("both sleep", || workers.iter().all(is_asleep));

    sandbox.write("open", "");
    let said = resume(&sandbox).exits(0);
    for (pid, item) in workers.iter().zip(["1", "2"]) {
        let wanted =
            format!("ended an orphan of a killed mesh: process {pid} (`sleep`) of item `{item}`");
        said.err_has(&wanted);
        assert!(!runs(pid));
    }
    assert_eq!(
        table(&sandbox, "item_id status attempt_count"),
        "1 | completed | 2\n2 | completed | 2"
    );
}
