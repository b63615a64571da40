//! What a server offers, without the protocol: tools that are called in a thread of their own, and resources.

use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The arguments of a call.
pub type Arguments = Map<String, Value>;

/// The outcome of a tool call.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// An object for the model.
    pub content: Value,
    /// The call failed.
    pub is_error: bool,
}

/// Why a call failed, and what to call next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct ToolError {
    /// What happened, where.
    pub error: String,
    /// What to do about it.
    pub next: String,
}

impl ToolError {
    /// An error with what to call next.
    pub fn new(error: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            next: next.into(),
        }
    }
}

impl From<Result<Value, ToolError>> for Outcome {
    fn from(result: Result<Value, ToolError>) -> Self {
        match result {
            Ok(content) => Self {
                content,
                is_error: false,
            },
            Err(ToolError { error, next }) => Self {
                content: json!({"error": error, "next": next}),
                is_error: true,
            },
        }
    }
}

/// How far a call is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// What is done; more with every report of a call.
    pub done: f64,
    /// All there is to do.
    pub total: u64,
    /// The same in words.
    pub message: String,
}

/// One call in progress.
#[derive(Clone, Default)]
pub struct CallContext {
    is_cancelled: Arc<AtomicBool>,
    report: Option<Arc<dyn Fn(Progress) + Send + Sync>>,
    is_task: bool,
}

impl CallContext {
    /// A call whose client wants to know how far it is.
    pub fn reporting(report: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self {
            report: Some(Arc::new(report)),
            ..Self::default()
        }
    }

    /// The same for a client that follows the call as a task: it returns as soon as its job has begun.
    pub fn into_task(self) -> Self {
        Self {
            is_task: true,
            ..self
        }
    }

    /// Whether the call waits for no job.
    pub fn is_task(&self) -> bool {
        self.is_task
    }

    /// Marks the call as cancelled: its answer is not wanted any more.
    pub fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }

    /// Tells the client how far the call is.
    pub fn report(&self, progress: Progress) {
        if let Some(report) = &self.report {
            report(progress);
        }
    }
}

/// A resource, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceEntry {
    /// Its address.
    pub uri: String,
    /// A short name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Its media type.
    pub mime_type: &'static str,
}

/// Resources that a client can list and read.
pub trait Resources {
    /// The newest ones, bounded.
    fn list(&self) -> Vec<ResourceEntry>;

    /// The addresses of all that can be read, as templates.
    fn templates(&self) -> Vec<ResourceEntry>;

    /// The media type and the text of one, bounded.
    ///
    /// # Errors
    /// There is none at this address, or it can't be read.
    fn read(&self, uri: &str) -> Result<(&'static str, String), ToolError>;
}

/// A job that a client follows as a task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskState {
    /// The id of the task: that of the run.
    pub id: String,
    /// How far it is.
    pub phase: TaskPhase,
    /// When it started, in RFC 3339.
    pub created_at: String,
    /// The time of this state.
    pub updated_at: String,
}

/// How far a task is.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskPhase {
    /// Its job goes on.
    Working,
    /// Its job was cancelled.
    Cancelled,
    /// Its job has ended, with the answer to the call.
    Completed(Outcome),
}

/// Jobs as tasks of the protocol, for clients that know them.
pub trait Tasks {
    /// Whether a call of this tool can become a task.
    fn starts(&self, name: &str) -> bool;

    /// The task of an answer, if a job goes on.
    fn of(&self, outcome: &Outcome) -> Option<TaskState>;

    /// The state of a task.
    ///
    /// # Errors
    /// There is no such task.
    fn get(&self, id: &str) -> Result<TaskState, ToolError>;

    /// Asks the job of a task to end.
    ///
    /// # Errors
    /// There is no such task.
    fn cancel(&self, id: &str) -> Result<(), ToolError>;
}

/// What a server offers.
pub trait Toolbox: Send + Sync + 'static {
    /// What the client tells its model about the server.
    fn instructions(&self) -> Option<String> {
        None
    }

    /// The tools, as `tools/list` gives them.
    fn tools(&self) -> Vec<Value>;

    /// Whether calls take no time. They are then answered one by one, in the order in which they came.
    fn is_quick(&self) -> bool {
        false
    }

    /// Calls a tool; `None` if there is none of that name. May take long.
    fn call(&self, name: &str, arguments: &Arguments, context: &CallContext) -> Option<Outcome>;

    /// Its resources, if it has any.
    fn resources(&self) -> Option<&dyn Resources> {
        None
    }

    /// Its tasks, if its calls can be followed as such.
    fn tasks(&self) -> Option<&dyn Tasks> {
        None
    }
}
