//! Who changes the plan: the name and session that every rewrite is signed with.

use std::env;

/// The author of a mutation, as the `mutation` field of a record carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Who: `ST_ACTOR`, else the comment author.
    pub name: String,
    /// The session it happened in: `ST_SESSION_ID`, else `CODEX_THREAD_ID`, else none.
    pub session: Option<String>,
}

impl Actor {
    /// The actor that this process's environment names.
    pub fn from_env() -> Actor {
        Actor {
            name: first_of(&["ST_ACTOR"]).unwrap_or_else(comment_author),
            session: first_of(&["ST_SESSION_ID", "CODEX_THREAD_ID"]),
        }
    }
}

impl Default for Actor {
    fn default() -> Actor {
        Actor::from_env()
    }
}

/// Who signs a comment: `ST_COMMENT_AUTHOR`, `USER`, `LOGNAME`, else `unknown`.
pub fn comment_author() -> String {
    first_of(&["ST_COMMENT_AUTHOR", "USER", "LOGNAME"]).unwrap_or_else(|| "unknown".to_owned())
}

fn first_of(names: &[&str]) -> Option<String> {
    names
        .iter()
        .filter_map(|name| env::var(name).ok())
        .map(|value| value.trim().to_owned())
        .find(|value| !value.is_empty())
}
