//! The protocol loop: one JSON-RPC message per line in, at most one out. It ends only at the end of its input.
//!
//! Source: the specification of the Model Context Protocol, "Lifecycle" and "Tools", versions 2024-11-05 to 2025-11-25.

use crate::verdict::extract;
use serde_json::{Value, json};
use std::io;
use std::io::{BufRead, Read, Write};

/// The supported versions of the protocol, newest first.
const VERSIONS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
/// The longest message; a result has at most one MiB, which escapes may double several times.
const MESSAGE_BYTES_MAX: u64 = 16 * 1024 * 1024;

const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;

/// The tools of a server.
pub trait Tools {
    /// The tools, as `tools/list` gives them.
    fn list(&self) -> Vec<Value>;

    /// Calls a tool; `None` if there is none of that name.
    fn call(&mut self, name: &str, arguments: &Value) -> Option<Outcome>;
}

/// The outcome of a tool call.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// An object for the model.
    pub content: Value,
    /// The call failed.
    pub is_error: bool,
}

/// Answers messages until the end of input.
///
/// # Errors
/// Only of the streams themselves.
pub fn serve(
    input: &mut dyn BufRead,
    output: &mut dyn Write,
    tools: &mut dyn Tools,
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input.take(MESSAGE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        if let Some(answer) = answer(&line, tools) {
            writeln!(output, "{answer}")?;
            output.flush()?;
        }
    }
}

/// The answer to one message, if it requires one.
fn answer(line: &[u8], tools: &mut dyn Tools) -> Option<Value> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return None;
    }
    let message = match extract::value(line) {
        Ok(message) => message,
        Err(error) => return Some(failure(&Value::Null, PARSE_ERROR, &error.to_string())),
    };
    let id = message.get("id").filter(|id| !id.is_null());
    let (id, method) = match (id, message.get("method").and_then(Value::as_str)) {
        (Some(id), Some(method)) => (id, method),
        // A notification, or an answer without a request.
        (None, Some(_)) => return None,
        (Some(_), None) if message.get("result").or(message.get("error")).is_some() => return None,
        (id, None) => {
            let id = id.unwrap_or(&Value::Null);
            return Some(failure(id, INVALID_REQUEST, "the message has no method"));
        }
    };
    let result = handle(method, &message["params"], tools);
    Some(match result {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err((code, text)) => failure(id, code, &text),
    })
}

fn failure(id: &Value, code: i64, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
}

fn handle(method: &str, params: &Value, tools: &mut dyn Tools) -> Result<Value, (i64, String)> {
    match method {
        "initialize" => Ok(initialize(params)),
        "ping" => Ok(json!({})),
        "tools/list" => Ok(json!({"tools": tools.list()})),
        "tools/call" => call(params, tools),
        other => Err((METHOD_NOT_FOUND, format!("there is no method `{other}`"))),
    }
}

fn initialize(params: &Value) -> Value {
    let wanted = params["protocolVersion"].as_str();
    let version = VERSIONS.into_iter().find(|known| Some(*known) == wanted);
    json!({
        "protocolVersion": version.unwrap_or(VERSIONS[0]),
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "mesh", "version": env!("CARGO_PKG_VERSION")},
    })
}

fn call(params: &Value, tools: &mut dyn Tools) -> Result<Value, (i64, String)> {
    let name = params["name"].as_str().unwrap_or_default();
    let outcome = tools
        .call(name, &params["arguments"])
        .ok_or_else(|| (INVALID_PARAMS, format!("there is no tool `{name}`")))?;
    // Both forms: some clients show a model the first, some the second.
    Ok(json!({
        "content": [{"type": "text", "text": outcome.content.to_string()}],
        "structuredContent": outcome.content,
        "isError": outcome.is_error,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo;

    impl Tools for Echo {
        fn list(&self) -> Vec<Value> {
            vec![json!({"name": "echo", "inputSchema": {"type": "object"}})]
        }

        fn call(&mut self, name: &str, arguments: &Value) -> Option<Outcome> {
            (name == "echo").then(|| Outcome {
                content: json!({"said": arguments}),
                is_error: arguments.is_null(),
            })
        }
    }

    fn said(input: &str) -> Vec<String> {
        let mut output = Vec::new();
        serve(&mut input.as_bytes(), &mut output, &mut Echo).expect("served");
        let text = String::from_utf8(output).expect("text");
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_session_initializes_lists_and_calls() {
        let said = said(concat!(
            r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#,
            "\n",
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            "\n\n",
            r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#,
            "\n",
            r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"x":1}}}"#,
            "\n",
            r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo"}}"#,
            "\n",
            r#"{"jsonrpc":"2.0","id":4,"method":"ping"}"#,
        ));
        assert!(
            said[0].contains(r#""protocolVersion":"2025-06-18""#)
                && said[0].contains(r#""name":"mesh""#)
        );
        assert_eq!(
            said[1],
            r#"{"jsonrpc":"2.0","id":"a","result":{"tools":[{"name":"echo","inputSchema":{"type":"object"}}]}}"#
        );
        assert_eq!(
            said[2],
            r#"{"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"{\"said\":{\"x\":1}}"}],"structuredContent":{"said":{"x":1}},"isError":false}}"#
        );
        assert!(said[3].contains(r#""isError":true"#));
        assert_eq!(said[4], r#"{"jsonrpc":"2.0","id":4,"result":{}}"#);
        assert_eq!(said.len(), 5);
    }

    #[test]
    fn an_unknown_protocol_version_gets_the_newest() {
        let said = said(
            r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"1999"}}"#,
        );
        assert!(said[0].contains(r#""protocolVersion":"2025-11-25""#));
    }

    #[test]
    fn an_invalid_message_does_not_end_the_loop() {
        for (message, answer) in [
            ("nonsense", r#""error":{"code":-32700"#),
            ("[1]", r#""error":{"code":-32600"#),
            ("7", r#""error":{"code":-32600"#),
            (r#"{"id":5}"#, r#""id":5,"error":{"code":-32600"#),
            (
                r#"{"id":5,"method":"server/discover"}"#,
                r#""id":5,"error":{"code":-32601"#,
            ),
            (
                r#"{"id":5,"method":"tools/call","params":{"name":"other"}}"#,
                r#""id":5,"error":{"code":-32602"#,
            ),
            (
                r#"{"id":5,"method":"tools/call"}"#,
                r#""id":5,"error":{"code":-32602"#,
            ),
        ] {
            let said = said(&format!("{message}\n{{\"id\":6,\"method\":\"ping\"}}\n"));
            assert_eq!(said.len(), 2, "{message}");
            assert!(said[0].contains(answer), "{message}: {}", said[0]);
        }
        for silent in [
            r#"{"method":"notifications/cancelled"}"#,
            r#"{"id":1,"result":{}}"#,
            "  ",
        ] {
            assert_eq!(said(silent), [""; 0], "{silent}");
        }
    }
}
