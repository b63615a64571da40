//! Git's knowledge of the files of a work tree, in one call for all of them. Paths are bytes.

use super::memory::{FileMark, IndexListing, file_marks, locked};
use super::records::{Conversion, Tracked};
use super::{Call, GitError, Repo, failed, path_of};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Repo {
    /// Parses the entries of a list of the index.
    pub(super) fn tracked(index: &[u8]) -> Vec<Tracked> {
        index.split(|byte| *byte == 0).filter_map(parsed).collect()
    }

    /// Untracked files that git does not ignore, relative to the root; a nested repository as a folder. Unlike the changes, git
    /// can list them without its objects.
    pub fn untracked(&self) -> Result<BTreeSet<PathBuf>, GitError> {
        let listed = self.read(&["ls-files", "-z", "--others", "--exclude-standard"])?;
        let paths = listed.split(|byte| *byte == 0);
        let paths = paths.filter(|path| !path.is_empty());
        Ok(paths
            .map(|path| path_of(path.strip_suffix(b"/").unwrap_or(path)))
            .collect())
    }

    /// Which of `paths` may differ from their objects.
    pub fn converted(&self, paths: &[&Path]) -> Result<BTreeMap<PathBuf, Conversion>, GitError> {
        let by_setting = self.attribute_settings()?.converts_line_ends;
        self.ask_converted(paths, by_setting)
    }

    /// Which tracked files may differ from their objects. `attributes` are the files named `.gitattributes` that were found in the
    /// tree, with marks that change with their content; `None` if they may have changed unnoticed. Git is asked only if some
    /// file has attributes, and not again while nothing changed.
    pub fn converted_files(
        &self,
        index: &Arc<IndexListing>,
        attributes: Option<Vec<FileMark>>,
    ) -> Result<Arc<BTreeMap<PathBuf, Conversion>>, GitError> {
        let settings = self.attribute_settings()?;
        let marks = settings.files.zip(attributes).map(|(files, mut marks)| {
            marks.extend(file_marks(&files)?);
            Ok(marks)
        });
        let marks = marks.transpose()?;
        let by_setting = settings.converts_line_ends;
        let ask = || {
            let files = index.tracked.iter().filter(|entry| !entry.is_repository);
            let paths: Vec<&Path> = files.map(|entry| entry.path.as_path()).collect();
            self.ask_converted(&paths, by_setting)
        };
        let Some(marks) = marks else {
            return Ok(Arc::new(ask()?));
        };
        if let Some(((known, setting, before), converted)) = &*locked(&self.memory.converted)
            && Arc::ptr_eq(known, index)
            && (*setting, before) == (by_setting, &marks)
        {
            return Ok(Arc::clone(converted));
        }
        let is_attributes =
            |entry: &Tracked| entry.path.file_name() == Some(OsStr::new(".gitattributes"));
        let is_plain = !by_setting
            && marks.iter().all(Option::is_none)
            // Git reads them from the index where they are missing in the tree.
            && !index.tracked.iter().any(is_attributes);
        let converted = Arc::new(match is_plain {
            true => BTreeMap::new(),
            false => ask()?,
        });
        let key = (Arc::clone(index), by_setting, marks);
        *locked(&self.memory.converted) = Some((key, Arc::clone(&converted)));
        Ok(converted)
    }

    fn ask_converted(
        &self,
        paths: &[&Path],
        by_setting: bool,
    ) -> Result<BTreeMap<PathBuf, Conversion>, GitError> {
        let mut input = Vec::new();
        for path in paths {
            input.extend_from_slice(path.as_os_str().as_bytes());
            input.push(0);
        }
        let args = ["check-attr", "-z", "--stdin", "--all"];
        let call = Call {
            input: Some(input),
            ..Call::default()
        };
        let output = self.call(&args, call)?;
        if !output.status.success() {
            return Err(failed(&args, &output));
        }
        let mut found = BTreeMap::new();
        if by_setting {
            found.extend(
                paths
                    .iter()
                    .map(|path| ((*path).to_owned(), Conversion::LineEnds)),
            );
        }
        let fields: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
        for record in fields.chunks_exact(3) {
            let is_off = record[2] == b"unset";
            let conversion = match record[1] {
                b"ident" | b"filter" | b"working-tree-encoding" => Conversion::Anything,
                b"text" | b"eol" | b"crlf" => Conversion::LineEnds,
                _ => continue,
            };
            let path = Path::new(OsStr::from_bytes(record[0]));
            match (is_off, conversion) {
                (true, Conversion::LineEnds) => {
                    if found.get(path) == Some(&Conversion::LineEnds) {
                        found.remove(path);
                    }
                }
                (true, Conversion::Anything) => {}
                (false, Conversion::Anything) => {
                    found.insert(path.to_owned(), conversion);
                }
                (false, Conversion::LineEnds) => {
                    found.entry(path.to_owned()).or_insert(conversion);
                }
            }
        }
        Ok(found)
    }

    /// The contents of the objects `ids`, without conversion or replacement; `None` for one that is missing.
    pub fn objects(&self, ids: &[&str]) -> Result<Vec<Option<Vec<u8>>>, GitError> {
        let args = ["cat-file", "--batch"];
        let call = Call {
            input: Some(format!("{}\n", ids.join("\n")).into_bytes()),
            variables: &[("GIT_NO_REPLACE_OBJECTS", "1")],
            ..Call::default()
        };
        let output = self.call(&args, call)?;
        if !output.status.success() {
            return Err(failed(&args, &output));
        }
        let mut rest = output.stdout.as_slice();
        Ok(ids.iter().map(|_| next_object(&mut rest)).collect())
    }
}

/// `tag mode id stage TAB path`
fn parsed(record: &[u8]) -> Option<Tracked> {
    let at = record.iter().position(|byte| *byte == b'\t')?;
    let head = std::str::from_utf8(&record[..at]).ok()?;
    let mut words = head.split(' ');
    let (tag, mode, id) = (words.next()?, words.next()?, words.next()?);
    Some(Tracked {
        path: path_of(&record[at + 1..]),
        id: id.to_owned(),
        is_repository: mode == "160000",
        is_unsure: tag != "H",
    })
}

/// `id type size LF content LF`, or `id missing LF`.
fn next_object(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let head = std::str::from_utf8(&rest[..end]).ok()?.to_owned();
    *rest = &rest[end + 1..];
    let size: usize = head.split(' ').nth(2)?.parse().ok()?;
    let content = rest.get(..size)?.to_vec();
    *rest = rest.get(size + 1..).unwrap_or_default();
    Some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_read_with_its_marks() {
        let list = b"H 100644 aa 0\ta b\0h 100644 bb 0\tc\0H 160000 cc 0\tsub\0M 100644 dd 1\td\0";
        let found: Vec<_> = Repo::tracked(list)
            .into_iter()
            .map(|one| (one.path, one.is_repository, one.is_unsure))
            .collect();
        assert_eq!(
            found,
            [
                ("a b".into(), false, false),
                ("c".into(), false, true),
                ("sub".into(), true, false),
                ("d".into(), false, true)
            ]
        );
    }

    #[test]
    fn objects_that_are_missing_are_told_from_empty_ones() {
        let mut rest: &[u8] = b"aa blob 3\na\nb\nbb missing\ncc blob 0\n\n";
        let all: Vec<_> = (0..4).map(|_| next_object(&mut rest)).collect();
        assert_eq!(all, [Some(b"a\nb".to_vec()), None, Some(Vec::new()), None]);
    }
}
