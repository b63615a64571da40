//! The folder that paths of callers are confined to. Files are opened beneath it, without following a symbolic link.

use crate::mcp::toolbox::ToolError;
use crate::platform::root_dir::is_absent;
use crate::platform::{RootDir, look};
use rustix::fs::FileType;
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

/// The folder that paths are confined to.
#[derive(Clone, Debug)]
pub struct Root {
    /// Without links.
    path: PathBuf,
    /// As it was given.
    given: PathBuf,
}

impl Root {
    /// The folder at `path`, which itself may be reached through links.
    ///
    /// # Errors
    /// It is no folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        let real = std::fs::canonicalize(path)?;
        RootDir::open(&real)?;
        Ok(Self {
            path: real,
            given: path.to_owned(),
        })
    }

    /// The folder, without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether `folder` is this one or beneath it.
    ///
    /// # Errors
    /// A fault of the machine.
    pub fn includes(&self, folder: &Path) -> io::Result<bool> {
        Ok(look::real(folder)?.starts_with(&self.path))
    }

    /// Opens an existing file: its absolute path, and the file.
    ///
    /// # Errors
    /// It is outside, reached through a link, or no regular file.
    pub fn open_file(&self, argument: &str, given: &str) -> Result<(PathBuf, File), ToolError> {
        let below = self.below(argument, given)?;
        let opened = RootDir::open(&self.path).and_then(|root| root.open_file(&below));
        let file = opened.map_err(|error| {
            let why = match is_absent(&error) {
                true => "there is no such file, or a symbolic link leads to it".to_owned(),
                false => error.to_string(),
            };
            self.refused(argument, given, &why)
        })?;
        Ok((self.path.join(below), file))
    }

    /// Checks the path of a file or folder that may exist; gives it absolute.
    ///
    /// # Errors
    /// It is outside, or a link is on the way.
    pub fn check(&self, argument: &str, given: &str) -> Result<PathBuf, ToolError> {
        let below = self.below(argument, given)?;
        let failed = |error: io::Error| self.refused(argument, given, &error.to_string());
        let root = RootDir::open(&self.path).map_err(failed)?;
        let mut here = PathBuf::new();
        for part in below.components() {
            here.push(part);
            let Some(stat) = root.stat(&here).map_err(failed)? else {
                break;
            };
            if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
                let why = format!("`{}` is a symbolic link", here.display());
                return Err(self.refused(argument, given, &why));
            }
        }
        Ok(self.path.join(below))
    }

    /// The path relative to the root.
    fn below(&self, argument: &str, given: &str) -> Result<PathBuf, ToolError> {
        let path = Path::new(given);
        let relative = match path.is_absolute() {
            false => Some(path),
            true => [&self.path, &self.given]
                .into_iter()
                .find_map(|root| path.strip_prefix(root).ok()),
        };
        let outside = || self.refused(argument, given, "it is outside");
        let mut below = PathBuf::new();
        for part in relative.ok_or_else(outside)?.components() {
            match part {
                Component::Normal(name) => below.push(name),
                Component::CurDir => {}
                _ => return Err(outside()),
            }
        }
        match below.as_os_str().is_empty() {
            true => Err(self.refused(argument, given, "it is no file")),
            false => Ok(below),
        }
    }

    fn refused(&self, argument: &str, given: &str, why: &str) -> ToolError {
        let root = self.path.display();
        ToolError::new(
            format!("`{argument}`: `{given}` can't be used: {why}"),
            format!("pass a path in `{root}`, relative to it, without `..` and symbolic links"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_paths_beneath_without_links_are_accepted() {
        let place = tempfile::tempdir().expect("a folder");
        let (inside, outside) = (place.path().join("in"), place.path().join("out"));
        std::fs::create_dir_all(inside.join("a")).expect("folders");
        std::fs::create_dir(&outside).expect("a folder");
        for file in [inside.join("a/f"), outside.join("f")] {
            std::fs::write(file, "x").expect("written");
        }
        symlink(&outside, inside.join("l")).expect("linked");
        symlink("a/f", inside.join("g")).expect("linked");
        symlink(&inside, place.path().join("alias")).expect("linked");
        let root = Root::open(&place.path().join("alias")).expect("a root");
        let absolute = |name: &str| place.path().join(name).display().to_string();
        for good in ["a/f", "./a/f", &absolute("in/a/f"), &absolute("alias/a/f")] {
            let (path, _) = root.open_file("p", good).expect("opened");
            assert_eq!(path, root.path().join("a/f"), "{good}");
            assert!(root.check("p", good).is_ok(), "{good}");
        }
        for new in ["new.csv", "new/folder/f.csv"] {
            assert!(root.check("p", new).is_ok(), "{new}");
            assert!(root.open_file("p", new).is_err(), "{new}");
        }
        for bad in [
            "",
            ".",
            "../out/f",
            "a/../../out/f",
            "l/f",
            "l/new",
            "g",
            &absolute("out/f"),
            "/etc/passwd",
        ] {
            assert!(root.open_file("p", bad).is_err(), "{bad}");
            assert!(root.check("p", bad).is_err(), "{bad}");
        }
    }
}
