//! The skill for agents: `SKILL.md` in the form of <https://agentskills.io>, and the policy with the guardrails beside it.
//!
//! Both are templates, filled with the vocabulary of the program: the keys of an invocation, the roles and rounds of the protocol, the
//! block reasons, and the rules of the audit. The last line of a file is the hash of the rest, so that a copy that somebody edited is told
//! from one that an older `mesh` wrote.
//!
//! ```text
//! templates/skill ─► text ─► copies (compare) ─► install, check
//! ```

mod copies;
mod text;

pub use copies::{Agent, Copy, Level, State, copies, write};
pub use text::{FILES, text};
