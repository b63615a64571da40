//! `mesh watch`: the page of a run, live.

use super::args::WatchArgs;
use super::context::Context;
use super::error::CliError;
use crate::model::RunId;
use crate::report::live::Server;
use crate::run::RunFolder;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Serves until the process is stopped.
pub fn execute(args: &WatchArgs, context: &Context) -> Result<u8, CliError> {
    let home = args.home.folder(context)?;
    let run = match &args.run {
        Some(run) => Some(RunFolder::find(&home, &RunId::new(run.clone()))?),
        None => None,
    };
    let address = args.listen.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let server = Server::listen(SocketAddr::new(address, args.port), &home)?;
    if !address.is_loopback() {
        context
            .terminal
            .warn("other machines can connect; whoever has the address can read all runs");
    }
    context
        .terminal
        .data(&server.url(run.as_ref().map(RunFolder::id)))?;
    context
        .terminal
        .talk("open this address in a browser; stop with Ctrl-C (the runs go on)");
    Err(CliError::Io(server.serve()))
}
