//! Contents that a restore may need, kept under the run's folder by their SHA-256.

use crate::platform::private;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A folder of contents.
#[derive(Clone, Debug)]
pub(super) struct Store {
    folder: PathBuf,
    /// How many contents were put that were not there.
    fresh: Arc<AtomicUsize>,
}

/// So many new contents are made durable one by one; beyond that, the whole file system at once takes less.
const SYNCED_MAX: usize = 256;

impl Store {
    /// The store in `folder`, which is made where it is missing.
    pub fn open(folder: &Path) -> io::Result<Self> {
        private::make_folders(folder)?;
        Ok(Self::at(folder))
    }

    /// The store in `folder`, to read from.
    pub fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            fresh: Arc::default(),
        }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file of the store's folder that is no content.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Keeps `content` and gives its name. Durable after the next [`Store::sync`].
    pub fn put(&self, content: &[u8]) -> io::Result<String> {
        let name = sha256(content);
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
        Ok(name)
    }

    /// The content called `name`, just as it was put.
    pub fn get(&self, name: &str) -> io::Result<Vec<u8>> {
        let content = std::fs::read(self.folder.join(name))?;
        match sha256(&content) == name {
            true => Ok(content),
            false => Err(io::Error::other("the copy that was kept is damaged")),
        }
    }

    /// Removes contents that `wanted` does not name.
    pub fn retain(&self, wanted: &HashSet<&str>) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let is_content = name.len() >= 64;
            if is_content && !name.to_str().is_some_and(|name| wanted.contains(name)) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Makes everything in the store durable. Not by the whole file system as long as that can be helped: others may
    /// have a lot to write there.
    pub fn sync(&self) -> io::Result<()> {
        let folder = File::open(&self.folder)?;
        if self.fresh.load(Ordering::Relaxed) > SYNCED_MAX {
            #[cfg(target_os = "linux")]
            rustix::fs::syncfs(&folder)?;
            #[cfg(not(target_os = "linux"))]
            rustix::fs::sync();
        }
        folder.sync_all()
    }
}

/// In hexadecimal.
pub(super) fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

/// The id that git gives a file with `content`, in the kind of `like`.
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_come_back_as_they_were_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("kept")).expect("made");
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
    fn ids_are_those_of_git() {
        let id = "ce013625030ba8dba906f756967f9e9ca394464a";
        assert_eq!(object_id(b"hello\n", id), id);
        let id = "2cf8d83d9ee29543b34a87727421fdecb7e3f3a183d337639025de576db9ebb4";
        assert_eq!(object_id(b"hello\n", id), id);
    }
}
