//! Calls that a signal can interrupt.

use std::io;

/// Repeats `call` until no signal interrupts it. Network and FUSE file systems interrupt also what does not wait elsewhere.
pub fn retry_interrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            ended => return ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_call_is_repeated() {
        let mut answers = [
            Err(io::ErrorKind::Interrupted.into()),
            Err(io::ErrorKind::Interrupted.into()),
            Ok(3),
            Err(io::ErrorKind::NotFound.into()),
        ]
        .into_iter();
        let mut call = || answers.next().expect("an answer");
        assert_eq!(retry_interrupted(&mut call).ok(), Some(3));
        let error = retry_interrupted(&mut call).expect_err("not interrupted");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
