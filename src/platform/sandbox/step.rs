//! Errors of the steps into a sandbox.

use std::io;

/// An error that says which step failed.
pub fn at<E: Into<io::Error>>(step: impl std::fmt::Display) -> impl FnOnce(E) -> io::Error {
    move |error| {
        let error = error.into();
        io::Error::new(error.kind(), format!("{step}: {error}"))
    }
}
