//! Serves a [`Toolbox`] on standard input and output with the SDK. The only file with asynchronous code.
//!
//! One thread reads, writes and dispatches; every call runs in a thread of its own, so that a long one delays no other. When
//! standard input ends, calls have five seconds to finish; then the process ends, whatever they do.

use super::toolbox::{CallContext, Outcome, Progress, ResourceEntry, ToolError, Toolbox};
use rmcp::ErrorData;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ProgressNotificationParam, ProgressToken, ReadResourceRequestParams, ReadResourceResponse,
    ReadResourceResult, Resource, ResourceContents, ResourceTemplate, ServerCapabilities,
    ServerConfig, Tool,
};
use rmcp::service::{Peer, RequestContext, RoleServer, ServerInitializeError, ServiceExt};
use serde_json::Value;
use std::io;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Serves until standard input ends.
///
/// # Errors
/// Only of the streams and of the start.
pub fn serve(toolbox: impl Toolbox) -> io::Result<()> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().build()?;
    let handler = Handler {
        tools: parse_tools(&toolbox)?,
        toolbox: Arc::new(toolbox),
    };
    let served = runtime.block_on(async {
        match handler
            .serve((tokio::io::stdin(), tokio::io::stdout()))
            .await
        {
            Ok(running) => running.waiting().await.map(drop).map_err(io::Error::other),
            // The client went away before it began.
            Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
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
        let capabilities = ServerCapabilities::builder().enable_tools();
        let capabilities = match self.toolbox.resources() {
            Some(_) => capabilities.enable_resources().build(),
            None => capabilities.build(),
        };
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
            return outcome.map_or_else(unknown, |outcome| Ok(response(outcome)));
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
                Ok(Some(outcome)) => Ok(response(outcome)),
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
            Err(ToolError { error, next }) => {
                let text = format!("{error}; {next}");
                Err(ErrorData::resource_not_found(text, None))
            }
        }
    }
}

impl<T: Toolbox> Handler<T> {
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
fn response(outcome: Outcome) -> CallToolResponse {
    let text = ContentBlock::text(outcome.content.to_string());
    let mut result = match outcome.is_error {
        true => CallToolResult::error(vec![text]),
        false => CallToolResult::success(vec![text]),
    };
    result.structured_content = Some(outcome.content).filter(Value::is_object);
    result.into()
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
            // The client went away: the end of standard input says so too.
            let _ = peer.notify_progress(sent).await;
        }
    }
    std::future::pending().await
}
