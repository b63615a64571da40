//! The integration crate: everything through the real binary, each test in a world of its own.

mod agents;
mod answers;
mod architecture;
mod dags;
mod demo;
mod dispatch;
mod doctor;
mod env;
mod examples;
mod guardrails;
mod integrate;
mod integrator;
mod invoke;
mod learnings;
mod patches;
mod plan_fixture;
mod privacy;
mod resume;
mod run;
mod run_bad_input;
mod spawn;
mod spawn_bad_input;
mod st;
mod steps;
mod wave_lint;
mod wave_simulate;
