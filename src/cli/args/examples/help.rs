//! What is said of one command.

/// The help of one command.
#[derive(Clone, Copy, Debug)]
pub struct Help {
    /// Its name, such as `wave next`; empty for mesh itself.
    pub command: &'static str,
    /// At least three; the first is in the short help.
    pub examples: &'static [&'static str],
    /// What else to know.
    pub notes: &'static str,
    /// Its exit codes.
    pub exit_codes: &'static str,
    /// The ids of the options that the short help shows; all if it is empty.
    pub short: &'static [&'static str],
}
