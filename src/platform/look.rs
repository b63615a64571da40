//! What is at a path. A look that fails says nothing about it: `Path::is_file` and its like would take what can't be looked at for missing.

use super::machine_fault;
use std::error::Error;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

/// Whether a regular file is there, perhaps behind a link.
pub fn is_file(path: &Path) -> io::Result<bool> {
    Ok(find(path)?.is_some_and(|found| found.is_file()))
}

/// Whether a folder is there, perhaps behind a link.
pub fn is_folder(path: &Path) -> io::Result<bool> {
    Ok(find(path)?.is_some_and(|found| found.is_dir()))
}

/// Whether anything is there; a link counts itself, wherever it leads.
pub fn is_taken(path: &Path) -> io::Result<bool> {
    Ok(entry(path)?.is_some())
}

/// What is there, perhaps behind a link.
pub fn find(path: &Path) -> io::Result<Option<Metadata>> {
    found(std::fs::metadata(path))
}

/// What is there; a link counts itself.
pub fn entry(path: &Path) -> io::Result<Option<Metadata>> {
    found(std::fs::symlink_metadata(path))
}

/// What is there, perhaps behind a link; `None` if nothing can be reached by that name, as [`reachable`] has it. For what a user names.
pub fn reach(path: &Path) -> io::Result<Option<Metadata>> {
    reachable(std::fs::metadata(path))
}

/// The paths in a folder; none if there is no folder.
pub fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = found(std::fs::read_dir(folder))?;
    let entries = entries.into_iter().flatten();
    entries.map(|entry| Ok(entry?.path())).collect()
}

/// The folders from `folder` upwards that do not exist.
pub fn missing_folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut missing = Vec::new();
    for folder in folder.ancestors() {
        if folder.as_os_str().is_empty() || find(folder)?.is_some() {
            break;
        }
        missing.push(folder.to_owned());
    }
    Ok(missing)
}

/// The path with all links followed; as it is if nothing can be reached by it, so that two spellings of one place are equal.
pub fn real(path: &Path) -> io::Result<PathBuf> {
    Ok(reachable(path.canonicalize())?.unwrap_or_else(|| path.to_owned()))
}

/// What a look or a read found; `None` if nothing is there.
pub fn found<T>(looked: io::Result<T>) -> io::Result<Option<T>> {
    match looked {
        Err(error) if is_missing(&error) => Ok(None),
        looked => looked.map(Some),
    }
}

/// What a look or a read found; `None` if nothing can be reached by that name, whether it is missing, forbidden or no name that the file
/// system takes. Only a fault of the machine is an error.
pub fn reachable<T, E: Error + 'static>(looked: Result<T, E>) -> Result<Option<T>, E> {
    Ok(machine_fault::apart(looked)?.ok())
}

/// What a look at something that is no part of the work found, such as what another program has open; `None` if it can't be reached, also for a
/// fault of the file system that it is on. Only a lack of what any look needs is an error.
pub fn of_others<T, E: Error + 'static>(looked: Result<T, E>) -> Result<Option<T>, E> {
    match looked {
        Err(error) if machine_fault::is_lack(&error) => Err(error),
        looked => Ok(looked.ok()),
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            // Nothing can have a name that the file system does not take.
            | io::ErrorKind::InvalidFilename
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_looked_at_is_not_missing() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "").expect("written");
        std::os::unix::fs::symlink("loop", at("loop")).expect("a link to itself");
        assert!(is_folder(folder.path()).expect("a look"));
        assert!(is_file(&at("file")).expect("a look"));
        assert!(!is_folder(&at("file")).expect("a look"));
        assert!(!is_file(&at("none")).expect("a look"));
        assert!(!is_file(&at("file/none")).expect("a look"));
        assert!(!is_file(&at(&"n".repeat(256))).expect("a look"));
        assert!(is_file(&at("loop")).is_err());
        assert_eq!(
            found(std::fs::read(at("file"))).expect("a read"),
            Some(vec![])
        );
        assert_eq!(found(std::fs::read(at("none"))).expect("a read"), None);
        assert!(found(std::fs::read("/proc/self/mem")).is_err());
        let named = |name: &str| std::fs::metadata(at(name));
        assert!(reachable(named("file")).expect("a look").is_some());
        assert!(reachable(named("none")).expect("a look").is_none());
        assert!(reachable(named("loop")).expect("a look").is_none());
        assert!(reachable(std::fs::read("/proc/self/mem")).is_err());
        assert!(matches!(
            of_others(std::fs::read("/proc/self/mem")),
            Ok(None)
        ));
        let lacking = std::io::Error::from(rustix::io::Errno::MFILE);
        assert!(of_others::<(), _>(Err(lacking)).is_err());
        assert!(is_taken(&at("loop")).expect("a look"));
        assert_eq!(real(&at("none")).expect("a look"), at("none"));
    }
}
