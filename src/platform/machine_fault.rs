//! Errors that are the machine's: they decide the exit code, whatever was being done, and say what to do about it.
//!
//! They are found among the causes of an error, so an error keeps its cause as a source and never as a part of its text: [`at`].

use rustix::io::Errno;
use std::error::Error;
use std::fmt::Display;
use std::io;
use std::sync::Arc;

/// An error of the system, and what was being done.
#[derive(Debug, thiserror::Error)]
#[error("{step}")]
struct Failed {
    step: String,
    #[source]
    source: io::Error,
}

/// For `map_err`: says which step failed, as in `creating a user namespace`.
pub fn at<E: Into<io::Error>>(step: impl Display) -> impl FnOnce(E) -> io::Error {
    move |error| {
        let source = error.into();
        let step = step.to_string();
        io::Error::new(source.kind(), Failed { step, source })
    }
}

/// The message of `error`, and those of its causes that their effects do not quote.
pub fn messages(error: &dyn Error) -> Vec<String> {
    let mut effect = error.to_string();
    let mut messages = vec![effect.clone()];
    for cause in error.source().into_iter().flat_map(chain) {
        let message = cause.to_string();
        if !effect.contains(without_number(&message)) {
            messages.push(message.clone());
        }
        effect = message;
    }
    messages
}

/// `error` and its causes on one line: `creating a user namespace: Cannot allocate memory (os error 12)`.
pub fn line_of(error: &dyn Error) -> String {
    messages(error).join(": ")
}

/// An error for another process, which reads it by [`of_record`]: its number, or 0, and its line.
pub fn record_of(error: &io::Error) -> String {
    let number = numbers(error).next().unwrap_or_default();
    format!("{number} {}", line_of(error))
}

/// The error of which this is the record.
pub fn of_record(record: &str) -> io::Error {
    match record.split_once(' ') {
        Some((number, line))
            if let Ok(number) = number.parse()
                && number > 0 =>
        {
            at(line)(io::Error::from_raw_os_error(number))
        }
        Some((_, line)) => io::Error::other(line),
        None => io::Error::other(record),
    }
}

/// What ran out or broke, if that is among the causes of `error`.
pub fn find(error: &(dyn Error + 'static)) -> Option<Errno> {
    numbers(error)
        .map(Errno::from_raw_os_error)
        .find(|errno| advice(*errno).is_some())
}

/// Whether `error` says nothing about what was looked at: the system gave an error that is no answer. So also for one that [`advice`] does not
/// know.
pub fn is_fault(error: &(dyn Error + 'static)) -> bool {
    let mut errnos = numbers(error).map(Errno::from_raw_os_error);
    errnos.any(|errno| !ANSWERS.contains(&errno))
}

/// Whether this process or system lacks what a look needs, so that the same look may do later, and another one may fail as well.
pub fn is_lack(error: &(dyn Error + 'static)) -> bool {
    const LACKS: [Errno; 4] = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::AGAIN];
    let mut errnos = numbers(error).map(Errno::from_raw_os_error);
    errnos.any(|errno| LACKS.contains(&errno))
}

/// What was found, or why it can't be, which says something about it. A fault of the machine says nothing: it is the outer error.
pub fn apart<T, E: Error + 'static>(found: Result<T, E>) -> Result<Result<T, E>, E> {
    match found {
        Err(error) if is_fault(&error) => Err(error),
        found => Ok(found),
    }
}

/// The fault of the machine that another program names at the end of a line, in the words of a C library without a locale, which
/// need not be the one of this program.
pub fn named_in(text: &str) -> Option<io::Error> {
    let ends_with = |words: &str| {
        let end = format!(": {words}");
        text.lines().any(|line| line.ends_with(&end))
    };
    let own = FAULTS.iter().map(|(errno, _)| *errno).find(|errno| {
        let words = io::Error::from(*errno).to_string();
        ends_with(without_number(&words))
    });
    let others = || OTHER_WORDS.iter().find(|(words, _)| ends_with(words));
    let named = own.or_else(|| others().map(|(_, errno)| *errno));
    named.map(io::Error::from)
}

/// The words of an error of the system, without `(os error 28)`.
fn without_number(message: &str) -> &str {
    message
        .rsplit_once(" (os error ")
        .map_or(message, |(words, _)| words)
}

/// The numbers of the errors of the system among the causes of `error`.
fn numbers(error: &(dyn Error + 'static)) -> impl Iterator<Item = i32> {
    chain(error).filter_map(|error| error.downcast_ref::<io::Error>()?.raw_os_error())
}

/// `error` and its causes.
fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error: &&'e (dyn Error + 'static)| {
        cause_of(error)
    })
}

/// What `source` says, but for errors that stand for another one, whose own source theirs is, or that keep it from sight.
fn cause_of<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    if let Some(error) = error.downcast_ref::<io::Error>()
        && let Some(inner) = error.get_ref()
    {
        return Some(inner);
    }
    if let Some(shared) = error.downcast_ref::<Arc<io::Error>>() {
        return Some(&**shared);
    }
    match error.downcast_ref::<csv::Error>().map(csv::Error::kind) {
        Some(csv::ErrorKind::Io(inner)) => Some(inner),
        _ => error.source(),
    }
}

/// What to do; `None` for an error that is the caller's, such as a missing file.
pub fn advice(errno: Errno) -> Option<&'static str> {
    let known = FAULTS.iter().find(|(fault, _)| *fault == errno);
    known.map(|(_, advice)| *advice)
}

const BROKEN: &str = "the disk or its file system has a fault: see the system's log";

const UNREACHABLE: &str =
    "the server or the program behind that file system does not answer: see the system's log";

/// The errors that say something about what was named: it is missing, forbidden, in use or of another kind, or no such thing can be.
const ANSWERS: [Errno; 24] = [
    Errno::NOENT,
    Errno::NOTDIR,
    Errno::NAMETOOLONG,
    Errno::ILSEQ,
    Errno::LOOP,
    Errno::ACCESS,
    Errno::PERM,
    Errno::INVAL,
    Errno::ISDIR,
    Errno::EXIST,
    Errno::NOTEMPTY,
    Errno::XDEV,
    Errno::MLINK,
    Errno::BUSY,
    Errno::TXTBSY,
    Errno::NOEXEC,
    Errno::TOOBIG,
    Errno::SRCH,
    Errno::CHILD,
    Errno::PIPE,
    Errno::NXIO,
    Errno::CONNREFUSED,
    Errno::NOSYS,
    Errno::OPNOTSUPP,
];

/// The faults of a machine, and what to do about each.
const FAULTS: &[(Errno, &str)] = &[
    (
        Errno::NOSPC,
        "free space on that disk, or choose another folder",
    ),
    (
        Errno::DQUOT,
        "free space: your quota on that disk is used up",
    ),
    (
        Errno::FBIG,
        "raise the limit on the size of files (ulimit -f)",
    ),
    (
        Errno::ROFS,
        "that file system is read-only: remount it, or choose another folder",
    ),
    (Errno::IO, BROKEN),
    (Errno::STALE, BROKEN),
    (Errno::NODEV, BROKEN),
    (Errno::BADMSG, BROKEN),
    #[cfg(target_os = "linux")]
    (Errno::UCLEAN, BROKEN),
    #[cfg(target_os = "linux")]
    (Errno::REMOTEIO, BROKEN),
    (Errno::NOTCONN, UNREACHABLE),
    (Errno::TIMEDOUT, UNREACHABLE),
    (Errno::HOSTDOWN, UNREACHABLE),
    (Errno::HOSTUNREACH, UNREACHABLE),
    (
        Errno::MFILE,
        "raise the limit of open files (ulimit -n), or run fewer workers at once (-j)",
    ),
    (
        Errno::NFILE,
        "the system has too many open files: end other programs",
    ),
    (
        Errno::NOMEM,
        "free memory: end other programs, or run fewer workers at once (-j)",
    ),
    (
        Errno::AGAIN,
        "too many processes or too little memory: end other programs, raise the limit (ulimit -u), or run fewer workers at once (-j)",
    ),
];

/// Words for a fault that not all C libraries have: those of glibc, and then those of musl.
const OTHER_WORDS: [(&str, Errno); 8] = [
    ("Input/output error", Errno::IO),
    ("Too many open files", Errno::MFILE),
    ("Cannot allocate memory", Errno::NOMEM),
    ("Disk quota exceeded", Errno::DQUOT),
    ("I/O error", Errno::IO),
    ("No file descriptors available", Errno::MFILE),
    ("Out of memory", Errno::NOMEM),
    ("Quota exceeded", Errno::DQUOT),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_found_below_the_steps_that_met_it() {
        let full = || io::Error::from(Errno::NOSPC);
        let error = at("copying `b`")(at("copying `a`")(full()));
        assert_eq!(find(&error), Some(Errno::NOSPC));
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let line = "copying `b`: copying `a`: No space left on device (os error 28)";
        assert_eq!(line_of(&error), line);
        let read = of_record(&record_of(&error));
        assert_eq!(
            (find(&read), line_of(&read)),
            (Some(Errno::NOSPC), line.to_owned())
        );
        assert_eq!(find(&at("opening `a`")(Errno::NOENT)), None);
    }

    #[test]
    fn a_fault_is_found_in_errors_that_do_not_name_it_as_their_source() {
        let broken = || io::Error::from(Errno::IO);
        for error in [
            io::Error::other(broken()),
            io::Error::from(csv::Error::from(broken())),
        ] {
            assert!(error.source().is_none());
            assert_eq!(find(&error), Some(Errno::IO));
        }
        assert_eq!(find(&csv::Error::from(broken())), Some(Errno::IO));
        assert_eq!(find(&Arc::new(broken())), Some(Errno::IO));
    }

    #[test]
    fn a_fault_that_another_program_names_is_found_and_not_said_twice() {
        let find_in = |text: &str| named_in(text).and_then(|error| find(&error));
        let full = "error: unable to write file 'a': No space left on device\nfatal: stopped";
        assert_eq!(find_in(full), Some(Errno::NOSPC));
        // As another C library has it.
        assert_eq!(find_in("fatal: read error: I/O error"), Some(Errno::IO));
        assert_eq!(
            find_in("error: patch failed: No space left on device:1"),
            None
        );
        assert_eq!(
            find_in("fatal: unable to open a: No such file or directory"),
            None
        );
        let said = at("git: write error: No space left on device")(Errno::NOSPC);
        assert_eq!(line_of(&said), "git: write error: No space left on device");
    }

    #[test]
    fn a_look_that_the_machine_fails_says_nothing() {
        let looked = |errno: Errno| apart::<(), _>(Err(at("looking at `a`")(errno)));
        assert!(looked(Errno::IO).is_err());
        assert!(looked(Errno::MFILE).is_err());
        assert!(looked(Errno::NOTCONN).is_err());
        // One that nobody has a word of advice for.
        assert!(looked(Errno::OVERFLOW).is_err());
        assert!(advice(Errno::OVERFLOW).is_none());
        assert!(matches!(looked(Errno::NOENT), Ok(Err(_))));
        assert!(matches!(looked(Errno::ACCESS), Ok(Err(_))));
    }
}
