//! Checks output paths: an output must not be a file that is being read, under whatever name, and must be writable. The checks
//! leave no trace: no folder is created, and the file that is created to see whether that is possible has no name where the
//! file system can do that, and is removed.

use crate::model::shell_word;
use crate::plan::{PLAN_FILE_CODEX, PLAN_FILE_DEFAULT};
use crate::platform::machine_fault;
use crate::run::error::RunError;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// The files and folders that no output may replace. Each has a predicate for the message: `is the input`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InUse {
    files: Vec<(String, PathBuf)>,
    folders: Vec<(String, PathBuf)>,
    reserved: Vec<(String, PathBuf)>,
}

impl InUse {
    /// The paths that no command in `folder` may write: the plans, learnings and configuration there and at the `root`. They need
    /// not exist, because the next command would read the output as one of them.
    pub fn around(folder: &Path, root: &Path) -> Self {
        let mut in_use = Self::default();
        for folder in [folder, root] {
            for plan in [PLAN_FILE_DEFAULT, PLAN_FILE_CODEX] {
                in_use.reserve("is the plan", folder.join(plan));
            }
            in_use.reserve("holds the learnings", folder.join(".learnings.jsonl"));
            in_use.reserve(
                "is the configuration",
                folder.join(crate::config::FILE_NAME),
            );
        }
        in_use
    }

    /// Whether there is no path.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds a file, with its predicate.
    pub fn add_file(&mut self, what: &str, path: PathBuf) {
        self.files.push((what.to_owned(), path));
    }

    /// Adds a file that need not exist yet.
    pub fn reserve(&mut self, what: &str, path: PathBuf) {
        self.reserved.push((what.to_owned(), path));
    }

    /// Adds a folder, with the predicate of an output below it: `is in the folder of answers`.
    pub fn add_folder(&mut self, what: &str, path: PathBuf) {
        self.folders.push((what.to_owned(), path));
    }

    /// Adds the files that a worker's command names, as a word or within one: `--rules=F`, `@F`, `sh -c 'agent <F'`.
    pub fn add_command<'w>(&mut self, words: impl IntoIterator<Item = &'w str>, folder: &Path) {
        let within = |c: char| c.is_whitespace() || "=@'\"`<>|&;(){},:".contains(c);
        for word in words {
            for part in std::iter::once(word).chain(word.split(within)) {
                let path = folder.join(part);
                if !part.is_empty() && path.is_file() {
                    self.add_file("belongs to the worker's command", path);
                }
            }
        }
    }

    /// Adds the paths of `other`.
    pub fn extend(&mut self, other: &Self) {
        self.files.extend_from_slice(&other.files);
        self.folders.extend_from_slice(&other.folders);
        self.reserved.extend_from_slice(&other.reserved);
    }

    /// Checks that a file can be written to `output`, the value of `option`, without harm.
    ///
    /// # Errors
    /// [`RunError::Output`] names the conflict.
    pub fn check(&self, output: &Path, option: &str) -> Result<(), RunError> {
        let refuse = |why: String, what: &str| {
            Err(RunError::Output {
                path: output.to_owned(),
                why,
                hint: Some(format!("name {what} with {option}")),
            })
        };
        if output.is_dir() || output.as_os_str().as_bytes().ends_with(b"/") {
            return refuse("is a folder".to_owned(), "a file in it");
        }
        if let Some(what) = self.find_conflict(output) {
            return refuse(what, "another file");
        }
        if std::fs::metadata(output).is_ok_and(|there| !there.is_file()) {
            return refuse("is not a regular file".to_owned(), "another file");
        }
        let above = output.ancestors().skip(1);
        let mut above = above.map(|folder| match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        });
        let not_usable = |source| RunError::OutputFolder {
            path: output.to_owned(),
            hint: format!("name another file with {option}"),
            source,
        };
        let above = above.find_map(|folder| {
            let found = machine_fault::apart(std::fs::metadata(folder));
            let found = found.map(Result::ok).transpose()?;
            Some(found.map(|found| (folder, found.is_dir())))
        });
        let above = match above.transpose().map_err(not_usable)? {
            Some((_, false)) => return refuse("is below a file".to_owned(), "another file"),
            above => above.map(|(folder, _)| folder),
        };
        if is_too_long(output, above.unwrap_or(output)) {
            let why = "is longer than the file system takes".to_owned();
            return refuse(why, "a shorter file");
        }
        // Permissions do not tell: no file can be created in some folders of the system, whoever tries.
        let tried = above.map(tempfile::tempfile_in).transpose();
        tried.map(drop).map_err(not_usable)
    }

    /// [`check`](Self::check), for a file in a folder that must exist.
    ///
    /// # Errors
    /// [`RunError::Output`], as for any file.
    pub fn check_in_folder(&self, output: &Path, option: &str) -> Result<(), RunError> {
        self.check(output, option)?;
        let folder = crate::platform::parent(output);
        if folder.is_dir() {
            return Ok(());
        }
        let name = shell_word(&folder.to_string_lossy());
        Err(RunError::Output {
            path: output.to_owned(),
            why: "is in a folder that does not exist".to_owned(),
            hint: Some(format!(
                "create it: mkdir -p {name}; or name another file with {option}"
            )),
        })
    }

    /// Checks that answers can be recorded in `folder`.
    ///
    /// # Errors
    /// [`RunError::Output`], as for a file.
    pub fn check_folder(&self, folder: &Path, option: &str) -> Result<(), RunError> {
        match folder.is_dir() {
            true => {
                self.check_answers(folder, option)?;
                self.check(&folder.join("answer.json"), option)
            }
            false if folder.exists() => Err(RunError::Output {
                path: folder.to_owned(),
                why: "is not a folder".to_owned(),
                hint: Some(format!("name a folder with {option}")),
            }),
            false => self.check(folder, option),
        }
    }

    /// An answer is named after its row, so any JSON file in `folder` may be overwritten.
    fn check_answers(&self, folder: &Path, option: &str) -> Result<(), RunError> {
        let is_answer = |path: &Path| path.extension().is_some_and(|it| it == "json");
        let folder_of = |path: &Path| normalize_path(path).parent().map(Path::to_owned);
        let mut files = self.files.iter().chain(&self.reserved);
        let inside = std::fs::canonicalize(folder).ok();
        let read = files.find(|(_, path)| is_answer(path) && folder_of(path) == inside);
        read.map_or(Ok(()), |(what, path)| {
            Err(RunError::Output {
                path: folder.to_owned(),
                why: format!("is a folder with a file that {what}: `{}`", path.display()),
                hint: Some(format!("name a folder of its own with {option}")),
            })
        })
    }

    fn find_conflict(&self, output: &Path) -> Option<String> {
        let same = |(_, path): &&(String, PathBuf)| is_same_file(output, path);
        if let Some((what, _)) = self.files.iter().find(same) {
            return Some(what.clone());
        }
        let same_name =
            |it: &&(String, PathBuf)| same(it) || normalize_path(output) == normalize_path(&it.1);
        if let Some((what, _)) = self.reserved.iter().find(same_name) {
            return Some(what.clone());
        }
        if let Some(stream) = find_standard_stream(output) {
            return Some(format!("is {stream} of this command"));
        }
        if output.components().any(|part| part.as_os_str() == ".git") {
            return Some("is in git's folder".to_owned());
        }
        if is_run_file(output) {
            return Some("belongs to a run".to_owned());
        }
        self.find_folder(crate::platform::parent(output))
    }

    /// The predicate of the folder in use that contains `folder`.
    fn find_folder(&self, folder: &Path) -> Option<String> {
        let folder = std::fs::canonicalize(folder).ok()?;
        let holds = |(_, path): &&(String, PathBuf)| {
            std::fs::canonicalize(path).is_ok_and(|path| folder.starts_with(path))
        };
        self.folders
            .iter()
            .find(holds)
            .map(|(what, _)| what.clone())
    }
}

/// Whether a name of `output` or the whole path is too long. The file system is asked in the folder `above`, which exists: in one that
/// is still to be created it knows no names.
fn is_too_long(output: &Path, above: &Path) -> bool {
    let is_refused = |path: &Path| {
        let found = std::fs::symlink_metadata(path);
        found.is_err_and(|error| error.kind() == ErrorKind::InvalidFilename)
    };
    is_refused(output) || output.iter().any(|name| is_refused(&above.join(name)))
}

/// Whether it is the ledger or the input copy of a run. The waves are in a folder of their own and may be written.
fn is_run_file(output: &Path) -> bool {
    const FILES: [&str; 2] = ["ledger.jsonl", "input.csv"];
    let folder = crate::platform::parent(output);
    let is_run = folder.join("ledger.jsonl").exists() && folder.join("logs").is_dir();
    is_run
        && FILES
            .iter()
            .any(|name| output.file_name() == Some(name.as_ref()))
}

/// Whether both are the same file, also through a link.
fn is_same_file(a: &Path, b: &Path) -> bool {
    let id = |path: &Path| {
        let there = std::fs::metadata(path).ok()?;
        Some((there.dev(), there.ino()))
    };
    id(a).is_some() && id(a) == id(b)
}

/// The absolute path with links resolved as far as the folders exist, so that two spellings of one path are equal.
pub(crate) fn normalize_path(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut place = PathBuf::new();
    for part in path.parent().unwrap_or(&path).components() {
        match part {
            Component::ParentDir => drop(place.pop()),
            part => place.push(part),
        }
        place = std::fs::canonicalize(&place).unwrap_or(place);
    }
    place.join(path.file_name().unwrap_or_default())
}

/// The standard stream that is redirected to this file.
fn find_standard_stream(output: &Path) -> Option<&'static str> {
    if !output.is_file() {
        return None;
    }
    let streams = [
        ("/dev/fd/0", "standard input"),
        ("/dev/fd/1", "standard output"),
        ("/dev/fd/2", "standard error"),
    ];
    let is_it = |it: &(&str, &str)| is_same_file(output, Path::new(it.0));
    streams.into_iter().find(is_it).map(|it| it.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(in_use: &InUse, output: &Path) -> Option<String> {
        match in_use.check(output, "-o") {
            Ok(()) => None,
            Err(RunError::Output { why, .. }) => Some(why),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn an_output_must_not_be_a_file_in_use_or_a_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for name in ["schema.json", "mesh.yaml", "agent", "free.csv"] {
            std::fs::write(at(name), "").expect("written");
        }
        for name in [".git", "answers/st-1", "runs/r/logs"] {
            std::fs::create_dir_all(at(name)).expect("a folder");
        }
        std::fs::write(at("runs/r/ledger.jsonl"), "").expect("written");
        std::os::unix::fs::symlink("schema.json", at("link")).expect("a link");
        std::fs::hard_link(at("schema.json"), at("hard")).expect("a link");
        std::os::unix::fs::symlink("answers", at("linked")).expect("a link");
        let mut in_use = InUse::around(folder.path(), folder.path());
        in_use.add_file("is the schema", at("schema.json"));
        in_use.add_folder("is in the folder of answers", at("answers"));
        in_use.add_command(["agent", "-x"], folder.path());
        for (output, expected) in [
            ("schema.json", Some("is the schema")),
            ("./answers/../schema.json", Some("is the schema")),
            ("link", Some("is the schema")),
            ("hard", Some("is the schema")),
            ("mesh.yaml", Some("is the configuration")),
            ("agent", Some("belongs to the worker's command")),
            ("answers", Some("is a folder")),
            ("answers/a.json", Some("is in the folder of answers")),
            ("linked/st-1/a.json", Some("is in the folder of answers")),
            (".git/index", Some("is in git's folder")),
            ("runs/r/ledger.jsonl", Some("belongs to a run")),
            ("free.csv/x", Some("is below a file")),
            ("new/", Some("is a folder")),
            ("free.csv", None),
            ("-x", None),
            (".learnings.jsonl", Some("holds the learnings")),
            (".step/../.step/st-plan.jsonl", Some("is the plan")),
            ("new/folder/out.csv", None),
        ] {
            assert_eq!(why(&in_use, &at(output)).as_deref(), expected, "{output}");
        }
        assert_eq!(
            why(&in_use, Path::new("/dev/null")).as_deref(),
            Some("is not a regular file")
        );
        for name in [
            "n".repeat(256),
            format!("new/{}/x", "n".repeat(256)),
            "n/".repeat(2048),
        ] {
            let expected = Some("is longer than the file system takes");
            assert_eq!(why(&in_use, &at(&format!("{name}x"))).as_deref(), expected);
        }
        assert_eq!(why(&in_use, &at(&"n".repeat(255))), None);
        assert!(!at("new").exists());
        assert!(in_use.check_folder(&at("answers"), "--record").is_err());
        assert!(in_use.check_folder(&at("free.csv"), "--record").is_err());
        assert!(in_use.check_folder(&at("new/record"), "--record").is_ok());
        assert!(in_use.check_folder(folder.path(), "--record").is_err());
    }

    #[test]
    fn files_named_in_the_command_are_in_use() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for name in ["a", "b", "c", "d", "free"] {
            std::fs::write(at(name), "").expect("written");
        }
        let mut in_use = InUse::default();
        let words = ["--rules=a", "@b", "agent <c; cat 'd'|tee", "{id}"];
        in_use.add_command(words, folder.path());
        for name in ["a", "b", "c", "d"] {
            assert!(why(&in_use, &at(name)).is_some(), "{name}");
        }
        assert_eq!(why(&in_use, &at("free")), None);
    }
}
