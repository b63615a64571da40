//! One try of a row by one worker process.
//!
//! The worker has a process group of its own. It ends by itself, or gets TERM, a grace period, and KILL;
//! whatever is left of its group is killed before the leader is reaped. Its output is bounded in memory
//! and a grandchild that holds the pipes delays nothing. Knows no rows, schemas or retries.

use super::stop::{Stop, Urgency};
use crate::process;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Pid;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A prompt up to this size is written into the pipe at once: POSIX guarantees that it fits.
const PIPE_BYTES: usize = 4096;

/// What one attempt may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Wall-clock time until TERM.
    pub max_runtime: Duration,
    /// Between TERM and KILL.
    pub grace: Duration,
    /// Bytes of standard output; beyond, the worker is ended.
    pub stdout_bytes_max: usize,
    /// Bytes of standard error that are kept; the rest is read and dropped.
    pub stderr_bytes_max: usize,
}

/// Why the attempt was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The worker ended by itself.
    Exited,
    /// It ran out of time.
    TimedOut,
    /// It printed too much.
    OutputTooLarge,
    /// `mesh` was asked to stop at once.
    Stopped,
}

/// What is left of an attempt.
#[derive(Debug)]
pub struct Ended {
    /// Why it was over.
    pub cause: Cause,
    /// Exit code, when it exited.
    pub code: Option<i32>,
    /// Signal, when one ended it.
    pub signal: Option<i32>,
    /// Standard output, up to the limit.
    pub stdout: Vec<u8>,
    /// Standard error, up to the limit.
    pub stderr: Vec<u8>,
    /// From start to reaping.
    pub duration: Duration,
}

/// Starts `command` with `stdin` as its standard input and sees it through to its end.
pub fn run(mut command: Command, stdin: &[u8], limits: &Limits, stop: &Stop) -> io::Result<Ended> {
    let started = Instant::now();
    let small = stdin.len() <= PIPE_BYTES;
    let input = if small {
        Stdio::piped()
    } else {
        stdin_file(stdin)?
    };
    let mut child = command
        .process_group(0)
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut pipe) = child.stdin.take() {
        // A worker may end without reading its prompt; that is not an error.
        let _ = pipe.write_all(stdin);
    }
    let group = Pid::from_child(&child);
    let watched = watch(&mut child, group, started, limits, stop);
    // Before the reaping: the zombie keeps the group id ours.
    process::kill(group);
    let status = child.wait()?;
    let (cause, stdout, stderr) = watched?;
    Ok(Ended {
        cause,
        code: status.code(),
        signal: status.signal(),
        stdout,
        stderr,
        duration: started.elapsed(),
    })
}

fn stdin_file(content: &[u8]) -> io::Result<Stdio> {
    let mut file = tempfile::tempfile()?;
    file.write_all(content)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file.into())
}

/// Reads both pipes until the leader has exited, ending its group when it is time.
fn watch(
    child: &mut Child,
    group: Pid,
    started: Instant,
    limits: &Limits,
    stop: &Stop,
) -> io::Result<(Cause, Vec<u8>, Vec<u8>)> {
    let exited = process::exit_watch(group)?;
    let mut stdout = Pipe::new(
        child.stdout.take().map(OwnedFd::from),
        Keep::Head,
        limits.stdout_bytes_max,
    )?;
    let mut stderr = Pipe::new(
        child.stderr.take().map(OwnedFd::from),
        Keep::Tail,
        limits.stderr_bytes_max,
    )?;
    let mut cause = Cause::Exited;
    // No deadline at all when it is beyond what the clock can say.
    let mut next = started.checked_add(limits.max_runtime);
    loop {
        let fds = [
            Some(exited.as_fd()),
            (cause == Cause::Exited).then(|| stop.wake_fd()),
            stdout.open_fd(),
            stderr.open_fd(),
        ];
        let mut set: Vec<PollFd<'_>> = fds
            .into_iter()
            .flatten()
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        match poll(&mut set, remaining(next).as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let has_exited = !set[0].revents().is_empty();
        stdout.read_available()?;
        stderr.read_available()?;
        if has_exited {
            if cause == Cause::Exited && stdout.overflowed {
                // It ended by itself, but what it printed is not whole.
                cause = Cause::OutputTooLarge;
            }
            return Ok((cause, stdout.into_bytes(), stderr.into_bytes()));
        }
        if cause == Cause::Exited {
            if let Some(reason) = reason_to_end(&stdout, next, stop) {
                cause = reason;
                next = Instant::now().checked_add(limits.grace);
                process::terminate(group);
            }
        } else if next.is_some_and(|at| at <= Instant::now()) {
            next = None;
            process::kill(group);
        }
    }
}

fn reason_to_end(stdout: &Pipe, deadline: Option<Instant>, stop: &Stop) -> Option<Cause> {
    if stop.urgency() == Urgency::Now {
        Some(Cause::Stopped)
    } else if stdout.overflowed {
        Some(Cause::OutputTooLarge)
    } else if deadline.is_some_and(|at| at <= Instant::now()) {
        Some(Cause::TimedOut)
    } else {
        None
    }
}

fn remaining(until: Option<Instant>) -> Option<Timespec> {
    // Rounded up by a millisecond, so that a poll never ends just before its deadline and spins.
    let left = until?.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
    Timespec::try_from(left).ok()
}

/// Which part of too much output is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    /// The beginning; the rest makes it overflow.
    Head,
    /// The end: where a program says why it failed.
    Tail,
}

/// One output pipe of the worker, read without blocking and kept up to a bound.
struct Pipe {
    part: Keep,
    fd: Option<std::fs::File>,
    bytes: Vec<u8>,
    bytes_max: usize,
    overflowed: bool,
}

impl Pipe {
    fn new(fd: Option<OwnedFd>, part: Keep, bytes_max: usize) -> io::Result<Self> {
        if let Some(fd) = &fd {
            rustix::io::ioctl_fionbio(fd, true)?;
        }
        Ok(Self {
            part,
            fd: fd.map(std::fs::File::from),
            bytes: Vec::new(),
            bytes_max,
            overflowed: false,
        })
    }

    fn open_fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    /// Takes what is there, at most a bounded amount a call, so that a flood can't hold up the clock.
    fn read_available(&mut self) -> io::Result<()> {
        let mut chunk = [0_u8; 16 * 1024];
        for _ in 0..64 {
            let Some(file) = &mut self.fd else { break };
            match file.read(&mut chunk) {
                Ok(0) => self.fd = None,
                Ok(length) => self.keep(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn keep(&mut self, chunk: &[u8]) {
        if self.part == Keep::Tail {
            self.bytes.extend_from_slice(chunk);
            // Cut only now and then: moving the rest to the front for every chunk would cost more than the room.
            if self.bytes.len() > 2 * self.bytes_max {
                self.cut_front();
            }
            return;
        }
        let room = self.bytes_max - self.bytes.len();
        self.overflowed |= chunk.len() > room;
        self.bytes
            .extend_from_slice(&chunk[..chunk.len().min(room)]);
    }

    fn cut_front(&mut self) {
        let excess = self.bytes.len().saturating_sub(self.bytes_max);
        self.bytes.drain(..excess);
    }

    fn into_bytes(mut self) -> Vec<u8> {
        self.cut_front();
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        max_runtime: Duration::from_secs(20),
        grace: Duration::from_millis(200),
        stdout_bytes_max: 100_000,
        stderr_bytes_max: 100,
    };

    fn sh(script: &str, stdin: &[u8], limits: &Limits) -> Ended {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        run(command, stdin, limits, &Stop::new().expect("a pipe")).expect("started")
    }

    #[test]
    fn prompts_of_any_size_reach_the_worker() {
        for size in [0, 100, 4096, 4097, 3_000_000] {
            let ended = sh("wc -c", &vec![b'x'; size], &LIMITS);
            let counted = String::from_utf8_lossy(&ended.stdout).trim().to_owned();
            assert_eq!(counted, size.to_string());
        }
    }

    #[test]
    fn a_grandchild_that_holds_the_pipes_delays_nothing_and_does_not_survive() {
        let ended = sh("sleep 600 & echo $!", b"", &LIMITS);
        assert_eq!((ended.cause, ended.code), (Cause::Exited, Some(0)));
        let grandchild = String::from_utf8_lossy(&ended.stdout).trim().to_owned();
        let alive = || {
            let state = Command::new("ps")
                .args(["-o", "stat=", "-p", &grandchild])
                .output();
            state.is_ok_and(|out| !out.stdout.is_empty() && !out.stdout.starts_with(b"Z"))
        };
        for _ in 0..100 {
            if !alive() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("process {grandchild} outlived its attempt");
    }

    #[test]
    fn a_worker_that_ignores_term_is_killed_after_the_grace_period() {
        let limits = Limits {
            max_runtime: Duration::from_millis(100),
            ..LIMITS
        };
        let ended = sh("trap '' TERM; while :; do sleep 1; done", b"", &limits);
        assert_eq!((ended.cause, ended.signal), (Cause::TimedOut, Some(9)));
    }

    #[test]
    fn a_flood_is_cut_off() {
        let ended = sh("yes", b"", &LIMITS);
        assert_eq!(ended.cause, Cause::OutputTooLarge);
        assert_eq!(ended.stdout.len(), LIMITS.stdout_bytes_max);
        let ended = sh("yes 2>/dev/null | head -c 5000 >&2; echo ok", b"", &LIMITS);
        assert_eq!((ended.cause, ended.stderr.len()), (Cause::Exited, 100));
    }
}
