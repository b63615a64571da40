//! Exports: what starts the slices of a job on another engine. Every script calls `mesh wave exec`, which does the work.
//!
//! No cell of the wave and no word of the worker's command is in a script; both are read from the folder of the job.

use crate::model::shell_word;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The engine that starts the slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// A Slurm job array.
    Slurm,
    /// An indexed Kubernetes job.
    Kubernetes,
    /// GNU parallel.
    Parallel,
    /// `xargs -P`.
    Xargs,
    /// A HyperQueue task array.
    HyperQueue,
    /// A loop in a POSIX shell.
    Shell,
}

impl Runner {
    /// How many slices it takes: a Slurm controller has `MaxArraySize` 1001 unless it is configured, and every slice is a
    /// process and a file anywhere.
    pub const SLICES_MAX: u64 = 1000;
}

impl FromStr for Runner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "slurm" => Ok(Runner::Slurm),
            "kubernetes" => Ok(Runner::Kubernetes),
            "parallel" => Ok(Runner::Parallel),
            "xargs" => Ok(Runner::Xargs),
            "hyperqueue" => Ok(Runner::HyperQueue),
            "shell" => Ok(Runner::Shell),
            _ => Err("must be slurm, kubernetes, parallel, xargs, hyperqueue or shell".to_owned()),
        }
    }
}

/// What a script needs to know of a job.
#[derive(Clone, Debug)]
pub struct Export<'e> {
    /// The job.
    pub job_id: &'e str,
    /// The folder of the job, as it will be named; absolute.
    pub folder: &'e Path,
    /// This program, as it is called on hosts with the same file system.
    pub mesh: &'e Path,
    /// How many slices.
    pub slices: u64,
    /// How many slices at once, so that rows at once are within the concurrency number.
    pub slices_at_once: u64,
    /// How many rows of a slice at once.
    pub rows_at_once: u64,
    /// How long a slice takes if each of its rows takes all of its time, in seconds.
    pub slice_seconds: u64,
    /// How long a row may take to end after TERM, in seconds.
    pub grace_seconds: u64,
    /// The variables that workers inherit by name.
    pub env_names: &'e [String],
}

/// A file of the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The name.
    pub name: &'static str,
    /// The content.
    pub text: String,
    /// Whether it is executable.
    pub is_program: bool,
}

impl Export<'_> {
    /// The script or manifest for `runner`.
    pub fn script(&self, runner: Runner) -> Script {
        match runner {
            Runner::Slurm => data("job.sbatch", self.slurm()),
            Runner::Kubernetes => data("job.yaml", self.kubernetes()),
            Runner::Parallel => self.program(
                "Runs all slices with GNU parallel; options such as --sshlogin are passed on to it.",
                &format!(
                    "seq 1 {} | parallel -q -j {} \"$@\" \"$mesh\" wave exec \"$here\" --index {{}}",
                    self.slices, self.slices_at_once
                ),
            ),
            Runner::Xargs => self.program(
                "Runs all slices with xargs.",
                &format!(
                    "seq 1 {} | xargs -P {} -n 1 \"$mesh\" wave exec \"$here\" --index",
                    self.slices, self.slices_at_once
                ),
            ),
            Runner::HyperQueue => self.program(
                "Submits all slices to HyperQueue, which runs as many at once as its workers have processors for.",
                &format!(
                    "exec hq submit --name mesh-wave --array 1-{} --cpus {} --cwd \"$here\" --stdout none --stderr '%{{CWD}}/logs/hq-%{{TASK_ID}}.log' \"$@\" -- \"$mesh\" wave exec \"$here\"",
                    self.slices, self.rows_at_once
                ),
            ),
            Runner::Shell => self.program(
                "Runs all slices, one after the other.",
                &format!(
                    "code=0\nfor index in $(seq 1 {}); do\n    \"$mesh\" wave exec \"$here\" --index \"$index\" || code=$?\ndone\nexit \"$code\"",
                    self.slices
                ),
            ),
        }
    }

    /// A script that finds the folder beside itself, so that the folder may be moved.
    fn program(&self, what: &str, body: &str) -> Script {
        let mesh = shell_word(&self.mesh.to_string_lossy());
        Script {
            name: "run",
            text: format!(
                "#!/bin/sh\n# {what}\n# MESH names the program, if it is elsewhere.\nhere=$(cd \"$(dirname \"$0\")\" && pwd) || exit\nmesh=${{MESH:-}}\n[ -n \"$mesh\" ] || mesh={mesh}\n{body}\n"
            ),
            is_program: true,
        }
    }

    fn slurm(&self) -> String {
        let folder = self.folder.to_string_lossy();
        let plain = self.env_names.iter().filter(|name| !name.ends_with('*'));
        let names = ["PATH", "HOME", "USER", "LANG", "SHELL"].map(str::to_owned);
        let names: Vec<String> = names.into_iter().chain(plain.cloned()).collect();
        format!(
            "\
#!/bin/sh
# A job array, one task for each slice: sbatch {path}
# A task that is requeued continues its slice.
#SBATCH --job-name=mesh-wave
#SBATCH --array=1-{slices}%{at_once}
#SBATCH --cpus-per-task={cpus}
#SBATCH --time={minutes}
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=\"{log}/logs/slurm-%a.log\"
#SBATCH --export={names}
exec {mesh} wave exec {dir}
",
            path = shell_word(&self.folder.join("job.sbatch").to_string_lossy()),
            slices = self.slices,
            at_once = self.slices_at_once,
            cpus = self.rows_at_once,
            minutes = self.slice_seconds / 60 + 2,
            log = folder.replace('%', "%%"),
            names = names.join(","),
            mesh = shell_word(&self.mesh.to_string_lossy()),
            dir = shell_word(&folder),
        )
    }

    fn kubernetes(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "\
# Put this folder on a volume that several pods can write to, name its claim, and an image that has mesh and the agent.
# Then: kubectl apply -f job.yaml
# Exit codes of mesh: 1, a row failed for good; 2, the job is not usable; any other, the slice can be continued.
apiVersion: batch/v1
kind: Job
metadata:
  name: mesh-{id:.8}
spec:
  completionMode: Indexed
  completions: {slices}
  parallelism: {at_once}
  backoffLimitPerIndex: 3
  maxFailedIndexes: {slices}
  podFailurePolicy:
    rules:
      - action: Ignore
        onPodConditions:
          - {{type: DisruptionTarget, status: \"True\"}}
      - action: FailIndex
        onPodConditions: []
        onExitCodes:
          containerName: slice
          operator: In
          values: [1]
      - action: FailJob
        onPodConditions: []
        onExitCodes:
          containerName: slice
          operator: In
          values: [2]
  template:
    spec:
      restartPolicy: Never
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: {grace}
      containers:
        - name: slice
          image: IMAGE
          command: [mesh, wave, exec, /wave]
          resources:
            requests: {{cpu: \"{cpus}\", memory: 512Mi}}
            limits: {{memory: 2Gi}}
          volumeMounts:
            - {{name: wave, mountPath: /wave}}
      volumes:
        - name: wave
          persistentVolumeClaim: {{claimName: CLAIM}}
",
            id = self.job_id,
            slices = self.slices,
            at_once = self.slices_at_once,
            grace = self.grace_seconds + 30,
            cpus = self.rows_at_once,
        );
        text
    }
}

fn data(name: &'static str, text: String) -> Script {
    Script {
        name,
        text,
        is_program: false,
    }
}

/// The index of a slice that an engine gives its task, and whether it counts from 0 or from 1.
///
/// `variable` reads the environment. The first of these variables that is set counts: `SLURM_ARRAY_TASK_ID`,
/// `JOB_COMPLETION_INDEX` (Kubernetes, from 0), `AWS_BATCH_JOB_ARRAY_INDEX` (from 0), `HQ_TASK_ID`, `PARALLEL_SEQ`.
///
/// # Errors
/// The variable is no number.
pub fn index_of_task(
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<(u64, u64)>, String> {
    const VARIABLES: [(&str, u64); 5] = [
        ("SLURM_ARRAY_TASK_ID", 1),
        ("JOB_COMPLETION_INDEX", 0),
        ("AWS_BATCH_JOB_ARRAY_INDEX", 0),
        ("HQ_TASK_ID", 1),
        ("PARALLEL_SEQ", 1),
    ];
    let mut set = VARIABLES
        .iter()
        .filter_map(|(name, first)| Some((*name, variable(name)?, *first)));
    let Some((name, text, first)) = set.next() else {
        return Ok(None);
    };
    match text.trim().parse() {
        Ok(index) => Ok(Some((index, first))),
        Err(_) => Err(format!("{name} is `{text}`, which is no index")),
    }
}

/// The folder of the exported job of a wave CSV that was not exported: `001-proposal.exec` beside `001-proposal.csv`.
pub fn folder_of_wave(wave: &Path) -> PathBuf {
    wave.with_extension("exec")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export<'e>(folder: &'e Path, env_names: &'e [String]) -> Export<'e> {
        Export {
            job_id: "0123456789abcdef",
            folder,
            mesh: Path::new("/opt/my tools/mesh"),
            slices: 7,
            slices_at_once: 3,
            rows_at_once: 2,
            slice_seconds: 600,
            grace_seconds: 5,
            env_names,
        }
    }

    #[test]
    fn paths_are_words_of_the_shell() {
        let names = ["API_KEY".to_owned(), "AWS_*".to_owned()];
        let export = export(Path::new("/data/50% of $it/w"), &names);
        let slurm = export.script(Runner::Slurm).text;
        assert!(slurm.ends_with("exec '/opt/my tools/mesh' wave exec '/data/50% of $it/w'\n"));
        assert!(slurm.contains("#SBATCH --output=\"/data/50%% of $it/w/logs/slurm-%a.log\"\n"));
        assert!(slurm.contains("--array=1-7%3\n"));
        assert!(slurm.contains("--export=PATH,HOME,USER,LANG,SHELL,API_KEY\n"));
        for runner in [
            Runner::Parallel,
            Runner::Xargs,
            Runner::HyperQueue,
            Runner::Shell,
        ] {
            let script = export.script(runner);
            assert!(script.is_program);
            assert!(
                script.text.contains("mesh='/opt/my tools/mesh'\n"),
                "{script:?}"
            );
            assert!(!script.text.contains("/data"), "{script:?}");
        }
    }

    #[test]
    fn each_engine_counts_from_its_own_base() {
        let of = |name: &'static str, value: &'static str| {
            index_of_task(move |asked| (asked == name).then(|| value.to_owned()))
        };
        assert_eq!(of("SLURM_ARRAY_TASK_ID", "3"), Ok(Some((3, 1))));
        assert_eq!(of("JOB_COMPLETION_INDEX", "0"), Ok(Some((0, 0))));
        assert_eq!(of("AWS_BATCH_JOB_ARRAY_INDEX", "4"), Ok(Some((4, 0))));
        assert_eq!(of("HQ_TASK_ID", "5"), Ok(Some((5, 1))));
        assert_eq!(of("PARALLEL_SEQ", "6"), Ok(Some((6, 1))));
        assert_eq!(of("OTHER", "6"), Ok(None));
        assert!(of("HQ_TASK_ID", "x").is_err());
    }
}
