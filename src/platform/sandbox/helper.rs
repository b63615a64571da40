//! The process between `mesh` and a worker: it enters the sandbox and becomes the worker.
//!
//! It is this program again, with one thread, as a namespace can't be entered with several. Its arguments are an [`Order`].

use super::mechanism::Mechanism;
use super::order::{COMMAND, Order};
use super::seatbelt;
use crate::platform::look;
use crate::platform::machine_fault::{self, at, record_of};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Enters the sandbox that `args`, everything after [`COMMAND`], describe, and becomes the program after `--`; without one,
/// tries to write. Returns on failure, or after the trial.
///
/// # Errors
/// The reason; it is also in the file that the order names.
pub fn main(mut args: impl Iterator<Item = OsString>) -> io::Result<()> {
    let misused = || io::Error::other(format!("`{COMMAND}` is for mesh itself"));
    let order = Order::of_args(&mut args).ok_or_else(misused)?;
    // Opened before the namespace is entered, in which the folder is read-only.
    let error = order.error.as_deref();
    let folder = error.map(|file| File::open(crate::platform::parent(file)));
    let result = enter(&order).and_then(|()| match args.next() {
        None => try_to_write(&order).inspect_err(print_fault),
        Some(name) => Err(become_program(&order, &name, args)),
    });
    if let (Err(error), Some(Ok(folder)), Some(file)) = (&result, &folder, &order.error) {
        // Whoever waits for the worker reads it; without it the exit code remains.
        let _ = record(folder, file, error);
    }
    result
}

fn become_program(order: &Order, name: &OsStr, args: impl Iterator<Item = OsString>) -> io::Error {
    // The folder as the mounts of the namespace show it.
    match std::env::set_current_dir(&order.folder) {
        Ok(()) => program(order, name, args).exec(),
        Err(error) => at(order.folder.display())(error),
    }
}

fn record(folder: &File, file: &Path, error: &io::Error) -> io::Result<()> {
    use rustix::fs::{Mode, OFlags, openat};
    let name = file.file_name().unwrap_or_default();
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::EXCL | OFlags::NOFOLLOW;
    let file = openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?;
    File::from(file).write_all(record_of(error).as_bytes())
}

/// Tells who waits for the trial that it says nothing. A read-only file system is what is asked for.
fn print_fault(error: &io::Error) {
    if is_fault(error) {
        // Without it the trial counts as failed.
        let _ = io::stdout().write_all(record_of(error).as_bytes());
    }
}

fn is_fault(error: &io::Error) -> bool {
    machine_fault::find(error).is_some_and(|fault| fault != Errno::ROFS)
}

/// Succeeds if nothing in the protected folders can be written, and everything that may be can.
fn try_to_write(order: &Order) -> io::Result<()> {
    for path in &order.read_only {
        let Err(error) = can_write(path) else {
            let text = format!("`{}` can still be written", path.display());
            return Err(io::Error::other(text));
        };
        // One that can't be tried is not protected by that.
        if is_fault(&error) {
            return Err(at(path.display())(error));
        }
    }
    for path in &order.writable {
        let there = look::reach(path)?;
        if there.is_some_and(|there| there.is_dir()) {
            can_write(path).map_err(at(path.display()))?;
        }
    }
    Ok(())
}

/// Creates a file and removes it again; of a file, opens it for writing.
fn can_write(path: &Path) -> io::Result<()> {
    if !look::is_folder(path)? {
        return File::options().append(true).open(path).map(drop);
    }
    let probe = path.join(format!(".mesh-probe-{}", std::process::id()));
    let made = File::options().write(true).create_new(true).open(&probe);
    made.and_then(|_| std::fs::remove_file(&probe))
}

fn enter(order: &Order) -> io::Result<()> {
    match order.mechanism {
        #[cfg(target_os = "linux")]
        Mechanism::Namespace => super::namespace::enter(&order.read_only, &order.writable),
        #[cfg(target_os = "linux")]
        Mechanism::Landlock => super::landlock::enter(&order.writable),
        // The profile is given to `sandbox-exec`, which starts the program.
        #[cfg(target_os = "macos")]
        Mechanism::Seatbelt => Ok(()),
        _ => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "not available on this system",
        )),
    }
}

fn program(order: &Order, name: &OsStr, args: impl Iterator<Item = OsString>) -> Command {
    let mut command = match order.mechanism {
        Mechanism::Namespace | Mechanism::Landlock => Command::new(name),
        Mechanism::Seatbelt => {
            let profile = seatbelt::profile(&order.read_only, &order.writable);
            let mut command = Command::new(seatbelt::PROGRAM);
            command.arg("-p").arg(profile).arg(name);
            command
        }
    };
    command.args(args);
    command
}
