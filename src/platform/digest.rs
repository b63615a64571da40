//! SHA-256 of what is read or written, as lower-case hexadecimal digits.

use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::io::{Read, Write};
use std::path::Path;

/// How many digits of a hash a message shows.
const SHORT: usize = 12;

/// A reader or writer that hashes the bytes that pass through it.
pub struct Hashed<I> {
    inner: I,
    hasher: Sha256,
}

impl<I> Hashed<I> {
    /// Hashes what is written to, or read from, `inner` from now on.
    pub fn new(inner: I) -> Self {
        Self {
            inner,
            hasher: Sha256::new(),
        }
    }

    /// The hash of all bytes that passed.
    pub fn sha256(self) -> String {
        hex(&self.hasher.finalize())
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

/// The hash of bytes.
pub fn sha256_of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The hash of everything that is left to read.
pub fn sha256_of_reader(reader: impl Read) -> io::Result<String> {
    let mut hashed = Hashed::new(reader);
    io::copy(&mut hashed, &mut io::sink())?;
    Ok(hashed.sha256())
}

/// The hash of a file's content.
pub fn sha256_of_file(path: &Path) -> io::Result<String> {
    sha256_of_reader(File::open(path)?)
}

/// The first digits of a hash, for messages.
pub fn short(sha256: &str) -> &str {
    sha256.get(..SHORT).unwrap_or(sha256)
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_readers_writers_and_files_have_the_same_hash() {
        const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_of_bytes(b"abc"), ABC);
        let mut written = Hashed::new(Vec::new());
        written.write_all(b"a").expect("memory");
        written.write_all(b"bc").expect("memory");
        assert_eq!(written.sha256(), ABC);
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "abc").expect("written");
        assert_eq!(sha256_of_file(file.path()).expect("read"), ABC);
        assert_eq!(short(ABC), "ba7816bf8f01");
    }
}
