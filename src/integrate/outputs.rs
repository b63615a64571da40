//! The files that receive the standard output and error of `mesh`, as with `2>run.log` or `| tee run.log`. They grow while
//! `mesh` runs, which is not a change of the tree.

use std::collections::HashSet;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

/// Device and inode of each of these files.
pub fn own_outputs() -> HashSet<(u64, u64)> {
    let mut files = HashSet::new();
    let mut pipes = HashSet::new();
    for number in ["1", "2"] {
        let Ok(metadata) = std::fs::metadata(format!("/dev/fd/{number}")) else {
            continue;
        };
        let identity = (metadata.dev(), metadata.ino());
        if metadata.is_file() {
            files.insert(identity);
        } else if metadata.file_type().is_fifo() {
            pipes.insert(identity);
        }
    }
    if !pipes.is_empty() {
        files.extend(written_by_readers(&pipes));
    }
    files
}

/// The regular files that are open in processes which read from one of `pipes`, such as `tee`. Works only on Linux.
fn written_by_readers(pipes: &HashSet<(u64, u64)>) -> HashSet<(u64, u64)> {
    let own = std::process::id().to_string();
    let mut files = HashSet::new();
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = process.file_name();
        let is_process = name
            .to_str()
            .is_some_and(|name| name.parse::<u32>().is_ok());
        if !is_process || name == own.as_str() {
            continue;
        }
        let open = std::fs::read_dir(process.path().join("fd"));
        let open: Vec<_> = open.into_iter().flatten().flatten().collect();
        let input = std::fs::metadata(process.path().join("fd/0"));
        let reads = input.is_ok_and(|input| pipes.contains(&(input.dev(), input.ino())));
        if !reads {
            continue;
        }
        let metadata = open
            .iter()
            .filter_map(|fd| std::fs::metadata(fd.path()).ok());
        let regular = metadata.filter(std::fs::Metadata::is_file);
        files.extend(regular.map(|file| (file.dev(), file.ino())));
    }
    files
}
