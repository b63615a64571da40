//! The files of the tree that a wave is compiled for, as prompts show them.
//!
//! They are listed once for a wave. A scope finds its files by the literal beginnings of its globs, so a task costs what its
//! scope holds and not what the repository holds.

use crate::platform::{Repo, look, machine_fault};
use crate::scope::Scope;
use crate::template;
use crate::workspace::SnapshotError;
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

/// The files of a tree, in git's order.
pub(super) struct FileList {
    root: PathBuf,
    files: Vec<ListedFile>,
    /// Indexes of the files, by the bytes of their names.
    by_name: Vec<usize>,
}

struct ListedFile {
    path: PathBuf,
    name: String,
}

impl FileList {
    /// The files of `repo` that git tracks or does not ignore.
    pub fn read(repo: &Repo) -> Result<Self, SnapshotError> {
        Ok(Self::new(repo.root().to_owned(), repo.files()?))
    }

    fn new(root: PathBuf, paths: BTreeSet<PathBuf>) -> Self {
        let named = |path: PathBuf| ListedFile {
            name: path.display().to_string(),
            path,
        };
        let files: Vec<ListedFile> = paths.into_iter().map(named).collect();
        let mut by_name: Vec<usize> = (0..files.len()).collect();
        by_name.sort_by_key(|&at| &files[at].name);
        Self {
            root,
            files,
            by_name,
        }
    }

    /// The names of all files, as Markdown for the prompt that asks for a scope.
    pub fn names_as_markdown(&self) -> String {
        const NAMES_MAX: usize = 2000;
        let names = self.files.iter().take(NAMES_MAX);
        let mut text: String = names.map(|file| format!("- `{}`\n", file.name)).collect();
        if self.files.len() > NAMES_MAX {
            text.push_str(&format!("- and {} more\n", self.files.len() - NAMES_MAX));
        }
        text
    }

    /// The files of a scope, as Markdown for a prompt: all names, and contents up to a limit.
    ///
    /// # Errors
    /// A fault of the machine.
    pub fn scope_as_markdown(&self, scope: &Scope) -> io::Result<String> {
        let mut text = String::new();
        for at in self.covered_by(scope) {
            self.add_file(&self.files[at], &mut text)?;
        }
        if text.is_empty() {
            text.push_str("No file of the scope exists yet.\n");
        }
        Ok(text)
    }

    fn add_file(&self, file: &ListedFile, text: &mut String) -> io::Result<()> {
        const BYTES_MAX: usize = 48 * 1024;
        let name = &file.name;
        let full = self.root.join(&file.path);
        // Reading a pipe could block forever.
        let content = look::is_file(&full).and_then(|is_file| match is_file {
            true => std::fs::read_to_string(&full),
            false => Err(io::ErrorKind::InvalidInput.into()),
        });
        match look::reachable(content).map_err(machine_fault::at(format!("reading `{name}`")))? {
            Some(content) if text.len() + content.len() <= BYTES_MAX => {
                let fence = template::fence_for(&content);
                text.push_str(&format!("`{name}`:\n\n{fence}\n{content}"));
                if !content.ends_with('\n') {
                    text.push('\n');
                }
                text.push_str(&format!("{fence}\n\n"));
            }
            Some(content) => {
                text.push_str(&format!("`{name}`: {} bytes, not shown\n\n", content.len()))
            }
            None => text.push_str(&format!("`{name}`: not text\n\n")),
        }
        Ok(())
    }

    /// The indexes of the files that `scope` covers, in order.
    fn covered_by(&self, scope: &Scope) -> BTreeSet<usize> {
        let candidates = scope
            .prefixes()
            .iter()
            .flat_map(|prefix| self.below(prefix));
        let covered = candidates.filter(|&&at| scope.covers(&self.files[at].name));
        covered.copied().collect()
    }

    /// The indexes of the files whose names begin with `prefix`.
    fn below(&self, prefix: &str) -> &[usize] {
        let name = |at: &usize| self.files[*at].name.as_str();
        let begin = self.by_name.partition_point(|at| name(at) < prefix);
        let rest = &self.by_name[begin..];
        &rest[..rest.partition_point(|at| name(at).starts_with(prefix))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> FileList {
        let paths = names.iter().map(PathBuf::from).collect();
        FileList::new(PathBuf::from("/nowhere"), paths)
    }

    fn covered<'l>(list: &'l FileList, globs: &[&str]) -> Vec<&'l str> {
        let globs: Vec<String> = globs.iter().map(|glob| (*glob).to_owned()).collect();
        let covered = list.covered_by(&Scope::new(&globs).expect("globs"));
        let names = covered.iter().map(|&at| list.files[at].name.as_str());
        names.collect()
    }

    #[test]
    fn a_scope_finds_its_files_in_the_order_of_their_paths_each_once() {
        // By bytes `a-b/x` is before `a/x`, by folders after it.
        let list = list(&["a/x", "a-b/x", "a.rs", "b/y.rs", "A/x", "größe.md"]);
        assert_eq!(covered(&list, &["a*/x", "a/**"]), ["a/x", "a-b/x"]);
        assert_eq!(covered(&list, &["**/*.rs", "b/"]), ["a.rs", "b/y.rs"]);
        assert_eq!(covered(&list, &["gr*.md", "a.rs"]), ["a.rs", "größe.md"]);
        assert_eq!(covered(&list, &["{b,A}/*"]), ["A/x", "b/y.rs"]);
        assert!(covered(&list, &["c/**"]).is_empty());
        assert_eq!(covered(&list, &["**"]).len(), 6);
    }
}
