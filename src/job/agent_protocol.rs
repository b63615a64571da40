//! The interface to agent programs that need more than "prompt in, JSON object out".
//!
//! `job` knows no agent. An adapter implements [`AgentProtocol`]: pure functions from an attempt to arguments, and from
//! output to an answer, its usage, its session and its failure. What follows from them is decided in `job`, alike for
//! all agents.

use crate::model::{Fault, Usage};
use crate::refusal;
use crate::refusal::{Refusal, Reset};
use crate::verdict::Object;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

/// The longest message about one failure, in bytes.
const TEXT_BYTES_MAX: usize = 2000;

/// A file that all attempts of a job share: its name and its content.
pub type SharedFile = (&'static str, String);

/// How to call one agent program and read its output.
pub trait AgentProtocol: Debug + Send + Sync {
    /// Files that all attempts of a job share: names and contents.
    fn files(&self, _schema: Option<&Value>) -> Vec<SharedFile> {
        Vec::new()
    }

    /// Arguments and variables of an attempt, beyond those of the worker command.
    fn call(&self, call: &Call<'_>) -> Invocation;

    /// Reads the program's output.
    fn read<'o>(&self, printed: &Printed<'o>) -> Reading<'o>;

    /// How the prompt asks for the result, if the worker can't use every way to return one.
    fn result_instructions(&self) -> Option<&str> {
        None
    }

    /// Folders that the program has to write to, whatever it works on; `variable` looks up the environment.
    fn state_folders(&self, _variable: &dyn Fn(&str) -> Option<PathBuf>) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Whether the program depends on a service that limits requests.
    fn has_service(&self) -> bool {
        true
    }
}

/// An attempt about to start.
#[derive(Clone, Copy, Debug)]
pub struct Call<'c> {
    /// The folder of the shared files.
    pub folder: &'c Path,
    /// The schema of the result.
    pub schema: Option<&'c Value>,
    /// The conversation to continue.
    pub session: Option<&'c str>,
    /// A later attempt may continue this one.
    pub may_follow: bool,
}

/// Arguments and variables of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invocation {
    /// Arguments before those of the worker command.
    pub args: Vec<String>,
    /// Variables that are set unless inherited.
    pub defaults: Vec<SharedFile>,
    /// Variables that are always set.
    pub env: Vec<SharedFile>,
    /// How the prompt is passed.
    pub prompt: PromptBy,
}

/// How a prompt is passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PromptBy {
    /// On standard input.
    #[default]
    Stdin,
    /// In the file named by `MESH_PROMPT_FILE`; standard input is empty.
    File,
}

/// The output of an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Printed<'o> {
    /// Standard output.
    pub stdout: &'o [u8],
    /// The end of standard error.
    pub stderr: &'o [u8],
    /// Whether it exited with 0.
    pub is_success: bool,
    /// The schema of the result.
    pub schema: Option<&'o Value>,
    /// The usage of the conversation before this attempt.
    pub used_before: Usage,
}

/// The meaning of an attempt's output.
#[derive(Clone, Debug, Default)]
pub struct Reading<'o> {
    /// The text of the answer, which is searched for the result like a standard output.
    pub text: Cow<'o, [u8]>,
    /// The usage of the attempt.
    pub usage: Option<Usage>,
    /// The conversation, if it can be continued.
    pub session: Option<String>,
    /// The failure that the program reports, whatever its exit code.
    pub failure: Option<AgentFailure>,
}

/// A failure that an agent program reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentFailure {
    /// The service or the account refuses for now, which is not the row's fault.
    Unavailable(String, Refusal),
    /// The program's own check of the answer failed.
    Refused(String),
    /// Anything else.
    Failed(String),
}

impl AgentFailure {
    /// Classifies a message of a service or a program; `patterns` are the user's own texts for a rate limit.
    pub fn of(message: &str, patterns: &[String]) -> Self {
        let is_ours = |pattern: &String| message.contains(pattern.as_str());
        let found = refusal::read(message).filter(|refusal| !refusal.fault.is_outage());
        match found {
            Some(refusal) => Self::Unavailable(short(message), refusal),
            None if patterns.iter().any(is_ours) => Self::limited(message, None),
            None => Self::Failed(short(message)),
        }
    }

    /// Classifies a message with an HTTP status: 401 and 403, 402, 429 and 529.
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
            failure => failure,
        }
    }

    /// A rate limit, with a reset time that may not be in its text.
    pub fn limited(message: &str, reset: Option<Reset>) -> Self {
        let reset = reset.or_else(|| Reset::find(message));
        let fault = Fault::RateLimit;
        Self::Unavailable(short(message), Refusal { fault, reset })
    }

    /// The same failure with the reset time that the service named outside its message.
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
            (failure, _) => failure,
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

/// The paths that an attempt's arguments and environment may name.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    pub prompt: Option<PathBuf>,
    pub result: PathBuf,
    pub schema: Option<PathBuf>,
}

impl Paths {
    /// The path for a placeholder of an argument.
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

/// Reads a result from an answer in prose.
pub type ReadText = fn(&str) -> Option<Object>;
