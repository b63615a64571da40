//! `mesh mcp`: the jobs, waves and runs of one folder as tools and resources.
//!
//! ```text
//! tools (what there is) -> service (one function a tool)
//!   -> spawn_call the arguments of a job, checked; root: paths of the caller, confined
//!   -> jobs      starts or finds the process of a job; records what was asked
//!   -> job_state what a job has done, and waiting for it
//!   -> steps     one step of a run, by this program
//!   -> fit       bounds an answer
//! resources      waves, outputs and reports
//! ```
//!
//! A job is a process of its own, so it outlives the server, whose calls only wait for it. Which agent works the rows is in the
//! [`Settings`], never in an argument. Texts of rows and answers are passed on as data.

mod fit;
mod job_state;
mod jobs;
mod resources;
mod root;
mod runs;
mod service;
mod settings;
mod spawn_call;
mod steps;
mod tools;

pub use jobs::DETACHED;
pub use root::Root;
pub use service::Server;
pub use settings::Settings;
