//! Diffs against git: git accepts the text that `mesh` writes, reports the paths, counts and facts that `mesh` predicts, and makes the
//! files that `mesh` has computed. What git would make of the original text is not asked: without context, it looks for its lines
//! elsewhere than where the text says.
//!
//! The inputs are those of [`diff`](crate::diff). Git is asked once for each text, since a process takes longer than all else.

use crate::diff::{fitted, has_binary, same_as_applied, split};
use crate::line_applier::{Entry, Files};
use crate::scratch;
use mesh::patch::{ChangeList, Patch};
use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock};

/// Checks one input.
pub fn check(data: &[u8]) {
    let (tree, text) = split(data);
    let Some(patch) = fitted(&tree, &text) else {
        return;
    };
    if !is_new(&tree.0, &patch.bytes()) {
        return;
    }
    let repository = repository(&tree.0);
    let file = scratch::file("patch.diff", &patch.bytes());
    let report = git(
        &repository,
        &["--check", "--numstat", "-z", "--summary"],
        &file,
    );
    if !report.status.success() {
        // Only git can say what binary content applies to.
        assert!(
            has_binary(&patch),
            "git refuses it: {}\n{}",
            errors(&report),
            patch.text()
        );
        return;
    }
    same_as_reported(&patch, &report);
    let applied = git(&repository, &[], &file);
    assert!(applied.status.success(), "{}", errors(&applied));
    let after = files_in(&repository);
    if !has_binary(&patch) {
        same_as_applied(&patch, &tree.0, &after);
    }
}

fn is_new(files: &Files, patch: &[u8]) -> bool {
    static SEEN: Mutex<Option<HashSet<u64>>> = Mutex::new(None);
    let hash =
        BuildHasherDefault::<DefaultHasher>::default().hash_one((format!("{files:?}"), patch));
    let mut seen = SEEN.lock().expect("one thread");
    seen.get_or_insert_default().insert(hash)
}

/// A repository with these files in its work tree.
fn repository(files: &Files) -> PathBuf {
    static TEMPLATE: OnceLock<()> = OnceLock::new();
    let repository = scratch::folder().join("repository");
    TEMPLATE.get_or_init(|| {
        let made = Command::new("git")
            .args(["init", "-q", "--template="])
            .arg(&repository)
            .output();
        assert!(made.expect("git").status.success());
    });
    for entry in std::fs::read_dir(&repository).expect("a folder").flatten() {
        let path = entry.path();
        if entry.file_name() == ".git" {
            continue;
        }
        match entry.file_type().expect("a type").is_dir() {
            true => std::fs::remove_dir_all(path).expect("removed"),
            false => std::fs::remove_file(path).expect("removed"),
        }
    }
    for (path, entry) in files {
        let path = repository.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        match entry {
            Entry::File(content) => std::fs::write(path, content).expect("written"),
            Entry::Link(target) => {
                let target = std::ffi::OsString::from_vec(target.clone());
                std::os::unix::fs::symlink(target, path).expect("linked");
            }
        }
    }
    repository
}

/// `git apply` with the options of `mesh`.
fn git(repository: &Path, options: &[&str], file: &Path) -> Output {
    let settings = [
        "-c",
        "core.protectHFS=true",
        "-c",
        "apply.ignoreWhitespace=no",
    ];
    let mut command = Command::new("git");
    command
        .args(settings)
        .args(["apply", "--whitespace=nowarn", "-p1"]);
    command.args(options).arg(file).current_dir(repository);
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.output().expect("git")
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Git's report names the paths, counts and facts that are predicted.
fn same_as_reported(patch: &Patch, report: &Output) {
    let text = String::from_utf8_lossy(&report.stdout).into_owned();
    let (records, summary) = text.rsplit_once('\0').unwrap_or_default();
    let record = |record: &str| {
        let mut parts = record.splitn(3, '\t');
        let (added, removed) = (parts.next()?, parts.next()?);
        Some((parts.next()?.to_owned(), format!("+{added} -{removed}")))
    };
    let kinds = ["create mode ", "delete mode ", "mode change "];
    let facts = summary.lines().map(str::trim_start);
    let facts = facts.filter(|line| kinds.iter().any(|kind| line.starts_with(kind)));
    let predicted = patch.listed();
    let reported = ChangeList {
        paths: records.split_terminator('\0').filter_map(record).collect(),
        sources: predicted.sources.clone(),
        facts: facts.map(str::to_owned).collect(),
    };
    assert_eq!(predicted, reported);
}

fn files_in(repository: &Path) -> Files {
    let mut files = Files::new();
    let mut folders = vec![repository.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            let below = path.strip_prefix(repository).expect("below");
            let name = below.to_str().expect("UTF-8").to_owned();
            let kind = entry.file_type().expect("a type");
            if name == ".git" {
                continue;
            }
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_symlink() {
                let target = std::fs::read_link(path).expect("a link");
                files.insert(name, Entry::Link(target.into_os_string().into_vec()));
            } else {
                files.insert(name, Entry::File(std::fs::read(path).expect("a file")));
            }
        }
    }
    files
}
