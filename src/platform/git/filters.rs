//! Commands that convert files with the filters of the user's settings, such as that of Git LFS.

use super::{Call, GitError, Repo, path_of};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

/// The settings of filters, as a pattern for `git config`.
const SETTINGS: &str = r"^filter\..*\.(clean|smudge|process|required)$";

impl Repo {
    /// Reads what git may have the user's filters convert. If it fails, and does not without the filters, a filter is the cause.
    pub(super) fn read_filtered<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Vec<u8>, GitError> {
        let read = self.read_with(args, Call::writing());
        let message = match &read {
            Err(GitError::Failed {
                message,
                fault: None,
                ..
            }) => message,
            _ => return read,
        };
        match self.works_without_filters(args)? {
            true => Err(GitError::Filter {
                root: self.root.clone(),
                message: message.lines().next().unwrap_or_default().to_owned(),
            }),
            false => read,
        }
    }

    fn works_without_filters<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<bool, GitError> {
        let names = self.filters()?;
        if names.is_empty() {
            return Ok(false);
        }
        let mut all: Vec<OsString> = Vec::new();
        for name in names {
            for setting in ["clean=", "smudge=", "process=", "required=false"] {
                let mut off = OsString::from("filter.");
                off.push(&name);
                off.push(".");
                off.push(setting);
                all.extend(["-c".into(), off]);
            }
        }
        all.extend(args.iter().map(|arg| arg.as_ref().to_owned()));
        Ok(self.call(&all, Call::writing())?.status.success())
    }

    /// The names of the filters in git's settings.
    fn filters(&self) -> Result<BTreeSet<OsString>, GitError> {
        let args = ["config", "-z", "--name-only", "--get-regexp", SETTINGS];
        let output = self.output(&args)?;
        // It exits with 1 where there is none.
        let keys = output.stdout.split(|byte| *byte == 0);
        let names = keys.filter_map(|key| {
            let name = key.strip_prefix(b"filter.")?;
            let end = name.iter().rposition(|byte| *byte == b'.')?;
            Some(path_of(&name[..end]).into_os_string())
        });
        Ok(names.collect())
    }

    /// Checks that git can read the work tree with the filters of its settings.
    pub fn check_filters(&self) -> Result<(), GitError> {
        match self.filters()?.is_empty() {
            true => Ok(()),
            false => self.changed_tracked().map(drop),
        }
    }
}
