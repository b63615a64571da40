use super::*;
use crate::job::StopSource;

const LIMITS: Limits = Limits {
    max_runtime: Duration::from_secs(20),
    max_idle: None,
    grace: Duration::from_millis(200),
    stdout_bytes_max: 100_000,
    stderr_bytes_max: 100,
};

fn sh(script: &str, stdin: &[u8], limits: &Limits) -> Ended {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    let stop = Stop::new().expect("a pipe");
    run(command, stdin, limits, &stop, &Heartbeat::new(), |_| {}).expect("started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

#[test]
fn prompts_of_any_size_reach_the_worker() {
    for size in [0, 100, 4096, 4097, 3_000_000] {
        let ended = sh("wc -c", &vec![b'x'; size], &LIMITS);
        assert_eq!(text(&ended.stdout), size.to_string());
    }
}

#[test]
fn a_worker_may_ignore_its_prompt() {
    for size in [100, 3_000_000] {
        let ended = sh("exec <&-; echo ok", &vec![b'x'; size], &LIMITS);
        assert_eq!((ended.cause, ended.code), (Cause::Exited, Some(0)));
        assert_eq!(ended.stdout, b"ok\n");
    }
}

#[test]
fn output_is_read_to_its_end() {
    // Before and after the early exit; less and more than a pipe holds; from a worker that closes its outputs.
    for pause in ["", "sleep 1;"] {
        for size in [5, 65_536, 99_999] {
            let script = format!(
                "{pause} head -c {size} /dev/zero; echo end >&2; exec >&- 2>&-; {pause} exit 3"
            );
            let ended = sh(&script, b"", &LIMITS);
            assert_eq!((ended.cause, ended.code), (Cause::Exited, Some(3)));
            assert_eq!((ended.stdout.len(), ended.stderr), (size, b"end\n".into()));
        }
    }
}

#[test]
fn a_grandchild_that_holds_the_pipes_delays_nothing_and_does_not_survive() {
    let script = "sleep 600 & echo $!; head -c 60000 /dev/zero";
    let ended = sh(script, b"", &LIMITS);
    assert_eq!((ended.cause, ended.code), (Cause::Exited, Some(0)));
    let end_of_line = ended.stdout.iter().position(|byte| *byte == b'\n');
    let end_of_line = end_of_line.expect("a line");
    assert_eq!(ended.stdout.len(), end_of_line + 1 + 60_000);
    let grandchild = text(&ended.stdout[..end_of_line]);
    if cfg!(target_os = "linux") {
        // A process that has not yet become `sleep` is still a copy of the shell.
        let leaked: Vec<String> = ended.leaked.iter().map(ToString::to_string).collect();
        let names = ["sleep", "sh"].map(|name| format!("{name} ({grandchild})"));
        assert!(
            leaked.len() == 1 && names.contains(&leaked[0]),
            "{leaked:?}"
        );
    }
    let alive = || {
        let state = Command::new("ps")
            .args(["-o", "stat=", "-p", &grandchild])
            .output();
        state.is_ok_and(|out| !out.stdout.is_empty() && !out.stdout.starts_with(b"Z"))
    };
    for _ in 0..1500 {
        if !alive() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("process {grandchild} outlived its attempt");
}

#[cfg(target_os = "linux")]
#[test]
fn leaked_processes_are_named_unless_the_worker_was_ended() {
    let many = "i=0; while [ $i -lt 20 ]; do sleep 600 >/dev/null 2>&1 & i=$((i + 1)); done";
    let names: Vec<String> = sh(many, b"", &LIMITS)
        .leaked
        .into_iter()
        .map(|process| process.name)
        .collect();
    assert_eq!(names.len(), LEAKED_MAX);
    // A process that has not yet become `sleep` is still a copy of the shell.
    assert!(
        names.iter().all(|name| name == "sleep" || name == "sh"),
        "{names:?}"
    );
    assert_eq!(sh("sleep 1 | cat", b"", &LIMITS).leaked, []);
    let limits = Limits {
        max_runtime: Duration::from_millis(100),
        ..LIMITS
    };
    let ended = sh("(trap '' TERM; sleep 600) & sleep 600", b"", &limits);
    assert_eq!((ended.cause, ended.leaked), (Cause::TimedOut, vec![]));
}

#[test]
fn a_worker_that_ignores_term_is_killed_after_the_grace_period() {
    // The trap has to be set by then.
    let limits = Limits {
        max_runtime: Duration::from_secs(3),
        ..LIMITS
    };
    let ended = sh("trap '' TERM; while :; do sleep 1; done", b"", &limits);
    assert_eq!((ended.cause, ended.signal), (Cause::TimedOut, Some(9)));
}

#[test]
fn a_worker_is_ended_when_it_falls_silent() {
    let limits = Limits {
        max_idle: Some(Duration::from_millis(300)),
        ..LIMITS
    };
    for script in ["sleep 600", "echo some; exec sleep 600 >&- 2>&-"] {
        let ended = sh(script, b"", &limits);
        assert_eq!((ended.cause, ended.signal), (Cause::Idle, Some(15)));
    }
}

#[test]
fn output_extends_the_idle_limit_but_not_the_time_limit() {
    let limits = Limits {
        max_runtime: Duration::from_secs(100),
        max_idle: Some(Duration::from_secs(30)),
        ..LIMITS
    };
    let started = Instant::now();
    let at = |seconds| started + Duration::from_secs(seconds);
    let mut times = Times::new(started, &limits);
    assert_eq!(times.due(), Some(at(30)));
    assert_eq!(times.reason_to_end(at(29)), None);
    assert_eq!(times.reason_to_end(at(30)), Some(Cause::Idle));
    times.last_output = at(20);
    assert_eq!(times.due(), Some(at(50)));
    assert_eq!(times.reason_to_end(at(49)), None);
    times.last_output = at(90);
    assert_eq!(times.due(), Some(at(100)));
    assert_eq!(times.reason_to_end(at(100)), Some(Cause::TimedOut));
    times.start_grace(at(100), Duration::from_secs(5));
    assert_eq!(times.due(), Some(at(105)));
    times.kill = None;
    assert_eq!(times.due(), None);
}

#[test]
fn an_urgent_stop_ends_a_worker_and_a_drain_does_not() {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "exec sleep 600"]);
    let stop = Stop::new().expect("a pipe");
    let ended = run(command, b"", &LIMITS, &stop, &Heartbeat::new(), |_| {
        stop.ask(StopSource::Cancel);
        stop.ask(StopSource::Cancel);
    });
    assert_eq!(ended.expect("started").cause, Cause::Stopped);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "sleep 1"]);
    let stop = Stop::new().expect("a pipe");
    let ended = run(command, b"", &LIMITS, &stop, &Heartbeat::new(), |_| {
        stop.ask(StopSource::Cancel)
    });
    assert_eq!(ended.expect("started").cause, Cause::Exited);
}

#[test]
fn the_heartbeat_starts_with_the_process_and_follows_its_output() {
    let heartbeat = Heartbeat::new();
    assert_eq!(
        (heartbeat.running_for(), heartbeat.quiet_for()),
        (None, None)
    );
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "echo $$; sleep 1; echo; sleep 1"]);
    let stop = Stop::new().expect("a pipe");
    let mut group = None;
    let ended = run(command, b"", &LIMITS, &stop, &heartbeat, |pid| {
        assert!(heartbeat.running_for().is_some() && heartbeat.quiet_for().is_some());
        group = Some(pid.to_string());
    });
    assert_eq!(group, Some(text(&ended.expect("started").stdout)));
    assert!(heartbeat.running_for() > heartbeat.quiet_for());
}

#[test]
fn a_command_that_cannot_start_has_no_process() {
    let stop = Stop::new().expect("a pipe");
    let heartbeat = Heartbeat::new();
    let command = Command::new("/nowhere/agent");
    let never = |_| panic!("there is no process");
    run(command, b"", &LIMITS, &stop, &heartbeat, never).expect_err("not there");
    assert_eq!(heartbeat.running_for(), None);
}

#[test]
fn oversized_output_ends_the_worker_and_is_cut() {
    let ended = sh("yes", b"", &LIMITS);
    assert_eq!(ended.cause, Cause::OutputTooLarge);
    assert_eq!(ended.stdout.len(), LIMITS.stdout_bytes_max);
    let ended = sh("yes 2>/dev/null | head -c 5000 >&2; echo ok", b"", &LIMITS);
    assert_eq!((ended.cause, ended.stderr.len()), (Cause::Exited, 100));
    let ended = sh(
        "head -c 60000 /dev/zero; head -c 60000 /dev/zero",
        b"",
        &LIMITS,
    );
    assert_eq!(
        (ended.cause, ended.stdout.len()),
        (Cause::OutputTooLarge, 100_000)
    );
}
