//! Writing whole files so that a crash leaves the old one or the new one.
//!
//! Used for every file that is not append-only: the plan, wave CSVs, call files, output CSVs, artifacts. It knows
//! nothing of their contents, but who may read them.

use super::{fault, private};
use std::fs::{File, Permissions};
use std::io;
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::NamedTempFile;

/// Who may read a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readers {
    /// Whom the umask lets, or who could read the file that is replaced: results at a path that the user named.
    #[default]
    Umask,
    /// Its owner alone, as with the folders that are made for it: everything in a run's folder.
    Owner,
}

/// Writes `path` for whom the umask lets; see [`replace`].
pub fn write_with(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<()> {
    replace(path, Readers::Umask, fill)
}

/// Writes `path` through a temporary file in the same folder, which is made where it is missing. A file that is there
/// keeps its mode, unless the owner alone may read it; a symbolic link is replaced, not followed.
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

/// The first half of [`replace`]: the whole content is on disk under a temporary name beside `path`, and goes again
/// unless it is given a name.
pub fn stage(
    path: &Path,
    readers: Readers,
    fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<NamedTempFile> {
    let folder = parent(path);
    match readers {
        Readers::Umask => std::fs::create_dir_all(folder)?,
        Readers::Owner => private::make_folders(folder)?,
    }
    fault::write_point();
    let temporary = tempfile::Builder::new()
        .prefix(&temporary_prefix(path))
        .suffix(TEMPORARY_SUFFIX)
        .permissions(Permissions::from_mode(readers.mode()))
        .tempfile_in(folder)?;
    fault::write_point();
    let mut writer = BufWriter::new(temporary.as_file());
    fill(&mut writer)?;
    fault::write_point();
    writer.flush()?;
    drop(writer);
    if readers == Readers::Umask
        && let Ok(there) = std::fs::symlink_metadata(path)
        && there.is_file()
    {
        temporary.as_file().set_permissions(there.permissions())?;
    }
    fault::write_point();
    temporary.as_file().sync_all()?;
    fault::write_point();
    Ok(temporary)
}

/// Removes what writers of `path` that were killed have left beside it. Only for one who holds the lock under which
/// `path` is written: the temporary file of a writer at work looks the same.
pub fn remove_strays(path: &Path) -> io::Result<()> {
    let prefix = temporary_prefix(path);
    for entry in std::fs::read_dir(parent(path))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(&prefix) && name.ends_with(TEMPORARY_SUFFIX) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

const TEMPORARY_SUFFIX: &str = ".tmp";

/// `.<name>.`, of a long name only the beginning: a file name has at most 255 bytes.
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

/// [`write`] for the owner alone.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    replace(path, Readers::Owner, |writer| writer.write_all(content))
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
