//! The `$mesh` token gate: a person's message -> the arguments of a run, or the reason for starting none.
//!
//! Pure, and one pass over the message. **When in doubt, skip**: starting agents is expensive, and a skipped run is one
//! message away. A run needs all of this:
//!
//! 1. The literal token `$mesh`, as a word of its own; punctuation, quotes and backquotes around it do not count.
//!    `[$mesh](path)`, a completed mention in a chat, is the token as well. Words alone (`go`, `ship it`)
//!    never start anything.
//! 2. The token in the author's own words: code fences, `<skill>` blocks and quotes (`> `) are pasted text
//!    (`pasted`).
//! 3. A command: the token opens a line or a sentence, perhaps after words such as `ok` and `please`, or follows a verb
//!    that opens one (`run`, `use`, `start the next task with`). Before it there is no question, no verb of analysis, no
//!    negation and no condition; nothing after it makes it the subject of a statement (`intent`).
//! 4. Arguments only directly after the token, on its line, as `key=value` (`arguments`).
//!
//! The words are English; the bare token on a line of its own needs none. The keys are defined here. They select what to
//! run, never how: a message can't set the worker, a command or a limit. Text from a message is data and is passed to no
//! shell.

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
        None => Ok(Invocation::Skipped(reason_without_token(&parts))),
    }
}

/// The reason for a message whose author's own words contain no token.
fn reason_without_token(parts: &[Part]) -> SkipReason {
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
