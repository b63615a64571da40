use super::*;
use crate::model::{AttemptEnd, AttemptKey, RowId, WaveStarted};

fn job() -> (tempfile::TempDir, JobFolder) {
    let folder = tempfile::tempdir().expect("a folder");
    let job = JobFolder::at(folder.path());
    (folder, job)
}

fn mark() -> JobMark {
    JobMark {
        job_id: JobId::new("j"),
        label: None,
    }
}

fn take(job: &JobFolder) -> Result<TakenSlice, SliceError> {
    match Claimed::claim(job, &SliceName::Number(7), 3, WaveNo(1), mark())? {
        Claimed::Taken(taken) => Ok(*taken),
        Claimed::Done(_) => panic!("it is not done"),
    }
}

#[test]
fn a_slice_whose_rows_have_ended_is_left_as_it_is() {
    let (_folder, job) = job();
    let mut taken = take(&job).expect("taken");
    for index in 0..3 {
        taken.journal.record(&done(index)).expect("recorded");
    }
    drop(taken);
    let again = Claimed::claim(&job, &SliceName::Number(7), 3, WaveNo(1), mark()).expect("claimed");
    assert!(matches!(again, Claimed::Done(counts) if counts.completed == 3));
    assert_eq!(names(&job), ["00007.1.jsonl"]);
}

fn done(index: u64) -> Vec<Event> {
    let key = AttemptKey {
        wave: WaveNo(1),
        item_id: RowId::new(format!("row-{index}")),
        row_index: index,
        attempt: 1,
    };
    let finished = key.clone().finished(AttemptEnd::Completed, "t".to_owned());
    vec![Event::from(key.started()), Event::from(finished)]
}

fn names(job: &JobFolder) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(job.slices())
        .expect("a folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn a_slice_taken_again_continues_behind_its_last_whole_record() {
    let (_folder, job) = job();
    let mut first = take(&job).expect("taken");
    first.journal.record(&done(0)).expect("recorded");
    drop(first);
    let path = job.slices().join("00007.1.jsonl");
    let mut bytes = fs::read(&path).expect("the file");
    bytes.extend_from_slice(b"{\"v\":1,\"seq\":9,\"ev");
    fs::write(&path, bytes).expect("torn");
    let mut second = take(&job).expect("taken");
    assert_eq!(second.state.counts().completed, 1);
    second.journal.record(&done(1)).expect("recorded");
    drop(second);
    assert_eq!(names(&job), ["00007.2.jsonl"]);
    let list = SliceFile::list(&job.slices()).expect("listed");
    let mut generations = Vec::new();
    ledger::scan(&list[0].path, |record, _| {
        if let Event::SliceTaken(taken) = record.event {
            generations.push(taken.generation);
        }
    })
    .expect("whole");
    assert_eq!(generations, [1, 2]);
}

#[test]
fn a_second_copy_is_refused_and_recorded() {
    let (_folder, job) = job();
    let first = take(&job).expect("taken");
    let error = take(&job).err().expect("refused").to_string();
    let own = format!("process {} on {}", std::process::id(), process::host());
    assert_eq!(
        error,
        format!("slice `00007` is worked by another process ({own})")
    );
    assert_eq!(names(&job), ["00007.1.jsonl", "00007.refused.jsonl"]);
    drop(first);
    take(&job).expect("free again");
}

/// A lock that does not reach from host to host: the older copy still writes when the slice is taken over.
#[test]
fn a_copy_that_was_superseded_can_not_go_on() {
    let (_folder, job) = job();
    let mut first = take(&job).expect("taken");
    let wave = |items| WaveStarted {
        wave: WaveNo(1),
        job_id: crate::model::JobId::new("j"),
        items,
        max_concurrency: 1,
    };
    first
        .journal
        .record(&[Event::from(wave(3))])
        .expect("recorded");
    let slices = job.slices();
    create(&slices.join("00007.2.jsonl"), None).expect("a newer generation");
    let error = first.journal.record(&done(0)).expect_err("superseded");
    assert!(matches!(error, LedgerError::TakenOver(_)), "{error}");
    let list = SliceFile::list(&slices).expect("listed");
    assert_eq!((list.len(), list[0].generation), (1, 2));
}

/// As after a kill between the creation of a generation and the removal of the one before.
#[test]
fn only_the_newest_generation_counts() {
    let (_folder, job) = job();
    let mut first = take(&job).expect("taken");
    first.journal.record(&done(0)).expect("recorded");
    drop(first);
    let slices = job.slices();
    let older = slices.join("00007.1.jsonl");
    let bytes = fs::metadata(&older).expect("there").len();
    create(&slices.join("00007.2.jsonl"), Some((&older, bytes))).expect("created");
    let again = take(&job).expect("taken");
    assert_eq!(again.state.counts().completed, 1);
    assert_eq!(names(&job), ["00007.3.jsonl"]);
}
