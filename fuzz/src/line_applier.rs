//! A reference for diffs: reads a diff in git's own form and applies it line by line, where its numbers say, and nowhere else.
//!
//! It knows no prose, no repair and no guess: what is not exact is [`None`].

use std::collections::BTreeMap;

/// What is at a path: a file, or a link with its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    File(Vec<u8>),
    Link(Vec<u8>),
}

impl Entry {
    fn content(&self) -> &[u8] {
        match self {
            Entry::File(content) | Entry::Link(content) => content,
        }
    }
}

/// A tree by paths, without its folders.
pub type Files = BTreeMap<String, Entry>;

/// The tree after the diff.
pub fn apply(files: &Files, diff: &[u8]) -> Option<Files> {
    let mut lines = Lines { rest: diff };
    let mut after = files.clone();
    let mut sections = Vec::new();
    while !lines.rest.is_empty() {
        sections.push(Section::read(&mut lines)?);
    }
    // As git does: the sources of all changes are of the tree before, and what goes, goes before what comes.
    let mut writes: Files = Files::new();
    for section in &sections {
        let earlier = writes.get(&section.to).filter(|_| section.is_edit());
        let old = match (section.is_new, earlier) {
            (true, _) => None,
            (false, Some(earlier)) => Some(earlier.clone()),
            (false, None) => Some(files.get(&section.from)?.clone()),
        };
        let old_content = old.as_ref().map_or(&b""[..], Entry::content);
        let content = section.apply(old_content)?;
        if section.is_gone || section.is_move {
            after.remove(&section.from);
        }
        if section.is_gone {
            if !content.is_empty() {
                return None;
            }
            continue;
        }
        let is_link = match (section.is_new, &old) {
            (true, _) => section.is_link,
            (false, old) => matches!(old, Some(Entry::Link(_))),
        };
        let entry = match is_link {
            true => Entry::Link(content),
            false => Entry::File(content),
        };
        writes.insert(section.to.clone(), entry);
    }
    after.extend(writes);
    Some(after)
}

struct Lines<'d> {
    rest: &'d [u8],
}

impl<'d> Lines<'d> {
    fn peek(&self) -> Option<&'d [u8]> {
        let end = self.rest.iter().position(|byte| *byte == b'\n')?;
        Some(&self.rest[..end])
    }

    fn next(&mut self) -> Option<&'d [u8]> {
        let line = self.peek()?;
        self.rest = &self.rest[line.len() + 1..];
        Some(line)
    }

    fn take(&mut self, begin: &str) -> Option<&'d [u8]> {
        let value = self.peek()?.strip_prefix(begin.as_bytes())?;
        self.next();
        Some(value)
    }

    fn skip(&mut self, begin: &str) -> bool {
        self.take(begin).is_some()
    }
}

/// The diff of one file.
struct Section<'d> {
    from: String,
    to: String,
    is_new: bool,
    is_gone: bool,
    is_move: bool,
    is_copy: bool,
    is_link: bool,
    hunks: Vec<Hunk<'d>>,
}

struct Hunk<'d> {
    old: (usize, usize),
    new: (usize, usize),
    /// Mark, text, and whether a newline follows.
    lines: Vec<(u8, &'d [u8], bool)>,
}

impl<'d> Section<'d> {
    fn is_edit(&self) -> bool {
        !(self.is_new || self.is_gone || self.is_move || self.is_copy)
    }

    fn read(lines: &mut Lines<'d>) -> Option<Self> {
        let names = lines.take("diff --git ")?;
        let new_mode = lines.take("new file mode ");
        let is_gone = lines.skip("deleted file mode ");
        if lines.skip("old mode ") && !lines.skip("new mode ") {
            return None;
        }
        let mut section = Section {
            from: String::new(),
            to: String::new(),
            is_new: new_mode.is_some(),
            is_gone,
            is_move: false,
            is_copy: false,
            is_link: new_mode == Some(b"120000"),
            hunks: Vec::new(),
        };
        let similarity = ["similarity index ", "dissimilarity index "];
        let _ = similarity.map(|begin| lines.skip(begin));
        let moved = match (lines.take("rename from "), lines.take("copy from ")) {
            (Some(from), None) => Some((from, lines.take("rename to ")?, true)),
            (None, Some(from)) => Some((from, lines.take("copy to ")?, false)),
            (None, None) => None,
            _ => return None,
        };
        lines.skip("index ");
        let below = match lines.take("--- ") {
            Some(old) => Some((old, lines.take("+++ ")?)),
            None => None,
        };
        let one =
            |name: &[u8], prefix: &str| name_of(name)?.strip_prefix(prefix).map(str::to_owned);
        if let Some((from, to, is_move)) = moved {
            (section.is_move, section.is_copy) = (is_move, !is_move);
            (section.from, section.to) = (name_of(from)?, name_of(to)?);
        } else if let Some((old, new)) = below {
            let named = [(old, "a/"), (new, "b/")];
            let [old, new] = named.map(|(name, prefix)| match name {
                b"/dev/null" => None,
                name => Some(one(name, prefix)),
            });
            (section.from, section.to) = match (old, new) {
                (None, Some(new)) if section.is_new => (new.clone()?, new?),
                (Some(old), None) if section.is_gone => (old.clone()?, old?),
                (Some(old), Some(new)) if section.is_edit() => (old?, new?),
                _ => return None,
            };
        } else {
            let (old, new) = split_names(names)?;
            (section.from, section.to) = (one(&old, "a/")?, one(&new, "b/")?);
        }
        if section.from != section.to && moved.is_none() {
            return None;
        }
        while let Some(header) = lines.take("@@ -") {
            section.hunks.push(Hunk::read(header, lines)?);
        }
        Some(section)
    }

    fn apply(&self, content: &[u8]) -> Option<Vec<u8>> {
        let old: Vec<&[u8]> = content.split_inclusive(|byte| *byte == b'\n').collect();
        let mut new: Vec<u8> = Vec::new();
        let mut new_lines = 0;
        let mut next = 0;
        for hunk in &self.hunks {
            let begin = hunk.old.0.checked_sub(usize::from(hunk.old.1 > 0))?;
            let kept = old.get(next..begin)?;
            new.extend(kept.concat());
            new_lines += kept.len();
            if hunk.new.0 != new_lines + usize::from(hunk.new.1 > 0) {
                return None;
            }
            next = begin;
            for (mark, text, is_ended) in &hunk.lines {
                let line = [*text, if *is_ended { &b"\n"[..] } else { b"" }].concat();
                if *mark != b'+' {
                    if **old.get(next)? != *line {
                        return None;
                    }
                    next += 1;
                }
                if *mark != b'-' {
                    // Nothing can follow a line without an end.
                    if !(new.is_empty() || new.ends_with(b"\n")) {
                        return None;
                    }
                    new.extend(line);
                    new_lines += 1;
                }
            }
        }
        let kept = old.get(next..)?;
        if !kept.is_empty() && !(new.is_empty() || new.ends_with(b"\n")) {
            return None;
        }
        new.extend(kept.concat());
        Some(new)
    }
}

impl<'d> Hunk<'d> {
    /// Reads what follows `@@ -`.
    fn read(header: &[u8], lines: &mut Lines<'d>) -> Option<Self> {
        let header = std::str::from_utf8(header).ok()?;
        let (old, rest) = header.split_once(" +")?;
        let (new, _) = rest.split_once(" @@")?;
        let range = |text: &str| -> Option<(usize, usize)> {
            let (start, count) = text.split_once(',').unwrap_or((text, "1"));
            let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            (is_number(start) && is_number(count)).then_some(())?;
            Some((start.parse().ok()?, count.parse().ok()?))
        };
        let (old, new) = (range(old)?, range(new)?);
        let (mut olds, mut news) = (old.1, new.1);
        let mut read: Vec<(u8, &[u8], bool)> = Vec::new();
        while olds > 0 || news > 0 {
            if lines.skip("\\ ") {
                read.last_mut()?.2 = false;
                continue;
            }
            let (mark, text) = lines.next()?.split_first()?;
            match mark {
                b' ' => (olds, news) = (olds.checked_sub(1)?, news.checked_sub(1)?),
                b'-' => olds = olds.checked_sub(1)?,
                b'+' => news = news.checked_sub(1)?,
                _ => return None,
            }
            read.push((*mark, text, true));
        }
        if lines.skip("\\ ") {
            read.last_mut()?.2 = false;
        }
        let changed = read.iter().any(|(mark, ..)| *mark != b' ');
        changed.then_some(Self {
            old,
            new,
            lines: read,
        })
    }
}

/// A name in a header, with git's quotes removed.
fn name_of(name: &[u8]) -> Option<String> {
    let Some(quoted) = name.strip_prefix(b"\"") else {
        let is_plain = !name.contains(&b'\t') && !name.ends_with(b"\r") && !name.is_empty();
        return String::from_utf8(name.to_vec()).ok().filter(|_| is_plain);
    };
    let (name, rest) = unquoted(quoted)?;
    rest.is_empty().then_some(name)
}

fn unquoted(mut rest: &[u8]) -> Option<(String, &[u8])> {
    let mut name = Vec::new();
    loop {
        let (first, after) = rest.split_first()?;
        rest = after;
        match first {
            b'"' => return Some((String::from_utf8(name).ok()?, rest)),
            b'\\' => {
                let (escape, after) = rest.split_first()?;
                rest = after;
                name.push(match escape {
                    b'"' | b'\\' => *escape,
                    b'a' => 7,
                    b'b' => 8,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'v' => 11,
                    b'f' => 12,
                    b'r' => b'\r',
                    b'0'..=b'3' => {
                        let (more, after) = rest.split_at_checked(2)?;
                        rest = after;
                        let digits = [&[*escape], more].concat();
                        let digits = std::str::from_utf8(&digits).ok()?;
                        u8::from_str_radix(digits, 8).ok()?
                    }
                    _ => return None,
                });
            }
            byte => name.push(*byte),
        }
    }
}

/// The names of `diff --git`, if both are the same but for the prefix.
fn split_names(names: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    if let Some(quoted) = names.strip_prefix(b"\"") {
        let (_, rest) = unquoted(quoted)?;
        let first = &names[..names.len() - rest.len()];
        return Some((first.to_vec(), rest.strip_prefix(b" ")?.to_vec()));
    }
    let middle = names.len() / 2;
    let (first, second) = names.split_at_checked(middle)?;
    Some((first.to_vec(), second.strip_prefix(b" ")?.to_vec()))
}
