//! The difference of two fingerprints as data, so that another process can tell a change that was made from any other.

use super::file_copy::FileStamp;
use super::fingerprint::{Content, Fingerprint};
use crate::model::path_text;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

/// What a fingerprint says after a change, at the paths that it changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FingerprintChange {
    /// The commit that is checked out, if that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    paths: Vec<PathAfter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PathAfter {
    #[serde(with = "path_text")]
    path: PathBuf,
    /// `None`: as in the commit, so that a fingerprint does not have the path.
    content: Option<Recorded>,
}

/// All by which two contents are compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Recorded {
    kind: Option<u32>,
    digest: Option<(u32, String)>,
}

impl From<&Content> for Recorded {
    fn from(content: &Content) -> Self {
        Self {
            kind: content.kind(),
            digest: content
                .digest
                .as_ref()
                .map(|(mode, digest)| (*mode, digest.to_string())),
        }
    }
}

impl From<Recorded> for Content {
    fn from(Recorded { kind, digest }: Recorded) -> Self {
        let stamp = kind.map(|mode| FileStamp {
            inode: 0,
            size: 0,
            mode,
            written_ns: 0,
            changed_ns: 0,
        });
        Self {
            stamp,
            digest: digest.map(|(mode, digest)| (mode, digest.into())),
            settled: None,
            bytes: None,
        }
    }
}

impl FingerprintChange {
    /// The change from one fingerprint to another.
    pub fn between(before: &Fingerprint, now: &Fingerprint) -> Self {
        let paths = before.changed_files(now).into_iter();
        Self {
            commit: (before.commit != now.commit).then(|| now.commit.clone()),
            paths: paths.map(|path| PathAfter::of(now, path)).collect(),
        }
    }

    /// What a fingerprint says `now` at `paths`, whatever it said before; with the commit if `commits`.
    pub fn at(now: &Fingerprint, paths: &[PathBuf], commits: bool) -> Self {
        let paths = paths.iter().cloned();
        Self {
            commit: commits.then(|| now.commit.clone()),
            paths: paths.map(|path| PathAfter::of(now, path)).collect(),
        }
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.commit.is_none() && self.paths.is_empty()
    }
}

impl PathAfter {
    fn of(now: &Fingerprint, path: PathBuf) -> Self {
        let content = now.files.get(path.as_os_str()).map(Recorded::from);
        Self { path, content }
    }
}

impl Fingerprint {
    /// What the fingerprint of the same tree is after a change.
    pub fn apply(&mut self, change: FingerprintChange) {
        if let Some(commit) = change.commit {
            self.commit = commit;
        }
        let files: &mut BTreeMap<OsString, Content> = Arc::make_mut(&mut self.files);
        for PathAfter { path, content } in change.paths {
            match content {
                Some(content) => files.insert(path.into(), content.into()),
                None => files.remove(path.as_os_str()),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Repo;
    use std::fs;
    use std::path::Path;

    fn as_text(change: &FingerprintChange) -> FingerprintChange {
        let text = serde_json::to_string(change).expect("JSON");
        serde_json::from_str(&text).expect("read")
    }

    #[test]
    fn a_change_that_is_applied_leaves_no_difference_but_others_remain() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let write = |name: &str, text: &str| fs::write(root.join(name), text).expect("written");
        write("tracked", "0");
        write("other", "0");
        let repo = Repo::create(root, "start", "2026-01-01T00:00:00Z").expect("a repository");
        let take = || Fingerprint::take(&repo, &[Path::new("plan")]).expect("a fingerprint");
        let first = take();
        write("tracked", "1");
        write("new", "1");
        write("plan", "1");
        let second = take();
        let mut other = first.clone();
        other.apply(as_text(&FingerprintChange::between(&first, &second)));
        assert_eq!(other.differences(&second), Vec::<PathBuf>::new());
        // Back to the commit, gone, and a link.
        write("tracked", "0");
        fs::remove_file(root.join("new")).expect("removed");
        std::os::unix::fs::symlink("nowhere", root.join("link")).expect("linked");
        let third = take();
        other.apply(as_text(&FingerprintChange::between(&second, &third)));
        assert_eq!(other.differences(&third), Vec::<PathBuf>::new());
        assert!(FingerprintChange::between(&third, &take()).is_empty());
        // Somebody else's.
        write("other", "1");
        write("plan", "2");
        let paths = ["plan", "tracked"].map(PathBuf::from);
        let fourth = take();
        other.apply(as_text(&FingerprintChange::at(&fourth, &paths, false)));
        assert_eq!(other.differences(&fourth), [PathBuf::from("other")]);
    }
}
