//! Errors that are the machine's: they decide the exit code, whatever was being done, and say what to do about it.

use rustix::io::Errno;
use std::error::Error;
use std::io;

/// What ran out or broke, if that is among the causes of `error`.
pub fn find(error: &(dyn Error + 'static)) -> Option<Errno> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let number = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::raw_os_error);
        if let Some(errno) = number.map(Errno::from_raw_os_error)
            && advice(errno).is_some()
        {
            return Some(errno);
        }
        cause = error.source();
    }
    None
}

/// What to do; `None` for an error that is the caller's, such as a missing file.
pub fn advice(errno: Errno) -> Option<&'static str> {
    Some(match errno {
        Errno::NOSPC => "free space on that disk, or choose another folder",
        Errno::DQUOT => "free space: your quota on that disk is used up",
        Errno::ROFS => "that file system is read-only: remount it, or choose another folder",
        Errno::IO | Errno::STALE => "the disk or its file system has a fault: see the system's log",
        Errno::MFILE => {
            "raise the limit of open files (ulimit -n), or run fewer workers at once (-j)"
        }
        Errno::NFILE => "the system has too many open files: end other programs",
        Errno::NOMEM => "free memory: end other programs, or run fewer workers at once (-j)",
        Errno::AGAIN => {
            "too many processes or too little memory: end other programs, or raise the limit (ulimit -u)"
        }
        _ => return None,
    })
}
