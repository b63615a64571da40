//! Unix sockets at paths of any length. The kernel takes about 100 bytes of a path; where `/proc` shows descriptors, a longer one is
//! named by the descriptor of its folder.

use super::durable::parent;
use super::look;
use rustix::fs::{Mode, OFlags};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The longest path that every Unix takes, in bytes.
const PATH_BYTES_MAX: usize = 100;
const OPEN_DESCRIPTORS: &str = "/proc/self/fd";

/// Whether [`listen`] and [`connect`] can use `path`.
pub fn takes(path: &Path) -> bool {
    is_short(path) || look::is_folder(Path::new(OPEN_DESCRIPTORS)).unwrap_or(false)
}

/// Listens at `path`, which must not exist.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    at(path, |path| UnixListener::bind(path))
}

/// Connects to the listener at `path`.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    at(path, |path| UnixStream::connect(path))
}

fn is_short(path: &Path) -> bool {
    path.as_os_str().len() <= PATH_BYTES_MAX
}

fn at<T>(path: &Path, call: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    if is_short(path) {
        return call(path);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    #[cfg(target_os = "linux")]
    let flags = flags | OFlags::PATH;
    let folder: OwnedFd = rustix::fs::open(parent(path), flags, Mode::empty())?;
    let mut short = PathBuf::from(OPEN_DESCRIPTORS);
    short.push(folder.as_raw_fd().to_string());
    short.push(path.file_name().unwrap_or_default());
    call(&short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_path_that_the_kernel_does_not_take() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("x".repeat(120));
        std::fs::create_dir(&folder).expect("a folder");
        let path = folder.join("socket");
        if !takes(&path) {
            return;
        }
        assert!(UnixListener::bind(&path).is_err());
        let listener = listen(&path).expect("listening");
        assert!(path.exists());
        let mut sent = connect(&path).expect("connected");
        sent.write_all(b"hello").expect("sent");
        drop(sent);
        let mut text = String::new();
        let (mut received, _) = listener.accept().expect("accepted");
        received.read_to_string(&mut text).expect("read");
        assert_eq!(text, "hello");
        drop(listener);
        // A process that another test is starting has the listener as well for a moment.
        let refused = (0..3000).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            connect(&path).err()
        });
        let refused = refused.expect("nobody listens");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let missing = connect(&folder.join("none")).expect_err("no socket");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
