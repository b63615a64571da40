//! The waves, outputs and reports of the runs in the root, as resources.

use super::fit::fit_text;
use super::job_state;
use super::runs;
use super::settings::Settings;
use crate::mcp::toolbox::{ResourceEntry, Resources, ToolError};
use crate::platform::look;
use crate::run::RunFolder;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most runs that a list shows.
const RUNS_MAX: usize = 20;
/// The most waves of a run that a list shows.
const WAVES_MAX: usize = 20;

const SCHEME: &str = "mesh://runs/";
const CSV: &str = "text/csv";
const JSON: &str = "application/json";

/// The resources of a server.
pub struct RunResources {
    /// Its configuration.
    pub settings: Arc<Settings>,
}

impl Resources for RunResources {
    fn list(&self) -> Vec<ResourceEntry> {
        let runs = runs::list(&self.settings);
        let entries = runs.iter().take(RUNS_MAX).flat_map(of_run);
        entries.collect()
    }

    fn templates(&self) -> Vec<ResourceEntry> {
        let entry = |path: &str, name: &str, description: &str, mime_type| ResourceEntry {
            uri: format!("{SCHEME}{path}"),
            name: name.to_owned(),
            description: description.to_owned(),
            mime_type,
        };
        vec![
            entry(
                "{mesh_run_id}/report",
                "report",
                "The report of a run",
                JSON,
            ),
            entry("{mesh_run_id}/output", "output", "The output of a job", CSV),
            entry(
                "{mesh_run_id}/waves/{file}",
                "wave",
                "A file of a wave",
                CSV,
            ),
        ]
    }

    fn read(&self, uri: &str) -> Result<(&'static str, String), ToolError> {
        let unknown = || {
            ToolError::new(
                format!("there is no resource `{uri}`"),
                format!(
                    "addresses are {SCHEME}RUN/report, {SCHEME}RUN/output and {SCHEME}RUN/waves/FILE"
                ),
            )
        };
        let (id, name) = uri
            .strip_prefix(SCHEME)
            .and_then(|rest| rest.split_once('/'))
            .ok_or_else(unknown)?;
        let folder = runs::find(&self.settings, id)?;
        if name == "report" {
            let report = job_state::describe(&self.settings, &folder)?;
            let rest = format!("the run is in `{}`", folder.path().display());
            let text = format!("{report:#}");
            return Ok((JSON, fit_text(&text, self.settings.result_chars, &rest)));
        }
        let path = match name.strip_prefix("waves/") {
            Some(file) => wave_file(&folder, file),
            None => (name == "output")
                .then(|| output(&folder))
                .flatten()
                .filter(|path| self.settings.root.includes(path).unwrap_or(false)),
        };
        let path = path.ok_or_else(unknown)?;
        let mime_type = match path.extension().is_some_and(|it| it == "json") {
            true => JSON,
            false => CSV,
        };
        Ok((mime_type, self.text_of(&path)?))
    }
}

impl RunResources {
    /// The beginning of a file.
    fn text_of(&self, path: &Path) -> Result<String, ToolError> {
        let chars_max = self.settings.result_chars;
        let read = || {
            let mut bytes = Vec::new();
            // A character has at most four bytes; one more shows that the file goes on.
            let bytes_max = (chars_max as u64 + 1) * 4;
            std::fs::File::open(path)?
                .take(bytes_max)
                .read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let text = read().map_err(|error: std::io::Error| {
            ToolError::new(
                format!("`{}`: {error}", path.display()),
                "call get_agent_job to see the state of the job",
            )
        })?;
        let rest = format!("the whole file is `{}`", path.display());
        Ok(fit_text(&text, chars_max, &rest))
    }
}

fn of_run(folder: &RunFolder) -> Vec<ResourceEntry> {
    let id = folder.id();
    let entry = |path: String, description: &str, mime_type| ResourceEntry {
        name: format!("{id} {path}"),
        uri: format!("{SCHEME}{id}/{path}"),
        description: format!("{description} {id}"),
        mime_type,
    };
    let mut entries = vec![entry("report".to_owned(), "The report of run", JSON)];
    if output(folder).is_some_and(|path| look::is_file(&path).unwrap_or(false)) {
        entries.push(entry("output".to_owned(), "The output of run", CSV));
    }
    let waves = wave_names(folder).into_iter().rev().take(WAVES_MAX);
    entries.extend(waves.map(|name| entry(format!("waves/{name}"), "A wave of run", CSV)));
    entries
}

/// The names of the waves' CSVs with rows and answers, in order.
fn wave_names(folder: &RunFolder) -> Vec<String> {
    let entries = std::fs::read_dir(folder.waves()).into_iter().flatten();
    let names = entries
        .flatten()
        .filter_map(|it| it.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".csv")).collect();
    names.sort();
    names
}

/// A file in the run's folder of waves.
fn wave_file(folder: &RunFolder, name: &str) -> Option<PathBuf> {
    let is_name = !name.is_empty() && !name.contains(['/', '\0']) && !name.starts_with('.');
    let path = folder.waves().join(name);
    let is_file = || std::fs::symlink_metadata(&path).is_ok_and(|it| it.is_file());
    (is_name && is_file()).then_some(path)
}

/// The output of a spawned CSV.
fn output(folder: &RunFolder) -> Option<PathBuf> {
    let started = runs::started(folder).ok()??;
    let job = crate::run::SpawnRun::recorded_job(folder, &started).ok()?;
    Some(job.output_csv_path)
}
