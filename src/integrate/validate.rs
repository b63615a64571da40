//! Runs one validation command with the shell, in its own process group, with limits on time and output.
//!
//! Commands come from the task's metadata, or from a worker if the allow-list covers them ([`commands`](super::commands)).
//! The key line is the most informative line of the output. If the command failed, it is the first line with a word such as
//! `error`, `failed` or `panicked`, which tends to name a failing test or a position in a file. Otherwise it is the last line
//! that is not blank, where test runners print their summary.

use super::error::IntegrateError;
use crate::job::{Stop, Urgency};
use crate::model::{Stage, UnitId, ValidationFinished, one_line};
use crate::platform::{Group, Input, Readers, Writers, durable, git, private, process};
use crate::redact::{Cut, Redactor};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Pid;
use std::fs::File;
use std::io;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the output size and the stop request are checked.
const TICK: Duration = Duration::from_millis(50);

/// The key line is searched in this many bytes at the end of the output.
const KEY_BYTES: u64 = 64 * 1024;

/// Limits of one validation command.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Wall-clock time.
    pub timeout: Duration,
    /// Time between TERM and KILL.
    pub grace: Duration,
    /// Bytes of output in the log.
    pub log_bytes_max: u64,
}

/// How a validation command ended.
#[derive(Debug)]
pub enum ValidationEnd {
    /// The command ended, or a limit ended it. The caller fills in unit and log path.
    Finished(Box<ValidationFinished>),
    /// `mesh` was asked to stop at once.
    Stopped,
}

/// Runs `command` in `folder` and writes its redacted output to `log`. The command starts after `writers` has recorded it.
///
/// While it runs, its output goes to an unnamed file, so that others can't read output that is not redacted, and a kill of
/// `mesh` leaves none. Rejected: redacting it as it is printed, because a secret may be printed in parts or over lines.
pub fn run(
    command: &str,
    folder: &Path,
    log: &Path,
    limits: &Limits,
    writers: &Writers,
    redactor: &Redactor,
    stop: &Stop,
) -> Result<ValidationEnd, IntegrateError> {
    let failed = || IntegrateError::io(log);
    durable::make_folders(durable::parent(log), Readers::Owner).map_err(failed())?;
    // Empty the log of an earlier attempt.
    private::create(log).map_err(failed())?;
    let printed = tempfile::tempfile_in(crate::platform::parent(log)).map_err(failed())?;
    let output = || appending(&printed).map_err(failed());
    let started = Instant::now();
    // Other validations may run at the same time.
    let writers = writers.numbered();
    let mut shell = writers.command("/bin/sh", &["-c", command], Input::Null);
    // Git sets these for hooks. If `mesh` runs in one, they would direct the command's git at another repository.
    for name in git::LOCAL_VARIABLES {
        shell.env_remove(name);
    }
    shell
        .current_dir(folder)
        .stderr(output()?)
        .stdout(output()?);
    let (mut child, gate) =
        writers
            .start(shell, Group::Own)
            .map_err(|source| IntegrateError::Start {
                command: command.to_owned(),
                source,
            })?;
    drop(gate);
    let group = Pid::from_child(&child);
    let cause = watch(group, started, &printed, limits, stop);
    let duration = started.elapsed();
    // Before reaping the child, so that its group still exists. `end_marked` ends processes that left the group.
    process::kill(group);
    let status = child.wait().map_err(failed())?;
    writers.end_marked().map_err(failed())?;
    let cause = cause.map_err(failed())?;
    keep(&printed, log, redactor, limits.log_bytes_max).map_err(failed())?;
    if cause == Cause::Stopped {
        return Ok(ValidationEnd::Stopped);
    }
    let mut finished = ValidationFinished {
        unit: UnitId::new(""),
        candidate: None,
        command: command.to_owned(),
        number: 0,
        stage: Stage::default(),
        proposed: false,
        exit_code: status.code(),
        signal: status.signal(),
        timed_out: cause == Cause::TimedOut,
        too_much_output: cause == Cause::TooLong,
        duration_ms: duration.as_millis() as u64,
        key_line: String::new(),
        log_path: PathBuf::new(),
        changed_meanwhile: Vec::new(),
        applied: None,
    };
    let tail = tail(log, KEY_BYTES).map_err(failed())?;
    finished.key_line = key_line(&tail, finished.passed());
    Ok(ValidationEnd::Finished(Box::new(finished)))
}

/// The output file for a child. In append mode, both streams go to its end, even while this process reads it.
fn appending(file: &File) -> io::Result<File> {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    fcntl_setfl(file, fcntl_getfl(file)? | OFlags::APPEND)?;
    file.try_clone()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Ended,
    TimedOut,
    TooLong,
    Stopped,
}

fn watch(
    group: Pid,
    started: Instant,
    printed: &File,
    limits: &Limits,
    stop: &Stop,
) -> io::Result<Cause> {
    let exited = process::exit_watch(group)?;
    let mut cause = Cause::Ended;
    let mut kill_at = None;
    loop {
        let tick = Timespec::try_from(TICK).unwrap_or_default();
        let mut set = [PollFd::new(&exited, PollFlags::IN)];
        match poll(&mut set, Some(&tick)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(cause),
            Err(errno) => return Err(errno.into()),
        }
        if kill_at.is_some_and(|at: Instant| at <= Instant::now()) {
            process::kill(group);
        }
        if cause != Cause::Ended {
            continue;
        }
        cause = if stop.urgency() == Urgency::Now {
            Cause::Stopped
        } else if started.elapsed() >= limits.timeout {
            Cause::TimedOut
        } else if printed.metadata()?.len() > limits.log_bytes_max {
            Cause::TooLong
        } else {
            continue;
        };
        process::terminate(group);
        kill_at = Some(Instant::now() + limits.grace);
    }
}

/// Writes at most `bytes_max` of the output to the log, redacted.
fn keep(printed: &File, log: &Path, redactor: &Redactor, bytes_max: u64) -> io::Result<()> {
    let mut bytes = Vec::new();
    let mut printed = printed;
    printed.rewind()?;
    printed.take(bytes_max).read_to_end(&mut bytes)?;
    let cut = Cut {
        tail: bytes.len() as u64 == bytes_max,
        ..Cut::default()
    };
    durable::write_private(log, &redactor.redact_bytes(&bytes, cut))
}

/// The last `bytes_max` bytes of a log, from the start of a line if possible.
pub(super) fn tail(log: &Path, bytes_max: u64) -> io::Result<String> {
    let mut file = File::open(log)?;
    let skipped = file.metadata()?.len().saturating_sub(bytes_max);
    file.seek(SeekFrom::Start(skipped))?;
    let mut tail = Vec::new();
    file.take(bytes_max).read_to_end(&mut tail)?;
    let tail = String::from_utf8_lossy(&tail).into_owned();
    Ok(match tail.split_once('\n') {
        Some((_, rest)) if skipped > 0 => rest.to_owned(),
        _ => tail,
    })
}

fn key_line(output: &str, passed: bool) -> String {
    let mut lines = output
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let failure = match passed {
        true => None,
        false => lines.clone().find(|line| names_a_failure(line)),
    };
    one_line(failure.or_else(|| lines.next_back()).unwrap_or_default())
}

/// Matches whole words, so that `Compiling thiserror` does not count, and ignores counts of zero such as `0 failed`.
fn names_a_failure(line: &str) -> bool {
    const WORDS: [&str; 12] = [
        "error",
        "errors",
        "fail",
        "failed",
        "failure",
        "failures",
        "fatal",
        "panic",
        "panicked",
        "assert",
        "assertion",
        "traceback",
    ];
    let words: Vec<&str> = line
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .collect();
    let is_named = |(index, word): (usize, &&str)| {
        let is_zero = index > 0 && ["0", "no", "No"].contains(&words[index - 1]);
        // `TypeError` and the like.
        let is_error = word.ends_with("Error") || WORDS.contains(&word.to_lowercase().as_str());
        is_error && !is_zero
    };
    words.iter().enumerate().any(is_named) || line.starts_with("not ok")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn run_here(command: &str, timeout: Duration) -> ValidationFinished {
        let folder = tempfile::tempdir().expect("temporary folder");
        let limits = Limits {
            timeout,
            grace: Duration::from_millis(200),
            log_bytes_max: 100_000,
        };
        let stop = Stop::new().expect("a pipe");
        let log = folder.path().join("v.log");
        let (writers, redactor) = (
            Writers::at(&folder.path().join("writers")),
            Redactor::default(),
        );
        match run(
            command,
            folder.path(),
            &log,
            &limits,
            &writers,
            &redactor,
            &stop,
        )
        .expect("ran")
        {
            ValidationEnd::Finished(finished) => *finished,
            ValidationEnd::Stopped => panic!("nothing asked it to stop"),
        }
    }

    #[test]
    fn exit_code_and_key_line_are_recorded() {
        let long = Duration::from_secs(20);
        let finished = run_here("echo one; echo 'two: 1 failed' >&2; echo; exit 3", long);
        assert_eq!(
            (finished.exit_code, finished.key_line.as_str()),
            (Some(3), "two: 1 failed")
        );
        assert!(!finished.passed() && run_here("true", long).passed());
        assert_eq!(run_here("kill -9 $$", long).outcome(), "signal 9");
    }

    #[test]
    fn a_command_that_hangs_or_prints_without_end_is_ended_with_its_group() {
        let finished = run_here(
            "trap '' TERM; sleep 600 & wait; sleep 600",
            Duration::from_millis(100),
        );
        assert!(finished.timed_out && !finished.passed());
        let finished = run_here("yes", Duration::from_secs(20));
        assert!(!finished.passed(), "{finished:?}");
        assert_eq!(finished.outcome(), "too much output");
    }

    #[test]
    fn the_key_line_of_a_failure_is_the_first_that_names_it() {
        for (output, passed, expected) in [
            ("running\n3 passed\n\n", true, "3 passed"),
            ("test a ... ok\nerror: odd\ndone", true, "done"),
            (
                "Compiling thiserror v2\ntest result: ok. 3 passed; 0 failed\ntest x::y ... FAILED\nerror: test failed",
                false,
                "test x::y ... FAILED",
            ),
            (
                "  TypeError: x is None\nmore",
                false,
                "TypeError: x is None",
            ),
            (
                "ok 1\nnot ok 2 - it works\n# done",
                false,
                "not ok 2 - it works",
            ),
            ("no errors\nleft as is", false, "left as is"),
            ("10 failed", false, "10 failed"),
            ("", false, ""),
        ] {
            assert_eq!(key_line(output, passed), expected);
        }
    }

    #[test]
    fn a_log_is_cut_at_its_limit() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let log = folder.path().join("v.log");
        let mut printed = tempfile::tempfile().expect("a file");
        printed.write_all(b"one\ntwo\nthree\n").expect("written");
        keep(&printed, &log, &Redactor::default(), 100).expect("kept");
        assert_eq!(tail(&log, 8).expect("read"), "three\n");
        keep(&printed, &log, &Redactor::default(), 5).expect("kept");
        assert_eq!(tail(&log, 100).expect("read"), "one\nt");
    }
}
