//! Shows what a violation changed: as a diff in a file of the run's folder, and its beginning in the warning.
//!
//! Of the plan, the items are compared: a line of its file holds all of them.

use super::begin::PlanRun;
use crate::job;
use crate::model::{counted, one_line};
use crate::patch::{Diff, DiffSide};
use crate::plan::{Item, ItemId, Plan};
use crate::platform::durable;
use crate::redact::Cut;
use crate::run::error::RunError;
use crate::run::store::RunFolder;
use crate::workspace::{self, Fingerprint};
use std::collections::{BTreeSet, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The largest file with a diff.
const DIFF_BYTES_MAX: usize = 512 * 1024;
/// How many lines of it a warning shows.
const SHOWN_LINES: usize = 12;
/// How many items of the plan are shown.
const ITEMS_MAX: usize = 20;

/// A change of the tree or the plan.
pub(super) struct TreeChange<'c> {
    pub before: &'c Fingerprint,
    pub now: &'c Fingerprint,
    /// The plan before the change, if it is known.
    pub plan: Option<&'c Plan>,
    /// The paths that changed.
    pub paths: &'c [PathBuf],
}

/// A diff in a file.
pub(super) struct StoredDiff {
    /// Relative to the run's folder.
    pub path: PathBuf,
    /// Its beginning and its place, in lines to show.
    pub excerpt: String,
}

impl PlanRun {
    /// Stores what a violation changed, without secrets.
    pub(super) fn store_diff(&self, change: &TreeChange<'_>) -> Result<StoredDiff, RunError> {
        let diff = self.diff(change)?;
        let redactor = job::redactor(self.settings.workers());
        let diff = redactor.redact_bytes(&diff, Cut::default());
        let known = self.state().violations.iter();
        let known: HashSet<&PathBuf> = known.filter_map(|one| one.diff.as_ref()).collect();
        let path = RunFolder::violation_diff(known.len() + 1);
        let file = self.folder.path().join(&path);
        let kept = kept(&diff);
        durable::write_private(&file, &kept).map_err(RunError::io(&file))?;
        let excerpt = excerpt(&kept, &file);
        Ok(StoredDiff { path, excerpt })
    }

    fn diff(&self, change: &TreeChange<'_>) -> Result<Vec<u8>, RunError> {
        let file = self.store.file();
        let file = file.strip_prefix(self.repo.root()).unwrap_or(file);
        let is_changed = change.paths.iter().any(|path| path == file);
        let after = is_changed.then(|| self.store.current().ok()).flatten();
        let items = match (change.plan, &after) {
            (Some(before), Some(now)) => diff_of_items(file, before, now),
            _ => Vec::new(),
        };
        let except = (!items.is_empty()).then_some(file);
        let TreeChange {
            before, now, paths, ..
        } = change;
        let tree = workspace::diff(&self.repo, before, now, paths, except)?;
        Ok([tree, items].concat())
    }
}

/// The items that differ, in the order of the later plan, as indented JSON.
fn diff_of_items(file: &Path, before: &Plan, now: &Plan) -> Vec<u8> {
    let text = |item: Option<&Item>| {
        let item = item.map(|item| serde_json::to_string_pretty(item).unwrap_or_default());
        item.map(|text| text + "\n")
    };
    let ids = [now, before].into_iter().flat_map(Plan::items);
    let mut seen = BTreeSet::new();
    let ids: Vec<&ItemId> = ids
        .map(Item::id)
        .filter(|id| seen.insert(id.as_str()))
        .collect();
    let (mut shown, mut differing) = (Vec::new(), 0);
    for id in ids {
        let (old, new) = (text(before.get(id)), text(now.get(id)));
        if old == new {
            continue;
        }
        differing += 1;
        if differing > ITEMS_MAX {
            continue;
        }
        let name = [file.as_os_str().as_bytes(), b"#", id.as_str().as_bytes()].concat();
        let diff = Diff {
            path: &name,
            old: side(old.as_deref()),
            new: side(new.as_deref()),
        };
        shown.extend(diff.text());
    }
    if differing > ITEMS_MAX {
        let more = counted((differing - ITEMS_MAX) as u64, "more item");
        shown.extend(format!("and {more}\n").into_bytes());
    }
    shown
}

fn side(text: Option<&str>) -> DiffSide<'_> {
    text.map_or(DiffSide::Nothing, |text| DiffSide::Content {
        mode: "100644",
        bytes: text.as_bytes(),
    })
}

/// As many whole lines as a file may hold.
fn kept(diff: &[u8]) -> Vec<u8> {
    let Some(head) = diff.get(..DIFF_BYTES_MAX) else {
        return diff.to_vec();
    };
    let end = head.iter().rposition(|byte| *byte == b'\n');
    let (head, rest) = diff.split_at(end.map_or(head.len(), |at| at + 1));
    let more = counted(rest.len() as u64, "more byte");
    [head, format!("\nand {more}\n").as_bytes()].concat()
}

/// The first lines, without those that only repeat the paths, and where all of them are.
fn excerpt(diff: &[u8], file: &Path) -> String {
    let text = String::from_utf8_lossy(diff);
    let lines = text.lines().filter(|line| !line.starts_with("diff --git "));
    let lines: Vec<&str> = lines.collect();
    let mut shown = String::new();
    for line in lines.iter().take(SHOWN_LINES) {
        shown += &format!("  {}\n", one_line(line));
    }
    let beyond = lines.len().saturating_sub(SHOWN_LINES);
    let more = match beyond {
        0 => String::new(),
        beyond => format!("{} in ", counted(beyond as u64, "more line")),
    };
    shown + &format!("  {more}{}", file.display())
}
