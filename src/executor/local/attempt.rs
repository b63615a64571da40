//! One attempt of a row: one worker process.
//!
//! The worker has its own process group. It exits, or is sent TERM and, after a grace period, KILL; whatever is left of
//! its group is killed before the leader is reaped. Its output is bounded in memory, and a grandchild that holds the pipes
//! open delays nothing. Knows no rows, schemas or retries.
//!
//! An attempt can be as short as starting a process takes, so each system call here counts. The pipes stay in blocking
//! mode: they are read only when a poll has seen input.

use super::heartbeat::Heartbeat;
use super::output_pipe::{Keep, OutputPipe};
use crate::job::{Cause, Ended, Leaked, Limits, Stop, Urgency};
use crate::platform::process;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Pid;
use std::fs::File;
use std::io;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A prompt up to this size is written to a pipe before its reader exists: it fits whatever the system's load.
const PIPE_BYTES: usize = 4096;
/// How long only the exit of a new worker is polled. A worker that exits within this time, as most that are not agents
/// do, costs one wake-up instead of two; it can fill a whole pipe in the meantime.
const EARLY_EXIT: Duration = Duration::from_millis(20);
/// The most leaked processes reported by name.
const LEAKED_MAX: usize = 16;
/// A service manager or a cluster ends all processes of a job at once. A worker may get that signal before this process
/// does, and must not count as one that failed.
const SAME_END: Duration = Duration::from_millis(500);

/// Runs `command` with `stdin` as its standard input until it ends. Calls `on_start` with the process id, which is also
/// the group id, as soon as the process exists.
pub fn run(
    mut command: Command,
    stdin: &[u8],
    limits: &Limits,
    stop: &Stop,
    heartbeat: &Heartbeat,
    on_start: impl FnOnce(Pid),
) -> io::Result<Ended> {
    let input = stdin_with(stdin)?;
    let started = Instant::now();
    let mut child = command
        .process_group(0)
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // Closes our end of the standard input.
    drop(command);
    let group = Pid::from_child(&child);
    heartbeat.start(started);
    on_start(group);
    let watched = Supervisor::begin(&mut child, started, limits, stop, heartbeat)
        .and_then(Supervisor::wait_for_end);
    let exited = watched.as_ref().is_ok_and(|watched| !watched.was_ended);
    let leaked = match exited {
        true => leaked(group),
        false => Vec::new(),
    };
    // Before reaping: until then the zombie reserves the group id.
    process::kill(group);
    let status = child.wait()?;
    let mut watched = watched?;
    if watched.cause == Cause::Exited && was_asked_to_end(status) && stop.comes_within(SAME_END) {
        watched.cause = Cause::Stopped;
    }
    Ok(Ended {
        cause: watched.cause,
        code: status.code(),
        signal: status.signal(),
        stdout: watched.stdout,
        stderr: watched.stderr,
        duration: started.elapsed(),
        leaked,
    })
}

/// Whether a worker ended because it was asked to, as far as its status says; a shell turns the signal into a code.
fn was_asked_to_end(status: ExitStatus) -> bool {
    const ASKED: [i32; 3] = [1, 2, 15];
    let signal = status.signal().or(status.code().map(|code| code - 128));
    signal.is_some_and(|signal| ASKED.contains(&signal))
}

/// A standard input that holds `content`. It is complete before the worker starts, so no thread has to write it.
fn stdin_with(content: &[u8]) -> io::Result<Stdio> {
    if content.len() <= PIPE_BYTES {
        let (reader, mut writer) = io::pipe()?;
        writer.write_all(content)?;
        return Ok(reader.into());
    }
    let file = anonymous_file()?;
    // Written at a position, so that the worker reads from 0.
    file.write_all_at(content, 0)?;
    Ok(file.into())
}

fn anonymous_file() -> io::Result<File> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{MemfdFlags, memfd_create};
        // A third cheaper per row than a file on disk, and no disk can be full.
        if let Ok(fd) = memfd_create(c"mesh-prompt", MemfdFlags::CLOEXEC) {
            return Ok(fd.into());
        }
    }
    tempfile::tempfile()
}

/// The processes left in the group of a dead leader. Reading all of `/proc` takes milliseconds, so it is read only if the
/// group has survivors.
fn leaked(leader: Pid) -> Vec<Leaked> {
    if !process::has_survivors(leader) {
        return Vec::new();
    }
    // They are only named; one that can't be seen is not ended either.
    let members = process::all()
        .unwrap_or_default()
        .into_iter()
        .filter(|process| process.group == process::number(leader));
    members
        .take(LEAKED_MAX)
        .map(|process| Leaked {
            pid: process::number(process.pid),
            name: process.name,
        })
        .collect()
}

/// The result of supervising a worker.
struct Watched {
    cause: Cause,
    /// It was sent TERM.
    was_ended: bool,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// A running worker.
struct Supervisor<'a> {
    group: Pid,
    limits: &'a Limits,
    stop: &'a Stop,
    heartbeat: &'a Heartbeat,
    exited: OwnedFd,
    stdout: OutputPipe,
    stderr: OutputPipe,
    times: Times,
    /// Why it was sent TERM, if it was.
    end_cause: Option<Cause>,
}

impl<'a> Supervisor<'a> {
    fn begin(
        child: &mut Child,
        started: Instant,
        limits: &'a Limits,
        stop: &'a Stop,
        heartbeat: &'a Heartbeat,
    ) -> io::Result<Self> {
        let group = Pid::from_child(child);
        let stdout = child.stdout.take().map(OwnedFd::from);
        let stderr = child.stderr.take().map(OwnedFd::from);
        Ok(Self {
            group,
            limits,
            stop,
            heartbeat,
            exited: process::exit_watch(group)?,
            stdout: OutputPipe::new(stdout, Keep::Head, limits.stdout_bytes_max),
            stderr: OutputPipe::new(stderr, Keep::Tail, limits.stderr_bytes_max),
            times: Times::new(started, limits),
            end_cause: None,
        })
    }

    /// Reads both pipes until the leader has exited; ends its group when a limit is reached.
    fn wait_for_end(mut self) -> io::Result<Watched> {
        let mut has_exited = self.wait_for_early_exit()?;
        while !has_exited {
            has_exited = self.poll_once()?;
        }
        self.stdout.read_rest()?;
        self.stderr.read_rest()?;
        let cause = match self.end_cause {
            Some(cause) => cause,
            // It exited, but its output is incomplete.
            None if self.stdout.overflowed => Cause::OutputTooLarge,
            None => Cause::Exited,
        };
        Ok(Watched {
            cause,
            was_ended: self.end_cause.is_some(),
            stdout: self.stdout.into_bytes(),
            stderr: self.stderr.into_bytes(),
        })
    }

    fn wait_for_early_exit(&self) -> io::Result<bool> {
        let fds = [self.exited.as_fd(), self.stop.wake_fd()];
        let left = left_until(self.times.due()).map_or(EARLY_EXIT, |left| left.min(EARLY_EXIT));
        let [exited, _] = wait(fds, Some(left))?;
        Ok(!exited.is_empty())
    }

    /// Waits for output, an exit or a time limit, and handles it. Returns whether the leader has exited.
    fn poll_once(&mut self) -> io::Result<bool> {
        let exited = self.exited.as_fd();
        // A descriptor that is not polled is replaced by one that is: the array keeps its size.
        let fds = [
            exited,
            self.end_cause.map_or(self.stop.wake_fd(), |_| exited),
            self.stdout.fd().unwrap_or(exited),
            self.stderr.fd().unwrap_or(exited),
        ];
        let [exited, _, stdout, stderr] = wait(fds, left_until(self.times.due()))?;
        if !exited.is_empty() {
            return Ok(true);
        }
        let bytes = self.stdout.read_once(stdout)? + self.stderr.read_once(stderr)?;
        let now = Instant::now();
        if bytes > 0 {
            self.times.last_output = now;
            self.heartbeat.record_output(now);
        }
        self.enforce_limits(now);
        Ok(false)
    }

    fn enforce_limits(&mut self, now: Instant) {
        if self.end_cause.is_some() {
            if self.times.kill.is_some_and(|at| at <= now) {
                self.times.kill = None;
                process::kill(self.group);
            }
        } else if let Some(cause) = self.reason_to_end(now) {
            self.end_cause = Some(cause);
            self.times.start_grace(now, self.limits.grace);
            process::terminate(self.group);
        }
    }

    fn reason_to_end(&self, now: Instant) -> Option<Cause> {
        if self.stop.urgency() == Urgency::Now {
            Some(Cause::Stopped)
        } else if self.stdout.overflowed {
            Some(Cause::OutputTooLarge)
        } else {
            self.times.reason_to_end(now)
        }
    }
}

/// The time limits of an attempt. A time beyond the clock's range is no limit.
struct Times {
    runtime: Option<Instant>,
    max_idle: Option<Duration>,
    /// The last output, or the start.
    last_output: Instant,
    kill: Option<Instant>,
}

impl Times {
    fn new(started: Instant, limits: &Limits) -> Self {
        Self {
            runtime: started.checked_add(limits.max_runtime),
            max_idle: limits.max_idle,
            last_output: started,
            kill: None,
        }
    }

    /// After TERM only the grace period counts.
    fn start_grace(&mut self, now: Instant, grace: Duration) {
        self.runtime = None;
        self.max_idle = None;
        self.kill = now.checked_add(grace);
    }

    fn idle(&self) -> Option<Instant> {
        self.last_output.checked_add(self.max_idle?)
    }

    fn due(&self) -> Option<Instant> {
        let all = [self.runtime, self.idle(), self.kill];
        all.into_iter().flatten().min()
    }

    fn reason_to_end(&self, now: Instant) -> Option<Cause> {
        if self.runtime.is_some_and(|at| at <= now) {
            Some(Cause::TimedOut)
        } else if self.idle().is_some_and(|at| at <= now) {
            Some(Cause::Idle)
        } else {
            None
        }
    }
}

/// Polls for input or end of file. An interrupted poll has seen nothing.
fn wait<const N: usize>(
    fds: [BorrowedFd<'_>; N],
    timeout: Option<Duration>,
) -> io::Result<[PollFlags; N]> {
    let mut set = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    let timeout = timeout.and_then(|left| Timespec::try_from(left).ok());
    match poll(&mut set, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(set.map(|fd| fd.revents())),
        Err(errno) => Err(errno.into()),
    }
}

fn left_until(due: Option<Instant>) -> Option<Duration> {
    // Rounded up by a millisecond, so that a poll never wakes just before its deadline and spins.
    Some(due?.saturating_duration_since(Instant::now()) + Duration::from_millis(1))
}

#[cfg(test)]
mod tests;
