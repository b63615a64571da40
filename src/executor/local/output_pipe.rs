//! One output pipe of a worker: read when that does not block, kept up to a bound.

use rustix::buffer::spare_capacity;
use rustix::event::PollFlags;
use rustix::io::{Errno, ioctl_fionread, read};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The least that one read takes.
const READ_BYTES_MIN: usize = 4096;
/// The most that one read takes.
const READ_BYTES_MAX: usize = 64 * 1024;

/// Which part of oversized output is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The beginning; anything beyond the bound is an overflow.
    Head,
    /// The end, where a program says why it failed.
    Tail,
}

/// One output pipe of a worker.
pub(crate) struct OutputPipe {
    keep: Keep,
    /// `None` after end of file.
    fd: Option<OwnedFd>,
    bytes: Vec<u8>,
    bytes_max: usize,
    pub overflowed: bool,
}

impl OutputPipe {
    pub fn new(fd: Option<OwnedFd>, keep: Keep, bytes_max: usize) -> Self {
        Self {
            keep,
            fd,
            bytes: Vec::new(),
            bytes_max,
            overflowed: false,
        }
    }

    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    /// Reads one chunk if the poll saw input, so that a flood can't delay the time limits. Returns its size.
    pub fn read_once(&mut self, seen: PollFlags) -> io::Result<usize> {
        if self.fd.is_none() || seen.is_empty() {
            return Ok(0);
        }
        if seen.contains(PollFlags::IN) {
            return self.read(self.bytes.len().clamp(READ_BYTES_MIN, READ_BYTES_MAX));
        }
        // The other end is closed, and nothing is left in the pipe.
        self.fd = None;
        Ok(0)
    }

    /// Reads what an exited worker left in the pipe and no more: its children may still write to it.
    pub fn read_rest(&mut self) -> io::Result<()> {
        let Some(fd) = &self.fd else { return Ok(()) };
        let mut left = usize::try_from(ioctl_fionread(fd)?).unwrap_or(0);
        while left > 0 && self.fd.is_some() {
            left = left.saturating_sub(self.read(left)?);
        }
        Ok(())
    }

    /// Reads about `length` of the available bytes.
    fn read(&mut self, length: usize) -> io::Result<usize> {
        let Some(fd) = &self.fd else { return Ok(0) };
        self.bytes.reserve(length);
        match read(fd, spare_capacity(&mut self.bytes)) {
            Ok(0) => {
                self.fd = None;
                Ok(0)
            }
            Ok(length) => {
                self.bound();
                Ok(length)
            }
            Err(Errno::INTR) => Ok(0),
            Err(errno) => Err(errno.into()),
        }
    }

    fn bound(&mut self) {
        match self.keep {
            Keep::Head if self.bytes.len() > self.bytes_max => {
                self.overflowed = true;
                self.bytes.truncate(self.bytes_max);
            }
            // Cut rarely: moving the rest to the front for every chunk would cost more than the memory.
            Keep::Tail if self.bytes.len() / 2 > self.bytes_max => self.cut_front(),
            _ => {}
        }
    }

    fn cut_front(&mut self) {
        let excess = self.bytes.len().saturating_sub(self.bytes_max);
        self.bytes.drain(..excess);
    }

    pub fn into_bytes(mut self) -> Vec<u8> {
        self.cut_front();
        self.bytes
    }
}
