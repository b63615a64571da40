//! Signals -> being asked to stop.

use crate::job::{Stop, Urgency};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::{self, Write};
use std::sync::Arc;

/// A [`Stop`] that the signals of this process ask: Ctrl-C once lets running rows end, twice ends them; TERM and HUP
/// end them at once.
pub fn on_signals() -> io::Result<Arc<Stop>> {
    let stop = Arc::new(Stop::new()?);
    let heard = [SIGINT, SIGTERM, SIGHUP]
        .into_iter()
        .filter(|signal| !is_ignored(*signal));
    let mut signals = Signals::new(heard)?;
    let asked = Arc::clone(&stop);
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                asked.ask(signal);
                if signal != SIGINT {
                    asked.ask(signal);
                }
                let text = match asked.urgency() {
                    Urgency::Now => "stopping: ending the running rows",
                    _ => "stopping: no further rows start; Ctrl-C again ends the running ones",
                };
                let _ = writeln!(io::stderr().lock(), "{text}");
            }
        })?;
    Ok(stop)
}

/// Whether whoever started this process wants it to ignore `signal`, as `nohup` does. Linux says so in `/proc`;
/// elsewhere the signal is heard.
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
