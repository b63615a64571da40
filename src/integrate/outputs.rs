//! The files that receive the standard output and error of `mesh`, as with `2>run.log` or `| tee run.log`. They grow while
//! `mesh` runs, which is not a change of the tree.

use crate::platform::look;
use std::collections::HashSet;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// Device and inode of a file.
type Identity = (u64, u64);

/// These files, which are looked for at the first question.
#[derive(Debug, Default)]
pub struct OwnOutputs(Option<HashSet<Identity>>);

impl OwnOutputs {
    /// Whether the file with this device and inode is one of them.
    ///
    /// # Errors
    /// A lack of memory or descriptors: it may be one.
    pub fn contain(&mut self, file: Identity) -> io::Result<bool> {
        let found = match self.0.take() {
            Some(found) => found,
            None => find()?,
        };
        Ok(self.0.insert(found).contains(&file))
    }
}

fn find() -> io::Result<HashSet<Identity>> {
    let mut files = HashSet::new();
    let mut pipes = HashSet::new();
    for number in ["1", "2"] {
        let Some(output) = look::reach(&Path::new("/dev/fd").join(number))? else {
            continue;
        };
        let identity = (output.dev(), output.ino());
        if output.is_file() {
            files.insert(identity);
        } else if output.file_type().is_fifo() {
            pipes.insert(identity);
        }
    }
    if !pipes.is_empty() {
        files.extend(written_by_readers(&pipes)?);
    }
    Ok(files)
}

/// The regular files that are open in processes which read from one of `pipes`, such as `tee`. Works only on Linux, and for processes of
/// the same user.
fn written_by_readers(pipes: &HashSet<Identity>) -> io::Result<HashSet<Identity>> {
    let own = std::process::id().to_string();
    let mut files = HashSet::new();
    let processes = look::reachable(std::fs::read_dir("/proc"))?;
    for process in processes.into_iter().flatten() {
        let process = process?;
        let name = process.file_name();
        let is_process = name
            .to_str()
            .is_some_and(|name| name.parse::<u32>().is_ok());
        if !is_process || name == own.as_str() {
            continue;
        }
        let folder = process.path().join("fd");
        let input = look::of_others(std::fs::metadata(folder.join("0")))?;
        if !input.is_some_and(|input| pipes.contains(&(input.dev(), input.ino()))) {
            continue;
        }
        let open = look::of_others(std::fs::read_dir(&folder))?;
        for entry in open.into_iter().flatten() {
            // The process may end at any time.
            let Some(entry) = look::of_others(entry)? else {
                break;
            };
            let file = look::of_others(std::fs::metadata(entry.path()))?;
            let file = file.filter(std::fs::Metadata::is_file);
            files.extend(file.map(|file| (file.dev(), file.ino())));
        }
    }
    Ok(files)
}
