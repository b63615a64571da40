//! A job in slices: each slice is worked by one process, on any host that shares the folder of the job.
//!
//! ```text
//! JOB/job.json                 the job and how it is sliced (`job_folder`, `slicing`)
//! JOB/rows.json                where the rows of its input begin, so that a slice need not read the others
//! JOB/slices/00017.2.jsonl     what happened to slice 17, as a ledger; 2 is its generation (`slice_file`)
//! JOB/slices/00017.refused.jsonl   other processes that wanted the slice while it was worked
//! JOB/logs/                    the output of failed attempts
//! ```
//!
//! Where no folder is shared, a slice has one file of results instead (`results_file`).
//!
//! A slice is the same rows for as long as the job exists, so working it again continues it. Results are read from the
//! files of the slices (`answers`); nothing else passes between hosts.

mod answers;
mod error;
mod job_folder;
mod results_file;
mod slice_file;
mod slicing;

pub use answers::{
    ResultPlace, SliceAnswer, SliceSource, count_answers, find_sources, read_answers,
};
pub use error::SliceError;
pub use job_folder::{JobFolder, SlicedJob};
pub use slice_file::{Claimed, JobMark, SliceFile, TakenSlice};
pub use slicing::{SliceName, Slicing};
