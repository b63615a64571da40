//! The `$mesh` token gate: a person's message -> the arguments of a run, or why there is none.
//!
//! Pure, and one pass over the message. The rule of all rules: **when in doubt, skip**. Starting agents is expensive,
//! and a skipped run is one message away. So a run needs all of this:
//!
//! 1. The literal token `$mesh`, as a word of its own; punctuation, quotes and backquotes around it do not count, and
//!    `[$mesh](path)`, as a completed mention looks in a chat, is the token as well. Words alone (`go`, `ship it`)
//!    never start anything.
//! 2. The token in the author's own words: code fences, `<skill>` blocks and quotes (`> `) are pasted material
//!    (`pasted`).
//! 3. A command: the token opens a line or a sentence, if need be behind words such as `ok` and `please`, or stands
//!    behind a verb that opens one (`run`, `use`, `start the next task with`). No question, no verb of analysis, no
//!    negation and no condition in front of it; nothing that makes it the subject of a statement behind it
//!    (`intent`).
//! 4. Arguments only right behind the token, on its line, as `key=value` (`arguments`).
//!
//! The words are English ones; the bare token on a line of its own needs none. Which keys exist is decided here, and
//! they say what to run, never how: a message chooses no worker, no command and no limit. Text from a message is
//! data; no shell sees it.

mod arguments;
mod intent;
mod invocation;
mod pasted;
#[cfg(test)]
mod tests;
mod vocabulary;
mod words;

pub use invocation::{Argument, Invocation, InvokeError, KEYS, SkipReason};

use pasted::{Origin, Part};

/// Reads a message.
pub fn read(message: &str) -> Result<Invocation, InvokeError> {
    let parts = pasted::parts(message);
    let mut reader = intent::Reader::default();
    for part in &parts {
        match part.origin {
            Origin::Own => reader.line(part.text),
            Origin::Skill | Origin::Quoted => reader.gap(),
        }
    }
    match reader.end() {
        Some(outcome) => outcome,
        None => Ok(Invocation::Skipped(without_own_token(&parts))),
    }
}

fn without_own_token(parts: &[Part]) -> SkipReason {
    let is_in = |origin: Origin| {
        let pasted = parts.iter().filter(|part| part.origin == origin);
        let mut words = pasted.flat_map(|part| words::words(part.text));
        words.any(|word| word.is_token())
    };
    if is_in(Origin::Skill) {
        SkipReason::PastedSkill
    } else if is_in(Origin::Quoted) {
        SkipReason::PastedText
    } else {
        SkipReason::NoToken
    }
}
