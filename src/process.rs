//! Process groups: seeing a leader exit without reaping it, and ending everything it started.
//!
//! Whatever `mesh` starts has a group of its own. The group is signalled before its leader is reaped: as long
//! as the zombie is there, the group id can't be given to anybody else.

use rustix::process::{Pid, Signal, kill_process_group};
use std::io;
use std::os::fd::OwnedFd;

/// Asks every process of the group to end. A group that is gone already is no error.
pub fn terminate(group: Pid) {
    let _ = kill_process_group(group, Signal::TERM);
}

/// Ends every process of the group now.
pub fn kill(group: Pid) {
    let _ = kill_process_group(group, Signal::KILL);
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
    std::thread::Builder::new()
        .name("exit-watch".to_owned())
        .stack_size(64 * 1024)
        .spawn(move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), options) {}
            drop(held);
        })?;
    Ok(readable.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};

    #[test]
    fn both_watches_see_the_exit_and_leave_the_child_to_be_reaped() {
        for watch in [exit_watch, watch_by_thread] {
            let mut child = std::process::Command::new("true").spawn().expect("started");
            let fd = watch(Pid::from_child(&child)).expect("watched");
            while poll(&mut [PollFd::new(&fd, PollFlags::IN)], None).is_err() {}
            assert!(child.wait().expect("still there to reap").success());
        }
    }
}
