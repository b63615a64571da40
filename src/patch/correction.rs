//! Corrections that were made to a patch, for the voters.

use crate::model::one_line;
use std::fmt;
use std::fmt::Display;

/// A difference between the model's text and the text that is applied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Correction {
    /// Line counts in hunk headers were wrong.
    Counts,
    /// Line ends differed from the file's.
    LineEnds,
    /// A context line differed in its line end; the file keeps its own.
    ContextLineEnd {
        /// The file.
        path: String,
        /// Its line.
        line: u64,
    },
    /// The header of a hunk had another line number than that of its old lines, or none.
    Place {
        /// The file.
        path: String,
        /// The line number in the header; 0 if it has none.
        stated: u32,
        /// The line of its place.
        line: u64,
    },
    /// A context line differed in trailing blanks; those of the file are kept.
    Blanks {
        /// The file.
        path: String,
        /// Its line.
        line: u64,
    },
    /// The file has no newline at its end and the patch ignores that; it has none afterwards.
    OpenEnd {
        /// The file.
        path: String,
    },
}

impl Display for Correction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Correction::Counts => {
                write!(
                    f,
                    "the line counts of its hunk headers were wrong, and were put right"
                )
            }
            Correction::LineEnds => {
                write!(
                    f,
                    "its line ends were not those of the files, and were put right"
                )
            }
            Correction::ContextLineEnd { path, line } => write!(
                f,
                "line {line} of `{}`, a context line, differed only in its line end; the file keeps its own",
                one_line(path)
            ),
            Correction::Place {
                path,
                stated: 0,
                line,
            } => write!(
                f,
                "a hunk for `{}` has no line number; it goes to line {line}, the only place for it",
                one_line(path)
            ),
            Correction::Place { path, stated, line } => write!(
                f,
                "a hunk for `{}` states line {stated}; it goes to line {line}, the only place where its old lines stand",
                one_line(path)
            ),
            Correction::Blanks { path, line } => write!(
                f,
                "line {line} of `{}`, a context line, differed only in trailing white space; the file keeps its own",
                one_line(path)
            ),
            Correction::OpenEnd { path } => write!(
                f,
                "`{}` has no newline at its end, of which the patch says nothing; it has none afterwards",
                one_line(path)
            ),
        }
    }
}
