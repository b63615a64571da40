//! The `replay` adapter: recorded answers instead of an agent; also records them.
//!
//! The answer of a wave row `<unit>.<round>.<role>.<attempt>` is in `<unit>/<round>.<role>.<attempt>.json`, that of any
//! other row in `<item id>.json`. The worker is this program, so a replayed run takes the same path as a real one: a
//! process per row, its prompt on standard input, its answer on standard output.

use super::capabilities::Capabilities;
use super::error::AdapterError;
use super::spec::{Adapter, Choice};
use crate::job::Worker;
use crate::model::{RowId, RowKey, file_name};
use crate::platform::{Readers, durable, look};
use std::io;
use std::path::{Path, PathBuf};

/// The hidden subcommand that prints one recorded answer.
pub const WORKER_COMMAND: &str = "replay-worker";

pub(super) fn adapter(choice: &Choice, folder: &Path) -> Result<Adapter, AdapterError> {
    let answers = choice.answers.as_ref().ok_or(AdapterError::NoAnswers)?;
    let answers = folder.join(answers);
    let is_there = look::is_folder(&answers);
    if !is_there.map_err(AdapterError::unreadable(&answers))? {
        return Err(AdapterError::AnswersMissing { path: answers });
    }
    let program = std::env::current_exe().map_err(AdapterError::NoOwnPath)?;
    Ok(Adapter {
        name: "replay".to_owned(),
        worker: Worker {
            adapter: "replay".to_owned(),
            program,
            fixed_args: vec![WORKER_COMMAND.to_owned(), answers.display().to_string()],
            args: Vec::new(),
            folder: folder.to_owned(),
            env_names: choice.env_names.clone(),
            speaks: serde_json::Value::Null,
            sandbox: None,
        },
        capabilities: Capabilities::default(),
    })
}

/// The path of a row's answer, relative to the folder of answers.
pub fn answer_path(id: &RowId) -> PathBuf {
    match RowKey::parse(id) {
        Some(key) => {
            let name = format!("{}.{}.{}.json", key.round, key.role, key.attempt);
            PathBuf::from(key.unit.file_name()).join(file_name(&name))
        }
        None => PathBuf::from(format!("{}.json", id.file_name())),
    }
}

/// The recorded answer of a row.
pub fn recorded(answers: &Path, id: &RowId) -> io::Result<Vec<u8>> {
    std::fs::read(answers.join(answer_path(id)))
}

/// Records the answer of a row, indented for people to read and edit.
pub fn record(
    answers: &Path,
    readers: Readers,
    id: &RowId,
    result: &serde_json::Value,
) -> io::Result<()> {
    record_all(answers, readers, [(id, result)])
}

/// [`record`] for many rows, whose files are synced together.
pub fn record_all<'r>(
    answers: &Path,
    readers: Readers,
    results: impl IntoIterator<Item = (&'r RowId, &'r serde_json::Value)>,
) -> io::Result<()> {
    let files = results.into_iter().map(|(id, result)| {
        let text = format!("{result:#}\n");
        (answers.join(answer_path(id)), text.into_bytes())
    });
    durable::replace_all(answers, readers, files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_one_path() {
        let path = |id: &str| answer_path(&RowId::new(id)).display().to_string();
        assert_eq!(
            path("st-001.vote.critic_a.2"),
            "st-001/vote.critic_a.2.json"
        );
        assert_eq!(path("row-1"), "row-1.json");
        assert_eq!(path("../x/y"), "%2E.%2Fx%2Fy.json");
        assert_eq!(path("../up.vote.a.1"), "%2E.%2Fup/vote.a.1.json");
    }
}
