//! Runs a command that the kernel keeps from writing certain folders, whatever it does.
//!
//! ```text
//! Sandbox::command ──▶ mesh __sandbox … -- PROGRAM    a process of its own, so that the caller may have threads
//!                        helper: reads the `order`, enters `namespace` or `landlock`, then becomes PROGRAM
//! probe            ──▶ the same, but tries to write instead of starting a program
//! ```
//!
//! A namespace denies the protected folders and leaves everything else as it is. Landlock knows no denial, so there
//! everything is denied but a list of folders. Neither keeps a command from reading, from the network, or from asking
//! another process of the same user to write for it.

mod confinement;
mod helper;
#[cfg(target_os = "linux")]
mod landlock;
mod mechanism;
#[cfg(target_os = "linux")]
mod mounts;
#[cfg(target_os = "linux")]
mod namespace;
mod order;
#[cfg(target_os = "linux")]
mod privileges;
mod seatbelt;
mod spawn;

pub use confinement::{Choice, Confinement, SandboxError};
pub use helper::main;
pub use mechanism::Mechanism;
pub use order::COMMAND;
pub use spawn::Sandbox;
