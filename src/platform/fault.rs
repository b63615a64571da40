//! Points at which tests kill `mesh`, to test recovery. In release builds they do nothing.
//!
//! `MESH_FAULT_KILL` names the point: `before:17` or `after:17` for record 17 of a ledger, `write:3` for the third
//! step at which a whole file is written ([`durable`](super::durable)), `integrator:3` for the third step before or after a change by
//! the integrator, `workspace:3` for the third file of a workspace. `MESH_FAULT_TERM` asks it to stop instead: `compile:2` for the second block of rows that is compiled.

#[cfg(debug_assertions)]
pub use armed::{compile_point, integrator_point, ledger_point, workspace_point, write_point};
#[cfg(not(debug_assertions))]
pub use unarmed::{compile_point, integrator_point, ledger_point, workspace_point, write_point};

#[cfg(debug_assertions)]
mod armed {
    use rustix::process::{Signal, getpid, kill_process};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    static WRITE_STEPS: AtomicU64 = AtomicU64::new(0);
    static INTEGRATOR_STEPS: AtomicU64 = AtomicU64::new(0);
    static WORKSPACE_FILES: AtomicU64 = AtomicU64::new(0);
    static COMPILED_BLOCKS: AtomicU64 = AtomicU64::new(0);

    /// Before or after appending the records up to, and without, `next_seq`.
    pub fn ledger_point(next_seq: u64, side: &str) {
        if wish(side).is_some_and(|seq| next_seq > seq) {
            die();
        }
    }

    /// One step of writing a whole file, counted over the life of the process.
    pub fn write_point() {
        counted_point("write", &WRITE_STEPS);
    }

    /// One step of the integrator, counted over the life of the process.
    pub fn integrator_point() {
        counted_point("integrator", &INTEGRATOR_STEPS);
    }

    /// Before a file of a workspace is copied or linked, counted over the life of the process.
    pub fn workspace_point() {
        counted_point("workspace", &WORKSPACE_FILES);
    }

    /// Before a block of rows is compiled. A signal that is sent here has been received, as `is_received` says, when this returns.
    pub fn compile_point(is_received: impl Fn() -> bool) {
        const POLLS_MAX: usize = 1000;
        let Some(due) = wish_in("MESH_FAULT_TERM", "compile") else {
            return;
        };
        if COMPILED_BLOCKS.fetch_add(1, Ordering::Relaxed) + 1 != due {
            return;
        }
        let _ = kill_process(getpid(), Signal::TERM);
        for _ in (0..POLLS_MAX).take_while(|_| !is_received()) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn counted_point(kind: &str, steps: &AtomicU64) {
        let Some(due) = wish(kind) else { return };
        if steps.fetch_add(1, Ordering::Relaxed) + 1 == due {
            die();
        }
    }

    fn wish(kind: &str) -> Option<u64> {
        wish_in("MESH_FAULT_KILL", kind)
    }

    fn wish_in(variable: &str, kind: &str) -> Option<u64> {
        let wish = std::env::var(variable).ok()?;
        wish.strip_prefix(kind)?.strip_prefix(':')?.parse().ok()
    }

    fn die() {
        let _ = kill_process(getpid(), Signal::KILL);
    }
}

#[cfg(not(debug_assertions))]
mod unarmed {
    /// Nothing.
    pub fn ledger_point(_next_seq: u64, _side: &str) {}

    /// Nothing.
    pub fn write_point() {}

    /// Nothing.
    pub fn compile_point(_is_received: impl Fn() -> bool) {}

    /// Nothing.
    pub fn integrator_point() {}

    /// Nothing.
    pub fn workspace_point() {}
}
