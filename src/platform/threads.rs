//! The only code that starts threads: where the machine has no room for one, that is an error like any other. A machine that has no memory
//! for the stack that a thread handles its overflow on ends the process all the same, from within the standard library.

use super::machine_fault::at;
use std::io;
use std::thread::{Builder, JoinHandle, Scope, ScopedJoinHandle};

/// Starts a thread.
pub fn start<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let builder = Builder::new().name(name.to_owned());
    builder.spawn(work).map_err(at(not_started(name)))
}

/// Starts a thread that ends before `scope` does.
pub fn start_in<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    let builder = Builder::new().name(name.to_owned());
    let started = builder.spawn_scoped(scope, work);
    started.map_err(at(not_started(name)))
}

/// Starts the threads of `rayon`, which would panic where one can't be started. What computes in parallel is called after this.
pub fn start_pool() -> io::Result<()> {
    let started = rayon::ThreadPoolBuilder::new().build_global();
    match started.map_err(io::Error::other) {
        // It has been started before.
        Err(error) if !super::machine_fault::is_fault(&error) => Ok(()),
        started => started.map_err(at(not_started("pool"))),
    }
}

fn not_started(name: &str) -> String {
    format!("the thread `{name}` can't be started")
}
