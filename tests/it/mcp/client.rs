//! A client of `mesh mcp`.

use crate::fixture::*;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A client and its server.
pub struct Client {
    server: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    last_id: u64,
    /// The notifications so far.
    pub notifications: Vec<Value>,
}

impl Client {
    /// Starts `mesh mcp ARGS` and initializes the session.
    pub fn start(sandbox: &Sandbox, args: impl Into<Args>) -> Self {
        Self::of(&mut sandbox.command(Args::from("mcp").and(args)))
    }

    /// The same for a command.
    pub fn of(command: &mut Command) -> Self {
        let mut client = Self::connect(command);
        let answer = client.initialize("2025-11-25");
        assert_eq!(answer["result"]["serverInfo"]["name"], "mesh");
        client.notify("notifications/initialized", json!({}));
        client
    }

    /// Starts the server without a word.
    pub fn connect(command: &mut Command) -> Self {
        let server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut server = server.expect("the server starts");
        let output = BufReader::new(server.stdout.take().expect("piped"));
        Self {
            input: server.stdin.take(),
            server,
            output,
            last_id: 0,
            notifications: Vec::new(),
        }
    }

    pub fn initialize(&mut self, version: &str) -> Value {
        let client = json!({"name": "test", "version": "1"});
        self.request(
            "initialize",
            json!({"protocolVersion": version, "capabilities": {}, "clientInfo": client}),
        )
    }

    pub fn notify(&mut self, method: &str, params: Value) {
        self.write(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Sends a request and gives its id.
    pub fn send(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        self.write(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    /// Waits for the answer to a request.
    pub fn answer(&mut self, id: u64) -> Value {
        loop {
            let mut line = String::new();
            self.output.read_line(&mut line).expect("text");
            assert_ne!(line, "", "the server ended without an answer");
            let message: Value = serde_json::from_str(&line).expect("JSON");
            if message["id"] == id {
                return message;
            }
            assert!(message.get("id").is_none(), "{message}");
            self.notifications.push(message);
        }
    }

    pub fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        self.answer(id)
    }

    /// Calls a tool and gives its content.
    #[track_caller]
    pub fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.send_call(tool, arguments);
        self.content(id)
    }

    pub fn send_call(&mut self, tool: &str, arguments: Value) -> u64 {
        self.send("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// The content of the answer to a call: the same as text and structured.
    #[track_caller]
    pub fn content(&mut self, id: u64) -> Value {
        let answer = self.answer(id);
        let content = &answer["result"]["structuredContent"];
        assert!(content.is_object(), "{answer}");
        let text = answer["result"]["content"][0]["text"].as_str();
        let text: Value = serde_json::from_str(text.expect("text")).expect("JSON");
        assert_eq!(&text, content);
        let is_error = content.get("error").is_some();
        assert_eq!(answer["result"]["isError"], is_error, "{answer}");
        content.clone()
    }

    /// Calls a tool that refuses: the error, and what to call next.
    #[track_caller]
    pub fn refused(&mut self, tool: &str, arguments: Value) -> (String, String) {
        let content = self.call(tool, arguments);
        let text = |name: &str| content[name].as_str().unwrap_or_default().to_owned();
        assert_ne!(text("error"), "", "{content}");
        (text("error"), text("next"))
    }

    /// Ends the server as a client that dies does.
    pub fn kill(mut self) {
        self.server.kill().expect("killed");
        self.server.wait().expect("reaped");
    }

    /// Closes standard input, and waits for the server.
    pub fn close(mut self) {
        drop(self.input.take());
        assert!(self.server.wait().expect("reaped").success());
    }

    fn write(&mut self, message: &Value) {
        let input = self.input.as_mut().expect("open");
        writeln!(input, "{message}").expect("written");
    }
}

/// A failed test must not leave a server behind.
impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
