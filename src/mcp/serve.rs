//! Serves a [`Toolbox`] on two streams with the SDK. The only file with asynchronous code.
//!
//! One thread reads, writes and dispatches; every call runs in a thread of its own, so that a long one delays no other. When
//! the input ends, calls have five seconds to finish; then the process ends, whatever they do.

use super::toolbox::{
    CallContext, Outcome, Progress, ResourceEntry, TaskPhase, TaskState, Tasks, ToolError, Toolbox,
};
use rmcp::ErrorData;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams, ContentBlock,
    CreateTaskResult, DetailedTask, GetTaskParams, GetTaskResult, Implementation,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ProgressNotificationParam, ProgressToken, ReadResourceRequestParams, ReadResourceResponse,
    ReadResourceResult, Resource, ResourceContents, ResourceTemplate, ResourcesCapability,
    ServerCapabilities, ServerConfig, Task, TaskPayload, TaskStatus, Tool,
};
use rmcp::service::{Peer, RequestContext, RoleServer, ServerInitializeError, ServiceExt};
use serde_json::Value;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

/// How often a client should ask for a task.
const TASK_POLL_MS: u64 = 1000;

/// Serves on standard input and output, until the input ends.
///
/// # Errors
/// Only of the streams and of the start.
pub fn serve(toolbox: impl Toolbox) -> io::Result<()> {
    serve_on(toolbox, tokio::io::stdin(), tokio::io::stdout())
}

/// The same on other streams.
///
/// # Errors
/// Only of the streams and of the start.
pub fn serve_on(
    toolbox: impl Toolbox,
    input: impl AsyncRead + Send + Unpin + 'static,
    output: impl AsyncWrite + Send + Unpin + 'static,
) -> io::Result<()> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().build()?;
    let handler = Handler {
        tools: parse_tools(&toolbox)?,
        toolbox: Arc::new(toolbox),
    };
    let served = runtime.block_on(async {
        match handler.serve((input, output)).await {
            Ok(running) => running.waiting().await.map(drop).map_err(io::Error::other),
            // The client went away before it began.
            Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
            Err(ServerInitializeError::ExpectedInitializeRequest(_)) => Err(io::Error::other(
                "the client did not begin with the request `initialize`",
            )),
            Err(error) => Err(io::Error::other(error)),
        }
    });
    // Calls that still wait for a job end with the process; the job goes on.
    runtime.shutdown_background();
    served
}

fn parse_tools(toolbox: &impl Toolbox) -> io::Result<Vec<Tool>> {
    let tools = toolbox.tools().into_iter().map(serde_json::from_value);
    Ok(tools.collect::<Result<_, _>>()?)
}

struct Handler<T> {
    toolbox: Arc<T>,
    tools: Vec<Tool>,
}

impl<T: Toolbox> ServerHandler for Handler<T> {
    fn get_info(&self) -> ServerConfig {
        let builder = ServerCapabilities::builder().enable_tools();
        let mut capabilities = match self.toolbox.tasks() {
            Some(_) => builder.enable_tasks().build(),
            None => builder.build(),
        };
        capabilities.resources = self
            .toolbox
            .resources()
            .map(|_| ResourcesCapability::default());
        let own = Implementation::new("mesh", env!("CARGO_PKG_VERSION"));
        let mut config = ServerConfig::new(capabilities).with_server_info(own);
        config.instructions = self.toolbox.instructions();
        config
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.clone()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let unknown = || {
            let text = format!("there is no tool `{}`", request.name);
            Err(ErrorData::invalid_params(text, None))
        };
        if self.toolbox.is_quick() {
            let outcome = self
                .toolbox
                .call(&request.name, &arguments, &CallContext::default());
            return outcome.map_or_else(unknown, |outcome| Ok(result(outcome).into()));
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        let token = context.meta.get_progress_token();
        let call = match token {
            Some(_) => CallContext::reporting(move |progress| {
                // Only fails when the call is over.
                let _ = sender.send(progress);
            }),
            None => CallContext::default(),
        };
        let knows_tasks = context
            .client_capabilities()
            .is_some_and(|it| it.supports_tasks());
        let call = match self
            .toolbox
            .tasks()
            .filter(|it| knows_tasks && it.starts(&request.name))
        {
            Some(_) => call.into_task(),
            None => call,
        };
        let (toolbox, name, of_thread) = (
            Arc::clone(&self.toolbox),
            request.name.clone(),
            call.clone(),
        );
        let called =
            tokio::task::spawn_blocking(move || toolbox.call(&name, &arguments, &of_thread));
        let notified = notify(receiver, token, context.peer.clone());
        tokio::select! {
            outcome = called => match outcome {
                Ok(Some(outcome)) => Ok(match self.task_of(&outcome).filter(|_| call.is_task()) {
                    Some(task) => CallToolResponse::Task(CreateTaskResult::new(task)),
                    None => result(outcome).into(),
                }),
                Ok(None) => unknown(),
                Err(error) => Err(ErrorData::internal_error(error.to_string(), None)),
            },
            () = notified => Err(ErrorData::internal_error("no more progress", None)),
            () = context.ct.cancelled() => {
                call.cancel();
                // Not sent: the client has said that it does not wait for an answer.
                Err(ErrorData::internal_error("the call was cancelled", None))
            }
        }
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let state = self
            .run(move |toolbox| on_task(toolbox, |it| it.get(&request.task_id)))
            .await??;
        let payload = match &state.phase {
            TaskPhase::Working => TaskPayload::Working,
            TaskPhase::Cancelled => TaskPayload::Cancelled,
            TaskPhase::Completed(outcome) => TaskPayload::Completed {
                result: match serde_json::to_value(result(outcome.clone())) {
                    Ok(Value::Object(result)) => result,
                    _ => serde_json::Map::new(),
                },
            },
        };
        Ok(GetTaskResult::new(DetailedTask::new(task(&state), payload)))
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.run(move |toolbox| on_task(toolbox, |it| it.cancel(&request.task_id)))
            .await?
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let list = |toolbox: &T| toolbox.resources().map(|it| it.list()).unwrap_or_default();
        let entries = self.run(list).await?;
        let resources = entries.into_iter().map(|entry| {
            Resource::new(entry.uri, entry.name)
                .with_description(entry.description)
                .with_mime_type(entry.mime_type)
        });
        Ok(ListResourcesResult::with_all_items(resources.collect()))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let entries = self.toolbox.resources().map(|it| it.templates());
        let template = |entry: ResourceEntry| {
            ResourceTemplate::new(entry.uri, entry.name)
                .with_description(entry.description)
                .with_mime_type(entry.mime_type)
        };
        let templates = entries.unwrap_or_default().into_iter().map(template);
        Ok(ListResourceTemplatesResult::with_all_items(
            templates.collect(),
        ))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri.clone();
        let read = move |toolbox: &T| match toolbox.resources() {
            Some(resources) => resources.read(&uri),
            None => Err(ToolError::new("this server has no resources", "")),
        };
        match self.run(read).await? {
            Ok((mime_type, text)) => {
                let content = ResourceContents::text(text, request.uri).with_mime_type(mime_type);
                Ok(ReadResourceResult::new(vec![content]).into())
            }
            Err(error) => Err(ErrorData::resource_not_found(in_one(&error), None)),
        }
    }
}

/// Asks the tasks of a toolbox, which has some: otherwise the SDK refuses the request.
fn on_task<R>(
    toolbox: &impl Toolbox,
    ask: impl FnOnce(&dyn Tasks) -> Result<R, ToolError>,
) -> Result<R, ErrorData> {
    let none = || ToolError::new("this server has no tasks", "");
    let answer = toolbox.tasks().ok_or_else(none).and_then(ask);
    answer.map_err(|error| ErrorData::invalid_params(in_one(&error), None))
}

fn in_one(error: &ToolError) -> String {
    format!("{}; {}", error.error, error.next)
}

fn task(state: &TaskState) -> Task {
    let status = match state.phase {
        TaskPhase::Working => TaskStatus::Working,
        TaskPhase::Cancelled => TaskStatus::Cancelled,
        TaskPhase::Completed(_) => TaskStatus::Completed,
    };
    Task::new(&state.id, status, &state.created_at, &state.updated_at)
        .with_poll_interval_ms(TASK_POLL_MS)
}

impl<T: Toolbox> Handler<T> {
    /// The task of an answer whose job goes on.
    fn task_of(&self, outcome: &Outcome) -> Option<Task> {
        let state = self.toolbox.tasks()?.of(outcome)?;
        (state.phase == TaskPhase::Working).then(|| task(&state))
    }

    /// Runs `work` in a thread of its own.
    async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&T) -> R + Send + 'static,
    ) -> Result<R, ErrorData> {
        let toolbox = Arc::clone(&self.toolbox);
        let done = tokio::task::spawn_blocking(move || work(&toolbox)).await;
        done.map_err(|error| ErrorData::internal_error(error.to_string(), None))
    }
}

/// Both forms: some clients show a model the first, some the second.
fn result(outcome: Outcome) -> CallToolResult {
    let text = ContentBlock::text(outcome.content.to_string());
    let mut result = match outcome.is_error {
        true => CallToolResult::error(vec![text]),
        false => CallToolResult::success(vec![text]),
    };
    result.structured_content = Some(outcome.content).filter(Value::is_object);
    result
}

/// Passes on progress; never returns.
async fn notify(
    mut progress: mpsc::UnboundedReceiver<Progress>,
    token: Option<ProgressToken>,
    peer: Peer<RoleServer>,
) {
    if let Some(token) = token {
        while let Some(Progress {
            done,
            total,
            message,
        }) = progress.recv().await
        {
            let sent = ProgressNotificationParam::new(token.clone(), done)
                .with_total(total as f64)
                .with_message(message);
            // The client went away: the end of the input says so too.
            let _ = peer.notify_progress(sent).await;
        }
    }
    std::future::pending().await
}
