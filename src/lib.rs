//! `mesh`: a CSV-driven batch wave executor for coding agents.
//!
//! Plan -> Unit -> Wave -> Row -> Attempt -> Report -> Verdict -> Integration, with one ledger below
//! all of it. The modules stand in the order in which data meets them; `docs/ARCHITECTURE.md` has the picture
//! and what no module may do.

pub mod model;

pub mod config;
pub mod invoke;

pub mod plan;
pub mod protocol;
pub mod schedule;
pub mod scope;
pub mod simulate;
pub mod template;
pub mod wave;

pub mod table;

pub mod refusal;

pub mod adapter;
pub mod job;
pub mod snapshot;

pub mod collect;
pub mod integrate;
pub mod patch;

pub mod learnings;
pub mod ledger;
pub mod run;

pub mod inspect;
pub mod mcp;

pub mod claim;
pub mod clock;
pub mod digest;
pub mod durable;
pub mod fault;
pub mod git;
pub mod private;
pub mod process;
pub mod redact;

pub mod cli;
