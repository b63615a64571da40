//! The meaning of a message: the arguments of a run, or the reason for starting none.

use std::fmt;

/// The token, as defined in the seed, "Invocation".
pub const TOKEN: &str = "$mesh";

/// The keys that a message may set; the first four are those of the same section. `adapter` may only be [`AUTO`].
pub const KEYS: [&str; 6] = [
    "ids",
    "plan_file",
    "max_tasks",
    "parallel_tasks",
    "integrate",
    "adapter",
];

/// The adapter that a message may name: the default. Which program works is up to the command line.
pub(super) const AUTO: &str = "auto";

/// The meaning of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// A run with these arguments, in the order in which they were written.
    Run(Vec<Argument>),
    /// No run.
    Skipped(SkipReason),
}

/// `key=value` after the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// One of [`KEYS`].
    pub key: &'static str,
    /// As it was written, without quotes around it.
    pub value: String,
}

/// Why a message starts no run. Where several hold, the first one in this order is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// There is no token anywhere.
    NoToken,
    /// The token is in a pasted `<skill>` block and not in the author's own words.
    PastedSkill,
    /// The same for code fences and quotes.
    PastedText,
    /// The message is about `$mesh`: it asks, analyses, changes or forbids it, or names the skill's own file.
    MetaRequest,
    /// The token is mentioned; nothing says to run it, or to run it now.
    NoInstruction,
    /// There are two commands with different arguments.
    SeveralInvocations,
    /// An argument or the id of a task does not directly follow the token. A run without it would be a different one.
    MisplacedArgument,
}

impl SkipReason {
    /// The value of `mesh_execution_skipped_reason=`.
    pub fn as_str(self) -> &'static str {
        match self {
            SkipReason::NoToken => "no_token",
            SkipReason::PastedSkill => "pasted_skill",
            SkipReason::PastedText => "pasted_text",
            SkipReason::MetaRequest => "meta_request",
            SkipReason::NoInstruction => "no_instruction",
            SkipReason::SeveralInvocations => "several_invocations",
            SkipReason::MisplacedArgument => "misplaced_argument",
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SkipReason::NoToken => "the message contains no `$mesh`",
            SkipReason::PastedSkill => "`$mesh` appears only in a pasted skill block",
            SkipReason::PastedText => "`$mesh` appears only in quoted or fenced text",
            SkipReason::MetaRequest => "the message is about `$mesh`",
            SkipReason::NoInstruction => {
                "the message mentions `$mesh` without asking to run it now"
            }
            SkipReason::SeveralInvocations => {
                "the message asks to run `$mesh` in two different ways"
            }
            SkipReason::MisplacedArgument => {
                "the message has tasks or settings that do not directly follow `$mesh`"
            }
        })
    }
}

/// An invalid argument of a message that asks for a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// A key that a message may not set.
    #[error("`{0}` can't be set from a message")]
    UnknownKey(String),
    /// An adapter other than the default.
    #[error("`adapter={0}` can't be set from a message, which never chooses the worker")]
    NamedAdapter(String),
    /// A quote that is not closed on its line, or text directly after the closing quote.
    #[error("the value of `{0}` starts with a quote but does not end with one")]
    OpenQuote(String),
}
