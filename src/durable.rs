//! Writing whole files so that a crash leaves the old one or the new one.
//!
//! Used for every file that is not the append-only ledger: wave CSVs, call files, output CSVs,
//! artifacts. It knows nothing of their contents.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes `path` through a temporary file in the same folder.
///
/// When this returns, the whole content and the name are on disk. Killed at any earlier step, a
/// reader sees the previous file (or none) and at most a stray `.mesh-*.tmp` beside it.
pub fn write_with(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<()> {
    let folder = parent(path);
    std::fs::create_dir_all(folder)?;
    let temporary = tempfile::Builder::new()
        .prefix(".mesh-")
        .suffix(".tmp")
        .permissions(permissions_of_a_new_file())
        .tempfile_in(folder)?;
    let mut writer = BufWriter::new(temporary.as_file());
    fill(&mut writer)?;
    writer.flush()?;
    drop(writer);
    temporary.as_file().sync_data()?;
    temporary.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)
}

/// [`write_with`] for content that is already in memory.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    write_with(path, |writer| writer.write_all(content))
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

/// `tempfile` makes files for their owner alone; ours are results that others read, so the umask decides.
fn permissions_of_a_new_file() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}
