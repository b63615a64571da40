//! `mesh man`: manual pages.

use super::args::{Cli, ManArgs};
use super::context::Context;
use super::error::CliError;
use clap::{Command, CommandFactory};
use std::io::Write;
use std::path::Path;

/// Prints the page of a command, or writes all pages into a folder.
pub fn execute(args: &ManArgs, context: &Context) -> Result<u8, CliError> {
    let mut command = Cli::command();
    command.build();
    if let Some(folder) = &args.dir {
        write_all(&command, "mesh", &context.folder.join(folder))?;
        return Ok(0);
    }
    let mut found = &command;
    let mut name = "mesh".to_owned();
    for word in &args.command {
        found = found
            .find_subcommand(word)
            .ok_or_else(|| CliError::NoCommand(args.command.join(" ")))?;
        name.push_str(&format!("-{}", found.get_name()));
    }
    std::io::stdout().lock().write_all(&page(found, &name)?)?;
    Ok(0)
}

fn write_all(command: &Command, name: &str, folder: &Path) -> Result<(), CliError> {
    let path = folder.join(format!("{name}.1"));
    crate::platform::write(&path, &page(command, name)?)
        .map_err(|source| CliError::Write { path, source })?;
    for below in command
        .get_subcommands()
        .filter(|below| !below.is_hide_set() && below.get_name() != "help")
    {
        write_all(below, &format!("{name}-{}", below.get_name()), folder)?;
    }
    Ok(())
}

fn page(command: &Command, name: &str) -> Result<Vec<u8>, CliError> {
    // Manual pages are named `mesh-wave-next`, and their synopsis `mesh wave next`.
    let command = command
        .clone()
        .name(name.to_owned())
        .bin_name(name.replace('-', " "));
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .date("")
        .source(concat!("mesh ", env!("CARGO_PKG_VERSION")))
        .render(&mut page)?;
    Ok(page)
}
