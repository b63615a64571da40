//! The `.git` of a workspace, for workers that ask git for the history or for differences.
//!
//! It has the HEAD, the refs and the index of the user's repository as copies, and borrows its objects. It has no hooks, and
//! of the user's settings only those that change how git reads files: none of them runs a program.

use super::error::SnapshotError;
use super::file_copy::{FileStamp, copy_file};
use crate::platform::{Repo, private};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The name of the folder in a workspace.
pub const FOLDER: &str = ".git";

/// The settings of the user's repository that are kept.
const KEPT: [&str; 13] = [
    "core.abbrev",
    "core.autocrlf",
    "core.eol",
    "core.filemode",
    "core.ignorecase",
    "core.precomposeunicode",
    "core.safecrlf",
    "core.sparsecheckout",
    "core.sparsecheckoutcone",
    "core.symlinks",
    "i18n.commitencoding",
    "i18n.logoutputencoding",
    "index.sparse",
];

/// Copies keep the times of files, but not what else git looks at to find a file unchanged.
const OWN: &str = "[core]\n\tbare = false\n\tcheckStat = minimal\n\ttrustctime = false\n\tfsmonitor = false\n\tuntrackedCache = false\n\thooksPath = /dev/null\n\tlogAllRefUpdates = false\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n";

/// What a view shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitView {
    head: String,
    refs: BTreeMap<String, String>,
    index: Option<FileStamp>,
    config: String,
}

impl GitView {
    /// The view of `repo` as it is now. `settings` are those of [`read_settings`].
    pub fn of(repo: &Repo, settings: &str) -> Result<Self, SnapshotError> {
        let index = repo.git_dir()?.join("index");
        let head = match repo.branch()? {
            Some(branch) => format!("ref: refs/heads/{branch}\n"),
            None => format!("{}\n", repo.head()?),
        };
        Ok(Self {
            head,
            refs: repo.refs()?,
            index: FileStamp::of(&index).map_err(SnapshotError::copy(&index))?,
            config: settings.to_owned(),
        })
    }

    /// Makes the view in the folder `workspace`, in place of an earlier one.
    pub fn write(&self, repo: &Repo, workspace: &Path) -> Result<(), SnapshotError> {
        let folder = workspace.join(FOLDER);
        let (own, common) = (repo.git_dir()?, repo.common_dir()?);
        self.write_to(&folder, &own, &common)
            .map_err(SnapshotError::copy(&folder))
    }

    fn write_to(&self, folder: &Path, own: &Path, common: &Path) -> io::Result<()> {
        super::file_copy::remove_tree(folder)?;
        for name in ["objects/info", "objects/pack", "refs", "info"] {
            private::make_folders(&folder.join(name))?;
        }
        let objects = common.join("objects");
        let mut borrowed = objects.into_os_string().into_encoded_bytes();
        borrowed.push(b'\n');
        private::write(&folder.join("objects/info/alternates"), &borrowed)?;
        private::write(&folder.join("HEAD"), self.head.as_bytes())?;
        private::write(&folder.join("config"), self.config.as_bytes())?;
        private::write(&folder.join("packed-refs"), self.packed_refs().as_bytes())?;
        for name in ["shallow", "info/attributes"] {
            copy_if_any(&common.join(name), &folder.join(name))?;
        }
        for name in ["index", "info/sparse-checkout"] {
            copy_if_any(&own.join(name), &folder.join(name))?;
        }
        for shared in shared_indexes(own)? {
            let name = shared.file_name().unwrap_or_default();
            copy_if_any(&shared, &folder.join(name))?;
        }
        Ok(())
    }

    fn packed_refs(&self) -> String {
        let lines = self.refs.iter();
        let lines = lines.map(|(name, id)| format!("{id} {name}\n"));
        std::iter::once("# pack-refs with: sorted \n".to_owned())
            .chain(lines)
            .collect()
    }
}

/// The settings of the view of `repo`, as the text of a file with settings.
pub fn read_settings(repo: &Repo) -> Result<String, SnapshotError> {
    let settings = repo.local_settings()?;
    let is_sha256 = settings
        .iter()
        .any(|(name, value)| name == "extensions.objectformat" && value == "sha256");
    let mut text = match is_sha256 {
        true => "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectFormat = sha256\n",
        false => "[core]\n\trepositoryformatversion = 0\n",
    }
    .to_owned();
    for (name, value) in settings {
        if let Some((section, key)) = name.split_once('.')
            && KEPT.contains(&name.as_str())
        {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            text += &format!(
                "[{section}]\n\t{key} = \"{}\"\n",
                value.replace('\n', "\\n")
            );
        }
    }
    Ok(text + OWN)
}

/// The parts of a split index.
fn shared_indexes(own: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(own)?.collect::<io::Result<Vec<_>>>()?;
    let named = entries.into_iter().filter(|entry| {
        let name = entry.file_name();
        name.as_encoded_bytes().starts_with(b"sharedindex.")
    });
    Ok(named.map(|entry| entry.path()).collect())
}

/// With the time of the last writing: git trusts a file less that is as young as the index.
fn copy_if_any(from: &Path, to: &Path) -> io::Result<()> {
    match FileStamp::of(from)? {
        Some(stamp) => copy_file(from, to, &stamp).map(drop),
        None => Ok(()),
    }
}
