//! MCP messages: any lines after the handshake are answered with JSON-RPC, each request at most once; a well-formed one after all of
//! them is answered; nothing outside of the server's folders is changed.
//!
//! The server is that of `mesh mcp` with a program that does not exist, so no call starts a process.

use crate::scratch;
use mesh::mcp::{Root, Server, Settings, Worker, serve_on};
use serde_json::Value;
use std::collections::HashMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncWrite;

const HANDSHAKE: &str = concat!(
    r#"{"jsonrpc":"2.0","id":"first","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"fuzz","version":"0"}}}"#,
    "\n",
    r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    "\n",
);
const LAST: &str = "\n{\"jsonrpc\":\"2.0\",\"id\":\"last\",\"method\":\"tools/list\"}\n";

/// Checks one input.
pub fn check(data: &[u8]) {
    // Calls that wait for each other would take longer than all else.
    if data.len() > 4096 || data.iter().filter(|byte| **byte == b'\n').count() > 16 {
        return;
    }
    let input = [HANDSHAKE.as_bytes(), data, LAST.as_bytes()].concat();
    let written = Written::default();
    let served = serve_on(server(), Cursor::new(input.clone()), written.clone());
    served.expect("streams in memory");
    let output = written.0.lock().expect("one thread").clone();
    as_json_rpc(&input, &output);
    outside_is_refused(data, &output);
    let outside = std::fs::read_dir(folders().join("outside")).expect("a folder");
    let outside: Vec<PathBuf> = outside.flatten().map(|entry| entry.path()).collect();
    assert_eq!(outside, [folders().join("outside/secret.csv")]);
    let secret = std::fs::read_to_string(&outside[0]).expect("a file");
    assert_eq!(secret, SECRET, "a file outside was changed");
    let shown = String::from_utf8_lossy(&output).contains("4e8f1c");
    assert!(!shown, "a file outside was shown");
}

const SECRET: &str = "id,4e8f1c\n1,x\n";
/// A program that does not exist.
const NO_PROGRAM: &str = "no-such-program";

/// A folder with the server's root, its runs, and a folder outside of both.
fn folders() -> &'static Path {
    static FOLDERS: OnceLock<PathBuf> = OnceLock::new();
    FOLDERS.get_or_init(|| {
        let folders = scratch::empty_folder("mcp");
        for (name, content) in [
            ("root/rows.csv", "id,text\n1,a\n2,b\n"),
            ("root/plan/.keep", ""),
            ("home/runs/.keep", ""),
            ("outside/secret.csv", SECRET),
        ] {
            let path = folders.join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, content).expect("written");
        }
        let link = folders.join("root/link");
        std::os::unix::fs::symlink("../outside", link).expect("linked");
        folders
    })
}

fn server() -> Server {
    let settings = Settings {
        program: folders().join(NO_PROGRAM),
        root: Root::open(&folders().join("root")).expect("a folder"),
        home: folders().join("home"),
        worker_options: Vec::new(),
        worker_command: vec!["true".to_owned()],
        max_concurrency: None,
        block: Duration::ZERO,
        result_chars: 4000,
        allow_run: true,
        max_depth: 1,
    };
    let worker = Worker {
        identity: Err("no attempt".to_owned()),
        schema: None,
    };
    Server::new(settings, worker)
}

/// Every line of the output is a response to a request, or a notification.
fn as_json_rpc(input: &[u8], output: &[u8]) {
    let mut asked: HashMap<String, i32> = HashMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        for id in ids(line) {
            *asked.entry(id).or_default() += 1;
        }
    }
    let text = std::str::from_utf8(output).expect("UTF-8");
    assert!(text.is_empty() || text.ends_with('\n'));
    let mut is_last_answered = false;
    for line in text.lines() {
        let message: Value = serde_json::from_str(line).expect("a line is JSON");
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        let Some(id) = message.get("id").filter(|id| !id.is_null()) else {
            continue;
        };
        let is_answer = message.get("result").is_some() != message.get("error").is_some();
        assert!(is_answer, "{line}");
        let left = asked.get_mut(&id.to_string());
        let left = left.unwrap_or_else(|| panic!("nobody asked: {line}"));
        *left -= 1;
        assert!(*left >= 0, "answered twice: {line}");
        is_last_answered |= id == "last";
    }
    assert!(
        is_last_answered,
        "the server does not answer any more: {text}"
    );
}

/// A call with a path that leads out of the root does not get as far as a job, which here fails with the name of its program.
fn outside_is_refused(data: &[u8], output: &[u8]) {
    let leads_out = |line: &[u8]| {
        let call: Value = serde_json::from_slice(line).ok()?;
        let arguments = &call["params"]["arguments"];
        let paths = ["csv_path", "output_csv_path", "answers_path", "plan_file"];
        let mut paths = paths.iter().filter_map(|name| arguments[name].as_str());
        let is_out = paths.any(|path| path.starts_with("../") || path.starts_with("link/"));
        is_out.then(|| call["id"].to_string())
    };
    let lines = || data.split(|byte| *byte == b'\n');
    let all: Vec<String> = lines().flat_map(ids).collect();
    for id in lines().filter_map(leads_out) {
        // The answers to a repeated id can't be told apart.
        if all.iter().filter(|known| **known == id).count() > 1 {
            continue;
        }
        for line in String::from_utf8_lossy(output).lines() {
            let answer: Value = serde_json::from_str(line).expect("a line is JSON");
            let is_started = answer["id"].to_string() == id && line.contains(NO_PROGRAM);
            assert!(!is_started, "a path outside was accepted: {line}");
        }
    }
}

/// The ids of a line, as JSON; of an object with a repeated key, all of them.
fn ids(line: &[u8]) -> Vec<String> {
    // The SDK skips a byte-order mark.
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
    let Ok(value) = serde_json::from_slice::<Value>(line) else {
        return Vec::new();
    };
    let id = |value: &Value| value.get("id").map(Value::to_string);
    match &value {
        Value::Array(messages) => messages.iter().filter_map(id).collect(),
        message => id(message).into_iter().collect(),
    }
}

/// The output of the server.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl AsyncWrite for Written {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.0.lock().expect("one thread").extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
