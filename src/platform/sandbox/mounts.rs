//! The mounts of this process (`/proc/self/mountinfo`), and by which other names a path can be reached through them.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The device of the file system, `major:minor`.
    device: String,
    /// Which folder of the file system is mounted.
    root: PathBuf,
    /// Where.
    pub target: PathBuf,
}

/// All mounts of this process, in the order in which they were made.
pub fn read() -> io::Result<Vec<Mount>> {
    Ok(parse(&std::fs::read("/proc/self/mountinfo")?))
}

/// See proc_pid_mountinfo(5): `36 35 98:0 /root /target options … - type source options`.
fn parse(text: &[u8]) -> Vec<Mount> {
    let lines = text.split(|byte| *byte == b'\n');
    let mounts = lines.filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ').skip(2);
        Some(Mount {
            device: String::from_utf8_lossy(fields.next()?).into_owned(),
            root: unescape(fields.next()?),
            target: unescape(fields.next()?),
        })
    });
    mounts.collect()
}

/// Blank, tab, line end and backslash are written as `\ooo`.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let octal = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok();
        match after.get(..3).filter(|_| *first == b'\\').and_then(octal) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// `path`, and every other place where all or a part of it is mounted.
pub fn names_of(path: &Path, mounts: &[Mount]) -> Vec<PathBuf> {
    let mut names = vec![path.to_owned()];
    // The last one covers what was mounted at the same place before.
    let under = |mount: &&Mount| path.starts_with(&mount.target);
    let depth = |mount: &&Mount| mount.target.components().count();
    let Some(own) = mounts.iter().filter(under).max_by_key(depth) else {
        return names;
    };
    let inside = path.strip_prefix(&own.target).unwrap_or(Path::new(""));
    let inside = own.root.join(inside);
    for mount in mounts.iter().filter(|mount| mount.device == own.device) {
        if let Ok(below) = inside.strip_prefix(&mount.root) {
            names.push(join(&mount.target, below));
        } else if mount.root.starts_with(&inside) {
            names.push(mount.target.clone());
        }
    }
    names.sort();
    names.dedup();
    names
}

fn join(path: &Path, below: &Path) -> PathBuf {
    match below.as_os_str().is_empty() {
        true => path.to_owned(),
        false => path.join(below),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str) -> Vec<String> {
        let text = b"\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
23 22 0:5 / /proc rw - proc proc rw
30 22 8:2 / /home rw shared:1 - ext4 /dev/sda2 rw
31 22 8:2 /me/work /srv/my\\040work rw - ext4 /dev/sda2 rw
32 22 8:2 /me/work/repo/sub /mnt/sub rw - ext4 /dev/sda2 rw
33 22 0:40 / /tmp rw - tmpfs tmpfs rw
34 22 0:40 / /media/t rw - tmpfs tmpfs rw
";
        let names = names_of(Path::new(path), &parse(text));
        names
            .into_iter()
            .map(|path| path.display().to_string())
            .collect()
    }

    #[test]
    fn a_path_is_known_by_every_mount_that_shows_it_or_a_part_of_it() {
        assert_eq!(
            names("/home/me/work/repo"),
            ["/home/me/work/repo", "/mnt/sub", "/srv/my work/repo"]
        );
        assert_eq!(
            names("/srv/my work"),
            ["/home/me/work", "/mnt/sub", "/srv/my work"]
        );
        assert_eq!(names("/tmp/r"), ["/media/t/r", "/tmp/r"]);
        assert_eq!(names("/etc"), ["/etc"]);
    }
}
