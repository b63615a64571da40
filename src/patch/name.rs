//! Reads and writes names in the headers of a diff: quoting, time stamps, and optional prefixes `a/` and `b/`.

/// Limit of a name, in bytes; that of a path in Linux.
const NAME_BYTES_MAX: usize = 4096;
/// The name for no file.
pub(super) const NO_FILE: &str = "/dev/null";

/// Pairs of prefixes: git's default, those of `diff.mnemonicPrefix`, and `./`.
const PREFIXES: [(&str, &str); 6] = [
    ("a/", "b/"),
    ("i/", "w/"),
    ("c/", "i/"),
    ("c/", "w/"),
    ("o/", "w/"),
    ("./", "./"),
];

/// Reads the name in a header line: quoted as git does, or plain up to a tab, after which a time may follow.
pub(super) fn read(text: &str) -> Option<String> {
    let name = match text.strip_prefix('"') {
        Some(quoted) => unquoted(quoted)?.0,
        None => {
            let name = text.split('\t').next().unwrap_or(text);
            name.trim_end_matches('\r').to_owned()
        }
    };
    (1..=NAME_BYTES_MAX).contains(&name.len()).then_some(name)
}

/// Reads both names of a `diff --git` line, if they are quoted or differ only in the prefix. Renames have their names in
/// separate lines.
pub(super) fn read_both(text: &str) -> Option<(String, String)> {
    let text = text.trim_end_matches('\r');
    if text.len() > 2 * NAME_BYTES_MAX {
        return None;
    }
    if let Some(quoted) = text.strip_prefix('"') {
        let (first, used) = unquoted(quoted)?;
        let rest = quoted.get(used..)?.strip_prefix(' ')?;
        return Some((first, read(rest)?));
    }
    if let Some((first, quoted)) = text.split_once(" \"") {
        return Some((first.to_owned(), unquoted(quoted)?.0));
    }
    let middle = text.len() / 2;
    let (first, second) = (text.get(..middle)?, text.get(middle..)?.strip_prefix(' ')?);
    let (old, new) = without_prefixes(first, second);
    (old == new).then(|| (first.to_owned(), second.to_owned()))
}

/// Removes a pair of prefixes, if the names have one.
pub(super) fn without_prefixes<'n>(old: &'n str, new: &'n str) -> (&'n str, &'n str) {
    let stripped = |(before, after): &(&str, &str)| {
        Some((old.strip_prefix(before)?, new.strip_prefix(after)?))
    };
    PREFIXES.iter().find_map(stripped).unwrap_or((old, new))
}

/// Removes the prefix of a name whose other side is `/dev/null`.
pub(super) fn without_prefix(name: &str, side: Side) -> &str {
    let prefix = match side {
        Side::Old => "a/",
        Side::New => "b/",
    };
    let bare = name.strip_prefix(prefix);
    bare.or_else(|| name.strip_prefix("./")).unwrap_or(name)
}

/// Both names, from the one that is given, with the default prefixes.
pub(super) fn paired(name: String, side: Side) -> (String, String) {
    let stripped = |prefix: &str| name.strip_prefix(prefix).map(str::to_owned);
    match side {
        Side::Old => {
            let other = stripped("a/").map(|path| format!("b/{path}"));
            (name.clone(), other.unwrap_or(name))
        }
        Side::New => {
            let other = stripped("b/").map(|path| format!("a/{path}"));
            (other.unwrap_or_else(|| name.clone()), name)
        }
    }
}

/// One of the two names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Before the change.
    Old,
    /// After it.
    New,
}

/// `prefix` and `path`, quoted unless all characters are plain.
pub(super) fn quoted(prefix: &str, path: &str) -> String {
    quoted_bytes(prefix, path.as_bytes())
}

/// The same for a path of any bytes.
pub(super) fn quoted_bytes(prefix: &str, path: &[u8]) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._/+-@=,".contains(byte);
    if path.iter().all(is_plain) {
        return path.iter().fold(prefix.to_owned(), |mut text, byte| {
            text.push(char::from(*byte));
            text
        });
    }
    let mut text = format!("\"{prefix}");
    for &byte in path {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            other => text.push_str(&format!("\\{other:03o}")),
        }
    }
    text.push('"');
    text
}

/// Decodes git's C-style quoting after the opening quote. Returns also the number of bytes up to and with the closing quote.
fn unquoted(text: &str) -> Option<(String, usize)> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    loop {
        let (&first, after) = rest.split_first()?;
        rest = after;
        match first {
            b'"' => return Some((String::from_utf8(bytes).ok()?, text.len() - rest.len())),
            b'\\' => {
                let (byte, after) = escape(rest)?;
                bytes.push(byte);
                rest = after;
            }
            other => bytes.push(other),
        }
    }
}

fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let (&first, rest) = text.split_first()?;
    let byte = match first {
        b'a' => 7,
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'v' => 11,
        b'f' => 12,
        b'r' => b'\r',
        b'"' | b'\\' => first,
        b'0'..=b'3' => {
            let digits = rest
                .get(..2)
                .filter(|digits| digits.iter().all(|digit| (b'0'..=b'7').contains(digit)))?;
            let byte = (first - b'0') * 64 + (digits[0] - b'0') * 8 + (digits[1] - b'0');
            return Some((byte, &rest[2..]));
        }
        _ => return None,
    };
    Some((byte, rest))
}
