//! One validation command: through the shell, in a process group of its own, with a limit on time and output.
//!
//! Commands come from the task's metadata alone, never from a worker's answer.

use super::IntegrateError;
use crate::job::{Stop, Urgency};
use crate::model::{UnitId, ValidationFinished, one_line};
use crate::process;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Pid;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often a running command's output size and the stop flag are looked at.
const TICK: Duration = Duration::from_millis(50);

/// What one validation command may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Wall-clock time.
    pub timeout: Duration,
    /// Between TERM and KILL.
    pub grace: Duration,
    /// Bytes of output in the log.
    pub log_bytes_max: u64,
}

/// How a validation command ended.
#[derive(Debug)]
pub enum ValidationEnd {
    /// It ended or was ended; unit and log path are the caller's to fill in.
    Finished(Box<ValidationFinished>),
    /// `mesh` was asked to stop at once.
    Stopped,
}

/// Runs `command` in `folder`; everything it prints goes to `log`.
pub fn run(
    command: &str,
    folder: &Path,
    log: &Path,
    limits: &Limits,
    stop: &Stop,
) -> Result<ValidationEnd, IntegrateError> {
    let failed = || IntegrateError::io(log);
    std::fs::create_dir_all(crate::durable::parent(log)).map_err(failed())?;
    let output = File::create(log).map_err(failed())?;
    let started = Instant::now();
    let handle = duct::cmd("/bin/sh", ["-c", command])
        .dir(folder)
        .stdin_null()
        .stderr_to_stdout()
        .stdout_file(output)
        .unchecked()
        .before_spawn(|command| {
            command.process_group(0);
            Ok(())
        })
        .start()
        .map_err(failed())?;
    let group = handle
        .pids()
        .first()
        .and_then(|pid| Pid::from_raw(*pid as i32));
    let cause = match group {
        Some(group) => {
            let cause = watch(group, started, log, limits, stop);
            // Before the reaping below: what the command left running ends with it.
            process::kill(group);
            cause.map_err(failed())?
        }
        None => Cause::Ended,
    };
    let output = handle.wait().map_err(failed())?;
    if cause == Cause::Stopped {
        return Ok(ValidationEnd::Stopped);
    }
    Ok(ValidationEnd::Finished(Box::new(ValidationFinished {
        unit: UnitId::new(""),
        command: command.to_owned(),
        exit_code: output.status.code(),
        signal: output.status.signal(),
        timed_out: cause == Cause::TimedOut,
        duration_ms: started.elapsed().as_millis() as u64,
        key_line: key_line(log).map_err(failed())?,
        log_path: PathBuf::new(),
    })))
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
    log: &Path,
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
        } else if std::fs::metadata(log)?.len() > limits.log_bytes_max {
            Cause::TooLong
        } else {
            continue;
        };
        process::terminate(group);
        kill_at = Some(Instant::now() + limits.grace);
    }
}

/// The last line of the log that is not blank.
fn key_line(log: &Path) -> io::Result<String> {
    const TAIL_BYTES: i64 = 4096;
    let mut file = File::open(log)?;
    if file.seek(SeekFrom::End(-TAIL_BYTES)).is_err() {
        file.seek(SeekFrom::Start(0))?;
    }
    let mut tail = Vec::new();
    file.take(TAIL_BYTES as u64).read_to_end(&mut tail)?;
    let tail = String::from_utf8_lossy(&tail);
    let line = tail
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    Ok(one_line(line.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_here(command: &str, timeout: Duration) -> ValidationFinished {
        let folder = tempfile::tempdir().expect("temporary folder");
        let limits = Limits {
            timeout,
            grace: Duration::from_millis(200),
            log_bytes_max: 100_000,
        };
        let stop = Stop::new().expect("a pipe");
        let log = folder.path().join("v.log");
        match run(command, folder.path(), &log, &limits, &stop).expect("ran") {
            ValidationEnd::Finished(finished) => *finished,
            ValidationEnd::Stopped => panic!("nobody asked"),
        }
    }

    #[test]
    fn exit_code_and_key_line_are_facts() {
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
    fn a_hanging_or_endless_command_is_ended_with_its_group() {
        let finished = run_here(
            "trap '' TERM; sleep 600 & wait; sleep 600",
            Duration::from_millis(100),
        );
        assert!(finished.timed_out && !finished.passed());
        let finished = run_here("yes", Duration::from_secs(20));
        assert!(!finished.passed(), "{finished:?}");
    }
}
