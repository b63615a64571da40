//! The files of patterns: `templates/limits/*.yaml`.
//!
//! ```yaml
//! program: claude            # absent: what services and machines say through any program
//! log_in: run `claude` …     # how to log in; absent if no pattern means `log_in`
//! patterns:
//!   - means: quota           # credit, quota, rate_limit, log_in, memory or network
//!     words: \bhit your limit\b   # a regular expression over lower-case words separated by one space,
//!     text: …                # or over the text itself, ignoring case
//!     unless: \brate limit   # not if this matches within the match
//!     alone: true            # the sentence alone is enough, even if the program exited with 0
//!     examples: [ … ]        # texts that it matches; a test
//! counter_examples: [ … ]    # texts that no file matches; a test
//! ```
//!
//! If several match, the order is credit, quota, rate limit, log-in, memory, network: services wrap a specific error in a
//! general one.

use crate::model::{Fault, yaml_error};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use std::sync::LazyLock;

/// The files with their names below `templates/limits/`.
const FILES: [(&str, &str); 6] = [
    (
        "claude.yaml",
        include_str!("../../templates/limits/claude.yaml"),
    ),
    (
        "codex.yaml",
        include_str!("../../templates/limits/codex.yaml"),
    ),
    (
        "gemini.yaml",
        include_str!("../../templates/limits/gemini.yaml"),
    ),
    (
        "opencode.yaml",
        include_str!("../../templates/limits/opencode.yaml"),
    ),
    (
        "services.yaml",
        include_str!("../../templates/limits/services.yaml"),
    ),
    (
        "machine.yaml",
        include_str!("../../templates/limits/machine.yaml"),
    ),
];

const PRECEDENCE: [Fault; 6] = [
    Fault::Credit,
    Fault::Quota,
    Fault::RateLimit,
    Fault::LogIn,
    Fault::Memory,
    Fault::Network,
];

/// All built-in patterns. A test proves that every file parses. Falling back to no patterns would treat every limit as a
/// failure of a row; compiling the patterns at each start would cost every job time.
pub(super) static BUILT_IN: LazyLock<PatternSet> = LazyLock::new(|| {
    #[expect(clippy::panic, reason = "a test proves that the built-in files parse")]
    PatternSet::parse(&FILES).unwrap_or_else(|error| panic!("{error}"))
});

/// A file that is not valid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("templates/limits/{file}:{line}:{column}: {why}")]
struct BadFile {
    file: String,
    /// 1-based, as `column`.
    line: usize,
    column: usize,
    why: String,
}

impl BadFile {
    fn from_yaml(file: &str, source: &str, error: &serde_yaml::Error) -> Self {
        let (line, column) = yaml_error::place(error, source).unwrap_or((1, 1));
        Self {
            file: file.to_owned(),
            line,
            column,
            why: yaml_error::message(error, 1),
        }
    }

    /// Finds the position of `expression` in the `source` of the file.
    fn at_expression(file: &str, source: &str, expression: &str, why: String) -> Self {
        let lines = source.lines().enumerate();
        let mut places = lines.filter_map(|(line, text)| Some((line, text.find(expression)?)));
        let (line, column) = places.next().unwrap_or_default();
        Self {
            file: file.to_owned(),
            line: line + 1,
            column: column + 1,
            why,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    program: Option<String>,
    #[serde(default)]
    log_in: Option<String>,
    patterns: Vec<Entry>,
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the test"))]
    counter_examples: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    means: Fault,
    #[serde(default)]
    words: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    unless: Option<String>,
    #[serde(default)]
    alone: bool,
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the test"))]
    examples: Vec<String>,
}

/// Every pattern of every program, in the order in which they are tried.
#[derive(Debug, Default)]
pub(super) struct PatternSet {
    patterns: Vec<Pattern>,
    /// How to log in, by program.
    log_ins: Vec<(Option<String>, &'static str)>,
}

#[derive(Debug)]
struct Pattern {
    means: Fault,
    over: Over,
    finds: Regex,
    unless: Option<Regex>,
    is_alone: bool,
    program: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Words,
    Text,
}

/// A match of a pattern.
pub(super) struct Place {
    /// Its first byte, in the text or in its words.
    pub begins: usize,
    /// Whether the sentence alone is enough.
    pub is_alone: bool,
}

impl PatternSet {
    fn parse(files: &[(&str, &str)]) -> Result<Self, BadFile> {
        let mut patterns = Self::default();
        for (name, source) in files {
            let file: File = serde_yaml::from_str(source)
                .map_err(|error| BadFile::from_yaml(name, source, &error))?;
            for entry in file.patterns {
                let pattern = Pattern::of(entry, file.program.clone());
                patterns.patterns.push(pattern.map_err(|(expression, why)| {
                    BadFile::at_expression(name, source, &expression, why)
                })?);
            }
            let advice = file.log_in.map(|advice| &*advice.leak());
            let program = file.program;
            patterns
                .log_ins
                .extend(advice.map(|advice| (program, advice)));
        }
        let rank = |pattern: &Pattern| PRECEDENCE.iter().position(|fault| *fault == pattern.means);
        patterns.patterns.sort_by_key(rank);
        Ok(patterns)
    }

    /// The fault of the first pattern with a match that `counts`.
    pub fn find(&self, text: &str, counts: impl Fn(&Place) -> bool) -> Option<Fault> {
        Some(self.first(text, counts)?.means)
    }

    /// How to log in to the program that printed `text`.
    pub fn log_in(&self, text: &str) -> &'static str {
        let program = self
            .first(text, |_| true)
            .and_then(|pattern| pattern.program.clone());
        let advice = self.log_ins.iter().find(|(name, _)| *name == program);
        advice.map_or("log the agent in", |(_, advice)| advice)
    }

    fn first(&self, text: &str, counts: impl Fn(&Place) -> bool) -> Option<&Pattern> {
        let words = words(text);
        self.patterns.iter().find(|pattern| {
            let over = match pattern.over {
                Over::Words => &words,
                Over::Text => text,
            };
            let mut found = pattern.finds.find_iter(over);
            found.any(|found| {
                let is_meant = |unless: &Regex| !unless.is_match(found.as_str());
                pattern.unless.as_ref().is_none_or(is_meant)
                    && counts(&Place {
                        begins: found.start(),
                        is_alone: pattern.is_alone,
                    })
            })
        })
    }
}

impl Pattern {
    /// # Errors
    /// The invalid expression, and why.
    fn of(entry: Entry, program: Option<String>) -> Result<Self, (String, String)> {
        let (over, source) = match (entry.words, entry.text) {
            (Some(words), None) => (Over::Words, words),
            (None, Some(text)) => (Over::Text, text),
            (both, _) => {
                let why = "a pattern is over `words` or over `text`".to_owned();
                return Err((both.unwrap_or("means:".to_owned()), why));
            }
        };
        let compile = |source: &str| {
            let regex = RegexBuilder::new(source).case_insensitive(true).build();
            regex.map_err(|error| (source.to_owned(), error.to_string()))
        };
        Ok(Self {
            means: entry.means,
            over,
            finds: compile(&source)?,
            unless: entry.unless.as_deref().map(compile).transpose()?,
            is_alone: entry.alone,
            program,
        })
    }
}

/// Lower-case words separated by one space, so that `rate_limit`, `Rate-Limit` and `rate limit` are one.
fn words(text: &str) -> String {
    let text = text.to_lowercase();
    let words = text.split(|c: char| !c.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_read() {
        let patterns = PatternSet::parse(&FILES).expect("every file is understood");
        assert_eq!(
            patterns.log_ins.len(),
            FILES.len() - 1,
            "a machine needs none"
        );
    }

    #[test]
    fn a_broken_file_is_named_with_line_and_column() {
        for (entry, place, why) in [
            (
                "{means: quota, examples: []}",
                "3:6",
                "`words` or over `text`",
            ),
            (
                "{means: quota, words: '(a', examples: []}",
                "3:28",
                "unclosed group",
            ),
            (
                "{means: quota, words: a, unless: '[b', examples: []}",
                "3:39",
                "unclosed",
            ),
            ("{means: hunger, words: a, examples: []}", "3:", "hunger"),
            ("{means: quota", "", "patterns"),
        ] {
            let source = format!("log_in: x\npatterns:\n  - {entry}\ncounter_examples: []\n");
            let error = PatternSet::parse(&[("x.yaml", &source)])
                .expect_err(entry)
                .to_string();
            let begins = format!("templates/limits/x.yaml:{place}");
            assert!(error.starts_with(&begins) && error.contains(why), "{error}");
        }
    }

    #[test]
    fn examples_are_found_for_what_they_mean() {
        for (_, source) in FILES {
            let file: File = serde_yaml::from_str(source).expect("a file");
            for entry in file.patterns {
                assert!(!entry.examples.is_empty(), "{entry:?}");
                let (means, examples) = (entry.means, entry.examples.clone());
                let pattern = Pattern::of(entry, None).expect("a pattern");
                let alone = PatternSet {
                    patterns: vec![pattern],
                    log_ins: Vec::new(),
                };
                for example in examples {
                    assert!(alone.find(&example, |_| true).is_some(), "{example}");
                    assert_eq!(BUILT_IN.find(&example, |_| true), Some(means), "{example}");
                }
            }
        }
    }

    #[test]
    fn counter_examples_are_not() {
        for (_, source) in FILES {
            let file: File = serde_yaml::from_str(source).expect("a file");
            for text in file.counter_examples {
                assert_eq!(crate::refusal::read(&text), None, "{text}");
            }
        }
    }

    #[test]
    fn colours_do_not_hide_a_limit_and_advice_is_the_programs_own() {
        let text = "\x1b[31mYou've hit your \x1b[1mlimit\x1b[0m · resets 3pm";
        let found = crate::refusal::read(text).map(|refusal| refusal.fault);
        assert_eq!(found, Some(Fault::Quota));
        assert!(
            BUILT_IN
                .log_in("Invalid API key · Please run /login")
                .contains("claude")
        );
        assert!(BUILT_IN.log_in("HTTP 401").contains("--env"));
    }
}
