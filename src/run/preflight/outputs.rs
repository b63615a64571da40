//! Checks output paths: an output must not be a file that is being read, under whatever name, and must be writable. The checks
//! leave no trace: no folder is created, and the file that is created to see whether that is possible has no name where the
//! file system can do that, and is removed.

use crate::model::shell_word;
use crate::plan::{PLAN_FILE_CODEX, PLAN_FILE_DEFAULT};
use crate::platform::look;
use crate::run::error::RunError;
use serde::{Deserialize, Serialize};
use std::fs::Metadata;
use std::io::{self, ErrorKind};
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
    ///
    /// # Errors
    /// A fault of the machine.
    pub fn add_command<'w>(
        &mut self,
        words: impl IntoIterator<Item = &'w str>,
        folder: &Path,
    ) -> Result<(), RunError> {
        let within = |c: char| c.is_whitespace() || "=@'\"`<>|&;(){},:".contains(c);
        for word in words {
            for part in std::iter::once(word).chain(word.split(within)) {
                let path = folder.join(part);
                let there = look::reach(&path).map_err(RunError::io(&path))?;
                if !part.is_empty() && there.is_some_and(|there| there.is_file()) {
                    self.add_file("belongs to the worker's command", path);
                }
            }
        }
        Ok(())
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
        let failed = || RunError::io(output);
        let there = look::reach(output).map_err(failed())?;
        let is_folder = there.as_ref().is_some_and(Metadata::is_dir);
        if is_folder || output.as_os_str().as_bytes().ends_with(b"/") {
            return refuse("is a folder".to_owned(), "a file in it");
        }
        if let Some(what) = self.find_conflict(output).map_err(failed())? {
            return refuse(what, "another file");
        }
        if there.is_some_and(|there| !there.is_file()) {
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
            let found = look::reach(folder).transpose()?;
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
        if is_folder(folder).map_err(RunError::io(folder))? {
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
        let there = look::reach(folder).map_err(RunError::io(folder))?;
        match there.map(|there| there.is_dir()) {
            Some(true) => {
                self.check_answers(folder, option)?;
                self.check(&folder.join("answer.json"), option)
            }
            Some(false) => Err(RunError::Output {
                path: folder.to_owned(),
                why: "is not a folder".to_owned(),
                hint: Some(format!("name a folder with {option}")),
            }),
            None => self.check(folder, option),
        }
    }

    /// An answer is named after its row, so any JSON file in `folder` may be overwritten.
    fn check_answers(&self, folder: &Path, option: &str) -> Result<(), RunError> {
        let failed = || RunError::io(folder);
        let is_answer = |path: &Path| path.extension().is_some_and(|it| it == "json");
        let inside = look::real(folder).map_err(failed())?;
        for (what, path) in self.files.iter().chain(&self.reserved) {
            if is_answer(path) && normalize_path(path).map_err(failed())?.parent() == Some(&inside)
            {
                return Err(RunError::Output {
                    path: folder.to_owned(),
                    why: format!("is a folder with a file that {what}: `{}`", path.display()),
                    hint: Some(format!("name a folder of its own with {option}")),
                });
            }
        }
        Ok(())
    }

    /// What stands against `output`, as a predicate.
    fn find_conflict(&self, output: &Path) -> io::Result<Option<String>> {
        let own_id = file_id(output)?;
        let is_same =
            |path: &Path| Ok::<_, io::Error>(own_id.is_some() && file_id(path)? == own_id);
        for (what, path) in &self.files {
            if is_same(path)? {
                return Ok(Some(what.clone()));
            }
        }
        let place = normalize_path(output)?;
        for (what, path) in &self.reserved {
            if is_same(path)? || normalize_path(path)? == place {
                return Ok(Some(what.clone()));
            }
        }
        if let Some(stream) = find_standard_stream(output)? {
            return Ok(Some(format!("is {stream} of this command")));
        }
        if output.components().any(|part| part.as_os_str() == ".git") {
            return Ok(Some("is in git's folder".to_owned()));
        }
        if is_run_file(output)? {
            return Ok(Some("belongs to a run".to_owned()));
        }
        self.find_folder(crate::platform::parent(&place))
    }

    /// The predicate of the folder in use that contains `folder`.
    fn find_folder(&self, folder: &Path) -> io::Result<Option<String>> {
        let folder = look::real(folder)?;
        for (what, path) in &self.folders {
            if folder.starts_with(look::real(path)?) {
                return Ok(Some(what.clone()));
            }
        }
        Ok(None)
    }
}

fn is_folder(path: &Path) -> io::Result<bool> {
    Ok(look::reach(path)?.is_some_and(|there| there.is_dir()))
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
fn is_run_file(output: &Path) -> io::Result<bool> {
    const FILES: [&str; 2] = ["ledger.jsonl", "input.csv"];
    let folder = crate::platform::parent(output);
    let is_named = |name: &&str| output.file_name() == Some(name.as_ref());
    Ok(FILES.iter().any(is_named)
        && look::reach(&folder.join("ledger.jsonl"))?.is_some()
        && is_folder(&folder.join("logs"))?)
}

/// The device and the number of a file, which are the same under all its names.
fn file_id(path: &Path) -> io::Result<Option<(u64, u64)>> {
    let there = look::reach(path)?;
    Ok(there.map(|there| (there.dev(), there.ino())))
}

/// The absolute path with links resolved as far as the folders exist, so that two spellings of one path are equal.
pub(crate) fn normalize_path(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut place = PathBuf::new();
    for part in path.parent().unwrap_or(&path).components() {
        match part {
            Component::ParentDir => drop(place.pop()),
            part => place.push(part),
        }
        place = look::real(&place)?;
    }
    Ok(place.join(path.file_name().unwrap_or_default()))
}

/// The standard stream that is redirected to this file.
fn find_standard_stream(output: &Path) -> io::Result<Option<&'static str>> {
    let there = look::reach(output)?.filter(Metadata::is_file);
    let Some(id) = there.map(|there| (there.dev(), there.ino())) else {
        return Ok(None);
    };
    for (stream, name) in [
        ("/dev/fd/0", "standard input"),
        ("/dev/fd/1", "standard output"),
        ("/dev/fd/2", "standard error"),
    ] {
        if file_id(Path::new(stream))? == Some(id) {
            return Ok(Some(name));
        }
    }
    Ok(None)
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
        in_use
            .add_command(["agent", "-x"], folder.path())
            .expect("looked");
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
            ("answers/../new/out.csv", None),
            ("new/../linked/b.json", Some("is in the folder of answers")),
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
        in_use.add_command(words, folder.path()).expect("looked");
        for name in ["a", "b", "c", "d"] {
            assert!(why(&in_use, &at(name)).is_some(), "{name}");
        }
        assert_eq!(why(&in_use, &at("free")), None);
    }
}
