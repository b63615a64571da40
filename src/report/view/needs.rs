//! What has to be read for a report.

/// Which parts of a row have to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Its result and its error.
    pub record: bool,
    /// The cells of its input.
    pub input: bool,
}

impl Needs {
    /// Everything.
    pub const ALL: Self = Self {
        record: true,
        input: true,
    };

    /// What either needs.
    pub fn or(self, other: Self) -> Self {
        Self {
            record: self.record || other.record,
            input: self.input || other.input,
        }
    }
}
