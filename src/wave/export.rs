//! Exports a wave as a folder for another runner: a prompt for each row, a script that runs one row, and a job file.
//!
//! ```text
//! DIR/rows/00001/  prompt.txt, row.json, id
//! DIR/schema.json  the schema of an answer
//! DIR/run-row      runs row N: COMMAND with the prompt on standard input
//! DIR/run          or job.sbatch, or job.yaml: runs all rows
//! DIR/results/     <row id>.json or <row id>.error for `mesh collect`, and the label of the wave
//! ```
//!
//! The scripts need a POSIX shell, not `mesh`. They read cells from files, so no cell becomes shell text.

use super::call::Call;
use super::label::Label;
use crate::model::{RowId, shell_word};
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::str::FromStr;

/// The runner of an exported wave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// GNU parallel.
    Parallel,
    /// `xargs -P`.
    Xargs,
    /// A Slurm job array.
    Slurm,
    /// An indexed Kubernetes job.
    Kubernetes,
}

impl FromStr for Runner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "parallel" => Ok(Runner::Parallel),
            "xargs" => Ok(Runner::Xargs),
            "slurm" => Ok(Runner::Slurm),
            "kubernetes" => Ok(Runner::Kubernetes),
            _ => Err("must be parallel, xargs, slurm or kubernetes".to_owned()),
        }
    }
}

/// A file of the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The path, relative to the folder.
    pub path: PathBuf,
    /// The content.
    pub text: String,
    /// Whether it is executable.
    pub is_program: bool,
}

/// The files of a wave. `header` has the columns `prompt` and `id`.
pub fn export(
    runner: Runner,
    header: &[String],
    rows: &[Vec<String>],
    label: Option<&Label>,
    call: &Call,
    command: &[String],
) -> Vec<Exported> {
    let schema = call.output_schema.clone().unwrap_or_default();
    let mut files = vec![
        program("run-row", run_row(call, command)),
        data("schema.json", format!("{schema:#}\n")),
        match label {
            Some(label) => data(&format!("results/{}", Label::FILE_NAME), label.text()),
            None => data("results/.keep", String::new()),
        },
        job_file(runner, rows.len(), call),
    ];
    for (index, row) in rows.iter().enumerate() {
        let cell = |name: &str| {
            let at = header.iter().position(|column| column == name);
            at.and_then(|at| row.get(at)).map_or("", String::as_str)
        };
        let folder = format!("rows/{:05}", index + 1);
        let object: Map<String, Value> = header
            .iter()
            .cloned()
            .zip(row.iter().map(|cell| Value::String(cell.clone())))
            .collect();
        let id = RowId::new(cell("id"));
        files.extend([
            data(&format!("{folder}/id"), format!("{id}\n")),
            data(&format!("{folder}/name"), format!("{}\n", id.file_name())),
            data(
                &format!("{folder}/row.json"),
                format!("{:#}\n", Value::Object(object)),
            ),
            data(
                &format!("{folder}/prompt.txt"),
                format!(
                    "{}\n\nAnswer with one JSON object that fits this schema, and nothing else:\n\n```json\n{schema:#}\n```\n",
                    cell("prompt").trim_end()
                ),
            ),
        ]);
    }
    files
}

fn data(path: &str, text: String) -> Exported {
    Exported {
        path: path.into(),
        text,
        is_program: false,
    }
}

fn program(path: &str, text: String) -> Exported {
    Exported {
        is_program: true,
        ..data(path, text)
    }
}

fn run_row(call: &Call, command: &[String]) -> String {
    let words: Vec<String> = command.iter().map(|word| shell_word(word)).collect();
    let limit = match call.max_runtime_seconds {
        Some(seconds) => {
            format!("command -v timeout >/dev/null && limit='timeout -k 5 {seconds}'\n")
        }
        None => String::new(),
    };
    format!(
        r#"#!/bin/sh
# Runs one row of the wave. Usage: run-row N, from 1. A row with a result is skipped.
set -u
here=$(cd "$(dirname "$0")" && pwd)
row=$here/rows/$(printf '%05d' "$1")
out=$here/results/$(cat "$row/name")
[ -e "$out.json" ] && exit 0
rm -f "$out.error"
MESH_ITEM_ID=$(cat "$row/id")
MESH_ROW_FILE=$row/row.json
MESH_SCHEMA_FILE=$here/schema.json
MESH_RESULT_FILE=$out.result
export MESH_ITEM_ID MESH_ROW_FILE MESH_SCHEMA_FILE MESH_RESULT_FILE
limit=
{limit}$limit {command} <"$row/prompt.txt" >"$out.printed" 2>"$out.log"
code=$?
if [ "$code" = 0 ]; then
    [ -s "$out.result" ] || mv "$out.printed" "$out.result"
    # The last step, so that a result is complete or does not exist.
    mv "$out.result" "$out.json"
elif [ "$code" = 124 ] && [ -n "$limit" ]; then
    echo "timeout: worker exceeded its time limit" >"$out.error"
else
    echo "worker_exit: exit code $code" >"$out.error"
fi
rm -f "$out.printed" "$out.result"
[ -e "$out.json" ]
"#,
        command = words.join(" ")
    )
}

fn job_file(runner: Runner, rows: usize, call: &Call) -> Exported {
    let at_once = call.max_concurrency.unwrap_or(16);
    let script = |tool: &str| {
        let text = format!(
            "#!/bin/sh\n# Runs all rows, {at_once} at a time.\ncd \"$(dirname \"$0\")\" && seq 1 {rows} | {tool}\n"
        );
        program("run", text)
    };
    match runner {
        Runner::Parallel => script(&format!("parallel -j {at_once} ./run-row {{}}")),
        Runner::Xargs => script(&format!("xargs -P {at_once} -n 1 ./run-row")),
        Runner::Slurm => data(
            "job.sbatch",
            format!(
                "#!/bin/sh\n# Submit it in this folder: sbatch job.sbatch\n#SBATCH --job-name=mesh-wave\n#SBATCH --array=1-{rows}%{at_once}\n#SBATCH --time={}\n#SBATCH --output=results/slurm-%a.log\ncd \"$SLURM_SUBMIT_DIR\" && exec ./run-row \"$SLURM_ARRAY_TASK_ID\"\n",
                call.max_runtime_seconds.unwrap_or(1800) / 60 + 2
            ),
        ),
        Runner::Kubernetes => data("job.yaml", kubernetes(rows, at_once, call)),
    }
}

fn kubernetes(rows: usize, at_once: usize, call: &Call) -> String {
    let deadline = call.max_runtime_seconds.unwrap_or(1800) + 60;
    format!(
        "\
# Put this folder on a volume, name its claim and an image that has the agent and a shell, then: kubectl apply -f job.yaml
apiVersion: batch/v1
kind: Job
metadata:
  generateName: mesh-wave-
spec:
  completionMode: Indexed
  completions: {rows}
  parallelism: {at_once}
  backoffLimitPerIndex: 0
  template:
    spec:
      restartPolicy: Never
      activeDeadlineSeconds: {deadline}
      containers:
        - name: row
          image: IMAGE
          command: [sh, -c, 'exec /wave/run-row $((JOB_COMPLETION_INDEX + 1))']
          volumeMounts:
            - {{name: wave, mountPath: /wave}}
      volumes:
        - name: wave
          persistentVolumeClaim: {{claimName: CLAIM}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_shell_text() {
        let header = ["id", "prompt"].map(str::to_owned);
        let evil = "a.b.c.1; rm -rf /\n$(touch x)";
        let rows = [vec![evil.to_owned(), "`touch y`".to_owned()]];
        let call =
            Call::parse(r#"{"csv_path":"w.csv","instruction":"{prompt}","max_concurrency":3}"#)
                .expect("a call");
        let command = ["my agent".to_owned(), "it's".to_owned()];
        for runner in ["parallel", "xargs", "slurm", "kubernetes"] {
            let runner = runner.parse().expect("a runner");
            let files = export(runner, &header, &rows, None, &call, &command);
            for file in files.iter().filter(|file| !file.path.starts_with("rows")) {
                assert!(!file.text.contains("touch"), "{file:?}");
                assert!(!file.text.contains("rm -rf /"), "{file:?}");
            }
            let run_row = &files[0].text;
            assert!(run_row.contains(r"'my agent' 'it'\''s' <"), "{run_row}");
        }
    }
}
