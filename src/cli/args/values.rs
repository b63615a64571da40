//! Values of options that need a look of their own.

use crate::cli::context::Context;
use crate::model::RunId;
use crate::table;
use crate::table::delimiter;
use clap::Args;
use std::path::PathBuf;

pub fn at_least_one(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("must be a whole number".to_owned()),
    }
}

pub fn dollars(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(dollars) if dollars.is_finite() && dollars > 0.0 => Ok(dollars),
        _ => Err("must be a number of dollars above 0".to_owned()),
    }
}

pub fn separator(text: &str) -> Result<char, String> {
    let wanted = "must be one ASCII character, or tab, comma, semicolon, pipe or space";
    delimiter::named(text).ok_or_else(|| wanted.to_owned())
}

pub fn encoding(text: &str) -> Result<String, String> {
    let found = table::encoding_named(text.trim());
    found.map(|encoding| encoding.name().to_ascii_lowercase()).ok_or_else(|| {
        "is no encoding that is known here; for example: windows-1252, iso-8859-15, utf-16le, shift_jis, macintosh"
            .to_owned()
    })
}

pub fn variable(text: &str) -> Result<String, String> {
    match text {
        "" => Err("must be the name of a variable".to_owned()),
        text if text.contains('=') => {
            Err("must be a name alone; the value comes from the environment".to_owned())
        }
        text => Ok(text.to_owned()),
    }
}

pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((old, new)) if !new.is_empty() => Ok((old.to_owned(), new.to_owned())),
        _ => Err("must be OLD=NEW".to_owned()),
    }
}

/// Where runs live.
#[derive(Clone, Debug, Default, Args)]
pub struct PlaceArgs {
    /// The folder that holds runs [default: $MESH_HOME, else the state folder of the user]
    #[arg(long, value_name = "DIR")]
    pub artifacts: Option<PathBuf>,
    /// The id of the new run [default: the time, as 20260213T015500Z]
    #[arg(long, value_name = "ID", hide = true)]
    pub run_id: Option<String>,
}

/// One run that is there.
#[derive(Clone, Debug, Args)]
pub struct OneRun {
    /// The run, as `mesh runs list` names it
    #[arg(value_name = "RUN")]
    pub run: String,
    #[command(flatten)]
    pub place: PlaceArgs,
}

impl PlaceArgs {
    /// The folder that holds runs.
    pub fn home(&self, context: &Context) -> Result<PathBuf, crate::run::RunError> {
        match &self.artifacts {
            Some(folder) => Ok(context.folder.join(folder)),
            None => crate::run::home(),
        }
    }

    /// The id that a new run is to have.
    pub fn wanted(&self) -> Option<RunId> {
        self.run_id.clone().map(RunId::new)
    }
}
