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
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
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
