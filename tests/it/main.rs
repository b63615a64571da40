//! The integration crate: everything through the real binary, each test in a world of its own.

#![expect(
    clippy::disallowed_methods,
    reason = "in a test, what can't be looked at fails it"
)]

mod agents;
mod answers;
mod architecture;
mod archive;
mod audit;
mod bundles;
mod collect_killed;
mod dags;
mod demo;
mod dispatch;
mod doctor;
mod eval;
mod examples;
mod fixture;
mod follow;
mod guardrails;
mod holds;
mod hostile;
mod imports;
mod inspect;
mod inspect_pictures;
mod inspect_trace;
mod inspect_workbook;
mod integrate;
mod integrator;
mod invoke;
mod join;
mod learnings;
mod live_page;
mod manual;
mod mcp;
mod notify;
mod patches;
mod plan_merge;
mod privacy;
mod protocol_model;
mod resume;
mod run;
mod run_bad_input;
mod runs;
mod sandbox;
mod security_page;
mod skill;
mod slices;
mod slurm_executor;
mod spawn;
mod spawn_bad_input;
mod st;
mod st_model;
mod stats;
mod steps;
mod unattended;
mod undo;
mod watch_beside;
mod wave_lint;
mod wave_simulate;
