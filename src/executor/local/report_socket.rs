//! The report socket: how a worker returns its result explicitly, exactly once.
//!
//! A Unix socket in the run's folder. A request is one line of JSON `{"token","item_id","attempt","result","stop"}`,
//! the answer one line `{"accepted":true}` or `{"accepted":false,"reason":"…"}`. The token identifies the attempt and is
//! valid from its start to its end. A result that breaks the schema is refused with every violation, and the worker may
//! report again until its attempt ends. An accepted result is durable before the worker gets its answer.

use super::pool_event::{OpenAttempt, PoolEvent};
use crate::job::{Failure, ResultCheck, hide_in_object};
use crate::model::{ReportToken, RowId};
use crate::platform::{TemporaryFolder, look, threads, unix_socket};
use crate::redact::Redactor;
use crate::verdict::{Object, extract};
use crossbeam_channel::{Sender, bounded};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::{HashMap, HashSet};
use std::io;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a connection may take to send its line, so that a silent one can't hold a thread forever.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait after a connection that could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// What a worker sends.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// `MESH_REPORT_TOKEN`.
    pub token: ReportToken,
    /// `MESH_ITEM_ID`.
    pub item_id: RowId,
    /// `MESH_ATTEMPT`.
    pub attempt: u32,
    /// The result as written; anything but an object is refused.
    pub result: Box<RawValue>,
    /// Stop the whole job early.
    #[serde(default)]
    pub stop: bool,
}

/// The answer to a worker.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    /// Whether the result was accepted.
    pub accepted: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The listening side.
pub(crate) struct Hub {
    path: PathBuf,
    shared: Arc<Shared>,
    // Keeps the folder of a socket outside the run's folder, where no socket can have a path as long as that.
    _elsewhere: Option<TemporaryFolder>,
}

struct Shared {
    open: Mutex<HashMap<ReportToken, OpenAttempt>>,
    /// The reasons given to senders.
    reasons: Mutex<HashSet<String>>,
    events: Sender<PoolEvent>,
    check: ResultCheck,
    redactor: Redactor,
    closing: std::sync::atomic::AtomicBool,
}

impl Hub {
    /// Listens in `folder`.
    pub fn listen(
        folder: &Path,
        events: Sender<PoolEvent>,
        check: ResultCheck,
        redactor: Redactor,
    ) -> io::Result<Self> {
        let (path, elsewhere) = socket_path(folder)?;
        look::found(std::fs::remove_file(&path))?;
        let listener = unix_socket::listen(&path)?;
        // The folder is private already: no other user can connect in between.
        crate::platform::close(&path)?;
        let shared = Arc::new(Shared {
            open: Mutex::new(HashMap::new()),
            reasons: Mutex::new(HashSet::new()),
            events,
            check,
            redactor,
            closing: std::sync::atomic::AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        threads::start("reports", move || serve(&listener, &serving))?;
        Ok(Self {
            path,
            shared,
            _elsewhere: elsewhere,
        })
    }

    /// `MESH_REPORT_SOCKET`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Accepts a report with `token` until [`Hub::close`].
    pub fn open(&self, token: &ReportToken, attempt: OpenAttempt) {
        self.shared.lock().insert(token.clone(), attempt);
    }

    /// Refuses further reports of an attempt that ended. Returns its accepted result, if any.
    pub fn close(&self, token: &ReportToken) -> Option<Object> {
        self.shared.lock().remove(token)?.accepted
    }

    /// Whether an object is the answer that `mesh report-result` printed on a refusal: a worker that repeats it has not
    /// returned a result.
    pub fn is_own_answer(&self, object: &Object) -> bool {
        let reason = object.get("reason").and_then(Value::as_str);
        let reasons = self
            .shared
            .reasons
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        object.len() == 2
            && object.get("accepted") == Some(&Value::Bool(false))
            && reason.is_some_and(|reason| {
                reasons.contains(reason) || NOT_JSON.iter().any(|begin| reason.starts_with(begin))
            })
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.shared
            .closing
            .store(true, std::sync::atomic::Ordering::SeqCst);
        // Wakes the accept loop; otherwise the thread would wait for a connection forever.
        let _ = unix_socket::connect(&self.path);
        let _ = std::fs::remove_file(&self.path);
    }
}

fn socket_path(folder: &Path) -> io::Result<(PathBuf, Option<TemporaryFolder>)> {
    let path = folder.join("report.sock");
    if unix_socket::takes(&path) {
        return Ok((path, None));
    }
    let elsewhere = TemporaryFolder::new("mesh-")?;
    Ok((elsewhere.path().join("report.sock"), Some(elsewhere)))
}

fn serve(listener: &UnixListener, shared: &Arc<Shared>) {
    for connection in listener.incoming() {
        if shared.closing.load(std::sync::atomic::Ordering::SeqCst) {
            return;
        }
        let Ok(connection) = connection.map(Arc::new) else {
            // No descriptor is left: one comes back when a worker ends.
            std::thread::sleep(ACCEPT_PAUSE);
            continue;
        };
        let (theirs, state) = (Arc::clone(&connection), Arc::clone(shared));
        // One thread per connection: there are at most as many as running workers, and they are short.
        if threads::start("report", move || converse(&theirs, &state)).is_err() {
            // The machine has no room for one: the others wait.
            converse(&connection, shared);
        }
    }
}

fn converse(connection: &UnixStream, shared: &Shared) {
    let answer = match read_request(connection, shared.check.bytes_max()) {
        Ok(request) => {
            let claimed = (request.item_id.clone(), request.attempt);
            let accepted = shared.accept(request);
            accepted.map_err(|refusal| shared.refuse(claimed, refusal))
        }
        Err(reason) => Err(reason),
    };
    let answer = Answer {
        accepted: answer.is_ok(),
        reason: answer.err(),
    };
    if let Ok(mut line) = serde_json::to_vec(&answer) {
        line.push(b'\n');
        let _ = (&*connection).write_all(&line);
    }
}

fn read_request(connection: &UnixStream, result_bytes_max: usize) -> Result<Request, String> {
    let unreadable = |error: io::Error| format!("the report could not be read: {error}");
    connection
        .set_read_timeout(Some(READ_TIMEOUT))
        .map_err(unreadable)?;
    // The envelope adds a few hundred bytes; a wide margin keeps the exact check with the result itself.
    let bound = (result_bytes_max as u64)
        .saturating_mul(2)
        .saturating_add(64 * 1024);
    let mut line = Vec::new();
    BufReader::new(connection.take(bound))
        .read_until(b'\n', &mut line)
        .map_err(unreadable)?;
    serde_json::from_slice(&line).map_err(|error| format!("the report is not valid: {error}"))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<ReportToken, OpenAttempt>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers the reason given to the sender, and has it recorded if the sender may not report. Returns the reason.
    fn refuse(&self, (item_id, attempt): (RowId, u32), refusal: Refusal) -> String {
        let reason = match &refusal {
            Refusal::Retryable(reason) | Refusal::NotAllowed(reason) => reason.clone(),
        };
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        if reasons.len() < REASONS_MAX {
            reasons.insert(reason.clone());
        }
        if let Refusal::NotAllowed(reason) = refusal {
            // The answer does not wait until this is durable.
            let _ = self.events.send(PoolEvent::Refused {
                item_id: self.redactor.redact_text(item_id.as_str()).into_owned(),
                attempt,
                reason: self.redactor.redact_text(&reason).into_owned(),
            });
        }
        reason
    }

    /// Accepts the result of a running attempt, or returns why not.
    fn accept(&self, request: Request) -> Result<(), Refusal> {
        let over = || Refusal::NotAllowed(ATTEMPT_OVER.to_owned());
        self.check_identity(&request).map_err(Refusal::NotAllowed)?;
        let result = extract::object(request.result.get().as_bytes())
            .map_err(|error| Refusal::Retryable(error.to_string()))?;
        let mut result = self.check_result(result).map_err(Refusal::Retryable)?;
        let redacted = hide_in_object(&mut result, &self.redactor);
        let (acknowledge, acknowledged) = bounded(1);
        {
            let mut open = self.lock();
            let attempt = open.get_mut(&request.token).ok_or_else(over)?;
            if attempt.accepted.is_some() {
                return Err(Refusal::NotAllowed(ALREADY_REPORTED.to_owned()));
            }
            attempt.accepted = Some(result.clone());
            // Sent under the lock, so that it is queued before the end of its attempt.
            self.events
                .send(PoolEvent::Reported {
                    attempt: attempt.clone(),
                    result,
                    redacted: redacted.into_iter().collect(),
                    stop: request.stop,
                    acknowledge,
                })
                .map_err(|_| over())?;
        }
        let not_durable = NOT_DURABLE.to_owned();
        acknowledged
            .recv()
            .map_err(|_| Refusal::Retryable(not_durable))
    }

    fn check_identity(&self, request: &Request) -> Result<(), String> {
        let open = self.lock();
        match open.get(&request.token) {
            Some(attempt) if attempt.accepted.is_some() => Err(ALREADY_REPORTED.to_owned()),
            Some(attempt) if attempt.item_id != request.item_id => Err(format!(
                "this token belongs to item `{}`, not to `{}`",
                attempt.item_id, request.item_id
            )),
            Some(attempt) if attempt.attempt != request.attempt => Err(format!(
                "this token belongs to attempt {} of item `{}`, not to attempt {}",
                attempt.attempt, attempt.item_id, request.attempt
            )),
            Some(_) => Ok(()),
            None if open
                .values()
                .any(|a| a.item_id == request.item_id && a.attempt == request.attempt) =>
            {
                Err("wrong token for this attempt".to_owned())
            }
            None => Err(ATTEMPT_OVER.to_owned()),
        }
    }

    fn check_result(&self, result: Object) -> Result<Object, String> {
        self.check
            .check(result)
            .map_err(|(failure, text)| match failure {
                Failure::InvalidOutputSchema => {
                    format!("the result does not fit the schema: {text}")
                }
                _ => text,
            })
    }
}

/// Why a report was refused.
enum Refusal {
    /// The worker may correct its result and report again.
    Retryable(String),
    /// Late, repeated, or for another attempt.
    NotAllowed(String),
}

/// The most reasons remembered.
const REASONS_MAX: usize = 1000;
/// The beginnings of the reasons that `report-result` gives without connecting (see [`crate::verdict::extract`]).
const NOT_JSON: [&str; 2] = ["the result is not JSON", "the result is not valid UTF-8"];
const ATTEMPT_OVER: &str = "this attempt is over";
const NOT_DURABLE: &str = "the run ended before the result was saved";
const ALREADY_REPORTED: &str = "a result was already reported for this attempt";

/// The worker's side: sends one request and waits for the answer.
pub fn send(socket: &Path, request: &Request) -> io::Result<Answer> {
    let mut connection = match unix_socket::connect(socket) {
        Ok(connection) => connection,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(Answer {
                accepted: false,
                reason: Some(ATTEMPT_OVER.to_owned()),
            });
        }
        Err(error) => return Err(error),
    };
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    // A run that refuses early closes its side; its answer can still be read.
    let _ = connection.write_all(&line);
    let mut answer = String::new();
    BufReader::new(connection).read_line(&mut answer)?;
    // A run that dies in between closes the connection without an answer.
    Ok(serde_json::from_str(&answer).unwrap_or_else(|_| Answer {
        accepted: false,
        reason: Some(NOT_DURABLE.to_owned()),
    }))
}
