//! Runs a command that the kernel keeps from writing certain folders, whatever it does.
//!
//! ```text
//! Sandbox::command ──▶ mesh __sandbox … -- PROGRAM    a process of its own, so that the caller may have threads
//!                        helper: enters `namespace` or `landlock`, then becomes PROGRAM
//! probe            ──▶ the same, but tries to write instead of starting a program
//! ```
//!
//! A namespace denies the protected folders and leaves everything else as it is. Landlock knows no denial, so there
//! everything is denied but a list of folders. Neither keeps a command from reading, from the network, or from asking
//! another process of the same user to write for it.

mod confinement;
mod helper;
#[cfg(target_os = "linux")]
mod landlock;
#[cfg(target_os = "linux")]
mod mounts;
#[cfg(target_os = "linux")]
mod namespace;
#[cfg(target_os = "linux")]
mod privileges;
#[cfg(any(target_os = "macos", test))]
mod seatbelt;

pub use confinement::{Choice, Confinement, SandboxError};
pub use helper::{COMMAND, main};

use helper::Order;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the kernel enforces the sandbox with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mechanism {
    /// A user and mount namespace with read-only mounts (Linux).
    Namespace,
    /// Landlock rules (Linux 6.2 and later).
    Landlock,
    /// A profile of `sandbox-exec` (macOS).
    Seatbelt,
}

impl Mechanism {
    /// Those of this system, the stricter first.
    pub const HERE: &[Self] = if cfg!(target_os = "macos") {
        &[Self::Seatbelt]
    } else if cfg!(target_os = "linux") {
        &[Self::Namespace, Self::Landlock]
    } else {
        &[]
    };

    /// Its name, as in the ledger and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Landlock => "landlock",
            Self::Seatbelt => "seatbelt",
        }
    }
}

/// What a command must not write, and what it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// How it is enforced.
    pub mechanism: Mechanism,
    /// Folders and files that must not change; absolute, and they exist.
    pub read_only: Vec<PathBuf>,
    /// Folders that may change although they are in one of the above; for Landlock, every folder that may change.
    pub writable: Vec<PathBuf>,
}

impl Sandbox {
    /// The command that runs `program` in `folder` inside of the sandbox. It may also write `own`. If the sandbox can't be
    /// entered or the program not be started, the reason is in the file `error` afterwards.
    pub fn command(&self, program: &OsStr, folder: &Path, own: &Path, error: &Path) -> Command {
        let mut writable = self.writable.clone();
        writable.push(own.to_owned());
        let order = Order {
            mechanism: self.mechanism,
            read_only: self.read_only.clone(),
            writable,
            folder: folder.to_owned(),
            error: Some(error.to_owned()),
        };
        let mut command = Command::new(own_program());
        command.args(order.to_args()).arg("--").arg(program);
        command
    }

    /// Whether the kernel lets a process into the sandbox and then keeps it from writing.
    ///
    /// # Errors
    /// The reason why not, in one line.
    pub fn probe(&self) -> Result<(), String> {
        let order = Order {
            mechanism: self.mechanism,
            read_only: self.read_only.clone(),
            writable: self.writable.clone(),
            folder: PathBuf::from("/"),
            error: None,
        };
        let mut command = Command::new(own_program());
        let output = command
            .args(order.to_args())
            .stdin(Stdio::null())
            .output()
            .map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(()),
            false => Err(reason(&output.stderr)),
        }
    }
}

/// This program: by a name that also holds when its file was replaced.
fn own_program() -> PathBuf {
    match cfg!(target_os = "linux") {
        true => PathBuf::from("/proc/self/exe"),
        false => std::env::current_exe().unwrap_or_else(|_| PathBuf::from("mesh")),
    }
}

fn reason(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().next().unwrap_or("no reason was given");
    crate::model::one_line(line)
}

/// An error that says which step failed.
fn at<E: Into<io::Error>>(step: impl std::fmt::Display) -> impl FnOnce(E) -> io::Error {
    move |error| {
        let error = error.into();
        io::Error::new(error.kind(), format!("{step}: {error}"))
    }
}
