//! Process groups: seeing a leader exit without reaping it, ending everything it started, and telling processes apart.
//!
//! Whatever `mesh` starts has a group of its own. The group is signalled before its leader is reaped: as long
//! as the zombie is there, the group id can't be given to anybody else. A process that `mesh` did not start itself
//! is known by its id together with its start time, because ids are used again. What other processes are comes from
//! `/proc`, so only Linux can say it; elsewhere there seem to be none.

mod tree_writers;

pub use tree_writers::{Group, Input, Writers};

use rustix::process::{
    Pid, Signal, getpriority_pgrp, kill_process_group, setpriority_process, test_kill_process_group,
};
use std::io;
use std::os::fd::OwnedFd;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{all, boot_ticks, environment, find, lock_holder, own, signal, system};
#[cfg(target_os = "linux")]
pub use linux::{all, boot_ticks, environment, find, lock_holder, own, signal, system};

/// The lowest priority there is.
const NICEST: i32 = 19;

/// A process that has not ended, as it was when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: Pid,
    /// The name of its program, at most 15 bytes of it; a process can change it.
    pub name: String,
    /// The id of the process that started it, or that took it over when that one ended.
    pub parent: u32,
    /// The id of its process group, as [`number`] gives it; 0 for one from outside of this process table, such as that
    /// of the first process in a container.
    pub group: u32,
    /// The id of its session; 0 as for the group.
    pub session: u32,
    /// When it started, in hundredths of a second since boot (see [`boot_ticks`]).
    pub start_ticks: u64,
}

/// `pid` as a number to compare with, or to show.
pub fn number(pid: Pid) -> u32 {
    pid.as_raw_pid().unsigned_abs()
}

/// The user that this process acts for.
pub fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The name of this machine.
pub fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// Asks every process of the group to end. A group that is gone already is no error.
pub fn terminate(group: Pid) {
    let _ = kill_process_group(group, Signal::TERM);
}

/// Ends every process of the group now.
pub fn kill(group: Pid) {
    let _ = kill_process_group(group, Signal::KILL);
}

/// Whether a group of this id exists, whoever it belongs to.
pub fn group_exists(group: Pid) -> bool {
    test_kill_process_group(group) != Err(rustix::io::Errno::SRCH)
}

/// Whether the group of `leader`, which has exited and is not reaped, holds any other process.
///
/// Two system calls instead of reading all of `/proc`: the dead leader gets the lowest priority, and the priority of a
/// group is the highest of its members'. Members that have the lowest themselves are not seen.
pub fn has_survivors(leader: Pid) -> bool {
    cfg!(target_os = "linux")
        && setpriority_process(Some(leader), NICEST).is_ok()
        && getpriority_pgrp(Some(leader)).is_ok_and(|highest| highest < NICEST)
}

/// For `poll`: readable (or hung up) once process `pid` has exited; the process is not reaped.
pub fn exit_watch(pid: Pid) -> io::Result<OwnedFd> {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{PidfdFlags, pidfd_open};
        // Kernels before 5.3 have no pidfd; the thread below works everywhere.
        if let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) {
            return Ok(fd);
        }
    }
    watch_by_thread(pid)
}

fn watch_by_thread(pid: Pid) -> io::Result<OwnedFd> {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let (readable, held) = io::pipe()?;
    super::threads::start("exit-watch", move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), options) {}
        drop(held);
    })?;
    Ok(readable.into())
}

#[cfg(target_os = "linux")]
mod linux {
    use super::Process;
    use crate::model::visible;
    use crate::platform::look;
    use rustix::io::Errno;
    use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
    use rustix::time::{ClockId, clock_gettime};
    use std::io;
    use std::os::unix::fs::MetadataExt;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    /// All processes of this system that have not ended and can be seen from here. Costs some 10 µs for each.
    ///
    /// # Errors
    /// A fault of the machine: there may be others.
    pub fn all() -> io::Result<Vec<Process>> {
        let mut found = Vec::new();
        let entries = look::reachable(std::fs::read_dir("/proc"))?;
        for entry in entries.into_iter().flatten() {
            let name = entry?.file_name();
            let pid = name.to_str().and_then(|name| name.parse().ok());
            if let Some(pid) = pid.and_then(Pid::from_raw) {
                found.extend(find(pid)?);
            }
        }
        Ok(found)
    }

    /// The process of this id, unless it has ended.
    ///
    /// # Errors
    /// A fault of the machine: it may run.
    pub fn find(pid: Pid) -> io::Result<Option<Process>> {
        let stat = look::reachable(std::fs::read(file_of(pid, "stat")))?;
        Ok(stat.and_then(|stat| parse(pid, &String::from_utf8_lossy(&stat))))
    }

    /// This process. (`getsid` and `getpgrp` of rustix have no value for a 0.)
    pub fn own() -> Option<Process> {
        find(rustix::process::getpid()).ok().flatten()
    }

    /// Sends `signal` to exactly this process; one that has ended is no error, whoever has its id by now.
    pub fn signal(process: &Process, signal: Signal) -> rustix::io::Result<()> {
        // The descriptor is opened first and stays with whatever process the look then confirms.
        let held = pidfd_open(process.pid, PidfdFlags::empty());
        let is_it = |now: Process| now.start_ticks == process.start_ticks;
        let now = find(process.pid);
        let now = now.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        if !now.is_some_and(is_it) {
            return Ok(());
        }
        let sent = match held {
            Ok(fd) => pidfd_send_signal(fd, signal),
            // Before Linux 5.3, a number that was right a moment ago has to do.
            Err(Errno::NOSYS) => kill_process(process.pid, signal),
            Err(errno) => Err(errno),
        };
        match sent {
            Err(Errno::SRCH) => Ok(()),
            sent => sent,
        }
    }

    /// The environment that the program of process `pid` was started with: `NAME=value`, each ended by a zero byte.
    /// Nothing for a process of another user.
    ///
    /// # Errors
    /// A fault of the machine.
    pub fn environment(pid: Pid) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for _ in 0..EXEC_LOOKS_MAX {
            match look::reachable(std::fs::read(file_of(pid, "environ")))? {
                Some(read) => bytes = read,
                None => return Ok(Vec::new()),
            }
            if is_whole(pid, bytes.len())? {
                break;
            }
            std::thread::sleep(EXEC_PAUSE);
        }
        Ok(bytes)
    }

    /// How often, and how long apart, a process is looked at that is becoming another program, which takes less than a millisecond unless
    /// the machine is busy.
    const EXEC_LOOKS_MAX: u32 = 100;
    const EXEC_PAUSE: Duration = Duration::from_millis(1);

    /// Whether `length` bytes are the whole environment of a process: in the middle of becoming another program (`execve`) it has none, and
    /// what is read across that is cut off. A thread of the kernel has none, nor has a process that has ended.
    fn is_whole(pid: Pid, length: usize) -> io::Result<bool> {
        const KERNEL_THREAD: u64 = 0x0020_0000;
        let stat = look::reachable(std::fs::read(file_of(pid, "stat")))?.unwrap_or_default();
        let stat = String::from_utf8_lossy(&stat);
        let Some((_, fields)) = stat.rsplit_once(')') else {
            return Ok(true);
        };
        let fields: Vec<&str> = fields.split_whitespace().collect();
        // Numbered as in proc_pid_stat(5); the id and the name are before the parenthesis.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let (Some(flags), Some(code), Some(begin), Some(end)) =
            (field(9), field(27), field(50), field(51))
        else {
            return Ok(true);
        };
        let has_ended = matches!(fields.first(), Some(&("Z" | "X")));
        // The end of its code is set last.
        let is_complete = code != 0 && end.checked_sub(begin) == Some(length as u64);
        Ok(has_ended || flags & KERNEL_THREAD != 0 || is_complete)
    }

    /// The process that holds a `flock` on the file, as far as that can be seen from here.
    pub fn lock_holder(file: &std::fs::Metadata) -> Option<u32> {
        let locks = std::fs::read_to_string("/proc/locks").ok()?;
        holder_among(&locks, file.dev(), file.ino())
    }

    /// `1: FLOCK  ADVISORY  WRITE 4711 fe:01:131 0 EOF`: device numbers in hexadecimal, the file's number in decimal.
    fn holder_among(locks: &str, device: u64, inode: u64) -> Option<u32> {
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let file = format!("{major:02x}:{minor:02x}:{inode}");
        locks.lines().find_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            let is_held = words.next() == Some("FLOCK");
            let pid = words.nth(2)?.parse().ok()?;
            (is_held && words.next() == Some(&file) && pid > 0).then_some(pid)
        })
    }

    #[test]
    fn the_holder_of_a_lock_is_found_by_the_numbers_of_its_file() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 fe:01:131 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 12 fe:01:131 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 13 fe:01:131 0 EOF\n";
        let device = rustix::fs::makedev(0xfe, 1);
        assert_eq!(holder_among(locks, device, 131), Some(13));
        assert_eq!(holder_among(locks, device, 13), None);
    }

    /// Which boot of which machine, and which of its process tables: ids and start times mean something only there.
    ///
    /// # Errors
    /// A fault of the machine.
    pub fn system() -> io::Result<String> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        let boot = look::reachable(boot)?.unwrap_or_default();
        let table = look::reachable(std::fs::read_link("/proc/self/ns/pid"))?.unwrap_or_default();
        Ok(format!("{}/{}", boot.trim(), table.display()))
    }

    /// Now, on the clock and in the unit of [`Process::start_ticks`]; no system call.
    pub fn boot_ticks() -> u64 {
        let now = clock_gettime(ClockId::Boottime);
        now.tv_sec.unsigned_abs() * 100 + now.tv_nsec.unsigned_abs() / 10_000_000
    }

    fn file_of(pid: Pid, name: &str) -> PathBuf {
        Path::new("/proc").join(pid.to_string()).join(name)
    }

    /// `/proc/<pid>/stat` as proc_pid_stat(5) describes it; nothing for a zombie. The name stands in parentheses and
    /// may hold blanks and parentheses itself, so what follows is counted from the last one.
    pub(crate) fn parse(pid: Pid, stat: &str) -> Option<Process> {
        let (before, after) = stat.rsplit_once(')')?;
        let (_, name) = before.split_once('(')?;
        let fields: Vec<&str> = after.split_ascii_whitespace().collect();
        let id = |field: usize| fields.get(field)?.parse().ok();
        if ["Z", "X", "x"].contains(fields.first()?) {
            return None;
        }
        Some(Process {
            pid,
            name: visible(name),
            parent: id(1)?,
            group: id(2)?,
            session: id(3)?,
            start_ticks: fields.get(19)?.parse().ok()?,
        })
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::Process;
    use rustix::process::{Pid, Signal};

    /// None: this system has no `/proc`.
    pub fn all() -> std::io::Result<Vec<Process>> {
        Ok(Vec::new())
    }

    /// Not known.
    pub fn find(_pid: Pid) -> std::io::Result<Option<Process>> {
        Ok(None)
    }

    /// Not known.
    pub fn own() -> Option<Process> {
        None
    }

    /// Nothing: there is no certainty about any process.
    pub fn signal(_process: &Process, _signal: Signal) -> rustix::io::Result<()> {
        Ok(())
    }

    /// Nothing.
    pub fn lock_holder(_file: &std::fs::Metadata) -> Option<u32> {
        None
    }

    /// Nothing.
    pub fn environment(_pid: Pid) -> std::io::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    /// Not known.
    pub fn system() -> std::io::Result<String> {
        Ok("-".to_owned())
    }

    /// Not known.
    pub fn boot_ticks() -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    fn wait_for(fd: &OwnedFd) {
        while poll(&mut [PollFd::new(fd, PollFlags::IN)], None).is_err() {}
    }

    #[test]
    fn both_watches_see_the_exit_and_leave_the_child_to_be_reaped() {
        for watch in [exit_watch, watch_by_thread] {
            let mut child = Command::new("true").spawn().expect("started");
            let fd = watch(Pid::from_child(&child)).expect("watched");
            wait_for(&fd);
            assert!(child.wait().expect("still there to reap").success());
        }
    }

    fn sh(script: &str) -> Child {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).process_group(0);
        command.spawn().expect("started")
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_dead_leader_has_survivors_until_they_are_gone() {
        for (script, survivors) in [("exit 0", false), ("sleep 600 &", true)] {
            let mut child = sh(script);
            let leader = Pid::from_child(&child);
            wait_for(&exit_watch(leader).expect("watched"));
            assert_eq!(has_survivors(leader), survivors, "{script}");
            assert!(group_exists(leader));
            kill(leader);
            child.wait().expect("reaped");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_is_found_by_its_start_time_and_signalled_only_with_it() {
        let before = boot_ticks();
        let mut child = sh("exec sleep 600");
        let after = boot_ticks();
        let pid = Pid::from_child(&child);
        let found = all()
            .expect("read")
            .into_iter()
            .find(|process| process.pid == pid);
        let found = found.expect("it runs");
        assert_eq!(found.group, number(pid));
        assert_eq!(Some(found.session), own().map(|own| own.session));
        assert!((before..=after).contains(&found.start_ticks));

        let recycled = Process {
            start_ticks: found.start_ticks - 1,
            ..found.clone()
        };
        signal(&recycled, Signal::KILL).expect("nothing to do");
        signal(&found, Signal::TERM).expect("sent");
        let status = child.wait().expect("reaped");
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(15),
            "TERM came first"
        );
        signal(&found, Signal::KILL).expect("gone is no error");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_may_hold_anything() {
        let line = "7 (a) b (c\u{1b}) S 1 5 4 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 99 1000 2\n";
        let pid = Pid::from_raw(7).expect("a number");
        let process = linux::parse(pid, line).expect("a process");
        assert_eq!(process.name, "a) b (c\u{fffd}");
        assert_eq!((process.parent, process.group, process.session), (1, 5, 4));
        let outside = linux::parse(pid, &line.replace(" 5 4 ", " 0 0 "));
        let outside = outside.expect("a process of a container");
        assert_eq!((outside.group, outside.session), (0, 0));
        assert_eq!(process.start_ticks, 99);
        assert_eq!(linux::parse(pid, &line.replace(" S ", " Z ")), None);
        assert_eq!(linux::parse(pid, "7 (cut"), None);
        assert_eq!(linux::parse(pid, "7 (cut) S 1"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_becomes_another_program_has_its_environment_all_the_time() {
        // It becomes a shell 300 times.
        let script = r#"[ "$1" = 0 ] || exec sh -c "$0" "$0" $(($1 - 1)); exec sleep 600"#;
        let mut command = Command::new("sh");
        let command = command.args(["-c", script, script, "300"]);
        let mut child = command.env("MARK", "x").spawn().expect("sh starts");
        let pid = Pid::from_child(&child);
        while find(pid)
            .expect("read")
            .is_none_or(|process| process.name != "sleep")
        {
            let environment = environment(pid).expect("read");
            let mut entries = environment.split(|byte| *byte == 0);
            assert!(entries.any(|entry| entry == b"MARK=x"), "{environment:?}");
        }
        child.kill().expect("ours");
        child.wait().expect("ended");
    }
}
