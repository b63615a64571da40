//! The commands of Slurm: submit an array, list its tasks, cancel them.

use super::error::SlurmError;
use super::slice_queue;
use super::tasks::Tasks;
use crate::job::{JobError, SlurmOptions};
use crate::model::{one_line, shell_word};
use crate::platform::program;
use std::path::{Path, PathBuf};

/// The programs that are needed.
const PROGRAMS: [&str; 4] = ["sbatch", "squeue", "scancel", "scontrol"];

/// Checks that the programs of Slurm are there.
///
/// # Errors
/// [`SlurmError::NoProgram`], or a fault of the machine.
pub fn find() -> Result<(), JobError> {
    for name in PROGRAMS {
        let found = program::find(name, Path::new("."));
        let failed = |source| JobError::ProgramUnknown {
            name: name.into(),
            source,
        };
        if found.map_err(failed)?.is_none() {
            return Err(SlurmError::NoProgram(name).into());
        }
    }
    Ok(())
}

/// How many tasks an array may have, by the option and the controller.
pub(super) fn array_max(options: &SlurmOptions) -> Result<u64, SlurmError> {
    let config = output("scontrol", &["show", "config"])?;
    let size = config.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == "MaxArraySize").then(|| value.trim().parse::<u64>().ok())?
    });
    Ok(slice_queue::array_max(options.array_max, size))
}

/// An array to submit.
pub(super) struct Submission<'s> {
    /// The name, by which it is found again.
    pub name: &'s str,
    /// What a person sees in `squeue`.
    pub comment: String,
    /// The folder of the job.
    pub folder: &'s Path,
    /// This program.
    pub mesh: PathBuf,
    /// The slices.
    pub slices: &'s [u64],
    /// How many of its tasks run at once.
    pub tasks_at_once: usize,
    /// Rows at once in a task.
    pub rows_at_once: usize,
    /// The variables that a task inherits.
    pub variables: Vec<String>,
    /// The job that must succeed first.
    pub after: Option<u64>,
}

impl Submission<'_> {
    /// Submits it, and returns the id of the array.
    pub fn submit(&self, options: &SlurmOptions) -> Result<u64, SlurmError> {
        let script = format!(
            "#!/bin/sh\nexec {} wave exec {}\n",
            shell_word(&self.mesh.to_string_lossy()),
            shell_word(&self.folder.to_string_lossy())
        );
        let mut args = self.common(options);
        args.extend([
            format!("--array={}%{}", ranges(self.slices), self.tasks_at_once),
            format!(
                "--cpus-per-task={}",
                options.cpus.unwrap_or(self.rows_at_once as u64)
            ),
            "--requeue".to_owned(),
            "--open-mode=append".to_owned(),
            format!("--output={}/logs/slurm-%a.log", log_folder(self.folder)),
            format!("--export={}", self.variables.join(",")),
        ]);
        args.extend(self.after.map(|id| format!("--dependency=afterok:{id}")));
        args.extend(self.after.map(|_| "--kill-on-invalid-dep=yes".to_owned()));
        args.extend(options.args.iter().cloned());
        submit(&args, &script)
    }

    /// Submits a job that fails where the folder or this program is not there, else creates the file `seen`.
    pub fn submit_probe(&self, options: &SlurmOptions, seen: &Path) -> Result<u64, SlurmError> {
        let script = format!(
            "#!/bin/sh\n[ -r {}/job.json ] && [ -x {} ] && : >{}\n",
            shell_word(&self.folder.to_string_lossy()),
            shell_word(&self.mesh.to_string_lossy()),
            shell_word(&seen.to_string_lossy())
        );
        let mut args = self.common(options);
        args.extend(["--output=/dev/null".to_owned(), "--export=NIL".to_owned()]);
        args.extend(options.args.iter().cloned());
        submit(&args, &script)
    }

    fn common(&self, options: &SlurmOptions) -> Vec<String> {
        let mut args = vec![
            "--parsable".to_owned(),
            format!("--job-name={}", self.name),
            format!("--comment={}", self.comment),
        ];
        let named = [
            ("--partition", &options.partition),
            ("--time", &options.time),
            ("--mem", &options.memory),
        ];
        let given = named.iter().filter_map(|(name, value)| {
            let value = value.as_ref()?;
            Some(format!("{name}={value}"))
        });
        args.extend(given);
        args
    }
}

/// sbatch replaces `%` and its letter.
fn log_folder(folder: &Path) -> String {
    folder.to_string_lossy().replace('%', "%%")
}

fn submit(args: &[String], script: &str) -> Result<u64, SlurmError> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let text = output_of("sbatch", &args, script)?;
    // `ID` or `ID;CLUSTER`.
    let id = text.trim().split(';').next().unwrap_or_default();
    id.parse().map_err(|_| SlurmError::Failed {
        command: "sbatch",
        text: one_line(&text),
    })
}

/// The tasks with this job name, also those that ended within the controller's memory.
pub(super) fn tasks(name: &str) -> Result<Tasks, SlurmError> {
    let text = output(
        "squeue",
        &[
            "--noheader",
            "--array",
            "--me",
            "--states=all",
            "--name",
            name,
            "--format=%F|%K|%T|%r|%N",
        ],
    )?;
    Ok(Tasks::parse(&text))
}

/// Cancels the tasks of a name; `only_pending`: those that have not started.
pub(super) fn cancel(name: &str, only_pending: bool) -> Result<(), SlurmError> {
    let mut args = vec!["--me", "--name", name];
    if only_pending {
        args.push("--state=PENDING");
    }
    output("scancel", &args).map(drop)
}

/// `1-3,7`.
fn ranges(slices: &[u64]) -> String {
    crate::job::Rows::of_numbers(slices.iter().copied()).to_string()
}

fn output(command: &'static str, args: &[&str]) -> Result<String, SlurmError> {
    output_of(command, args, "")
}

fn output_of(command: &'static str, args: &[&str], input: &str) -> Result<String, SlurmError> {
    let failed = |text: &str| {
        let prefixes = [command, ": error: "].concat();
        let lines = text
            .lines()
            .map(|line| line.trim().trim_start_matches(&prefixes));
        let lines: Vec<String> = lines
            .filter(|line| !line.is_empty())
            .map(one_line)
            .collect();
        SlurmError::Failed {
            command,
            text: lines.join("; "),
        }
    };
    let run = duct::cmd(command, args)
        .stdin_bytes(input)
        .stdout_capture()
        .stderr_capture()
        .unchecked()
        .run();
    let run = run.map_err(|error| failed(&error.to_string()))?;
    match run.status.success() {
        true => Ok(String::from_utf8_lossy(&run.stdout).into_owned()),
        false => Err(failed(&String::from_utf8_lossy(&run.stderr))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_written_as_ranges() {
        assert_eq!(ranges(&[1, 2, 3, 7, 9, 10]), "1-3,7,9-10");
    }
}
