//! Runs, and the folders with their files.
//!
//! ```text
//! preflight -> plan_run      the loop: compile waves, run them, judge, integrate
//!           -> single_steps  the same steps, one process each
//! csv_run                    a spawned CSV
//! slice_export -> slice_run  a wave as a folder of slices, and one slice of it
//!   -> slice_bundle -> slice_unpack  the same as one file, where no folder is shared
//! undo                       takes the patches of an ended run back
//! store                      run folder, state, task holds
//! ```
//!
//! `mesh run = loop { wave next ; spawn ; collect } then integrate`. The [`State`] of a run is a fold over its ledger, so a run
//! that is resumed after a kill takes the same path as one that was not interrupted. The rules are in [`crate::protocol`] and
//! [`crate::schedule`]; [`crate::executor`] runs rows and [`crate::integrate`] applies patches.

mod budget_overrides;
mod confinement;
mod csv_run;
mod error;
mod headless;
mod messages;
mod notice;
mod plan_run;
mod preflight;
mod refusal;
mod role_error;
mod settings;
mod single_steps;
mod slice_bundle;
mod slice_export;
mod slice_run;
mod slice_unpack;
mod store;
mod task_budget;
mod undo;
mod watcher;

pub use budget_overrides::BudgetOverrides;
pub use confinement::{SandboxRequest, protected_by_csv, renew};
pub use csv_run::{EarlierRun, InputChanged, InputFile, SpawnRequest, SpawnRun};
pub use error::{ErrorKind, RunError};
pub use headless::HeadlessStop;
pub use messages::{CLOSING_LINE, resume_command};
pub use notice::{Notice, Standing};
pub use plan_run::{Pick, PlanRun, Preview, RESULTS, Reload, TakenPatches, find_blocked_tasks};
pub use preflight::{
    Finding, InUse, Preflight, ProtocolSearchPath, Protocols, Request, RoleSources, examine,
    prepare,
};
pub use settings::PlanOptions;
pub use single_steps::{Collect, Collected, CollectedWave, IgnoredCopy, NextWaves, WaitingWave};
pub use slice_bundle::{BundleDraft, BundleRequest};
pub use slice_export::{ExportRequest, StagedJob};
pub use slice_run::{SliceRequest, SliceRun};
pub use slice_unpack::UnpackedJob;
pub use store::{
    ACCEPTED, CancelRequest, REJECTED, RunFolder, State, Unit, discard_unstarted, empty_trash,
    home, release_tasks,
};
pub use task_budget::TaskBudget;
pub use undo::{Undo, UndoConflict, UndoRun, UndoTask, Undone};
pub use watcher::Watcher;
