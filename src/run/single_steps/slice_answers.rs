//! Reads the answers in the files of slices: those in the folder of an exported wave, and files of results from hosts without that folder.
//!
//! Each file says which job and wave it is of, and is refused as a whole if that is another one, or if it is damaged. Of two copies of
//! a slice, which hosts that share no folder can't keep from running both, one file is read: that with more ended rows, or else the
//! first by name. So the rows of a slice never come from two copies at once.

use super::awaited::AwaitedAnswers;
use super::imported_answers::{Answers, AnswersError, IgnoredCopy, ImportedAnswer};
use crate::executor::slices::{
    SliceAnswer, SliceSource, count_answers, find_sources, read_answers,
};
use crate::model::JobId;
use crate::run::error::RunError;
use crate::run::refusal::Refusal;
use crate::wave::Label;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;

/// Adds the answers in the files of slices at `path`, a folder or one file. `job` is the job whose folder it is, if it is one. A
/// result stands, wherever else its row failed.
pub(super) fn read_slices(
    path: &Path,
    job: Option<&JobId>,
    awaited: &AwaitedAnswers<'_>,
    answers: &mut Answers,
) -> Result<(), AnswersError> {
    let (sources, damaged) = find_sources(path).map_err(RunError::from)?;
    let refuse = |path: &Path, why: String| Refusal::new(path, why);
    for (path, why) in damaged {
        answers.refused_files.push(refuse(&path, why));
    }
    let mut of_slices: BTreeMap<_, Vec<SliceSource>> = BTreeMap::new();
    for source in sources {
        match check_mark(&source, job, awaited) {
            Ok(()) => {
                let job = source.mark.as_ref().map(|mark| mark.job_id.to_string());
                let key = (job, source.slice.clone());
                of_slices.entry(key).or_default().push(source);
            }
            Err(why) => answers.refused_files.push(refuse(&source.path, why)),
        }
    }
    for copies in of_slices.into_values() {
        let Some(taken) = pick_copy(copies, answers)? else {
            continue;
        };
        match read_answers(&taken.path).map_err(RunError::from)? {
            Err(why) => answers.refused_files.push(refuse(&taken.path, why)),
            Ok(read) => {
                for answer in read {
                    add(answer, awaited, answers);
                }
                answers.slice_files.push(taken.path);
            }
        }
    }
    Ok(())
}

/// Adds an answer in the file that is added to [`Answers::slice_files`] next.
fn add(answer: SliceAnswer, awaited: &AwaitedAnswers<'_>, answers: &mut Answers) {
    let Some(row) = awaited.row(&answer.id) else {
        answers.other_rows += usize::from(awaited.is_other_row(&answer.id));
        return;
    };
    let attempts = answer.attempts;
    let imported = match answer.outcome {
        Ok(place) => ImportedAnswer::InSlice {
            file: answers.slice_files.len() as u32,
            place,
            attempts,
        },
        Err(error) => ImportedAnswer::failed_after(&error, attempts),
    };
    answers.add(row, imported);
}

/// Why a file is of another job or wave.
fn check_mark(
    source: &SliceSource,
    job: Option<&JobId>,
    awaited: &AwaitedAnswers<'_>,
) -> Result<(), String> {
    let Some(mark) = &source.mark else {
        return Ok(());
    };
    if job.is_some_and(|job| *job != mark.job_id) {
        return Err(format!(
            "these are results of job {}, and the folder is that of job {}",
            mark.job_id,
            job.map_or("", JobId::as_str)
        ));
    }
    match &mark.label {
        Some(label) => {
            let label = Label::of_value(label.clone());
            awaited.find_labelled(&label).map(drop)
        }
        None if job.is_some() => Ok(()),
        None => Err("these are results of a wave of no run".to_owned()),
    }
}

/// The copy of a slice that is read; the others are reported.
fn pick_copy(
    mut copies: Vec<SliceSource>,
    answers: &mut Answers,
) -> Result<Option<SliceSource>, AnswersError> {
    if copies.len() > 1 {
        let mut counted = Vec::new();
        for copy in copies {
            match count_answers(&copy.path).map_err(RunError::from)? {
                Ok(count) => counted.push((Reverse(count), copy)),
                Err(why) => answers.refused_files.push(Refusal::new(&copy.path, why)),
            }
        }
        counted.sort_by_key(|(count, _)| *count);
        copies = counted.into_iter().map(|(_, copy)| copy).collect();
    }
    let mut copies = copies.into_iter();
    let taken = copies.next();
    if let Some(taken) = &taken {
        answers.copies.extend(copies.map(|copy| IgnoredCopy {
            path: copy.path,
            taken: taken.path.clone(),
        }));
    }
    Ok(taken)
}
