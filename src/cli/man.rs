//! `mesh man`: manual pages.

use super::args::{Cli, ManArgs};
use super::command_line::help_of;
use super::context::Context;
use super::error::CliError;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use roff::{Roff, roman};
use std::io;
use std::io::Write;
use std::path::Path;

/// Prints the page of a command, or writes all pages into a folder.
pub fn execute(args: &ManArgs, context: &Context) -> Result<u8, CliError> {
    // All options are described, also those that the short help leaves out.
    let mut root = Cli::command();
    root.build();
    if let Some(folder) = &args.dir {
        write_all(&root, "", &context.folder.join(folder))?;
        return Ok(0);
    }
    let mut found = &root;
    for word in &args.command {
        let below = found.find_subcommand(word);
        found = below.ok_or_else(|| CliError::NoCommand(args.command.join(" ")))?;
    }
    let page = page(found, &args.command.join(" "))?;
    io::stdout().lock().write_all(&page)?;
    Ok(0)
}

/// Writes the page of `command`, called `name`, and those of the commands below it.
fn write_all(command: &Command, name: &str, folder: &Path) -> Result<(), CliError> {
    let path = folder.join(format!("{}.1", page_name(name)));
    crate::platform::write(&path, &page(command, name)?)
        .map_err(|source| CliError::Write { path, source })?;
    let below = command.get_subcommands();
    for below in below.filter(|below| !below.is_hide_set() && below.get_name() != "help") {
        let name = format!("{name} {}", below.get_name());
        write_all(below, name.trim_start(), folder)?;
    }
    Ok(())
}

/// `mesh-wave-next`, for the command `wave next`.
fn page_name(name: &str) -> String {
    format!("mesh {name}").trim_end().replace(' ', "-")
}

fn page(command: &Command, name: &str) -> io::Result<Vec<u8>> {
    // Manual pages are named `mesh-wave-next`, and their synopsis is `mesh wave next`.
    let command = command
        .clone()
        .name(page_name(name))
        .bin_name(format!("mesh {name}").trim_end().to_owned());
    let has_commands = command.get_subcommands().next().is_some();
    let man = Man::new(command)
        .date("")
        .source(concat!("mesh ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if has_commands {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(help) = help_of(name) {
        section(&mut page, "EXAMPLES", &help.examples.join("\n\n"))?;
        if !help.notes.is_empty() {
            section(&mut page, "NOTES", help.notes)?;
        }
        section(&mut page, "EXIT STATUS", help.exit_codes)?;
    }
    Ok(page)
}

/// A section whose lines stay as they are.
fn section(page: &mut Vec<u8>, title: &str, text: &str) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", [title]).control("nf", []);
    for line in text.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    page.write_all(roff.to_roff().as_bytes())
}
