//! Stopping, killing and going on.

use super::*;
use rustix::process::{Pid, Signal, kill_process};

fn signal(mesh: &Child, signal: Signal) {
    kill_process(Pid::from_child(mesh), signal).expect("mesh is there");
}

#[test]
fn an_interrupt_lets_running_rows_finish_and_the_rest_can_be_resumed() {
    let sandbox = with_rows("id\n1\n2\n3\n4\n");
    let agent = fake_agent();
    let options = "--id-column id -j 2";
    let mesh = start(&sandbox, options, &[&agent, "--gate", "."]);
    wait_for("two rows have begun", || {
        sandbox.path("began.1").exists() && sandbox.path("began.2").exists()
    });
    signal(&mesh, Signal::INT);
    wait_for("the signal has arrived", || {
        sandbox.read("talk").contains("no further rows start")
    });
    sandbox.write("open", "");
    assert_eq!(finish(mesh), 130);
    let columns = "item_id status attempt_count";
    assert_snapshot!(table(&sandbox, columns), @r"
    1 | completed | 1
    2 | completed | 1
    3 | pending | 0
    4 | pending | 0
    ");
    assert!(
        sandbox
            .read("talk")
            .contains(&format!("mesh resume {}", run_id(&sandbox)))
    );

    resume(&sandbox).exits(0);
    assert_snapshot!(table(&sandbox, columns), @r"
    1 | completed | 1
    2 | completed | 1
    3 | completed | 1
    4 | completed | 1
    ");
    for item in ["1", "2", "3", "4"] {
        assert_eq!(occurred(&sandbox, "attempt_started", item), 1, "{item}");
    }
}

#[test]
fn a_second_interrupt_or_sigterm_ends_running_rows_immediately() {
    for (first, second, code) in [
        (Signal::INT, Some(Signal::INT), 130),
        (Signal::TERM, None, 143),
    ] {
        let sandbox = with_rows("id\n1\n2\n");
        let agent = fake_agent();
        let options = "--id-column id -j 1";
        let mesh = start(&sandbox, options, &[&agent, "--gate", "."]);
        wait_for("a row has begun", || sandbox.path("began.1").exists());
        signal(&mesh, first);
        wait_for("the signal has arrived", || {
            sandbox.read("talk").contains("stopping")
        });
        if let Some(second) = second {
            signal(&mesh, second);
        }
        assert_eq!(finish(mesh), code);
        assert_eq!(
            table(&sandbox, "item_id status attempt_count result_json"),
            "1 | pending | 1 |\n2 | pending | 0 |"
        );
        sandbox.write("open", "");
        resume(&sandbox).exits(0);
        assert_eq!(
            table(&sandbox, "item_id status attempt_count"),
            "1 | completed | 2\n2 | completed | 1"
        );
    }
}

#[test]
fn a_running_run_cannot_be_resumed_again() {
    let sandbox = with_rows("id\n1\n");
    let agent = fake_agent();
    let mesh = start(&sandbox, "--id-column id", &[&agent, "--gate", "."]);
    wait_for("the row has begun", || sandbox.path("began.1").exists());
    let refused = resume(&sandbox);
    sandbox.write("open", "");
    assert_eq!(finish(mesh), 0);
    assert_eq!(refused.code, 3, "{}", refused.err);
    refused.err_has("in use by another `mesh`, process ");
}

#[test]
fn resuming_a_finished_run_starts_nothing() {
    let sandbox = with_rows("id,mock\n1,good\n2,never\n");
    let options = "--id-column id --retries 0";
    spawn_agent(&sandbox, options, "--as {mock}").exits(1);
    let before = sandbox.read("out.csv");
    resume(&sandbox).exits(1);
    assert_eq!(sandbox.read("out.csv"), before);
    assert_eq!(occurred(&sandbox, "attempt_started", "1"), 1);
    assert_eq!(occurred(&sandbox, "attempt_started", "2"), 1);
}

#[test]
fn sigquit_and_sighup_end_the_job_like_sigterm() {
    for (signal_sent, code) in [(Signal::QUIT, 131), (Signal::HUP, 129)] {
        let sandbox = with_rows("id,mock\n1,good\n2,gate\n3,good\n");
        let agent = fake_agent();
        let options = "--id-column id -j 1";
        let mesh = start(&sandbox, options, &[&agent, "--as", "{mock}", "."]);
        wait_for("the second row has begun", || {
            sandbox.path("began.2").exists()
        });
        signal(&mesh, signal_sent);
        assert_eq!(finish(mesh), code);
        assert_eq!(
            table(&sandbox, "id status"),
            "1 | completed\n2 | pending\n3 | pending"
        );
        assert_eq!(occurred(&sandbox, "attempt_finished", "2"), 1);
        sandbox.write("open", "");
        resume(&sandbox).exits(0);
    }
}

#[test]
fn the_input_may_change_after_the_start() {
    let sandbox = with_rows("id,mock\n1,good\n2,gate\n3,good\n");
    let agent = fake_agent();
    let options = "--id-column id -j 1";
    let mesh = start(&sandbox, options, &[&agent, "--as", "{mock}", "."]);
    wait_for("the second row has begun", || {
        sandbox.path("began.2").exists()
    });
    signal(&mesh, Signal::TERM);
    assert_eq!(finish(mesh), 143);
    sandbox.write("in.csv", "other\nx\n");
    sandbox.write("open", "");
    let args = ["resume", &run_id(&sandbox), "--input-changed", "ignore"];
    sandbox.mesh(&args).exits(0);
    assert_eq!(
        table(&sandbox, "id mock status"),
        "1 | good | completed\n2 | gate | completed\n3 | good | completed"
    );
}

/// Kills a small job at record after record of its ledger and goes on each time.
fn killed_at_every_record(side: &str) {
    for seq in 1.. {
        assert!(seq < 50, "never came to an end");
        let sandbox = with_rows("id,mock\n1,good\n2,report\n3,file\n");
        let agent = fake_agent();
        let options = "--id-column id -j 2 --env MESH";
        let command = [agent.as_str(), "--as", "{mock}"];
        let code = sandbox
            .command(arguments(options, &command))
            .env("MESH_FAULT_KILL", format!("{side}:{seq}"))
            .run_to_end()
            .code;
        if code == 0 {
            // Past the last record: nothing was left to be killed at.
            assert!(seq > 10, "only {seq} records");
            return;
        }
        assert_eq!(code, 137, "{side}:{seq}");
        let resumed = resume(&sandbox);
        if (side, seq) == ("before", 1) {
            assert_eq!(resumed.code, 2, "{}", resumed.err);
            resumed.err_has("killed before it started anything");
            continue;
        }
        assert_eq!(resumed.code, 0, "{side}:{seq}: {}", resumed.err);
        assert_eq!(
            table(&sandbox, "item_id status last_error result_json"),
            "1 | completed |  | {\"answer\":\"1\",\"n\":1}\n\
             2 | completed |  | {\"answer\":\"2\",\"n\":1}\n\
             3 | completed |  | {\"answer\":\"3\",\"n\":1}",
            "{side}:{seq}"
        );
        completed_once(&sandbox, &format!("{side}:{seq}"));
    }
}

/// Every row has one result, every attempt one end, and no row was started again once it had its result.
fn completed_once(sandbox: &Sandbox, when: &str) {
    for row in rows(sandbox) {
        let item = &row["item_id"];
        assert_eq!(
            occurred(sandbox, "attempt_reported", item),
            1,
            "{when}: {item}"
        );
        let started = occurred(sandbox, "attempt_started", item);
        let ended = occurred(sandbox, "attempt_finished", item);
        assert_eq!(ended, started, "{when}: {item}");
        assert_eq!(row["attempt_count"], started.to_string(), "{when}: {item}");
        let of_item =
            |(name, record): (String, Value)| (record["item_id"] == item.as_str()).then_some(name);
        let names: Vec<String> = sandbox.events().into_iter().filter_map(of_item).collect();
        assert_eq!(
            names[names.len() - 2..],
            ["attempt_reported", "attempt_finished"],
            "{when}"
        );
    }
}

#[test]
fn a_kill_before_any_record_loses_no_row() {
    killed_at_every_record("before");
}

#[test]
fn a_kill_after_any_record_loses_no_row() {
    killed_at_every_record("after");
}

#[test]
fn a_torn_last_record_is_cut_off() {
    let sandbox = with_rows("id\n1\n2\n");
    let options = "--id-column id";
    spawn_agent(&sandbox, options, "--good").exits(0);
    let ledger = sandbox.only_run().join("ledger.jsonl");
    let whole = read_file(&ledger);
    let lines: Vec<&str> = whole.lines().collect();
    // Every cut in the middle of a record, after the first two.
    for count in 2..lines.len() {
        let torn = format!("{}\n{}", lines[..count].join("\n"), &lines[count][..20]);
        std::fs::write(&ledger, torn).expect("written");
        let said = resume(&sandbox);
        assert_eq!(said.code, 0, "{count}: {}", said.err);
        assert_eq!(
            table(&sandbox, "item_id status"),
            "1 | completed\n2 | completed"
        );
    }
}

/// As a service manager or a cluster does it: the worker may be gone before the request to stop has been seen.
#[test]
fn a_worker_that_gets_the_signal_of_the_whole_job_has_not_failed() {
    let sandbox = with_rows("id\n1\n2\n");
    let script = "cat >/dev/null; kill -TERM $PPID; kill -TERM $$; sleep 9";
    let args = [
        "spawn",
        "in.csv",
        "-o",
        "out.csv",
        "-j",
        "1",
        "--instruction",
        "x",
    ];
    for _ in 0..5 {
        let worker = ["--", "sh", "-c", script];
        sandbox
            .mesh(Args::from(&args[..]).and(&worker[..]))
            .exits(143);
        assert_eq!(
            table(&sandbox, "item_id status last_error").lines().count(),
            2
        );
        assert!(
            !table(&sandbox, "status").contains("failed"),
            "{}",
            table(&sandbox, "last_error")
        );
        std::fs::remove_file(sandbox.path("out.csv")).expect("an output");
    }
}
