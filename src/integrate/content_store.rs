//! Contents that a restore may need, stored in the run's folder under their SHA-256.

use crate::platform::{Readers, durable, hex, look, private, sha256_of_bytes};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A content-addressed store in one folder.
#[derive(Clone, Debug)]
pub(super) struct ContentStore {
    folder: PathBuf,
    /// How many new contents were written and are not synced.
    fresh: Arc<AtomicUsize>,
    /// Contents that are stored, as far as this process has found out.
    present: Arc<Mutex<HashSet<String>>>,
}

/// Up to this many new contents are synced one by one; above it, syncing the whole file system is faster.
const SYNCED_MAX: usize = 256;

/// The folder of saved states in a run's folder.
pub(super) fn kept_in(run_folder: &Path) -> PathBuf {
    run_folder.join("kept")
}

impl ContentStore {
    /// Opens the store in `folder`, which is created if it is missing.
    pub fn open(folder: &Path) -> io::Result<Self> {
        durable::make_folders(folder, Readers::Owner)?;
        Ok(Self::at(folder))
    }

    /// The store in `folder`, for reading.
    pub fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            fresh: Arc::default(),
            present: Arc::default(),
        }
    }

    /// The folder of the store.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of a content, or of another file in the store's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Stores `content` and returns its name. Durable after the next [`ContentStore::sync`].
    pub fn put(&self, content: &[u8]) -> io::Result<String> {
        let name = sha256_of_bytes(content);
        let path = self.folder.join(&name);
        let is_there = path
            .metadata()
            .is_ok_and(|metadata| metadata.len() == content.len() as u64);
        if !is_there {
            let temporary = self.folder.join(format!("{name}.new"));
            let mut file = private::create(&temporary)?;
            file.write_all(content)?;
            if self.fresh.fetch_add(1, Ordering::Relaxed) < SYNCED_MAX {
                file.sync_data()?;
            }
            std::fs::rename(temporary, path)?;
        }
        self.present().insert(name.clone());
        Ok(name)
    }

    /// Whether the content with this name is stored.
    pub fn has(&self, name: &str) -> bool {
        let mut present = self.present();
        if present.contains(name) {
            return true;
        }
        // What can't be looked at is stored again.
        let is_there = look::is_taken(&self.folder.join(name)).unwrap_or(false);
        if is_there {
            present.insert(name.to_owned());
        }
        is_there
    }

    fn present(&self) -> MutexGuard<'_, HashSet<String>> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the content with this name. An error if it is damaged.
    pub fn get(&self, name: &str) -> io::Result<Vec<u8>> {
        let content = std::fs::read(self.folder.join(name))?;
        match sha256_of_bytes(&content) == name {
            true => Ok(content),
            false => Err(io::Error::other("the saved copy is damaged")),
        }
    }

    /// Removes the contents that are not in `wanted`, of those that this process has stored or found.
    pub fn drop_others(&self, wanted: &HashSet<&str>) -> io::Result<()> {
        let mut present = self.present();
        let others: Vec<String> = present
            .iter()
            .filter(|name| !wanted.contains(name.as_str()))
            .cloned()
            .collect();
        for name in others {
            std::fs::remove_file(self.folder.join(&name))?;
            present.remove(&name);
        }
        Ok(())
    }

    /// Removes the contents that are not in `wanted`.
    pub fn retain(&self, wanted: &HashSet<&str>) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let is_content = name.len() >= 64;
            if is_content && !name.to_str().is_some_and(|name| wanted.contains(name)) {
                std::fs::remove_file(entry.path())?;
                if let Some(name) = name.to_str() {
                    self.present().remove(name);
                }
            }
        }
        Ok(())
    }

    /// Makes everything in the store durable. Avoids syncing the whole file system, because other programs may have much to
    /// write there.
    pub fn sync(&self) -> io::Result<()> {
        let fresh = self.fresh.swap(0, Ordering::Relaxed);
        if fresh == 0 {
            return Ok(());
        }
        let folder = File::open(&self.folder)?;
        if fresh > SYNCED_MAX {
            #[cfg(target_os = "linux")]
            rustix::fs::syncfs(&folder)?;
            #[cfg(not(target_os = "linux"))]
            rustix::fs::sync();
        }
        folder.sync_all()
    }
}

/// The git object id of a file with `content`, in the hash format of `like`.
pub(super) fn object_id(content: &[u8], like: &str) -> String {
    let head = format!("blob {}\0", content.len());
    match like.len() {
        64 => hex(&Sha256::new()
            .chain_update(head)
            .chain_update(content)
            .finalize()),
        _ => {
            use sha1::Digest as _;
            hex(&sha1::Sha1::new()
                .chain_update(head)
                .chain_update(content)
                .finalize())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_content_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = ContentStore::open(&folder.path().join("kept")).expect("made");
        let (one, two) = (
            store.put(b"one").expect("put"),
            store.put(b"two").expect("put"),
        );
        store.sync().expect("durable");
        assert_eq!(store.get(&one).expect("there"), b"one");
        std::fs::write(store.file(&one), "eno").expect("written");
        assert!(store.get(&one).is_err());
        std::fs::write(store.file("census"), "x").expect("written");
        store
            .retain(&HashSet::from([two.as_str()]))
            .expect("retained");
        assert!(store.get(&one).is_err() && store.file("census").exists());
        assert_eq!(store.get(&two).expect("there"), b"two");
    }

    #[test]
    fn object_ids_are_those_of_git() {
        let id = "ce013625030ba8dba906f756967f9e9ca394464a";
        assert_eq!(object_id(b"hello\n", id), id);
        let id = "2cf8d83d9ee29543b34a87727421fdecb7e3f3a183d337639025de576db9ebb4";
        assert_eq!(object_id(b"hello\n", id), id);
    }
}
