//! What is at a path. A look that fails says nothing about it: `Path::is_file` and its like would take what can't be looked at for missing.

use std::fs::Metadata;
use std::io;
use std::path::Path;

/// Whether a regular file is there, perhaps behind a link.
pub fn is_file(path: &Path) -> io::Result<bool> {
    Ok(find(path)?.is_some_and(|found| found.is_file()))
}

/// Whether a folder is there, perhaps behind a link.
pub fn is_folder(path: &Path) -> io::Result<bool> {
    Ok(find(path)?.is_some_and(|found| found.is_dir()))
}

fn find(path: &Path) -> io::Result<Option<Metadata>> {
    match std::fs::metadata(path) {
        Err(error) if is_missing(&error) => Ok(None),
        found => found.map(Some),
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
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
        assert!(is_file(&at("loop")).is_err());
    }
}
