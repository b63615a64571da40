//! Access to the machine: clock, durable files, git, processes. Independent of its users.

pub mod clock;
pub mod digest;
pub mod durable;
pub mod fault;
mod file_clock;
pub mod file_lock;
pub mod git;
mod interrupted;
pub mod look;
pub mod machine_fault;
mod output_claim;
pub mod pace;
pub mod private;
pub mod process;
pub mod program;
pub mod root_dir;
pub mod sandbox;
mod temporary;
pub mod threads;
pub mod unix_socket;

pub use digest::{Hashed, hex, sha256_of_bytes, sha256_of_file, sha256_of_reader};
pub use durable::{Readers, is_temporary_name, parent, stage, sync_folder, write, write_private};
pub use fault::{compile_point, integrator_point, ledger_point};
pub use file_clock::FileClock;
pub use file_lock::LockKind;
pub use git::{
    Change, CommitOrder, Conversion, FileMark, GitError, IndexListing, KnownChanges, PastEntry,
    PatchReport, Repo, SettingsMark, Tracked, file_mark,
};
pub use interrupted::retry_interrupted;
pub use output_claim::{Claim, ClaimError};
pub use private::{FOLDER_MODE, close, create, make_folders, options};
pub use process::{Group, Input, Process, Writers, lock_holder, number};
pub use root_dir::RootDir;
pub use sandbox::{Confinement, Mechanism, Sandbox, SandboxError};
pub use temporary::{TemporaryFolder, file_in as temporary_file_in};
