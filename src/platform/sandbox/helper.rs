//! The process between `mesh` and a worker: it enters the sandbox and becomes the worker.
//!
//! It is this program again, with one thread, as a namespace can't be entered with several. Its arguments are an [`Order`].

use super::{Mechanism, at};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The first argument that makes this program the helper.
pub const COMMAND: &str = "__sandbox";

/// What the helper is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub mechanism: Mechanism,
    pub read_only: Vec<PathBuf>,
    pub writable: Vec<PathBuf>,
    /// Where the program starts.
    pub folder: PathBuf,
    /// Where a failure is written.
    pub error: Option<PathBuf>,
}

impl Order {
    /// `__sandbox MECHANISM [-r PATH]… [-w PATH]… -d FOLDER [-e FILE]`
    pub fn to_args(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec![COMMAND.into(), self.mechanism.as_str().into()];
        let mut put = |option: &str, path: &Path| args.extend([option.into(), path.into()]);
        self.read_only.iter().for_each(|path| put("-r", path));
        self.writable.iter().for_each(|path| put("-w", path));
        put("-d", &self.folder);
        self.error.iter().for_each(|path| put("-e", path));
        args
    }

    /// Reads its arguments without the first, up to `--`.
    fn of_args(args: &mut impl Iterator<Item = OsString>) -> Option<Self> {
        let name = args.next()?;
        let known = [
            Mechanism::Namespace,
            Mechanism::Landlock,
            Mechanism::Seatbelt,
        ];
        let mut order = Self {
            mechanism: known.into_iter().find(|known| name == known.as_str())?,
            read_only: Vec::new(),
            writable: Vec::new(),
            folder: PathBuf::from("/"),
            error: None,
        };
        while let Some(option) = args.next().filter(|option| option != "--") {
            let path = PathBuf::from(args.next()?);
            match option.to_str()? {
                "-r" => order.read_only.push(path),
                "-w" => order.writable.push(path),
                "-d" => order.folder = path,
                "-e" => order.error = Some(path),
                _ => return None,
            }
        }
        Some(order)
    }

    fn enter(&self) -> io::Result<()> {
        match self.mechanism {
            #[cfg(target_os = "linux")]
            Mechanism::Namespace => super::namespace::enter(&self.read_only, &self.writable),
            #[cfg(target_os = "linux")]
            Mechanism::Landlock => super::landlock::enter(&self.writable),
            // The profile is given to `sandbox-exec`, which starts the program.
            #[cfg(target_os = "macos")]
            Mechanism::Seatbelt => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "not available on this system",
            )),
        }
    }

    fn program(&self, program: &OsStr, args: impl Iterator<Item = OsString>) -> Command {
        #[cfg(target_os = "macos")]
        if self.mechanism == Mechanism::Seatbelt {
            let mut command = super::seatbelt::command(&self.read_only, &self.writable);
            command.arg(program).args(args);
            return command;
        }
        let mut command = Command::new(program);
        command.args(args);
        command
    }
}

/// Enters the sandbox that `args`, everything behind [`COMMAND`], describe, and becomes the program behind `--`; without
/// one, tries to write. Returns on failure only, or from a trial.
pub fn main(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(order) = Order::of_args(&mut args) else {
        eprintln!("`{COMMAND}` is for mesh itself");
        return ExitCode::from(2);
    };
    // Opened before the namespace, where the folder is read-only.
    let folder = order
        .error
        .as_deref()
        .map(|file| File::open(crate::platform::parent(file)));
    let result = order.enter().and_then(|()| match args.next() {
        None => attempt_to_write(&order),
        Some(program) => {
            // The folder as the mounts of the namespace show it.
            std::env::set_current_dir(&order.folder).map_err(at(order.folder.display()))?;
            Err(order.program(&program, args).exec())
        }
    });
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    match (folder, &order.error) {
        (Some(Ok(folder)), Some(file)) => {
            // Whoever waits for the worker reads it; without it the exit code remains.
            let _ = record(&folder, file, &error);
        }
        _ => eprintln!("{error}"),
    }
    ExitCode::from(127)
}

fn record(folder: &File, file: &Path, error: &io::Error) -> io::Result<()> {
    use rustix::fs::{Mode, OFlags, openat};
    let name = file.file_name().unwrap_or_default();
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::EXCL | OFlags::NOFOLLOW;
    let file = openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?;
    File::from(file).write_all(error.to_string().as_bytes())
}

/// Succeeds if nothing in the protected folders can be written, and everything that may be can.
fn attempt_to_write(order: &Order) -> io::Result<()> {
    for path in &order.read_only {
        if can_write(path).is_ok() {
            let text = format!("`{}` can still be written", path.display());
            return Err(io::Error::other(text));
        }
    }
    for path in order.writable.iter().filter(|path| path.is_dir()) {
        can_write(path).map_err(at(path.display()))?;
    }
    Ok(())
}

/// Creates a file and removes it again; of a file, opens it for writing.
fn can_write(path: &Path) -> io::Result<()> {
    if !path.is_dir() {
        return File::options().append(true).open(path).map(drop);
    }
    let probe = path.join(format!(".mesh-probe-{}", std::process::id()));
    let made = File::options().write(true).create_new(true).open(&probe);
    made.and_then(|_| std::fs::remove_file(&probe))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn the_arguments_of_an_order_are_read_back() {
        let odd = PathBuf::from(OsString::from_vec(b"/r\xff/--".to_vec()));
        let order = Order {
            mechanism: Mechanism::Landlock,
            read_only: vec!["/a b".into(), odd],
            writable: vec!["-r".into()],
            folder: "/w".into(),
            error: Some("/s/t.error".into()),
        };
        let args = order.to_args().into_iter().skip(1);
        let mut args = args.chain(["--", "program", "-x"].map(Into::into));
        assert_eq!(Order::of_args(&mut args), Some(order));
        assert_eq!(args.collect::<Vec<_>>(), ["program", "-x"]);
        for wrong in [
            &["none"][..],
            &["namespace", "-x", "/"],
            &["namespace", "-r"],
            &[],
        ] {
            let mut args = wrong.iter().map(OsString::from);
            assert_eq!(Order::of_args(&mut args), None, "{wrong:?}");
        }
    }
}
