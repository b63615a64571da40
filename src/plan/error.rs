//! The errors of plans, plan files and changes.
//!
//! The messages of the rules are those of the `$st` programs, word for word, because scripts match them.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::histories::Origin;
use super::id::ItemId;
use super::merge::Conflict;
use super::sequence::Violation;
use super::status::Status;
use crate::model::shell_word;

/// Why a plan could not be read, checked or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// There is no such plan file.
    #[error("plan file `{}` does not exist", file.display())]
    NotFound {
        /// The path.
        file: PathBuf,
        /// The shell command that creates it.
        init: String,
    },
    /// A file of the store could not be read, written, locked or renamed.
    #[error("cannot {action} `{}`: {cause}", file.display())]
    Io {
        /// The action, as a verb.
        action: &'static str,
        /// The file.
        file: PathBuf,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// Standard output can't be written.
    #[error("cannot write the answer: {0}")]
    Output(#[source] io::Error),
    /// The plan file is too large.
    #[error("plan file `{}` is larger than {bytes_max} bytes", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// The bound.
        bytes_max: u64,
    },
    /// A line (or an imported file, at that line) is not JSON.
    #[error("invalid JSON at line {line}: {message}")]
    InvalidJson {
        /// The line, counted from 1.
        line: usize,
        /// The message of the parser.
        message: String,
    },
    /// The file has unresolved git conflict markers.
    #[error("git conflict marker at line {line}: `{text}`")]
    ConflictMarker {
        /// The line, counted from 1.
        line: usize,
        /// The marker.
        text: String,
    },
    /// The file holds several histories, and its last checkpoint is that of only one.
    #[error(
        "plan file `{}` was merged line by line and holds {} histories: {}; its last checkpoint hides {}",
        file.display(), sides.len(), listed(sides), others(sides.len())
    )]
    SeveralHistories {
        /// The plan file.
        file: PathBuf,
        /// The place of each.
        sides: Vec<Origin>,
    },
    /// The histories have conflicts, and the caller did not allow the rules to resolve them.
    #[error(
        "plan file `{}` is not repaired, nothing was written; {} between {}:{}",
        file.display(), counted(conflicts.len()), listed(sides), bulleted(conflicts)
    )]
    Conflicts {
        /// The plan file.
        file: PathBuf,
        /// The place of each history.
        sides: Vec<Origin>,
        /// The conflicts.
        conflicts: Vec<Conflict>,
    },
    /// An invalid record.
    #[error("{cause} (line {line})")]
    Record {
        /// The line in the plan file, counted from 1.
        line: usize,
        /// What is wrong.
        #[source]
        cause: Box<PlanError>,
    },
    /// `v` is not 2, 3 or 4.
    #[error("unsupported schema version {found}")]
    UnsupportedVersion {
        /// The version found, as JSON.
        found: String,
    },
    /// A v2 record follows one of a later version.
    #[error("v2 record after a v{after} record")]
    VersionOrder {
        /// The version of the earlier record.
        after: u8,
    },
    /// A field of a record is missing or has the wrong type.
    #[error("record needs `{field}`: {expected}")]
    RecordField {
        /// The field.
        field: &'static str,
        /// What it should hold.
        expected: &'static str,
    },
    /// `op` is unknown.
    #[error("unknown operation '{found}'")]
    UnknownOperation {
        /// The value found.
        found: String,
    },
    /// The sequence numbers of the file break the contract.
    #[error("seq contract invalid: {}: {}", file.display(), Violation::summary(violations))]
    SeqContract {
        /// The plan file.
        file: PathBuf,
        /// Every violation, in file order.
        violations: Vec<Violation>,
    },
    /// The sequence numbers are used up.
    #[error("seq cannot rise above {watermark}")]
    SeqExhausted {
        /// The largest number so far.
        watermark: u64,
    },
    /// Git does not ignore the lock file.
    #[error("lock sidecar '{lock}' is not gitignored; run: cd {root} && echo {lock} >> .gitignore")]
    LockNotIgnored {
        /// The lock file, relative to the repository.
        lock: String,
        /// The repository's top folder.
        root: String,
    },
    /// A field of an item is missing or has the wrong type.
    #[error("item {item} needs `{field}`: {expected}")]
    ItemField {
        /// The item: its id in quotes, or its place in the list.
        item: String,
        /// The field.
        field: &'static str,
        /// What it should hold.
        expected: &'static str,
    },
    /// A foreign field of an item that is nested too deeply to be shown.
    #[error("item {item}: its field `{field}` is nested too deeply")]
    TooDeep {
        /// The item: its id in quotes, or its place in the list.
        item: String,
        /// The field.
        field: String,
    },
    /// An invalid value in an item.
    #[error("{cause} (item {item})")]
    Item {
        /// The item's id in quotes, or its place in the list.
        item: String,
        /// What is wrong.
        #[source]
        cause: Box<PlanError>,
    },
    /// A dependency is neither an id nor an object with one.
    #[error("invalid dependency {found}; expected an id or {{\"id\",\"type\"}}")]
    InvalidDep {
        /// What stood there, as JSON.
        found: String,
    },
    /// A dependency's kind is not kebab-case.
    #[error("invalid dependency type '{found}'; expected kebab-case, such as `blocks`")]
    InvalidDepKind {
        /// The value found.
        found: String,
    },
    /// A comment lacks a part.
    #[error("comment needs a non-empty `{missing}`")]
    InvalidComment {
        /// `ts`, `author` or `text`.
        missing: &'static str,
    },
    /// No status of that name.
    #[error(
        "invalid status '{found}'; expected one of: blocked, canceled, completed, deferred, in_progress, pending"
    )]
    InvalidStatus {
        /// The value found.
        found: String,
    },
    /// An item id that is blank.
    #[error("item id is empty")]
    EmptyId,
    /// A required argument that is blank.
    #[error("{option} cannot be empty")]
    EmptyOption {
        /// The option, with its dashes.
        option: &'static str,
    },
    /// `--deps a,,b`.
    #[error("--deps contains an empty dependency token")]
    EmptyDepToken,
    /// No item of that id.
    #[error("unknown id '{id}'")]
    UnknownId {
        /// The id.
        id: ItemId,
    },
    /// The same id twice in one list of items.
    #[error("duplicate item id in snapshot: '{id}'")]
    DuplicateItem {
        /// The id.
        id: ItemId,
    },
    /// An imported file is neither a list of items nor an object with one.
    #[error("snapshot must be an array of items or object with items")]
    SnapshotShape,
    /// An item depends on itself.
    #[error("item '{item}' cannot depend on itself")]
    SelfDependency {
        /// The item.
        item: ItemId,
    },
    /// An item depends on an unknown id.
    #[error("item '{item}' references unknown dependency '{dependency}'")]
    UnknownDependency {
        /// The item.
        item: ItemId,
        /// The unknown id.
        dependency: ItemId,
    },
    /// Items depend on each other in a cycle.
    #[error("dependency cycle detected: {}", joined(path, " -> "))]
    Cycle {
        /// The cycle, with its first id again at the end.
        path: Vec<ItemId>,
    },
    /// More than one item is in progress, and the caller did not allow it.
    #[error("multiple in_progress items found: {}", joined(ids, ", "))]
    MultipleInProgress {
        /// Those items, in plan order.
        ids: Vec<ItemId>,
    },
    /// An item is in progress or completed before its dependencies.
    #[error(
        "item '{item}' cannot be {status}; unresolved dependencies: {}",
        joined(waiting_on, ", ")
    )]
    Unresolved {
        /// The item.
        item: ItemId,
        /// Its status.
        status: Status,
        /// The dependencies that are not completed.
        waiting_on: Vec<ItemId>,
    },
}

impl PlanError {
    /// The command that fixes it, if there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            PlanError::NotFound { init, .. } => Some(format!("run: {init}")),
            PlanError::SeqContract { file, .. } => Some(format!(
                "run: mesh st doctor --repair-seq --file {}",
                word(file)
            )),
            PlanError::ConflictMarker { .. } => Some(
                "remove the lines that begin with <<<<<<<, |||||||, ======= and >>>>>>>, keep all other lines of both sides, then run: mesh st doctor"
                    .to_owned(),
            ),
            PlanError::SeveralHistories { file, .. } => Some(format!(
                "to see the changes of each, run: mesh st doctor; to keep both, run: mesh st doctor --repair-seq --file {}",
                word(file)
            )),
            PlanError::Conflicts { file, .. } => Some(format!(
                "to resolve them as shown above, run: mesh st doctor --repair-seq --force --file {}",
                word(file)
            )),
            PlanError::MultipleInProgress { .. } => Some(
                "set all but one of them to pending, or pass --allow-multiple-in-progress"
                    .to_owned(),
            ),
            PlanError::Io { cause, .. } if cause.kind() == io::ErrorKind::StorageFull => {
                Some("the file is unchanged; free disk space and run the command again".to_owned())
            }
            PlanError::Record { cause, .. } | PlanError::Item { cause, .. } => cause.hint(),
            _ => None,
        }
    }

    /// Adds the line of the record.
    pub(super) fn at_line(self, line: usize) -> PlanError {
        match self {
            placed @ (PlanError::InvalidJson { .. }
            | PlanError::ConflictMarker { .. }
            | PlanError::Record { .. }) => placed,
            bare => PlanError::Record {
                line,
                cause: Box::new(bare),
            },
        }
    }

    /// Adds the item.
    pub(super) fn in_item(self, item: &str) -> PlanError {
        match self {
            placed @ (PlanError::Item { .. }
            | PlanError::ItemField { .. }
            | PlanError::TooDeep { .. }) => placed,
            bare => PlanError::Item {
                item: item.to_owned(),
                cause: Box::new(bare),
            },
        }
    }
}

/// A path, quoted for a shell.
fn word(file: &Path) -> String {
    shell_word(&file.to_string_lossy())
}

/// `records 1-2 and records 3-4`
fn listed(sides: &[Origin]) -> String {
    let sides: Vec<String> = sides.iter().map(Origin::in_full).collect();
    sides.join(" and ")
}

fn others(sides: usize) -> &'static str {
    match sides {
        2 => "the other one",
        _ => "the others",
    }
}

fn counted(conflicts: usize) -> String {
    match conflicts {
        1 => "1 conflict".to_owned(),
        many => format!("{many} conflicts"),
    }
}

/// Each conflict on its own line, with the effect of `--force`.
fn bulleted(conflicts: &[Conflict]) -> String {
    let line =
        |conflict: &Conflict| format!("\n- {}; with --force {}", conflict.what, conflict.rule);
    conflicts.iter().map(line).collect()
}

/// The ids, with `separator` between them.
pub(super) fn joined(ids: &[ItemId], separator: &str) -> String {
    ids.iter()
        .map(ItemId::as_str)
        .collect::<Vec<_>>()
        .join(separator)
}
