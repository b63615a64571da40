//! Starts a command in the sandbox, and tries whether the sandbox holds.

use super::mechanism::Mechanism;
use super::order::Order;
use crate::model::one_line;
use crate::platform::machine_fault::{self, of_record};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
    /// The reason why not is in one line.
    ///
    /// # Errors
    /// A fault of the machine kept it from being tried.
    pub fn probe(&self) -> io::Result<Result<(), String>> {
        let order = Order {
            mechanism: self.mechanism,
            read_only: self.read_only.clone(),
            writable: self.writable.clone(),
            folder: PathBuf::from("/"),
            error: None,
        };
        let mut command = Command::new(own_program());
        command.args(order.to_args()).stdin(Stdio::null());
        Ok(match machine_fault::apart(command.output())? {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) if !output.stdout.is_empty() => {
                return Err(of_record(&String::from_utf8_lossy(&output.stdout)));
            }
            Ok(output) => Err(reason(&output.stderr)),
            Err(error) => Err(error.to_string()),
        })
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
    let lines = text.lines().map(str::trim);
    let causes = lines.filter_map(|line| {
        let message = line.strip_prefix("error: ");
        message.or_else(|| line.strip_prefix("caused by: "))
    });
    match causes.collect::<Vec<_>>() {
        causes if !causes.is_empty() => one_line(&causes.join(": ")),
        _ => one_line(text.lines().next().unwrap_or("no reason was given")),
    }
}
