//! Paths in JSON. A path is bytes, JSON is Unicode: a path that is not UTF-8 is quoted as by git, in double quotes with
//! octal escapes, so that nothing is lost. A path that starts with a double quote is quoted too; every other path is
//! unchanged.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// `path` as text; [`text_to_path`] is the inverse.
pub fn path_to_text(path: &Path) -> String {
    match path.to_str() {
        Some(text) if !text.starts_with('"') => text.to_owned(),
        _ => quote(path.as_os_str().as_bytes()),
    }
}

fn quote(bytes: &[u8]) -> String {
    let mut text = "\"".to_owned();
    for byte in bytes {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => text.push_str(&format!("\\{byte:03o}")),
        }
    }
    text.push('"');
    text
}

/// The path of `text`, the inverse of [`path_to_text`].
pub fn text_to_path(text: &str) -> PathBuf {
    let Some(inner) = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
    else {
        return text.into();
    };
    let mut bytes = Vec::new();
    let mut rest = inner.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let octal = rest
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[3..];
            }
            None => {
                bytes.extend(rest.first());
                rest = rest.get(1..).unwrap_or_default();
            }
        }
    }
    OsString::from_vec(bytes).into()
}

/// `path` as hexadecimal digits, for formats that allow none of its bytes.
pub fn encode_hex(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The inverse of [`encode_hex`].
pub fn decode_hex(hex: &str) -> Option<PathBuf> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    let bytes: Option<Vec<u8>> = pairs.collect();
    Some(OsString::from_vec(bytes?).into())
}

/// For serde, one path.
pub fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path_to_text(path))
}

/// For serde, one path.
pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<PathBuf, D::Error> {
    Ok(text_to_path(&String::deserialize(from)?))
}

/// For serde, a list of paths.
pub mod list {
    use super::*;

    /// Writes the list.
    pub fn serialize<S: Serializer>(paths: &[PathBuf], to: S) -> Result<S::Ok, S::Error> {
        let texts: Vec<String> = paths.iter().map(|path| path_to_text(path)).collect();
        texts.serialize(to)
    }

    /// Reads it back.
    pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Vec<PathBuf>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        Ok(texts.iter().map(|text| text_to_path(text)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_paths_that_need_it_are_quoted() {
        for (path, text) in [
            (&b"src/a b.rs"[..], "src/a b.rs"),
            ("\u{e4}/\\".as_bytes(), "\u{e4}/\\"),
            (b"a\xff\n", r#""a\377\012""#),
            (b"\"a\"", r#""\"a\"""#),
        ] {
            let path = PathBuf::from(OsString::from_vec(path.to_vec()));
            assert_eq!(
                (path_to_text(&path).as_str(), text_to_path(text)),
                (text, path)
            );
        }
    }

    proptest! {
        #[test]
        fn every_path_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            let path = PathBuf::from(OsString::from_vec(bytes));
            prop_assert_eq!(text_to_path(&path_to_text(&path)), path);
        }

        #[test]
        fn no_text_is_too_odd(text in ".*") {
            text_to_path(&text);
            text_to_path(&format!("\"{text}\""));
        }
    }
}
