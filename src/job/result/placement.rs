//! Renames a finished output into place without destroying a file of someone else.
//!
//! An output is recognised by its hash, which is in the ledger before the rename: a kill never leaves an output that
//! its run does not know. An unknown file in place of an output was edited and is kept beside the new one. If the run
//! never wrote there, the file belongs to someone else: it stays, and the output gets another name.

use crate::platform::{look, sha256_of_bytes, sha256_of_file};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// How often to retry if the file changes between check and rename.
const TRIES: u32 = 10;

/// Where to place an output, and what it may replace.
#[derive(Clone, Copy, Debug)]
pub struct Placement<'p> {
    /// The wanted name.
    pub path: &'p Path,
    /// The name to use if the wanted one is taken.
    pub other: &'p Path,
    /// The hashes of files that may be replaced.
    pub known: &'p [String],
}

/// Where an output was placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The output.
    pub path: PathBuf,
    /// Where the edited file in its place was kept.
    pub edited: Option<PathBuf>,
}

/// The file at the wanted name.
enum Found {
    Nothing,
    /// It may be replaced, as long as it does not change.
    Known(Stamp),
    Edited(Stamp),
    /// It was never an output of this run.
    Foreign,
}

/// A file at the time of the check.
type Stamp = ((u64, u64), u64, (i64, i64));

/// Renames `staged` into place. `announce` makes the path durable before the rename.
///
/// # Errors
/// The file system's; nothing that stood there is lost then.
pub fn place<E: From<io::Error>>(
    mut staged: NamedTempFile,
    placement: Placement<'_>,
    mut announce: impl FnMut(&Path) -> Result<(), E>,
) -> Result<Placed, E> {
    let path = placement.path;
    for _ in 0..TRIES {
        let found = look(path, placement.known)?;
        let target = match found {
            Found::Foreign => free_name(placement.other)?,
            _ => path.to_owned(),
        };
        announce(&target)?;
        let mut edited = None;
        let stamp = match found {
            Found::Nothing | Found::Foreign => None,
            Found::Known(stamp) => Some(stamp),
            Found::Edited(stamp) => {
                edited = Some(keep_beside(path)?);
                Some(stamp)
            }
        };
        let renamed = match stamp {
            // The file may have been moved instead of linked.
            Some(stamp) if is_still(path, stamp)? => staged.persist(&target),
            Some(_) if edited.is_none() => continue,
            _ => staged.persist_noclobber(&target),
        };
        match renamed {
            Ok(_) => {
                crate::platform::sync_folder(crate::platform::parent(&target))?;
                return Ok(Placed {
                    path: target,
                    edited,
                });
            }
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                staged = error.file;
            }
            Err(error) => return Err(error.error.into()),
        }
    }
    Err(io::Error::other("it changes all the time").into())
}

/// The first free name of `out.csv`, `out-2.csv`, ….
pub fn free_name(wanted: &Path) -> io::Result<PathBuf> {
    let stem = wanted.file_stem().unwrap_or_default();
    let numbered = |number: u32| {
        let mut name = stem.to_owned();
        name.push(format!("-{number}"));
        if let Some(extension) = wanted.extension() {
            name.push(".");
            name.push(extension);
        }
        wanted.with_file_name(name)
    };
    let names = std::iter::once(wanted.to_owned()).chain((2..).map(numbered));
    for name in names {
        if !look::is_taken(&name)? {
            return Ok(name);
        }
    }
    Ok(wanted.to_owned())
}

fn look(path: &Path, known: &[String]) -> io::Result<Found> {
    let Some(there) = look::entry(path)? else {
        return Ok(Found::Nothing);
    };
    if known.is_empty() || there.is_dir() {
        return Ok(Found::Foreign);
    }
    let hash = fingerprint(path)?;
    Ok(match known.contains(&hash) {
        true => Found::Known(stamp(&there)),
        false => Found::Edited(stamp(&there)),
    })
}

/// The hash that identifies a file; for a symbolic link, of the link itself.
pub fn fingerprint(path: &Path) -> io::Result<String> {
    match std::fs::symlink_metadata(path)?.is_symlink() {
        true => {
            let target = std::fs::read_link(path)?;
            Ok(sha256_of_bytes(
                &[b"link ", target.as_os_str().as_bytes()].concat(),
            ))
        }
        false => sha256_of_file(path),
    }
}

/// Links the file at `path` to `<stem>.edited.csv` as well, or to a numbered name. A link rather than a copy: a program
/// that still writes into the file writes into the one that is kept.
fn keep_beside(path: &Path) -> io::Result<PathBuf> {
    let stem = path.file_stem().unwrap_or_default();
    let mut name = stem.to_owned();
    name.push(".edited");
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    for _ in 0..TRIES {
        let beside = free_name(&path.with_file_name(&name))?;
        // Moves it on a file system without hard links.
        let linked = std::fs::hard_link(path, &beside).or_else(|error| match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound => Err(error),
            _ => Ok(renameat_with(
                CWD,
                path,
                CWD,
                &beside,
                RenameFlags::NOREPLACE,
            )?),
        });
        match linked {
            Ok(()) => return Ok(beside),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn is_still(path: &Path, before: Stamp) -> io::Result<bool> {
    Ok(look::entry(path)?.is_some_and(|there| stamp(&there) == before))
}

/// Without the time of the last status change, which a link changes.
fn stamp(there: &Metadata) -> Stamp {
    let place = (there.dev(), there.ino());
    (place, there.size(), (there.mtime(), there.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Readers;
    use std::io::Write;

    struct Bench(tempfile::TempDir);

    impl Bench {
        fn at(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, name: &str, text: &str) -> String {
            std::fs::write(self.at(name), text).expect("written");
            fingerprint(&self.at(name)).expect("read")
        }

        /// Places the text `new`, whatever file is there.
        fn place(&self, known: &[String]) -> (String, Option<String>) {
            let staged = crate::platform::stage(&self.at("out.csv"), Readers::Umask, |out| {
                out.write_all(b"new")
            });
            let placement = Placement {
                path: &self.at("out.csv"),
                other: &self.at("other.csv"),
                known,
            };
            let announce = |_: &Path| Ok::<_, io::Error>(());
            let placed = place(staged.expect("staged"), placement, announce).expect("placed");
            assert_eq!(std::fs::read_to_string(&placed.path).expect("there"), "new");
            let name = |path: &Path| path.file_name().expect("a name").display().to_string();
            (name(&placed.path), placed.edited.as_deref().map(name))
        }

        fn read(&self, name: &str) -> String {
            std::fs::read_to_string(self.at(name)).expect("there")
        }
    }

    fn bench() -> Bench {
        Bench(tempfile::tempdir().expect("a folder"))
    }

    #[test]
    fn an_output_takes_a_free_name_or_replaces_a_known_file() {
        let bench = bench();
        assert_eq!(bench.place(&[]), ("out.csv".to_owned(), None));
        let known = bench.write("out.csv", "mine");
        assert_eq!(bench.place(&[known]), ("out.csv".to_owned(), None));
        assert_eq!(std::fs::read_dir(bench.0.path()).expect("there").count(), 1);
    }

    #[test]
    fn an_edited_file_is_kept_beside_the_output() {
        let bench = bench();
        let known = [bench.write("out.csv", "mine")];
        for (round, name) in ["out.edited.csv", "out.edited-2.csv"].iter().enumerate() {
            let text = format!("edited {round}");
            bench.write("out.csv", &text);
            let edited = Some((*name).to_owned());
            assert_eq!(bench.place(&known), ("out.csv".to_owned(), edited));
            assert_eq!(bench.read(name), text);
        }
    }

    #[test]
    fn a_foreign_file_stays() {
        let bench = bench();
        bench.write("out.csv", "theirs");
        assert_eq!(bench.place(&[]), ("other.csv".to_owned(), None));
        assert_eq!(bench.place(&[]), ("other-2.csv".to_owned(), None));
        assert_eq!(bench.read("out.csv"), "theirs");
    }

    #[test]
    fn a_file_that_appears_between_check_and_rename_is_not_replaced() {
        let bench = bench();
        let out = bench.at("out.csv");
        let staged = crate::platform::stage(&out, Readers::Umask, |out| out.write_all(b"new"))
            .expect("staged");
        let placement = Placement {
            path: &out,
            other: &bench.at("other.csv"),
            known: &[],
        };
        let announce = |path: &Path| {
            if path == out {
                std::fs::write(&out, "theirs")?;
            }
            Ok::<_, io::Error>(())
        };
        let placed = place(staged, placement, announce).expect("placed");
        assert_eq!(placed.path, bench.at("other.csv"));
        assert_eq!(bench.read("out.csv"), "theirs");
    }

    #[test]
    fn a_symbolic_link_is_hashed_itself() {
        let bench = bench();
        std::os::unix::fs::symlink("nowhere", bench.at("out.csv")).expect("a link");
        let known = fingerprint(&bench.at("out.csv")).expect("a link");
        assert_eq!(bench.place(&[known]), ("out.csv".to_owned(), None));
    }
}
