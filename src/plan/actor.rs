//! The actor who changes the plan: the name and session in the signature of every rewrite.

use std::env;

/// The author of a mutation, as the `mutation` field of a record carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The name: `ST_ACTOR`, otherwise the comment author.
    pub name: String,
    /// The session: `ST_SESSION_ID`, otherwise `CODEX_THREAD_ID`, if set.
    pub session: Option<String>,
}

impl Actor {
    /// The actor named by the environment.
    pub fn from_env() -> Actor {
        Actor {
            name: first_set(&["ST_ACTOR"]).unwrap_or_else(comment_author),
            session: first_set(&["ST_SESSION_ID", "CODEX_THREAD_ID"]),
        }
    }
}

impl Default for Actor {
    fn default() -> Actor {
        Actor::from_env()
    }
}

/// The author of comments: `ST_COMMENT_AUTHOR`, `USER`, `LOGNAME`, or `unknown`.
pub fn comment_author() -> String {
    first_set(&["ST_COMMENT_AUTHOR", "USER", "LOGNAME"]).unwrap_or_else(|| "unknown".to_owned())
}

fn first_set(names: &[&str]) -> Option<String> {
    names
        .iter()
        .filter_map(|name| env::var(name).ok())
        .map(|value| value.trim().to_owned())
        .find(|value| !value.is_empty())
}
