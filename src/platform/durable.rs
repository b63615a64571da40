//! Writing whole files so that a crash leaves the old one or the new one.
//!
//! Used for every file that is not append-only: the plan, wave CSVs, call files, output CSVs, artifacts.

use super::look;
use super::{fault, private, temporary};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Who may read a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readers {
    /// According to the umask, or to the mode of the replaced file: results at a path that the user named.
    #[default]
    Umask,
    /// Only the owner, also for folders that are created for it: everything in a run's folder.
    Owner,
}

/// Writes `path` with a mode according to the umask; see [`replace`].
pub fn write_with(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<()> {
    replace(path, Readers::Umask, fill)
}

/// Writes `path` through a temporary file in the same folder, which is created if it is missing. An existing file keeps
/// its mode, unless only the owner may read it. A symbolic link is replaced, not followed.
///
/// When this returns, the whole content and the name are on disk. Killed at any earlier step, a
/// reader sees the previous file (or none) and at most a stray `.<name>.*.tmp` beside it; so too when it fails, as on
/// a full disk, and then without the stray file.
pub fn replace(
    path: &Path,
    readers: Readers,
    fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<()> {
    let staged = stage(path, readers, fill)?;
    staged.persist(path).map_err(|error| error.error)?;
    fault::write_point();
    sync_folder(parent(path))
}

/// [`replace`] for files beneath `root`, which are on one file system. Each is replaced as a whole, in their order, and all are on disk
/// when this returns. The temporary files of up to [`FILES_PER_SYNC`] files exist at once: killed, up to as many may be left.
pub fn replace_all(
    root: &Path,
    readers: Readers,
    files: impl IntoIterator<Item = (PathBuf, Vec<u8>)>,
) -> io::Result<()> {
    let mut files = files.into_iter().peekable();
    while files.peek().is_some() {
        let mut staged = Vec::new();
        let mut folders = BTreeSet::new();
        for (path, content) in files.by_ref().take(FILES_PER_SYNC) {
            folders.extend(create_missing(parent(&path), readers)?);
            let file = fill_temporary(&path, readers, |writer| writer.write_all(&content))?;
            // Closed, since so many can't be open at once.
            staged.push((file.into_temp_path(), path));
        }
        // The content first: after a power failure no name may belong to a file without it.
        sync_each_or_all(root, staged.iter().map(|(temporary, _)| &**temporary))?;
        for (temporary, path) in staged {
            temporary.persist(&path).map_err(|error| error.error)?;
            fault::write_point();
            folders.insert(parent(&path).to_owned());
        }
        sync_each_or_all(root, folders.iter().map(PathBuf::as_path))?;
    }
    Ok(())
}

/// How many files [`replace_all`] writes between two syncs.
const FILES_PER_SYNC: usize = 8192;

/// How many files or folders are synced one by one. For more, one sync of the file system takes less time, although it also writes
/// what other programs have changed.
const SYNCS_MAX: usize = 16;

/// Syncs files or folders beneath `root`.
fn sync_each_or_all<'p>(
    root: &Path,
    mut paths: impl ExactSizeIterator<Item = &'p Path>,
) -> io::Result<()> {
    if cfg!(target_os = "linux") && paths.len() > SYNCS_MAX {
        sync_tree(root)?;
    } else {
        paths.try_for_each(|path| File::open(path)?.sync_all())?;
    }
    fault::write_point();
    Ok(())
}

/// Syncs everything beneath `root`, whoever wrote it, with the whole file system.
pub fn sync_tree(root: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(File::open(root)?)?;
    // Elsewhere no call syncs one file system, and this one may not wait for the disk.
    #[cfg(not(target_os = "linux"))]
    {
        let _ = root;
        rustix::fs::sync();
    }
    Ok(())
}

/// The first half of [`replace`]: writes the content durably to a temporary file beside `path`, which is removed unless it
/// is renamed.
pub fn stage(
    path: &Path,
    readers: Readers,
    fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<NamedTempFile> {
    make_folders(parent(path), readers)?;
    let temporary = fill_temporary(path, readers, fill)?;
    temporary.as_file().sync_all()?;
    fault::write_point();
    Ok(temporary)
}

/// Creates a folder and its missing parents. Their names are on disk when this returns: without that, everything that is written and synced in
/// them can be lost.
pub fn make_folders(folder: &Path, readers: Readers) -> io::Result<()> {
    let parents = create_missing(folder, readers)?;
    parents.iter().try_for_each(|parent| sync_folder(parent))
}

/// Creates a folder and its missing parents; the folders to sync.
fn create_missing(folder: &Path, readers: Readers) -> io::Result<Vec<PathBuf>> {
    let missing = look::missing_folders(folder)?;
    // A file in its place is found here.
    if !missing.is_empty() || !look::is_folder(folder)? {
        match readers {
            Readers::Umask => private::make_open_folders(folder)?,
            Readers::Owner => private::make_folders(folder)?,
        }
    }
    Ok(missing.iter().map(|path| parent(path).to_owned()).collect())
}

/// Writes the content to a temporary file beside `path`, in a folder that exists, without a sync.
fn fill_temporary(
    path: &Path,
    readers: Readers,
    fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<NamedTempFile> {
    let folder = parent(path);
    fault::write_point();
    let prefix = temporary_prefix(path);
    let temporary = temporary::file_in(folder, &prefix, TEMPORARY_SUFFIX, readers.mode())?;
    fault::write_point();
    let mut writer = BufWriter::new(temporary.as_file());
    fill(&mut writer)?;
    fault::write_point();
    writer.flush()?;
    drop(writer);
    if readers == Readers::Umask
        && let Some(there) = look::entry(path)?
        && there.is_file()
    {
        temporary.as_file().set_permissions(there.permissions())?;
    }
    fault::write_point();
    Ok(temporary)
}

/// Removes the temporary files of killed writers of `path`. The caller must hold the lock under which `path` is written,
/// because the temporary file of a live writer looks the same.
pub fn remove_strays(path: &Path) -> io::Result<()> {
    let prefix = temporary_prefix(path);
    let entries = look::found(std::fs::read_dir(parent(path)))?;
    for entry in entries.into_iter().flatten() {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(&prefix) && name.ends_with(TEMPORARY_SUFFIX) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Removes the temporary files of all killed writers in `folder`, which may not exist. The caller must be the only one who writes there.
pub fn remove_all_strays(folder: &Path) -> io::Result<()> {
    let entries = look::found(std::fs::read_dir(folder))?;
    for entry in entries.into_iter().flatten() {
        let entry = entry?;
        if is_temporary_name(&entry.file_name().to_string_lossy()) && entry.file_type()?.is_file() {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Whether `name` is that of a temporary file of any writer: `.<name>.<6 letters or digits>.tmp`.
pub fn is_temporary_name(name: &str) -> bool {
    let random = "[0-9A-Za-z]".repeat(6);
    let pattern = glob::Pattern::new(&format!(".?*.{random}{TEMPORARY_SUFFIX}"));
    pattern.is_ok_and(|pattern| pattern.matches(name))
}

/// Whether `path` is the temporary file of a writer of `file`.
pub fn is_temporary_of(path: &Path, file: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    parent(path) == parent(file)
        && name.starts_with(&temporary_prefix(file))
        && name.ends_with(TEMPORARY_SUFFIX)
}

const TEMPORARY_SUFFIX: &str = ".tmp";

/// `.<name>.`, with a long name cut, because a file name has at most 255 bytes.
fn temporary_prefix(path: &Path) -> String {
    const CHARS_MAX: usize = 50;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name.chars().take(CHARS_MAX).collect();
    format!(".{name}.")
}

/// [`write_with`] for content that is already in memory.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    write_with(path, |writer| writer.write_all(content))
}

/// [`write`] with access only for the owner.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    replace(path, Readers::Owner, |writer| writer.write_all(content))
}

/// Removes a file, which may not exist, so that a power failure does not bring it back.
pub fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| sync_folder(parent(path))),
    }
}

/// Makes the names in `folder` durable (a rename, a creation or a removal).
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The folder that holds `path`; the current one for a bare name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

impl Readers {
    /// The mode of a new file. `tempfile` would make it for its owner alone in any case.
    fn mode(self) -> u32 {
        match self {
            Readers::Umask => 0o666,
            Readers::Owner => private::FILE_MODE,
        }
    }
}
