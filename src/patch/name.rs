//! Names in the headers of a diff: quoting, time stamps, and the prefixes `a/` and `b/` that may be there or not.

/// The longest name that is read, in bytes; no path of a file system is longer.
const NAME_BYTES_MAX: usize = 4096;
/// What stands for no file.
pub(super) const NO_FILE: &str = "/dev/null";

/// Pairs of prefixes that diffs are written with: by default, with `diff.mnemonicPrefix`, and by hand.
const PREFIXES: [(&str, &str); 6] = [
    ("a/", "b/"),
    ("i/", "w/"),
    ("c/", "i/"),
    ("c/", "w/"),
    ("o/", "w/"),
    ("./", "./"),
];

/// The name in a header line: quoted as git does it, or plain up to a tab, behind which a time may stand.
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

/// Both names of a `diff --git` line, where they can be told apart: when they are quoted, or differ by the prefix alone.
/// The names of a rename stand in lines of their own.
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

/// `a/x`, `b/x` -> `x`, `x`; names without such prefixes stay as they are.
pub(super) fn without_prefixes<'n>(old: &'n str, new: &'n str) -> (&'n str, &'n str) {
    let stripped = |(before, after): &(&str, &str)| {
        Some((old.strip_prefix(before)?, new.strip_prefix(after)?))
    };
    PREFIXES.iter().find_map(stripped).unwrap_or((old, new))
}

/// The same for a name whose other side is no file, and so tells nothing.
pub(super) fn without_prefix(name: &str, side: Side) -> &str {
    let prefix = match side {
        Side::Old => "a/",
        Side::New => "b/",
    };
    let bare = name.strip_prefix(prefix);
    bare.or_else(|| name.strip_prefix("./")).unwrap_or(name)
}

/// Both names where only one is written, with the prefixes of a plain diff.
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

/// Which of two names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Before the change.
    Old,
    /// After it.
    New,
}

/// `prefix` and `path`, quoted unless every program reads it the same way without.
pub(super) fn quoted(prefix: &str, path: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/+-@=,".contains(&byte);
    if path.bytes().all(is_plain) {
        return format!("{prefix}{path}");
    }
    let mut text = format!("\"{prefix}");
    for byte in path.bytes() {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            other => text.push_str(&format!("\\{other:03o}")),
        }
    }
    text.push('"');
    text
}

/// Undoes git's C-style quoting; the opening quote is already gone. Gives the bytes used, with the closing quote.
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
