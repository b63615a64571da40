//! A message -> its author's own lines, separated from pasted text.
//!
//! Pasted text is in a code fence (three or more backquotes or tildes, closed by at least as many of the same), after the
//! `>` of a quote, in an indented block (four blanks or a tab, after an empty line), or in a `<skill>` block. A block that
//! is not closed extends to the end of the message, since a paste may be truncated. Fences may be indented further than
//! Markdown allows.

/// A line of a message, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// Its origin.
    pub origin: Origin,
    /// Without the line end.
    pub text: &'a str,
}

/// The origin of words in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The author wrote them.
    Own,
    /// A `<skill>` block.
    Skill,
    /// A code fence or a quote.
    Quoted,
}

/// The parts of `message`, in order.
pub(super) fn parts(message: &str) -> Vec<Part<'_>> {
    let mut splitter = Splitter {
        within: Within::Own,
        before: Before::Nothing,
        parts: Vec::new(),
        block_ended: 0,
    };
    // A byte-order mark does not belong to the first word.
    for line in message.trim_start_matches('\u{feff}').lines() {
        splitter.line(line);
    }
    splitter.parts
}

#[derive(Clone, Copy)]
enum Within {
    Own,
    Fence(Fence),
    Skill,
}

/// What precedes a line of the author.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Only empty lines: a message that is indented as a whole is no block.
    Nothing,
    Text,
    EmptyLine,
    IndentedBlock,
}

struct Splitter<'a> {
    within: Within,
    before: Before,
    parts: Vec<Part<'a>>,
    /// How many parts there were when the last `<skill>` block ended.
    block_ended: usize,
}

impl<'a> Splitter<'a> {
    fn line(&mut self, line: &'a str) {
        match self.within {
            Within::Fence(fence) => {
                self.quoted(line);
                if fence.is_closed_by(line) {
                    self.within = Within::Own;
                }
            }
            Within::Own => match (Fence::opening(line), line.trim_start().strip_prefix('>')) {
                (Some(fence), _) => {
                    self.within = Within::Fence(fence);
                    self.quoted(line);
                }
                (None, Some(text)) => self.quoted(text),
                (None, None) if self.is_in_indented_block(line) => self.quoted(line),
                (None, None) => self.tagged(line),
            },
            Within::Skill => self.tagged(line),
        }
    }

    fn is_in_indented_block(&mut self, line: &str) -> bool {
        let is_indented = line.starts_with("    ") || line.starts_with('\t');
        self.before = match (self.before, line.trim().is_empty()) {
            (Before::Text, true) => Before::EmptyLine,
            (before, true) => before,
            (Before::EmptyLine | Before::IndentedBlock, false) if is_indented => {
                Before::IndentedBlock
            }
            (_, false) => Before::Text,
        };
        self.before == Before::IndentedBlock
    }

    /// A quoted line. A closing tag in it extends the last block.
    fn quoted(&mut self, line: &'a str) {
        self.push(Origin::Quoted, line);
        let mut tags = line.match_indices('<').map(|(at, _)| Tag::at(&line[at..]));
        if self.block_ended > 0 && tags.any(|tag| matches!(tag, Some((Tag::End, _)))) {
            self.end_block();
        }
    }

    /// A line in which blocks may begin and end.
    fn tagged(&mut self, line: &'a str) {
        let mut done = 0;
        for (at, _) in line.match_indices('<') {
            let Some((tag, length)) = Tag::at(&line[at..]) else {
                continue;
            };
            // In a block, an opening tag is text: the skill itself mentions "a pasted `<skill>` block".
            if matches!((tag, self.within), (Tag::Begin, Within::Skill)) {
                continue;
            }
            self.piece(&line[done..at]);
            done = at + length;
            match tag {
                Tag::Begin => self.within = Within::Skill,
                Tag::End => self.end_block(),
            }
        }
        self.piece(&line[done..]);
    }

    /// A closing tag outside of a block closes one that contains such a tag as text, or whose beginning was cut off. So
    /// everything since the last block, or since the start of the message, is pasted as well.
    fn end_block(&mut self) {
        if !matches!(self.within, Within::Skill) {
            for part in &mut self.parts[self.block_ended..] {
                part.origin = Origin::Skill;
            }
        }
        self.block_ended = self.parts.len();
        self.within = Within::Own;
    }

    fn piece(&mut self, text: &'a str) {
        let origin = match self.within {
            Within::Skill => Origin::Skill,
            _ => Origin::Own,
        };
        self.push(origin, text);
    }

    fn push(&mut self, origin: Origin, text: &'a str) {
        self.parts.push(Part { origin, text });
    }
}

#[derive(Clone, Copy)]
enum Tag {
    Begin,
    End,
}

impl Tag {
    const ALL: [(&str, Tag); 2] = [("<skill", Tag::Begin), ("</skill", Tag::End)];

    /// The tag at the start of `text`, in any case and with any attributes, and its length in bytes.
    fn at(text: &str) -> Option<(Self, usize)> {
        let (name, tag) = Self::ALL.into_iter().find(|(name, _)| {
            let begins = text.get(..name.len());
            begins.is_some_and(|begins| begins.eq_ignore_ascii_case(name))
        })?;
        let attributes = &text[name.len()..];
        if attributes.starts_with(|c: char| c != '>' && !c.is_whitespace()) {
            return None;
        }
        // A tag ends with `>`, at the next tag, or at the end of the line.
        let length = match attributes.find(['<', '>']) {
            Some(end) => end + usize::from(attributes[end..].starts_with('>')),
            None => attributes.len(),
        };
        Some((tag, name.len() + length))
    }
}

#[derive(Clone, Copy)]
struct Fence {
    mark: char,
    count: usize,
}

impl Fence {
    fn opening(line: &str) -> Option<Self> {
        let (fence, info) = Self::at(line)?;
        // ```` ```$mesh``` ```` on one line is a code span.
        let is_span = fence.mark == '`' && info.contains('`');
        (!is_span).then_some(fence)
    }

    fn is_closed_by(self, line: &str) -> bool {
        Self::at(line).is_some_and(|(other, info)| {
            other.mark == self.mark && other.count >= self.count && info.trim().is_empty()
        })
    }

    fn at(line: &str) -> Option<(Self, &str)> {
        let line = line.trim_start();
        let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let info = line.trim_start_matches(mark);
        let count = line.len() - info.len();
        (count >= 3).then_some((Self { mark, count }, info))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(message: &str) -> Vec<&str> {
        let parts = parts(message).into_iter();
        let own = parts.filter(|part| part.origin == Origin::Own);
        let texts = own.map(|part| part.text.trim());
        texts.filter(|text| !text.is_empty()).collect()
    }

    #[test]
    fn pasted_text_is_separated_from_the_authors_own() {
        for (message, expected) in [
            ("a\r\nb", &["a", "b"] as &[&str]),
            ("\u{feff}a", &["a"]),
            ("```\na\n```\nb", &["b"]),
            ("a\n   ~~~ text\nb\n~~~~\nc", &["a", "c"]),
            ("````\n```\na\n```\nb\n````\nc", &["c"]),
            ("~~~\n```\n~~~\na", &["a"]),
            ("```\na\n``` no\nb", &[]),
            ("```a``` b", &["```a``` b"]),
            ("> a\n> ```\nb\n>c", &["b"]),
            ("a <skill>b</skill>", &["a"]),
            ("<SKILL name=\"mesh\">\nb\n</Skill>\nc", &["c"]),
            ("<skills>a", &["<skills>a"]),
            ("<skill>\na\n```\n</skill>\nb", &["b"]),
            ("<skill>\nas <skill> says\n</skill>\nb", &["b"]),
            ("<skill>\nas </skill> says\na\n</skill>\nb", &["b"]),
            ("<skill>a</skill>\n<skill>b</skill>\nc", &["c"]),
            ("<skill>\nas </skill> says\n```\na\n</skill>\nb", &["b"]),
            ("cut off\n</skill>\nb", &["b"]),
            ("a\n```\n</skill>\n```\nb", &["a", "b"]),
            ("a\n<skill>\nb", &["a"]),
            ("```\n<skill>\n```\na", &["a"]),
            ("a:\n\n    b\n\n\tc\nd", &["a:", "d"]),
            ("    a\n    b", &["a", "b"]),
            ("a\n    b", &["a", "b"]),
        ] {
            assert_eq!(own(message), expected, "{message:?}");
        }
    }
}
