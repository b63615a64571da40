//! How the program behind a row is spoken to, where that is not simply "prompt in, JSON object out".
//!
//! The substrate knows no agent. Whoever does gives it a [`AgentProtocol`]: pure functions from an attempt to arguments, and
//! from what was printed to an answer, its usage, its session and its troubles. What follows from them is decided here in
//! `job`, alike for all.

use crate::model::{Fault, Usage};
use crate::refusal;
use crate::refusal::{Refusal, Reset};
use crate::verdict::Object;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

/// The most that is said about one failure, in bytes.
const TEXT_BYTES_MAX: usize = 2000;

/// A file that all attempts of a job share: its name and its content.
pub type SharedFile = (&'static str, String);

/// One program's ways.
pub trait AgentProtocol: Debug + Send + Sync {
    /// Files that all attempts of a job share: names and contents.
    fn files(&self, _schema: Option<&Value>) -> Vec<SharedFile> {
        Vec::new()
    }

    /// What an attempt is started with beside the worker's own arguments.
    fn call(&self, call: &Call<'_>) -> Invocation;

    /// What the program printed, understood.
    fn read<'o>(&self, printed: &Printed<'o>) -> Reading<'o>;

    /// How the prompt asks for the result, where the worker can't use all the ways there are.
    fn hand_back(&self) -> Option<&str> {
        None
    }

    /// Whether a service behind the program limits how much may be asked of it at once.
    fn has_service(&self) -> bool {
        true
    }
}

/// An attempt that is about to start.
#[derive(Clone, Copy, Debug)]
pub struct Call<'c> {
    /// Where the shared files are.
    pub folder: &'c Path,
    /// The schema of the result.
    pub schema: Option<&'c Value>,
    /// The conversation to go on with.
    pub session: Option<&'c str>,
    /// A later attempt may want to go on with this one.
    pub may_follow: bool,
}

/// What it is started with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invocation {
    /// Arguments, in front of the worker's own.
    pub args: Vec<String>,
    /// Variables, unless the worker inherits them from outside.
    pub defaults: Vec<SharedFile>,
    /// Variables, whatever it inherits.
    pub env: Vec<SharedFile>,
    /// Where the prompt goes.
    pub prompt: PromptBy,
}

/// Where a prompt goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PromptBy {
    /// Standard input.
    #[default]
    Stdin,
    /// The file named by `MESH_PROMPT_FILE`; standard input is empty.
    File,
}

/// What a program left behind.
#[derive(Clone, Copy, Debug)]
pub struct Printed<'o> {
    /// Standard output.
    pub stdout: &'o [u8],
    /// Standard error, its end.
    pub stderr: &'o [u8],
    /// Whether it ended by itself with exit code 0.
    pub is_success: bool,
    /// The schema of the result.
    pub schema: Option<&'o Value>,
    /// What the conversation had used before this attempt.
    pub used_before: Usage,
}

/// What that means.
#[derive(Clone, Debug, Default)]
pub struct Reading<'o> {
    /// The answer's text, in which the result is looked for as in a standard output.
    pub text: Cow<'o, [u8]>,
    /// What the attempt used.
    pub usage: Option<Usage>,
    /// The conversation, where it can be gone on with.
    pub session: Option<String>,
    /// What went wrong, whatever the exit code says.
    pub trouble: Option<AgentFailure>,
}

/// What a program says went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentFailure {
    /// The service or the account refuses for now: nothing that the row is to blame for.
    Unavailable(String, Refusal),
    /// The program's own check of the answer failed.
    Refused(String),
    /// Anything else.
    Failed(String),
}

impl AgentFailure {
    /// A message of a service or a program, taken for what it says; `patterns` are a user's own words for a rate limit.
    pub fn of(message: &str, patterns: &[String]) -> Self {
        let is_ours = |pattern: &String| message.contains(pattern.as_str());
        let found = refusal::read(message).filter(|refusal| refusal.fault != Fault::Network);
        match found {
            Some(refusal) => Self::Unavailable(short(message), refusal),
            None if patterns.iter().any(is_ours) => Self::limited(message, None),
            None => Self::Failed(short(message)),
        }
    }

    /// A message that comes with a status that says what it means: 401 and 403, 402, 429 and 529.
    pub fn with_status(status: Option<u64>, message: &str, patterns: &[String]) -> Self {
        let by_status = match status {
            Some(429 | 529) => Fault::RateLimit,
            Some(401 | 403) => Fault::LogIn,
            Some(402) => Fault::Quota,
            _ => return Self::of(message, patterns),
        };
        match Self::of(message, patterns) {
            Self::Failed(text) => Self::Unavailable(
                text,
                Refusal {
                    fault: by_status,
                    reset: Reset::find(message),
                },
            ),
            trouble => trouble,
        }
    }

    /// A rate limit, perhaps with a time that does not stand in its text.
    pub fn limited(message: &str, reset: Option<Reset>) -> Self {
        let reset = reset.or_else(|| Reset::find(message));
        let fault = Fault::RateLimit;
        Self::Unavailable(short(message), Refusal { fault, reset })
    }

    /// The same trouble, with the time that a service named beside its message.
    #[must_use]
    pub fn until(self, reset: Option<Reset>) -> Self {
        match (self, reset) {
            (Self::Unavailable(text, refusal), Some(reset)) => Self::Unavailable(
                text,
                Refusal {
                    reset: Some(reset),
                    ..refusal
                },
            ),
            (trouble, _) => trouble,
        }
    }
}

/// The beginning of a long message.
fn short(message: &str) -> String {
    let message = message.trim();
    let mut end = message.len().min(TEXT_BYTES_MAX);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message[..end].to_owned()
}

/// The paths that an attempt may use by name, in arguments and in its environment.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    pub prompt: Option<PathBuf>,
    pub result: PathBuf,
    pub schema: Option<PathBuf>,
}

impl Paths {
    /// The path that a placeholder of an argument stands for.
    pub fn named(&self, name: &str) -> Option<&str> {
        let path = match name {
            "MESH_PROMPT_FILE" => self.prompt.as_deref(),
            "MESH_RESULT_FILE" => Some(self.result.as_path()),
            "MESH_SCHEMA_FILE" => self.schema.as_deref(),
            _ => None,
        };
        path.and_then(Path::to_str)
    }
}

/// Text -> the result that it stands for.
pub type ReadText = fn(&str) -> Option<Object>;
