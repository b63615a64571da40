//! One try of a row by one worker process.
//!
//! The worker has a process group of its own. It ends by itself, or gets TERM, a grace period, and KILL;
//! whatever is left of its group is killed before the leader is reaped. Its output is bounded in memory
//! and a grandchild that holds the pipes delays nothing. Knows no rows, schemas or retries.
//!
//! Rows may be as short as starting a process takes, so each system call here counts. The pipes stay in blocking
//! mode: they are read only when there is something to read.

use crate::job::{Cause, Ended, Leaked, Limits, Stop, Urgency};
use crate::platform::process;
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionread, read};
use rustix::process::Pid;
use std::fs::File;
use std::io;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A prompt up to this size is put into a pipe before its reader exists: it fits, whatever the system's load.
const PIPE_BYTES: usize = 4096;
/// How long a new worker is watched for nothing but its exit. One that ends within it, as most do that are no agents,
/// costs one wake-up instead of one for its output and one for its exit; it can write a whole pipe meanwhile.
const FIRST_LOOK: Duration = Duration::from_millis(20);
/// How much one reading takes at most.
const READ_BYTES_MAX: usize = 64 * 1024;
/// How many leaked processes are named.
const LEAKED_MAX: usize = 16;

/// What other threads may see of an attempt while it runs. Reading and writing it takes no lock.
#[derive(Debug)]
pub struct Heartbeat {
    made: Instant,
    /// Milliseconds after `made`; [`Heartbeat::NEVER`] before the process exists.
    started_ms: AtomicU64,
    heard_ms: AtomicU64,
}

impl Heartbeat {
    const NEVER: u64 = u64::MAX;

    /// Of an attempt that is to start.
    pub fn new() -> Self {
        Self {
            made: Instant::now(),
            started_ms: AtomicU64::new(Self::NEVER),
            heard_ms: AtomicU64::new(Self::NEVER),
        }
    }

    /// How long its process has been there; nothing before its start.
    pub fn running_for(&self) -> Option<Duration> {
        self.since(&self.started_ms)
    }

    /// How long its process has printed nothing; nothing before its start.
    pub fn quiet_for(&self) -> Option<Duration> {
        self.since(&self.heard_ms)
    }

    // The two numbers are for display, and neither says anything about other memory: no order is needed.
    fn since(&self, event_ms: &AtomicU64) -> Option<Duration> {
        let event_ms = event_ms.load(Ordering::Relaxed);
        let event = (event_ms != Self::NEVER).then(|| Duration::from_millis(event_ms))?;
        Some(self.made.elapsed().saturating_sub(event))
    }

    fn start(&self, now: Instant) {
        self.hear(now);
        let started_ms = self.heard_ms.load(Ordering::Relaxed);
        self.started_ms.store(started_ms, Ordering::Relaxed);
    }

    fn hear(&self, now: Instant) {
        let after = now.saturating_duration_since(self.made);
        self.heard_ms
            .store(after.as_millis() as u64, Ordering::Relaxed);
    }
}

/// Starts `command` with `stdin` as its standard input and sees it through to its end. `on_start` is called with the
/// process id, which is the group id as well, as soon as there is a process.
pub fn run(
    mut command: Command,
    stdin: &[u8],
    limits: &Limits,
    stop: &Stop,
    heartbeat: &Heartbeat,
    on_start: impl FnOnce(Pid),
) -> io::Result<Ended> {
    let input = holding(stdin)?;
    let started = Instant::now();
    let mut child = command
        .process_group(0)
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // With it goes our end of the standard input.
    drop(command);
    let group = Pid::from_child(&child);
    heartbeat.start(started);
    on_start(group);
    let seen = Supervisor::begin(&mut child, started, limits, stop, heartbeat)
        .and_then(Supervisor::wait_for_end);
    let ended_itself = seen.as_ref().is_ok_and(|seen| seen.by_itself);
    let leaked = if ended_itself {
        leaked(group)
    } else {
        Vec::new()
    };
    // Before the reaping: the zombie keeps the group id ours.
    process::kill(group);
    let status = child.wait()?;
    let seen = seen?;
    Ok(Ended {
        cause: seen.cause,
        code: status.code(),
        signal: status.signal(),
        stdout: seen.stdout,
        stderr: seen.stderr,
        duration: started.elapsed(),
        leaked,
    })
}

/// A standard input that gives `content` and then ends. Nobody is needed to write it while the worker runs.
fn holding(content: &[u8]) -> io::Result<Stdio> {
    if content.len() <= PIPE_BYTES {
        let (reader, mut writer) = io::pipe()?;
        writer.write_all(content)?;
        return Ok(reader.into());
    }
    let file = file_without_name()?;
    // Written at a position, so that reading begins at 0.
    file.write_all_at(content, 0)?;
    Ok(file.into())
}

fn file_without_name() -> io::Result<File> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{MemfdFlags, memfd_create};
        // In memory it costs a third less than a row with a file on disk, and no disk can be full.
        if let Ok(fd) = memfd_create(c"mesh-prompt", MemfdFlags::CLOEXEC) {
            return Ok(fd.into());
        }
    }
    tempfile::tempfile()
}

/// The processes in the group of a dead leader. Reading all of `/proc` takes milliseconds, so it is done only when there is
/// somebody to name.
fn leaked(leader: Pid) -> Vec<Leaked> {
    if !process::has_survivors(leader) {
        return Vec::new();
    }
    let members = process::all()
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

/// What came of watching.
struct Watched {
    cause: Cause,
    /// Nobody had asked it to end.
    by_itself: bool,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// A worker that runs.
struct Supervisor<'a> {
    group: Pid,
    limits: &'a Limits,
    stop: &'a Stop,
    heartbeat: &'a Heartbeat,
    exited: OwnedFd,
    stdout: Pipe,
    stderr: Pipe,
    times: Times,
    /// Why it was asked to end, once it was.
    asked: Option<Cause>,
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
            stdout: Pipe::new(stdout, Keep::Head, limits.stdout_bytes_max),
            stderr: Pipe::new(stderr, Keep::Tail, limits.stderr_bytes_max),
            times: Times::new(started, limits),
            asked: None,
        })
    }

    /// Reads both pipes until the leader has exited, ending its group when it is time.
    fn wait_for_end(mut self) -> io::Result<Watched> {
        let mut has_exited = self.first_look()?;
        while !has_exited {
            has_exited = self.turn()?;
        }
        self.stdout.read_the_rest()?;
        self.stderr.read_the_rest()?;
        let cause = match self.asked {
            Some(cause) => cause,
            // It ended by itself, but what it printed is not whole.
            None if self.stdout.overflowed => Cause::OutputTooLarge,
            None => Cause::Exited,
        };
        Ok(Watched {
            cause,
            by_itself: self.asked.is_none(),
            stdout: self.stdout.into_bytes(),
            stderr: self.stderr.into_bytes(),
        })
    }

    fn first_look(&self) -> io::Result<bool> {
        let fds = [self.exited.as_fd(), self.stop.wake_fd()];
        let left = left_until(self.times.due()).map_or(FIRST_LOOK, |left| left.min(FIRST_LOOK));
        let [exited, _] = wait(fds, Some(left))?;
        Ok(!exited.is_empty())
    }

    /// Waits until something happens or is due, and does what follows from it. Says whether the leader has exited.
    fn turn(&mut self) -> io::Result<bool> {
        let exited = self.exited.as_fd();
        // The place of a descriptor that is not watched is taken by one that is: an array needs no allocation.
        let fds = [
            exited,
            self.asked.map_or(self.stop.wake_fd(), |_| exited),
            self.stdout.fd().unwrap_or(exited),
            self.stderr.fd().unwrap_or(exited),
        ];
        let [exited, _, stdout, stderr] = wait(fds, left_until(self.times.due()))?;
        if !exited.is_empty() {
            return Ok(true);
        }
        let heard = self.stdout.read_once(stdout)? + self.stderr.read_once(stderr)?;
        let now = Instant::now();
        if heard > 0 {
            self.times.heard = now;
            self.heartbeat.hear(now);
        }
        self.end_what_is_due(now);
        Ok(false)
    }

    fn end_what_is_due(&mut self, now: Instant) {
        if self.asked.is_some() {
            if self.times.kill.is_some_and(|at| at <= now) {
                self.times.kill = None;
                process::kill(self.group);
            }
        } else if let Some(cause) = self.reason_to_end(now) {
            self.asked = Some(cause);
            self.times.ask(now, self.limits.grace);
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

/// What an attempt must keep to. A time that is beyond what the clock can say is none.
struct Times {
    runtime: Option<Instant>,
    max_idle: Option<Duration>,
    /// The last output, or the start.
    heard: Instant,
    kill: Option<Instant>,
}

impl Times {
    fn new(started: Instant, limits: &Limits) -> Self {
        Self {
            runtime: started.checked_add(limits.max_runtime),
            max_idle: limits.max_idle,
            heard: started,
            kill: None,
        }
    }

    /// From now on only the grace period counts.
    fn ask(&mut self, now: Instant, grace: Duration) {
        self.runtime = None;
        self.max_idle = None;
        self.kill = now.checked_add(grace);
    }

    fn idle(&self) -> Option<Instant> {
        self.heard.checked_add(self.max_idle?)
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

/// Polls for input or an end; what is interrupted has seen nothing.
fn wait<const N: usize>(
    fds: [BorrowedFd<'_>; N],
    patience: Option<Duration>,
) -> io::Result<[PollFlags; N]> {
    let mut set = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    let patience = patience.and_then(|left| Timespec::try_from(left).ok());
    match poll(&mut set, patience.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(set.map(|fd| fd.revents())),
        Err(errno) => Err(errno.into()),
    }
}

fn left_until(due: Option<Instant>) -> Option<Duration> {
    // Rounded up by a millisecond, so that a poll never ends just before its deadline and spins.
    Some(due?.saturating_duration_since(Instant::now()) + Duration::from_millis(1))
}

/// Which part of too much output is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    /// The beginning; the rest makes it overflow.
    Head,
    /// The end: where a program says why it failed.
    Tail,
}

/// One output pipe of the worker, read when that does not block and kept up to a bound.
struct Pipe {
    part: Keep,
    /// Until its end was seen.
    fd: Option<OwnedFd>,
    bytes: Vec<u8>,
    bytes_max: usize,
    overflowed: bool,
}

impl Pipe {
    fn new(fd: Option<OwnedFd>, part: Keep, bytes_max: usize) -> Self {
        Self {
            part,
            fd,
            bytes: Vec::new(),
            bytes_max,
            overflowed: false,
        }
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    /// Takes one chunk when the poll saw one, so that a flood can't hold up the clock. Says how much it was.
    fn read_once(&mut self, seen: PollFlags) -> io::Result<usize> {
        if self.fd.is_none() || seen.is_empty() {
            return Ok(0);
        }
        if seen.contains(PollFlags::IN) {
            return self.read(self.bytes.len().clamp(PIPE_BYTES, READ_BYTES_MAX));
        }
        // Nobody holds the other end, and nothing is left in it.
        self.fd = None;
        Ok(0)
    }

    /// Takes what a worker that has exited left in the pipe, and no more: others may still write to it.
    fn read_the_rest(&mut self) -> io::Result<()> {
        let Some(fd) = &self.fd else { return Ok(()) };
        let mut left = usize::try_from(ioctl_fionread(fd)?).unwrap_or(0);
        while left > 0 && self.fd.is_some() {
            left = left.saturating_sub(self.read(left)?);
        }
        Ok(())
    }

    /// Reads about `length` bytes of those that are there.
    fn read(&mut self, length: usize) -> io::Result<usize> {
        let Some(fd) = &self.fd else { return Ok(0) };
        self.bytes.reserve(length);
        match read(fd, spare_capacity(&mut self.bytes)) {
            Ok(0) => {
                self.fd = None;
                Ok(0)
            }
            Ok(length) => {
                self.bound();
                Ok(length)
            }
            Err(Errno::INTR) => Ok(0),
            Err(errno) => Err(errno.into()),
        }
    }

    fn bound(&mut self) {
        match self.part {
            Keep::Head if self.bytes.len() > self.bytes_max => {
                self.overflowed = true;
                self.bytes.truncate(self.bytes_max);
            }
            // Cut only now and then: moving the rest to the front for every chunk would cost more than the room.
            Keep::Tail if self.bytes.len() / 2 > self.bytes_max => self.cut_front(),
            _ => {}
        }
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
    fn a_worker_need_not_read_its_prompt() {
        for size in [100, 3_000_000] {
            let ended = sh("exec <&-; echo ok", &vec![b'x'; size], &LIMITS);
            assert_eq!((ended.cause, ended.code), (Cause::Exited, Some(0)));
            assert_eq!(ended.stdout, b"ok\n");
        }
    }

    #[test]
    fn output_is_read_to_its_end() {
        // Within the first look and after it; less and more than a pipe holds; from a worker that closes its outputs.
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
            // One that had no time to become `sleep` is still a copy of the shell.
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
        for _ in 0..100 {
            if !alive() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("process {grandchild} outlived its attempt");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn leaked_processes_are_seen_without_the_pipes_and_are_none_for_a_worker_that_was_ended() {
        let many = "i=0; while [ $i -lt 20 ]; do sleep 600 >/dev/null 2>&1 & i=$((i + 1)); done";
        let names: Vec<String> = sh(many, b"", &LIMITS)
            .leaked
            .into_iter()
            .map(|process| process.name)
            .collect();
        assert_eq!(names.len(), LEAKED_MAX);
        // One that had no time to become `sleep` is still a copy of the shell.
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
        let limits = Limits {
            max_runtime: Duration::from_millis(100),
            ..LIMITS
        };
        let ended = sh("trap '' TERM; while :; do sleep 1; done", b"", &limits);
        assert_eq!((ended.cause, ended.signal), (Cause::TimedOut, Some(9)));
    }

    #[test]
    fn a_silent_worker_is_ended_also_when_it_was_not_always_silent() {
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
    fn output_puts_off_the_idle_time_and_nothing_puts_off_the_end() {
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
        times.heard = at(20);
        assert_eq!(times.due(), Some(at(50)));
        assert_eq!(times.reason_to_end(at(49)), None);
        times.heard = at(90);
        assert_eq!(times.due(), Some(at(100)));
        assert_eq!(times.reason_to_end(at(100)), Some(Cause::TimedOut));
        times.ask(at(100), Duration::from_secs(5));
        assert_eq!(times.due(), Some(at(105)));
        times.kill = None;
        assert_eq!(times.due(), None);
    }

    #[test]
    fn a_stop_at_once_ends_a_worker_and_a_gentle_one_does_not() {
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
    fn the_pulse_begins_with_the_process_and_quickens_with_its_output() {
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
    fn what_can_not_start_has_no_process() {
        let stop = Stop::new().expect("a pipe");
        let heartbeat = Heartbeat::new();
        let command = Command::new("/nowhere/agent");
        let never = |_| panic!("there is no process");
        run(command, b"", &LIMITS, &stop, &heartbeat, never).expect_err("not there");
        assert_eq!(heartbeat.running_for(), None);
    }

    #[test]
    fn a_flood_is_cut_off() {
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
}
