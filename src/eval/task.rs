//! A task of an evaluation: `NAME/{eval.yaml, repo/, hidden/, answers/}`.

use super::error::EvalError;
use crate::model::file_name;
use crate::platform::{look, sha256_of_bytes, sha256_of_file};
use serde::Deserialize;
use std::fmt::Write;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const FILE: &str = "eval.yaml";
/// Where a repository may have its plan.
const PLANS: [&str; 2] = [".step/st-plan.jsonl", ".codex/st-plan.jsonl"];

/// `eval.yaml`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskFile {
    hidden: Vec<String>,
}

/// A task.
#[derive(Clone, Debug)]
pub struct EvalTask {
    /// The name of its folder.
    pub name: String,
    /// Its folder.
    pub path: PathBuf,
    /// The commands of its hidden tests; at least one.
    pub commands: Vec<String>,
    /// SHA-256 of all its files, with their paths and whether they may be executed.
    pub digest: String,
}

impl EvalTask {
    /// The tasks in a folder, by name; those of `only`, unless that is empty. Folders without `eval.yaml` are no tasks.
    ///
    /// # Errors
    /// A task lacks a part or has an invalid `eval.yaml`; there is none; `only` names another.
    pub fn list(folder: &Path, only: &[String]) -> Result<Vec<Self>, EvalError> {
        let failed = || EvalError::io(folder);
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            let file = entry.path().join(FILE);
            let there = look::reach(&file).map_err(EvalError::io(&file))?;
            if there.is_some_and(|there| there.is_file()) {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        if names.is_empty() {
            return Err(EvalError::NoTasks(folder.to_owned()));
        }
        if let Some(name) = only.iter().find(|name| !names.contains(name)) {
            let known = names.join(", ");
            let text = format!(
                "`{}` has no task `{name}`; tasks: {known}",
                folder.display()
            );
            return Err(EvalError::BadOption(text));
        }
        names.retain(|name| only.is_empty() || only.contains(name));
        let read = |name: String| Self::read(folder.join(&name), name);
        names.into_iter().map(read).collect()
    }

    fn read(path: PathBuf, name: String) -> Result<Self, EvalError> {
        let bad = |why: String| EvalError::BadTask {
            path: path.clone(),
            why,
        };
        let file = path.join(FILE);
        let text = fs::read_to_string(&file).map_err(EvalError::io(&file))?;
        let parsed: TaskFile =
            serde_yaml::from_str(&text).map_err(|error| bad(format!("{FILE}: {error}")))?;
        if parsed.hidden.is_empty() {
            return Err(bad(format!("{FILE}: `hidden` has no command")));
        }
        for folder in ["repo", "hidden"] {
            if !look::is_folder(&path.join(folder)).map_err(EvalError::io(&path))? {
                return Err(bad(format!("no folder `{folder}`")));
            }
        }
        if look::is_taken(&path.join("repo/.git")).map_err(EvalError::io(&path))? {
            return Err(bad(
                "`repo` is a git repository; it must be plain files".to_owned()
            ));
        }
        let is_there = |plan| look::is_file(&path.join("repo").join(plan));
        let plans: Result<Vec<bool>, _> = PLANS.into_iter().map(is_there).collect();
        if !plans.map_err(EvalError::io(&path))?.contains(&true) {
            return Err(bad(format!("no plan at `repo/{}`", PLANS[0])));
        }
        let digest = digest(&path).map_err(EvalError::io(&path))?;
        Ok(Self {
            name,
            commands: parsed.hidden,
            digest,
            path,
        })
    }

    /// The files that a run works on.
    pub fn repo(&self) -> PathBuf {
        self.path.join("repo")
    }

    /// The files that are copied over its result.
    pub fn hidden(&self) -> PathBuf {
        self.path.join("hidden")
    }

    /// Recorded answers for a protocol: those of its own, if there are any, since the rows of two protocols may have the same ids.
    pub fn answers(&self, protocol: &str) -> io::Result<PathBuf> {
        let all = self.path.join("answers");
        let own = all.join(file_name(protocol));
        Ok(match look::is_folder(&own)? {
            true => own,
            false => all,
        })
    }
}

fn digest(folder: &Path) -> io::Result<String> {
    let mut lines = String::new();
    for file in files(folder)? {
        let path = folder.join(&file);
        let meta = fs::symlink_metadata(&path)?;
        let content = match meta.is_symlink() {
            true => format!("-> {}", fs::read_link(&path)?.display()),
            false => sha256_of_file(&path)?,
        };
        let is_executable = meta.permissions().mode() & 0o100 != 0;
        let _ = writeln!(lines, "{} {is_executable} {content}", file.display());
    }
    Ok(sha256_of_bytes(lines.as_bytes()))
}

/// All files and links below a folder, relative to it, in order.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut open = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next)? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => open.push(entry.path()),
                false => found.extend(entry.path().strip_prefix(folder).map(Path::to_owned)),
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Copies the files and links of a folder over those of another, with their modes; `.git` is left out.
pub(super) fn copy_over(from: &Path, to: &Path) -> io::Result<()> {
    crate::platform::private::make_open_folders(to)?;
    for file in files(from)? {
        if file.starts_with(".git") {
            continue;
        }
        let (source, target) = (from.join(&file), to.join(&file));
        crate::platform::private::make_open_folders(crate::platform::parent(&target))?;
        match look::entry(&target)? {
            Some(there) if there.is_dir() => fs::remove_dir_all(&target)?,
            Some(_) => fs::remove_file(&target)?,
            None => {}
        }
        match fs::symlink_metadata(&source)?.is_symlink() {
            true => std::os::unix::fs::symlink(fs::read_link(&source)?, &target)?,
            false => drop(fs::copy(&source, &target)?),
        }
    }
    Ok(())
}
