//! `mesh runs export`, and archives of runs where a run can be named.

use super::args::ExportRunArgs;
use super::context::Context;
use super::error::CliError;
use super::files_in_use::{in_use_by_all, refuse_existing};
use crate::archive::{Limits, Manifest, Unpacked, export, is_archive, unpack};
use crate::audit::Origin;
use crate::model::counted;
use crate::platform::{Readers, durable};
use crate::redact::Redactor;
use crate::report::run_summary::size;
use serde_json::json;
use std::io;
use std::path::PathBuf;

/// Writes a run as one file and prints its path.
pub fn execute(args: &ExportRunArgs, context: &Context) -> Result<u8, CliError> {
    let folder = args.run.find(context)?;
    let path = context.folder.join(&args.file);
    refuse_existing(&path, args.force)?;
    in_use_by_all(context).check_in_folder(&path, "FILE")?;
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let redactor = Redactor::new(variables);
    let mut exported: Option<Manifest> = None;
    let mut failed = None;
    // An archive has everything that workers said: it is for its owner until they hand it on.
    let written = durable::replace(&path, Readers::Owner, |out| {
        match export(folder.path(), folder.id().as_str(), &redactor, out) {
            Ok(manifest) => exported = Some(manifest),
            Err(error) => {
                failed = Some(error);
                return Err(io::ErrorKind::Other.into());
            }
        }
        Ok(())
    });
    if let Some(error) = failed {
        return Err(error.into());
    }
    written.map_err(|source| CliError::Write {
        path: path.clone(),
        source,
    })?;
    if let Some(manifest) = exported {
        report(&manifest, path, context)?;
    }
    Ok(0)
}

fn report(manifest: &Manifest, path: PathBuf, context: &Context) -> Result<(), CliError> {
    let terminal = &context.terminal;
    let (members, redacted) = (manifest.members.len() as u64, manifest.redacted());
    let bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
    if terminal.json {
        let object = json!({
            "path": path.to_string_lossy(), "mesh_run_id": manifest.run_id, "members": members, "content_bytes": manifest.bytes(),
            "bytes": bytes, "redacted": redacted,
        });
        terminal.data(&object.to_string())?;
        return Ok(());
    }
    terminal.data(&path.display().to_string())?;
    terminal.talk(&format!(
        "{}, {} in {}",
        counted(members, "file"),
        size(manifest.bytes()),
        size(bytes)
    ));
    if let Some(first) = redacted.first() {
        let count = counted(redacted.len() as u64, "file");
        terminal.talk(&format!(
            "secrets were removed from {count}, first from {first}"
        ));
    }
    Ok(())
}

/// What was named by a command line; an archive is unpacked for as long as this lives.
pub struct Opened(Option<Unpacked>);

impl Opened {
    /// Unpacks the file that `given` names, if it is an archive.
    pub fn by(given: &str, context: &Context) -> Result<Self, CliError> {
        let path = context.folder.join(given);
        let unpacked = match is_archive(&path).map_err(CliError::unreadable(&path))? {
            true => Some(unpack(&path, Limits::default())?),
            false => None,
        };
        Ok(Self(unpacked))
    }

    /// The folder of the run, if it was an archive.
    pub fn folder(&self) -> Option<PathBuf> {
        self.0.as_ref().map(Unpacked::path)
    }

    /// Where the files are from.
    pub fn origin(&self) -> Origin {
        self.0
            .as_ref()
            .map_or(Origin::Folder, |unpacked| Origin::Archive {
                redacted: unpacked.manifest.redacted(),
            })
    }
}
