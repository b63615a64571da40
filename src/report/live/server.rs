//! The server: one thread accepts, one answers each request.

use super::feed::{Feed, Message, brief};
use super::pages::Pages;
use super::request::{Place, Refusal, Request, Route};
use crate::ledger;
use crate::model::{RowId, RunId, UnitId, WaveNo};
use crate::platform::threads;
use crate::report::page;
use crate::report::run_summary::RunSummary;
use crate::report::view::{RUNNING, WAITING};
use crate::run::RunFolder;
use std::io;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tiny_http::{Header, Response};

/// How often a run is looked at.
const INTERVAL: Duration = Duration::from_millis(500);
/// Reading a long run may take no more than this share of the time.
const PAUSE_FACTOR: u32 = 4;
/// Without any message for this long, a comment is sent, so that a browser that is gone is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How often the list of runs loads itself again, in seconds.
const RELOAD_SECONDS: u64 = 5;

/// An address that can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {address}")]
pub struct ListenError {
    /// As given.
    pub address: SocketAddr,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// A server of pages.
pub struct Server {
    http: tiny_http::Server,
    shared: Arc<Shared>,
}

struct Shared {
    place: Place,
    pages: Pages,
}

impl Server {
    /// Listens on `address`, with a port of the system's choice if that is 0, for the runs below `home`.
    pub fn listen(address: SocketAddr, home: &Path) -> Result<Self, ListenError> {
        let fail = |source| ListenError { address, source };
        let http =
            tiny_http::Server::http(address).map_err(|error| fail(io::Error::other(error)))?;
        let bound = http.server_addr().to_ip();
        let bound = bound.ok_or_else(|| fail(io::ErrorKind::AddrNotAvailable.into()))?;
        let place = Place {
            port: bound.port(),
            is_loopback: bound.ip().is_loopback(),
            token: uuid::Uuid::new_v4().simple().to_string(),
        };
        Ok(Self {
            http,
            shared: Arc::new(Shared {
                place,
                pages: Pages::new(home),
            }),
        })
    }

    /// The address of the list of runs, or of the page of one.
    pub fn url(&self, run: Option<&RunId>) -> String {
        let place = &self.shared.place;
        let host = match self.http.server_addr().to_ip() {
            Some(address) => address.to_string(),
            None => format!("127.0.0.1:{}", place.port),
        };
        let run = run.map_or(String::new(), |run| format!("run/{run}/"));
        format!("http://{host}/{}/{run}", place.token)
    }

    /// Answers requests until the process ends.
    pub fn serve(&self) -> io::Error {
        loop {
            match self.http.recv() {
                Ok(request) => {
                    let shared = Arc::clone(&self.shared);
                    // Without one the request is dropped, which is an answer as well.
                    let _ = threads::start("page", move || shared.answer(request));
                }
                Err(error) => return error,
            }
        }
    }
}

impl Shared {
    /// A browser that is gone is no error.
    fn answer(&self, request: tiny_http::Request) {
        let _ = match self.route(&request) {
            Err(refusal) => request.respond(Response::empty(refusal as u16)),
            Ok(Route::Events(run)) => self.send_events(request, &run),
            Ok(Route::Runs) => request.respond(page_response(self.runs_page(), HTML)),
            Ok(route) => match self.document(&route) {
                Some((text, kind)) => request.respond(page_response(text, kind)),
                None => request.respond(Response::empty(Refusal::NotFound as u16)),
            },
        };
    }

    fn route(&self, request: &tiny_http::Request) -> Result<Route, Refusal> {
        let header = |name: &'static str| {
            let mut headers = request.headers().iter();
            let found = headers.find(|header| header.field.equiv(name));
            found.map(|header| header.value.as_str())
        };
        self.place.route(Request {
            method: request.method().as_str(),
            target: request.url(),
            host: header("Host"),
            origin: header("Origin"),
        })
    }

    /// The page of a run, or one of its rows or tasks; `None` if there is none.
    fn document(&self, route: &Route) -> Option<(Vec<u8>, &'static str)> {
        let (Route::Page(run) | Route::Row(run, ..) | Route::Task(run, _)) = route else {
            return None;
        };
        let page = self.pages.get(run).ok()?;
        let page = page.read().unwrap_or_else(PoisonError::into_inner);
        let json = match route {
            Route::Row(_, wave, id) => page
                .row(WaveNo(u32::try_from(*wave).ok()?), &RowId::new(id.clone()))
                .ok()??,
            Route::Task(_, id) => page.task(&UnitId::new(id.clone())).ok()??,
            _ => return Some((page::html(&brief(page.data().ok()?)), HTML)),
        };
        Some((json.to_string().into_bytes(), JSON))
    }

    /// Links to all runs, first those that a process drives. Ids of runs are names of folders, with no character that has a
    /// meaning in HTML. The page loads itself again, since runs begin and end.
    fn runs_page(&self) -> Vec<u8> {
        let mut folders = RunFolder::list(self.pages.home()).unwrap_or_default();
        folders.reverse();
        let is_active = |folder: &RunFolder| ledger::is_in_use(&folder.ledger()).unwrap_or(false);
        let (active, ended): (Vec<RunFolder>, _) = folders.into_iter().partition(is_active);
        let list = |title: &str, folders: &[RunFolder], mark: &str| {
            let lines: Vec<String> = folders
                .iter()
                .map(|folder| run_line(folder, mark))
                .collect();
            format!(
                "<h2>{title} ({})</h2><ul>{}</ul>",
                lines.len(),
                lines.concat()
            )
        };
        format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
             <meta http-equiv=\"refresh\" content=\"{RELOAD_SECONDS}\">\
             <title>mesh runs ({} active)</title><style>:root{{color-scheme:light dark;font-family:system-ui}}ul{{list-style:none;padding:0}}\
             li{{margin:.3em 0}}small{{opacity:.7}}</style>\
             <main><h1>Runs</h1>{}{}</main></html>",
            active.len(),
            list("Active", &active, "\u{25cf} "),
            list("Others", &ended, ""),
        )
        .into_bytes()
    }

    /// Sends what changes until the run has ended, or the browser is gone.
    fn send_events(&self, request: tiny_http::Request, run: &str) -> io::Result<()> {
        if self.pages.get(run).is_err() {
            return request.respond(Response::empty(Refusal::NotFound as u16));
        }
        // The library would hold a response back until 8 KiB of it are there.
        let mut out = request.into_writer();
        write!(
            out,
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nConnection: close\r\n\r\nretry: 1000\n\n"
        )?;
        out.flush()?;
        let mut feed = Feed::default();
        let mut sent = 0;
        let mut last = Instant::now();
        loop {
            let begin = Instant::now();
            let Ok(page) = self.pages.get(run) else {
                return Ok(());
            };
            let mut messages = Vec::new();
            let is_over = {
                let page = page.read().unwrap_or_else(PoisonError::into_inner);
                if std::mem::replace(&mut sent, page.version()) != page.version() {
                    let Ok(data) = page.data() else {
                        return Ok(());
                    };
                    messages = feed.messages(brief(data));
                }
                !matches!(page.run().status(), RUNNING | WAITING)
            };
            for message in messages {
                send(&mut out, &message)?;
                last = Instant::now();
            }
            if is_over {
                let end = Message {
                    event: "end",
                    data: "{}".to_owned(),
                };
                return send(&mut out, &end);
            }
            if last.elapsed() > KEEP_ALIVE {
                out.write_all(b": still here\n\n")?;
                out.flush()?;
                last = Instant::now();
            }
            std::thread::sleep(INTERVAL.max(begin.elapsed() * PAUSE_FACTOR));
        }
    }
}

fn send(out: &mut dyn Write, message: &Message) -> io::Result<()> {
    write!(out, "event: {}\ndata: {}\n\n", message.event, message.data)?;
    out.flush()
}

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

fn page_response(text: Vec<u8>, kind: &str) -> Response<io::Cursor<Vec<u8>>> {
    let headers = [
        ("Content-Type", kind),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Content-Security-Policy", "frame-ancestors 'none'"),
    ];
    let mut response = Response::from_data(text);
    for (name, value) in headers {
        if let Ok(header) = Header::from_bytes(name, value) {
            response.add_header(header);
        }
    }
    response
}

fn run_line(folder: &RunFolder, mark: &str) -> String {
    let about = match RunSummary::of(folder) {
        Ok(summary) => format!(
            "{} <small>{}</small>",
            escaped(&summary.status),
            escaped(&summary.work)
        ),
        Err(_) => "unreadable".to_owned(),
    };
    let id = escaped(folder.id().as_str());
    format!("<li>{mark}<a href=\"run/{id}/\">{id}</a> {about}</li>")
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('"', "&quot;")
}
