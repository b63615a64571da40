//! The mechanical checks of a patch: it parses, stays in scope and applies. They run before the vote, for the voters, and again
//! before the tree is changed.

use super::error::IntegrateError;
use super::request::PatchPolicy;
use super::state::read_states;
use crate::learnings;
use crate::patch::{ChangeList, Forbidden, Patch, PatchError, Rules, Tree, TreeEntry};
use crate::platform::{PatchReport, Repo, look, machine_fault, sha256_of_bytes};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// The result of the checks.
#[derive(Clone, Debug)]
pub enum Evidence {
    /// The patch applies to the tree.
    Applies {
        /// The patch, fitted to the tree.
        patch: Patch,
        /// The result in words, for the voters.
        text: String,
    },
    /// It does not.
    Refused {
        /// `patch_invalid`, `out_of_scope` or `does_not_apply`.
        code: &'static str,
        /// The reason, for the synthesizer and the report.
        detail: String,
    },
}

/// Checks `text` against its policy and the user's tree, which is only read. The patch file for git goes to `folder`.
pub fn examine(
    repo: &Repo,
    policy: &PatchPolicy<'_>,
    text: &str,
    folder: &Path,
) -> Result<Evidence, IntegrateError> {
    match Patch::parse(text, &policy.limits) {
        Ok(patch) => examine_patch(repo, policy, patch, folder),
        Err(error) => Ok(refused(error.code(), error.to_string())),
    }
}

/// The same for a patch that is parsed already.
pub(super) fn examine_patch(
    repo: &Repo,
    policy: &PatchPolicy<'_>,
    patch: Patch,
    folder: &Path,
) -> Result<Evidence, IntegrateError> {
    let tree = WorkTree::of(repo)?;
    let checked = check_policy(policy, &patch, repo.root())?;
    let fitted = checked.and_then(|()| patch.fit(&tree));
    tree.check_looks()?;
    let patch = match fitted {
        Ok(patch) => patch,
        Err(error) => return Ok(refused(error.code(), error.to_string())),
    };
    let file = folder.join("candidate.diff");
    crate::platform::write_private(&file, &patch.bytes()).map_err(IntegrateError::io(&file))?;
    let states = read_states(repo, &patch.paths())?;
    let key = sha256_of_bytes(format!("{states:?}{:?}", patch.bytes()).as_bytes());
    let by_git = match repo.check_patch(&file, &key)? {
        Ok(report) => parse_report(&report),
        Err(message) => {
            let detail = format!("`git apply --check` refuses it: {message}");
            return Ok(refused("does_not_apply", detail));
        }
    };
    if let Some(detail) = describe_mismatch(&patch.listed(), &by_git) {
        return Ok(refused("patch_invalid", detail));
    }
    let text = describe(&patch);
    Ok(Evidence::Applies { patch, text })
}

/// Checks what does not depend on the contents of the tree at `root`.
pub(super) fn check_policy(
    policy: &PatchPolicy<'_>,
    patch: &Patch,
    root: &Path,
) -> Result<Result<(), PatchError>, IntegrateError> {
    let mut reserved = vec![
        (".step".to_owned(), Forbidden::Plan),
        (learnings::FILE_NAME.to_owned(), Forbidden::Learnings),
    ];
    let own = [
        (policy.plan_file, Forbidden::Plan),
        (policy.artifacts, Forbidden::Artifacts),
    ];
    for (path, why) in own {
        let paths = paths_below(root, path).map_err(IntegrateError::io(path))?;
        reserved.extend(paths.into_iter().map(|path| (path, why.clone())));
    }
    Ok(patch.check(&Rules {
        globs: policy.globs,
        scope: policy.scope,
        reserved: &reserved,
        limits: policy.limits,
    }))
}

/// `path` relative to `root`, as given and with links resolved; empty if it is not below `root`.
fn paths_below(root: &Path, path: &Path) -> io::Result<BTreeSet<String>> {
    let named = path.strip_prefix(root).ok().map(Path::to_owned);
    let real = look::real(path)?;
    let real = real
        .strip_prefix(look::real(root)?)
        .ok()
        .map(Path::to_owned);
    let paths = [named, real].into_iter().flatten();
    Ok(paths
        .map(|path| path.to_string_lossy().into_owned())
        .collect())
}

fn refused(code: &'static str, detail: String) -> Evidence {
    Evidence::Refused { code, detail }
}

/// Describes both readings if git would make other changes than those parsed from the patch.
fn describe_mismatch(by_us: &ChangeList, by_git: &ChangeList) -> Option<String> {
    (by_us != by_git).then(|| {
        format!("the patch can be read in two ways; as read here it changes {by_us}; as git reads it {by_git}")
    })
}

/// Converts git's report to a listing.
fn parse_report(report: &PatchReport) -> ChangeList {
    let records = |text: &str| -> Vec<(String, String)> {
        let records = text.split_terminator('\0');
        let record = |record: &str| {
            let mut parts = record.splitn(3, '\t');
            let (added, removed) = (parts.next()?, parts.next()?);
            Some((parts.next()?.to_owned(), format!("+{added} -{removed}")))
        };
        records.filter_map(record).collect()
    };
    let (paths, summary) = report.forwards.rsplit_once('\0').unwrap_or_default();
    let paths = records(paths);
    let sources = match &report.backwards {
        Some(backwards) => records(backwards).into_iter().rev().collect(),
        None => paths.clone(),
    };
    let is_fact = |line: &&str| {
        let kinds = ["create mode ", "delete mode ", "mode change "];
        kinds.iter().any(|kind| line.starts_with(kind))
    };
    let facts = summary.lines().map(str::trim_start).filter(is_fact);
    ChangeList {
        sources: sources.into_iter().map(|(path, _)| path).collect(),
        paths,
        facts: facts.map(str::to_owned).collect(),
    }
}

fn describe(patch: &Patch) -> String {
    let paths: Vec<String> = patch.paths().into_iter().collect();
    let mended = patch.corrections.iter().take(MENDED_MAX);
    let mut mended: String = mended.map(|mended| format!("\n- {mended}")).collect();
    if let Some(more @ 1..) = patch.corrections.len().checked_sub(MENDED_MAX) {
        mended += &format!("\n- and {more} more of that kind");
    }
    format!(
        "- parses; touches: {}\n- every path is within the scope\n- `git apply --check`: exit 0{mended}",
        paths.join(", "),
    )
}

/// Limit of the corrections that voters see.
const MENDED_MAX: usize = 30;

/// The user's tree.
pub(super) struct WorkTree<'r> {
    repo: &'r Repo,
    root: &'r Path,
    submodules: BTreeSet<PathBuf>,
    /// The first look that the machine failed.
    failed_look: RefCell<Option<IntegrateError>>,
}

impl<'r> WorkTree<'r> {
    pub fn of(repo: &'r Repo) -> Result<Self, IntegrateError> {
        Ok(Self {
            repo,
            root: repo.root(),
            submodules: repo.submodules()?,
            failed_look: RefCell::default(),
        })
    }

    /// To be called before what follows from the looks is used: one that the machine failed says nothing about the tree.
    ///
    /// # Errors
    /// A look failed.
    pub fn check_looks(&self) -> Result<(), IntegrateError> {
        self.failed_look.take().map_or(Ok(()), Err)
    }

    fn found<T>(&self, path: &Path, looked: io::Result<T>) -> Option<T> {
        match machine_fault::apart(looked) {
            Ok(found) => found.ok(),
            Err(error) => {
                let mut failed = self.failed_look.borrow_mut();
                failed.get_or_insert_with(|| IntegrateError::io(path)(error));
                None
            }
        }
    }
}

impl Tree for WorkTree<'_> {
    fn at(&self, path: &str) -> TreeEntry {
        let full = self.root.join(path);
        if self.submodules.contains(Path::new(path)) {
            return TreeEntry::Submodule;
        }
        let Some(metadata) = self.found(&full, std::fs::symlink_metadata(&full)) else {
            return TreeEntry::Nothing;
        };
        let is_repository = || {
            let git = full.join(".git");
            self.found(&git, std::fs::symlink_metadata(&git)).is_some()
        };
        if metadata.is_symlink() {
            let target = self.found(&full, std::fs::read_link(&full));
            let target = target.unwrap_or_default();
            TreeEntry::Link(target.to_string_lossy().into_owned())
        } else if metadata.is_file() {
            TreeEntry::File
        } else if metadata.is_dir() && !path.is_empty() && is_repository() {
            TreeEntry::Submodule
        } else {
            TreeEntry::Other
        }
    }

    fn content(&self, path: &str) -> Option<Vec<u8>> {
        let full = self.root.join(path);
        // Reading a named pipe would block.
        let is_file = self.found(&full, look::is_file(&full))?;
        is_file
            .then(|| self.found(&full, std::fs::read(&full)))
            .flatten()
    }

    fn paths(&self) -> Vec<String> {
        // The paths are only for a hint.
        let paths = self.repo.files().unwrap_or_default();
        let paths = paths.into_iter();
        paths
            .map(|path| path.to_string_lossy().into_owned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patch::Limits;

    const TEXT: &str = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-x\n+y\ndiff --git a/p b/q r\nrename from p\nrename to q r\nold mode 100644\nnew mode 100755\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n";

    fn report(forwards: &str) -> PatchReport {
        PatchReport {
            forwards: forwards.to_owned(),
            backwards: Some("0\t1\tn\x000\t0\tp\x001\t1\tx\0".to_owned()),
        }
    }

    #[test]
    fn a_patch_that_git_reads_differently_is_reported_with_both_readings() {
        let text = TEXT.replace(
            "--- /dev/null",
            "diff --git a/n b/n\nnew file mode 100644\n--- /dev/null",
        );
        let by_us = Patch::parse(&text, &Limits::default())
            .expect("parses")
            .listed();
        let same = "1\t1\tx\x000\t0\tq r\x001\t0\tn\0 rename p => q r (100%)\n mode change 100644 => 100755\n create mode 100644 n\n";
        assert_eq!(
            describe_mismatch(&by_us, &parse_report(&report(same))),
            None
        );
        for (from, to) in [
            ("\tq r", "\tq"),
            ("1\t1\tx", "1\t2\tx"),
            ("create mode 100644 n", "create mode 100755 n"),
            (" mode change 100644 => 100755\n", ""),
            ("1\t0\tn\0", "1\t0\tn\x001\t1\tevil\0"),
        ] {
            let other = same.replacen(from, to, 1);
            assert!(
                describe_mismatch(&by_us, &parse_report(&report(&other))).is_some(),
                "{other}"
            );
        }
        let evil = same.replace("1\t1\tx", "1\t1\tevil");
        let detail =
            describe_mismatch(&by_us, &parse_report(&report(&evil))).expect("a difference");
        assert_eq!(
            detail,
            "the patch can be read in two ways; as read here it changes x (+1 -1), q r (+0 -0), n (+1 -0), mode change 100644 => 100755, create mode 100644 n, from p; as git reads it evil (+1 -1), q r (+0 -0), n (+1 -0), mode change 100644 => 100755, create mode 100644 n, from x, p"
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_look_that_the_machine_fails_is_told_once() {
        let folder = tempfile::tempdir().expect("a folder");
        // A read of its first page fails with EIO.
        std::os::unix::fs::symlink("/proc/self/mem", folder.path().join("x")).expect("a link");
        let repo =
            Repo::create(folder.path(), "start", "2026-01-01T00:00:00Z").expect("a repository");
        let tree = WorkTree::of(&repo).expect("a tree");
        assert_eq!(tree.content("none"), None);
        tree.check_looks().expect("nothing failed");
        assert_eq!(tree.content("x"), None);
        let error = tree.check_looks().expect_err("a fault");
        assert!(machine_fault::find(&error).is_some(), "{error}");
    }
}
