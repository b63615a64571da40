//! Finds the top-level JSON objects in a text.
//!
//! One pass. Where an object or a list may start, `serde_json` parses it and the scan continues after it, so nested objects are
//! skipped. At a fault, the brackets that are open stay open, and everything up to their closing brackets is nested as well. After
//! brackets that are never closed, an object counts only if it starts a line that is indented no further than theirs, as no member
//! of a malformed object is. A fence closes all open brackets. Nothing is parsed twice, so the time is linear in the size of the
//! text.

use super::fence;
use super::fence::Block;
use serde::de::IgnoredAny;
use serde_json::Deserializer;
use std::ops::Range;

/// The objects of a text, and the last malformed candidate.
#[derive(Debug, Default)]
pub struct Scan {
    /// Complete objects in order.
    pub objects: Vec<Range<usize>>,
    /// The last text that looks like an object but is not a complete one.
    pub near: Option<NearMiss>,
}

/// A text that is not an object but may have been meant as the answer.
#[derive(Debug)]
pub enum NearMiss {
    /// A malformed object or list.
    Broken(Broken),
    /// A complete list, which starts here.
    List(usize),
}

/// A malformed object or list.
#[derive(Debug)]
pub struct Broken {
    /// Where it starts.
    pub start: usize,
    /// Where the fault is; the end of the text if it was cut off.
    pub at: usize,
    /// The parser's message.
    pub error: Option<serde_json::Error>,
}

impl NearMiss {
    /// Where it starts.
    pub fn start(&self) -> usize {
        match self {
            NearMiss::Broken(broken) => broken.start,
            NearMiss::List(start) => *start,
        }
    }
}

/// Scans `text`.
pub fn scan(text: &str) -> Scan {
    let mut scanner = Scanner {
        text,
        blocks: fence::blocks(text),
        block: 0,
        at: 0,
        line_start: 0,
        indent: indentation(text),
        in_string: false,
        open: Vec::new(),
        found: Scan::default(),
    };
    scanner.run();
    scanner.found
}

/// The end of the object that starts at `at`, or its fault; `None` if none starts there.
pub fn object_at(text: &str, at: usize) -> Option<Result<usize, Broken>> {
    let next = next_visible(text, at + 1);
    matches!(next, Some('"' | '}') | None).then(|| value_at(text, at))
}

fn value_at(text: &str, start: usize) -> Result<usize, Broken> {
    let rest = &text[start..];
    let mut values = Deserializer::from_str(rest).into_iter::<IgnoredAny>();
    let error = match values.next() {
        Some(Ok(_)) => return Ok(start + values.byte_offset()),
        Some(Err(error)) => Some(error),
        None => None,
    };
    let at = match &error {
        Some(error) if !error.is_eof() => start + offset_of(rest, error),
        _ => text.len(),
    };
    Err(Broken { start, at, error })
}

/// The offset of the character that an error refers to.
fn offset_of(text: &str, error: &serde_json::Error) -> usize {
    let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
    let line_start = match error.line() {
        0 | 1 => 0,
        line => breaks.take(line - 1).last().unwrap_or_default(),
    };
    let offset = line_start + error.column().saturating_sub(1);
    let mut offset = offset.clamp(1, text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

fn indentation(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t']).len()
}

fn next_visible(text: &str, from: usize) -> Option<char> {
    text[from..].trim_start().chars().next()
}

/// The brackets and the string that are open at the end of incomplete JSON.
pub(super) fn open_brackets(text: &str) -> (Vec<usize>, Option<usize>) {
    let mut stack = Vec::new();
    let mut string = None;
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if string.is_some() => is_escaped = true,
            b'"' => string = string.xor(Some(at)).filter(|_| string.is_none()),
            b'{' | b'[' if string.is_none() => stack.push(at),
            b'}' | b']' if string.is_none() => drop(stack.pop()),
            _ => {}
        }
    }
    (stack, string)
}

/// An open bracket in malformed text.
#[derive(Clone, Copy)]
struct Open {
    /// The number of objects before it.
    objects: usize,
    /// The smallest indentation of its line and of the lines of its enclosing brackets.
    indent: usize,
}

struct Scanner<'t> {
    text: &'t str,
    blocks: Vec<Block<'t>>,
    /// The first fenced block that does not end before the current position.
    block: usize,
    at: usize,
    line_start: usize,
    /// The indentation of the line.
    indent: usize,
    /// Inside a string of malformed text.
    in_string: bool,
    open: Vec<Open>,
    found: Scan,
}

impl Scanner<'_> {
    fn run(&mut self) {
        while let Some(&byte) = self.text.as_bytes().get(self.at) {
            match byte {
                b'\n' => self.end_line(),
                b'"' if !self.open.is_empty() => {
                    self.in_string = !self.in_string;
                    self.at += 1;
                }
                b'\\' if self.in_string => self.at = self.after_escape(),
                b'{' if !self.in_string => self.brace(),
                b'[' if !self.in_string => self.bracket(),
                b'}' | b']' if !self.in_string => self.close(),
                _ => self.at += 1,
            }
        }
    }

    fn after_escape(&self) -> usize {
        match self.text.as_bytes().get(self.at + 1) {
            Some(b'"' | b'\\') => self.at + 2,
            _ => self.at + 1,
        }
    }

    fn end_line(&mut self) {
        self.at += 1;
        self.begin_line(self.at);
        self.in_string = false;
        while let Some(block) = self.blocks.get(self.block)
            && block.span.end <= self.at
        {
            self.block += 1;
            self.open.clear();
        }
        let is_fence = |block: &Block<'_>| {
            block.span.start == self.at || block.is_closed && block.body.end == self.at
        };
        if self.blocks.get(self.block).is_some_and(is_fence) {
            self.open.clear();
        }
    }

    /// The indentation is measured once per line, which may be long.
    fn begin_line(&mut self, start: usize) {
        self.line_start = start;
        self.indent = indentation(&self.text[start..]);
    }

    /// Skips text that was parsed.
    fn skip_to(&mut self, end: usize) {
        let passed = &self.text[self.at..end];
        if let Some(last) = passed.rfind('\n') {
            self.begin_line(self.at + last + 1);
        }
        self.at = end;
        while let Some(block) = self.blocks.get(self.block)
            && block.span.end <= self.line_start
        {
            self.block += 1;
        }
    }

    fn brace(&mut self) {
        let start = self.at;
        match object_at(self.text, start) {
            Some(Ok(end)) => {
                if self.is_top_level() {
                    self.found.objects.push(start..end);
                }
                self.skip_to(end);
            }
            Some(Err(broken)) => self.recover_from(broken),
            None if self.is_almost_json() => self.recover_from(Broken {
                start,
                at: self.text.len() - self.text[start + 1..].trim_start().len(),
                error: None,
            }),
            None => {
                // In malformed text a quote starts a string; in prose it is an ordinary character.
                if !self.open.is_empty() {
                    self.push();
                }
                self.at += 1;
            }
        }
    }

    fn bracket(&mut self) {
        let start = self.at;
        let next = next_visible(self.text, start + 1);
        let holds_more = matches!(next, Some('{' | '[' | '"'));
        let is_plain = matches!(next, Some(']' | '-' | '0'..='9' | 't' | 'f' | 'n'));
        if !holds_more && !is_plain {
            if !self.open.is_empty() {
                self.push();
            }
            self.at += 1;
            return;
        }
        match value_at(self.text, start) {
            Ok(end) => {
                let is_alone = self.begins_line() && self.ends_line(end);
                if self.open.is_empty() && (next == Some('{') || is_alone) {
                    self.found.near = Some(NearMiss::List(start));
                }
                self.skip_to(end);
            }
            Err(broken) if holds_more || !self.open.is_empty() => self.recover_from(broken),
            // `[2 files]`: prose.
            Err(broken) => self.skip_to(broken.at),
        }
    }

    /// Continues at a fault, inside all brackets that are open there.
    fn recover_from(&mut self, broken: Broken) {
        let (brackets, string) = open_brackets(&self.text[broken.start..broken.at]);
        for _ in brackets {
            self.push();
        }
        self.in_string = string.is_some();
        self.skip_to(broken.at);
        self.found.near = Some(NearMiss::Broken(broken));
    }

    fn push(&mut self) {
        let around = self.open.last().map_or(usize::MAX, |open| open.indent);
        self.open.push(Open {
            objects: self.found.objects.len(),
            indent: around.min(self.indent),
        });
    }

    fn close(&mut self) {
        if let Some(open) = self.open.pop() {
            self.found.objects.truncate(open.objects);
        }
        self.at += 1;
    }

    /// Whether a complete object at this position is a top-level one.
    fn is_top_level(&self) -> bool {
        let begins_line = self.begins_line();
        let is_apart = |open: &Open| begins_line && self.indent <= open.indent;
        let block = self.blocks.get(self.block);
        let may_stand = match block.filter(|block| block.body.contains(&self.at)) {
            Some(block) if block.is_patch() => false,
            // Code may contain objects that are not answers.
            Some(block) if !block.info.is_empty() => begins_line,
            _ => true,
        };
        may_stand && self.open.last().is_none_or(is_apart)
    }

    fn begins_line(&self) -> bool {
        self.line_start + self.indent == self.at
    }

    fn ends_line(&self, end: usize) -> bool {
        let rest = self.text[end..].trim_start_matches([' ', '\t', '\r']);
        rest.is_empty() || rest.starts_with('\n')
    }

    /// Text meant as JSON: `{'a'`, `{a:`, `{// …`, typographic quotes.
    fn is_almost_json(&self) -> bool {
        let inside = self.text[self.at + 1..].trim_start();
        let name = inside.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
        let is_name = name.len() < inside.len() && name.trim_start().starts_with(':');
        is_name
            || inside.starts_with(['\'', '“', '”', '‘'])
            || inside.starts_with("//")
            || inside.starts_with("/*")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(text: &str) -> Vec<&str> {
        let found = scan(text).objects.into_iter();
        found.map(|range| &text[range]).collect()
    }

    #[test]
    fn objects_are_found_in_lines_in_prose_and_in_blocks() {
        for (text, found) in [
            ("{\"a\":1}", vec!["{\"a\":1}"]),
            (
                "It is {\"a\":1}, or `{\"a\":2}`.",
                vec!["{\"a\":1}", "{\"a\":2}"],
            ),
            (
                "{\n \"a\": {\n  \"b\": 1\n }\n}\nnote",
                vec!["{\n \"a\": {\n  \"b\": 1\n }\n}"],
            ),
            ("```\n{\"a\":1}\n```", vec!["{\"a\":1}"]),
            ("```json5 title=\"x\"\n{\"a\":1}\n", vec!["{\"a\":1}"]),
            ("```json {\"a\":1}\n```", vec!["{\"a\":1}"]),
            (
                "{} and {\"a\": \"}{\\\"\"}",
                vec!["{}", "{\"a\": \"}{\\\"\"}"],
            ),
            (
                "a { b } {column} f() { return {\"a\":1}; }",
                vec!["{\"a\":1}"],
            ),
            (
                "say \"{\"a\":1}\" or it's {\"a\":2}",
                vec!["{\"a\":1}", "{\"a\":2}"],
            ),
            ("[INFO] [1] [x](y) {\"a\":1}", vec!["{\"a\":1}"]),
            ("[2026-01-01 {\"a\":1}", vec!["{\"a\":1}"]),
            ("use a { here. So: {\"a\":1}", vec!["{\"a\":1}"]),
        ] {
            assert_eq!(objects(text), found, "{text}");
        }
    }

    #[test]
    fn nested_objects_are_not_top_level() {
        for text in [
            "[{\"a\":1}]",
            "[\n{\"a\":1},\n]",
            "{\"x\": [{\"a\":1}, {\"a\":2}",
            "{\"x\": {\"a\":1},}",
            "{'x': {\"a\":1}}",
            "{\n  // why\n  \"x\": {\"a\":1}\n}",
            "{\n  x: 1,\n  \"y\": {\"a\":1}\n}",
            "{\n  \"t\": \"x,\n  \"y\":\n  {\"a\":1}\n",
            "{\n\"t\": 'x',\n\"y\": [\n{\"a\":1}\n]\n}",
            "```diff\n-{\"a\":1}\n+{\"a\":2}\n {\"a\":3}\n```",
            "```python\nf({\"a\":1})\n```",
        ] {
            assert_eq!(objects(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn malformed_text_hides_no_later_object() {
        for text in [
            "{\"x\": 1,}\n{\"a\":1}",
            "{\"x\": \"cut\nFinal:\n{\"a\":1}",
            "```json\n{\"x\": \n```\nso {\"a\":1}",
            "```json\n{'x': {\n```\n```json\n{\"a\":1}\n```",
            "{'x': '{'}\n{\"a\":1}",
        ] {
            assert_eq!(objects(text), ["{\"a\":1}"], "{text}");
        }
    }

    #[test]
    fn hostile_text_takes_linear_time() {
        for piece in [
            "{",
            "[",
            "{\"a\":",
            "[1,",
            "{\"a\n",
            "{\"a{",
            "{'a",
            "{a:",
            "[{",
            "{}",
            "\"{",
            "{ ",
            "```\n{\"",
            "{\"a\":1,}\n",
            "[\"",
            "{\"\\",
            "  {\"a\n",
        ] {
            let text = piece.repeat((1 << 20) / piece.len());
            scan(&text);
        }
        let blanks = format!("{}{}", " ".repeat(1 << 19), "{\"a".repeat(1 << 17));
        scan(&blanks);
    }
}
