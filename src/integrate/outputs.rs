//! The files behind `mesh`'s own standard output and error: `2>run.log`, `| tee run.log`. They grow while it talks, and
//! that is nobody's change to the tree.

use std::collections::HashSet;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

/// Device and inode of each.
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

/// The regular files that processes have open which also read from one of `pipes`: those of `tee`. Only Linux tells.
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
