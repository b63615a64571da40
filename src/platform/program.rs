//! Finds programs as a shell does.

use super::machine_fault;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use which::{NonFatalError, WhichConfig};

/// The executable file that `name` is: on `PATH`, or relative to `folder` if there is a slash in it. `None` if there is none. As in a shell, one
/// that is found counts, also behind a folder that can't be looked at.
///
/// # Errors
/// None was found, and a fault of the machine kept a file from being looked at: it may be the one.
pub fn find(name: impl AsRef<OsStr>, folder: &Path) -> io::Result<Option<PathBuf>> {
    let mut fault = None;
    let found = WhichConfig::new()
        .binary_name(name.as_ref().to_owned())
        .custom_cwd(folder.to_owned())
        .nonfatal_error_handler(|error| match error {
            NonFatalError::Io(error) if machine_fault::is_fault(&error) => {
                fault.get_or_insert(error);
            }
            _ => {}
        })
        .first_result();
    match (found, fault) {
        (Ok(found), _) => Ok(Some(found)),
        (Err(_), Some(fault)) => Err(fault),
        (Err(_), None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_program_is_an_executable_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("program");
        let found = |name: &str| find(name, folder.path()).expect("a look");
        assert!(found("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(found("./program"), None);
        std::fs::write(&program, "#!/bin/sh\n").expect("written");
        assert_eq!(found("./program"), None);
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("executable");
        assert!(found("./program").is_some());
        assert_eq!(found("program"), None);
    }
}
