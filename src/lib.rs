//! `mesh`: a CSV-driven batch wave executor for coding agents.
//!
//! Plan -> Unit -> Wave -> Row -> Attempt -> Report -> Verdict -> Integration, with one ledger below
//! all of it. The modules stand in the order in which data meets them; `docs/ARCHITECTURE.md` has the picture
//! and what no module may do.

#![cfg_attr(
    test,
    expect(
        clippy::disallowed_methods,
        reason = "in a test, what can't be looked at fails it"
    )
)]

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
pub mod executor;
pub mod job;
pub mod workspace;

pub mod integrate;
pub mod patch;
pub mod verdict;

pub mod learnings;
pub mod ledger;
pub mod run;

pub mod archive;
pub mod audit;
pub mod eval;
pub mod mcp;
pub mod report;
pub mod skill;

pub mod platform;
pub mod redact;

pub mod cli;
