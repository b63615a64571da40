//! The worker's tool `report_agent_job_result`: returns the result of one attempt, exactly once.

use super::toolbox::{Arguments, CallContext, Outcome, Toolbox};
use crate::adapter::REPORT_TOOL;
use crate::executor::{Answer, Request, send};
use crate::model::{ReportToken, RowId, json as exact};
use serde_json::{Value, json};
use std::path::PathBuf;

/// The attempt that reports, and its socket.
#[derive(Clone, Debug)]
pub struct Identity {
    /// `MESH_REPORT_SOCKET`.
    pub socket: PathBuf,
    /// `MESH_REPORT_TOKEN`.
    pub token: ReportToken,
    /// `MESH_ITEM_ID`.
    pub item_id: RowId,
    /// `MESH_ATTEMPT`.
    pub attempt: u32,
}

impl Identity {
    /// Reports a result.
    ///
    /// # Errors
    /// The channel failed; a refusal is an answer.
    pub fn report(&self, result: &Value, stop: bool) -> std::io::Result<Answer> {
        let request = Request {
            token: self.token.clone(),
            item_id: self.item_id.clone(),
            attempt: self.attempt,
            result: serde_json::value::to_raw_value(result)?,
            stop,
        };
        send(&self.socket, &request)
    }
}

/// The tools of a worker.
pub struct Worker {
    /// The attempt, or the missing variables: the program that started this server may not have passed them on.
    pub identity: Result<Identity, String>,
    /// The schema of the result.
    pub schema: Option<Value>,
}

impl Toolbox for Worker {
    fn tools(&self) -> Vec<Value> {
        vec![json!({
            "name": REPORT_TOOL,
            "title": "Report the result",
            "description": "Hands back the result of this item, exactly once. A result that does not fit is refused with \
                            every reason, and may be mended and reported again.",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "result": self.result_schema(),
                    "stop": {
                        "type": "boolean",
                        "description": "Also end the whole job early: no further items are started. Only when going on with \
                                        them would be pointless.",
                    },
                },
                "required": ["result"],
            },
            "annotations": {
                "readOnlyHint": false,
                "destructiveHint": false,
                "idempotentHint": false,
                "openWorldHint": false,
            },
        })]
    }

    /// The first report of an attempt stands, so they must not overtake one another.
    fn is_quick(&self) -> bool {
        true
    }

    fn call(&self, name: &str, arguments: &Arguments, _: &CallContext) -> Option<Outcome> {
        (name == REPORT_TOOL).then(|| {
            let answer = self.report(arguments);
            Outcome {
                is_error: !answer.accepted,
                content: serde_json::to_value(answer).unwrap_or_default(),
            }
        })
    }
}

impl Worker {
    fn report(&self, arguments: &Arguments) -> Answer {
        let refused = |reason: String| Answer {
            accepted: false,
            reason: Some(reason),
        };
        let identity = match &self.identity {
            Ok(identity) => identity,
            Err(missing) => return refused(missing.clone()),
        };
        let Some(result) = arguments.get("result") else {
            return refused("the argument `result` is missing".to_owned());
        };
        // Some models pass an object as a string.
        let result = match result {
            Value::String(text) => exact::parse(text).unwrap_or_else(|_| result.clone()),
            other => other.clone(),
        };
        let mut identity = identity.clone();
        if let Some(item_id) = arguments.get("item_id").and_then(Value::as_str) {
            identity.item_id = RowId::new(item_id);
        }
        let stop = arguments.get("stop") == Some(&Value::Bool(true));
        identity
            .report(&result, stop)
            .unwrap_or_else(|error| refused(format!("the report could not be sent: {error}")))
    }

    /// The result schema for embedding in another one. References are relative to the root, so a schema with references
    /// can't be embedded.
    fn result_schema(&self) -> Value {
        match &self.schema {
            Some(Value::Object(schema)) if !has_references(self.schema.as_ref()) => {
                let mut schema = schema.clone();
                schema.shift_remove("$schema");
                schema.shift_remove("$id");
                Value::Object(schema)
            }
            _ => json!({"type": "object"}),
        }
    }
}

fn has_references(schema: Option<&Value>) -> bool {
    schema.is_some_and(|schema| schema.to_string().contains("\"$ref\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(schema: Option<Value>) -> Worker {
        Worker {
            identity: Err("`MESH_REPORT_TOKEN` is not set".to_owned()),
            schema,
        }
    }

    #[test]
    fn the_tool_accepts_results_of_the_schema() {
        let input =
            |schema| worker(schema).tools()[0]["inputSchema"]["properties"]["result"].clone();
        assert_eq!(
            input(Some(
                json!({"$schema": "x", "type": "object", "required": ["a"]})
            )),
            json!({"type": "object", "required": ["a"]})
        );
        let plain = json!({"type": "object"});
        assert_eq!(input(None), plain);
        assert_eq!(input(Some(json!({"$ref": "#/$defs/a"}))), plain);
        assert_eq!(input(Some(json!(true))), plain);
    }

    #[test]
    fn without_an_attempt_the_tool_names_the_missing_variables() {
        let arguments = Arguments::from_iter([("result".to_owned(), json!({}))]);
        let outcome = worker(None)
            .call(REPORT_TOOL, &arguments, &CallContext::default())
            .expect("a tool");
        assert_eq!(
            (outcome.is_error, outcome.content),
            (
                true,
                json!({"accepted": false, "reason": "`MESH_REPORT_TOKEN` is not set"})
            )
        );
        let other = worker(None).call("other", &arguments, &CallContext::default());
        assert_eq!(other, None);
    }
}
