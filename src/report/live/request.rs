//! What a request asks for, and whether it may.

use std::net::IpAddr;

/// What to answer with.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    /// The list of runs.
    Runs,
    /// The page of a run.
    Page(String),
    /// Its events.
    Events(String),
    /// One row: run, wave and id.
    Row(String, u64, String),
    /// One task: run and id.
    Task(String, String),
}

/// Why there is no answer, as a status of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// From another site, or for another host.
    Forbidden = 403,
    /// Nothing is there; also without the token.
    NotFound = 404,
    /// Not a `GET`.
    MethodNotAllowed = 405,
}

/// The parts of a request that decide.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// `GET`.
    pub method: &'r str,
    /// Path and query.
    pub target: &'r str,
    /// The header `Host`.
    pub host: Option<&'r str>,
    /// The header `Origin`.
    pub origin: Option<&'r str>,
}

/// Where the server listens, and its secret.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its port.
    pub port: u16,
    /// Whether it serves this machine only.
    pub is_loopback: bool,
    /// The first part of every path.
    pub token: String,
}

impl Place {
    /// What the request asks for.
    pub fn route(&self, request: Request<'_>) -> Result<Route, Refusal> {
        let host = request.host.filter(|host| self.is_ours(host));
        let host = host.ok_or(Refusal::Forbidden)?;
        let is_same_site = |origin: &str| origin.strip_prefix("http://") == Some(host);
        if !request.origin.is_none_or(is_same_site) {
            return Err(Refusal::Forbidden);
        }
        if request.method != "GET" {
            return Err(Refusal::MethodNotAllowed);
        }
        self.find(request.target).ok_or(Refusal::NotFound)
    }

    /// A name of another site may resolve to this machine, so only addresses and `localhost` count.
    fn is_ours(&self, host: &str) -> bool {
        let Some((name, port)) = host.rsplit_once(':') else {
            return false;
        };
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let address: Option<IpAddr> = name.parse().ok();
        let is_here = match address {
            Some(address) => !self.is_loopback || address.is_loopback(),
            None => name == "localhost",
        };
        is_here && port.parse() == Ok(self.port)
    }

    fn find(&self, target: &str) -> Option<Route> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let rest = path.strip_prefix('/')?.strip_prefix(self.token.as_str())?;
        let rest = rest.strip_prefix('/')?;
        if rest.is_empty() {
            return Some(Route::Runs);
        }
        let (run, what) = rest.strip_prefix("run/")?.split_once('/')?;
        let run = decoded(run)?;
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .find(|(key, _)| *key == name)
                .and_then(|(_, value)| decoded(value))
        };
        match what {
            "" => Some(Route::Page(run)),
            "events" => Some(Route::Events(run)),
            "row" => Some(Route::Row(
                run,
                value("wave").map_or(Some(0), |wave| wave.parse().ok())?,
                value("id")?,
            )),
            "task" => Some(Route::Task(run, value("id")?)),
            _ => None,
        }
    }
}

/// `%41+b` -> `A b`; `None` if it is not UTF-8 or an escape is broken.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            port: 4000,
            is_loopback: true,
            token: "secret".to_owned(),
        }
    }

    fn get<'r>(target: &'r str, host: Option<&'r str>, origin: Option<&'r str>) -> Request<'r> {
        Request {
            method: "GET",
            target,
            host,
            origin,
        }
    }

    #[test]
    fn only_requests_with_the_token_to_this_host_are_answered() {
        let here = Some("127.0.0.1:4000");
        assert_eq!(place().route(get("/secret/", here, None)), Ok(Route::Runs));
        for host in ["localhost:4000", "[::1]:4000"] {
            let origin = format!("http://{host}");
            assert_eq!(
                place().route(get("/secret/", Some(host), Some(&origin))),
                Ok(Route::Runs)
            );
        }
        for (host, origin) in [
            (None, None),
            (Some("evil.example:4000"), None),
            (Some("127.0.0.1"), None),
            (Some("127.0.0.1:4001"), None),
            (Some("10.0.0.1:4000"), None),
            (here, Some("http://evil.example")),
            (here, Some("null")),
            (here, Some("https://127.0.0.1:4000")),
        ] {
            assert_eq!(
                place().route(get("/secret/", host, origin)),
                Err(Refusal::Forbidden),
                "{host:?} {origin:?}"
            );
        }
        for target in [
            "/",
            "/secret",
            "/secre/",
            "/secret/../x",
            "/secret2/",
            "/secret/run/R",
            "/secret/run/R/x",
        ] {
            assert_eq!(
                place().route(get(target, here, None)),
                Err(Refusal::NotFound),
                "{target}"
            );
        }
        let post = Request {
            method: "POST",
            ..get("/secret/", here, None)
        };
        assert_eq!(place().route(post), Err(Refusal::MethodNotAllowed));
    }

    #[test]
    fn rows_and_tasks_are_named_in_the_query() {
        let route = |target| place().route(get(target, Some("localhost:4000"), None));
        assert_eq!(
            route("/secret/run/R-2/row?wave=3&id=st-001.vote%C3%A9+%26.1"),
            Ok(Route::Row(
                "R-2".to_owned(),
                3,
                "st-001.voteé &.1".to_owned()
            ))
        );
        assert_eq!(
            route("/secret/run/R/task?id=a"),
            Ok(Route::Task("R".to_owned(), "a".to_owned()))
        );
        for broken in [
            "row?id=%zz",
            "row?id=%4",
            "row?wave=x&id=a",
            "task",
            "row?id=%ff",
        ] {
            let target = format!("/secret/run/R/{broken}");
            let request = get(&target, Some("localhost:4000"), None);
            assert_eq!(place().route(request), Err(Refusal::NotFound), "{broken}");
        }
    }
}
