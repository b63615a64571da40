//! Signals and `mesh cancel` -> a request to stop.

use crate::job::{Stop, StopSource, Urgency};
use crate::platform::{look, pace, threads};
use crate::run::{CancelRequest, RunFolder};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use std::io;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A [`Stop`] for the signals of this process: the first Ctrl-C lets running rows finish, the second terminates them; TERM,
/// HUP and QUIT terminate them at once.
pub fn watch_signals() -> io::Result<Arc<Stop>> {
    let stop = Arc::new(Stop::new()?);
    let handled = [SIGINT, SIGTERM, SIGHUP, SIGQUIT]
        .into_iter()
        .filter(|signal| !is_ignored(*signal))
        .filter(|signal| *signal != SIGHUP || !RELOADS.load(Ordering::SeqCst));
    let mut signals = Signals::new(handled)?;
    let asked = Arc::clone(&stop);
    threads::start("signals", move || {
        for signal in signals.forever() {
            asked.ask(StopSource::Signal(signal));
            if signal != SIGINT {
                asked.ask(StopSource::Signal(signal));
            }
            let text = match asked.urgency() {
                Urgency::Now => "stopping: terminating the running rows",
                _ => "stopping: no further rows start; Ctrl-C again terminates the running ones",
            };
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    })?;
    Ok(stop)
}

/// Takes SIGHUP as a request to read `mesh.yaml` again; whoever acts on it resets the flag. To be called before any `watch`, so
/// that HUP ends nothing.
pub fn reload_signal() -> io::Result<Arc<AtomicBool>> {
    let asked = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGHUP, Arc::clone(&asked))?;
    RELOADS.store(true, Ordering::SeqCst);
    Ok(asked)
}

/// Makes a write beyond the limit on the size of files (`ulimit -f`) fail like one to a full disk: by default its signal ends the process
/// in the middle. Workers start with the default.
pub fn outlive_file_size_limit() {
    if !is_ignored(SIGXFSZ) {
        // Where it fails, the limit ends the process.
        let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
    }
}

/// Whether SIGHUP is such a request.
static RELOADS: AtomicBool = AtomicBool::new(false);

/// How often a run looks for a cancel request in its folder.
const CANCEL_POLL: Duration = Duration::from_millis(200);

/// How often a slice looks for the file that asks it to stop, on a file system that may be far away.
const FILE_POLL: Duration = Duration::from_secs(1);

/// A [`Stop`] for the signals of this process and for `mesh cancel`.
pub fn watch(folder: &RunFolder) -> io::Result<Arc<Stop>> {
    let stop = watch_signals()?;
    let (asked, folder) = (Arc::clone(&stop), folder.clone());
    threads::start("cancel", move || {
        loop {
            std::thread::sleep(pace::interval(CANCEL_POLL));
            let Some(request) = folder.take_cancel_request() else {
                continue;
            };
            let wanted = match request {
                CancelRequest::Soon => Urgency::Drain,
                CancelRequest::Now => Urgency::Now,
            };
            while asked.urgency() < wanted {
                asked.ask(StopSource::Cancel);
            }
            let _ = writeln!(io::stderr().lock(), "stopping: requested by mesh cancel");
        }
    })?;
    Ok(stop)
}

/// A [`Stop`] for the signals of this process and for a file that asks for one.
pub fn watch_file(path: PathBuf) -> io::Result<Arc<Stop>> {
    let stop = watch_signals()?;
    let asked = Arc::clone(&stop);
    threads::start("stop-file", move || {
        while !look::is_taken(&path).unwrap_or(false) {
            std::thread::sleep(pace::interval(FILE_POLL));
        }
        asked.ask(StopSource::Cancel);
        let _ = writeln!(
            io::stderr().lock(),
            "stopping: requested by `{}`",
            path.display()
        );
    })?;
    Ok(stop)
}

/// Whether the parent process made this one ignore `signal`, as `nohup` does. Only Linux shows it, in `/proc`; elsewhere
/// the signal is handled.
fn is_ignored(signal: i32) -> bool {
    let ignored = || {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix("SigIgn:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    };
    ignored().is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
