//! `--watch`: the live page of a run, served by the process that runs it. Whatever becomes of the server or the browser, the run
//! goes on; the page ends with it.

use super::error::CliError;
use super::terminal::Terminal;
use crate::model::RunId;
use crate::platform::{machine_fault, program, threads};
use crate::report::live::Server;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A server that listens, if it was requested.
#[derive(Default)]
pub struct LivePage {
    server: Option<Server>,
}

impl LivePage {
    /// Listens on a free port of the loopback address, before anything starts, for the runs below `home`.
    pub fn listen(is_requested: bool, home: &Path) -> Result<Self, CliError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = is_requested.then(|| Server::listen(address, home));
        Ok(Self {
            server: server.transpose()?,
        })
    }

    /// Serves the page of `run` until the process ends, prints its address, and opens a browser if a person is at the terminal.
    pub fn show(self, run: &RunId, terminal: &Terminal) {
        let Some(server) = self.server else { return };
        let url = server.url(Some(run));
        terminal.talk(&format!("live page: {url}"));
        if let Err(error) = threads::start("page server", move || server.serve()) {
            terminal.warn(&format!("no live page: {}", machine_fault::line_of(&error)));
            return;
        }
        if std::io::stderr().is_terminal()
            && let Some(browser) = browser()
        {
            // A browser that does not start is no loss: the address was printed.
            let _ = open(&browser, &url);
        }
    }
}

/// The program that opens an address: the first of `BROWSER`, else that of the desktop; none without one.
fn browser() -> Option<OsString> {
    let given = std::env::var("BROWSER").unwrap_or_default();
    let desktop = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    let candidates = given.split(':').filter(|name| !name.is_empty());
    let found = candidates
        .chain([desktop])
        .find_map(|name| program::find(name, Path::new(".")).ok().flatten());
    found.map(Into::into)
}

/// Starts it in a process group of its own, so that an interrupt of the run does not reach it, and waits for it in a thread.
fn open(browser: &OsString, url: &str) -> std::io::Result<()> {
    let mut command = Command::new(browser);
    command.arg(url).process_group(0);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn()?;
    threads::start("browser", move || child.wait()).map(drop)
}
