//! A test's own world: home, state folder, git identity and repository, apart from the machine's.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder with a home for the program, gone when the test ends.
pub struct Sandbox {
    root: tempfile::TempDir,
}

/// What a command said.
pub struct Said {
    /// Exit code; 128 + n for a signal.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Sandbox {
    pub fn new() -> Self {
        let root = tempfile::Builder::new()
            .prefix("mesh-test-")
            .tempdir()
            .expect("a temporary folder");
        std::fs::create_dir_all(root.path().join("home")).expect("a home");
        std::fs::create_dir_all(root.path().join("work")).expect("a work folder");
        Self { root }
    }

    /// A sandbox whose work folder is a git repository with one commit.
    pub fn with_repo(files: &[(&str, &str)]) -> Self {
        let sandbox = Self::new();
        for (path, content) in files {
            sandbox.write(path, content);
        }
        sandbox.write(".gitignore", "*.lock\n");
        sandbox.git(&["init", "--quiet", "--initial-branch=main"]);
        sandbox.git(&["add", "--all"]);
        sandbox.git(&["commit", "--quiet", "-m", "start"]);
        sandbox
    }

    /// The folder that commands run in.
    pub fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// `MESH_HOME`.
    pub fn mesh_home(&self) -> PathBuf {
        self.root.path().join("state")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.work().join(name)
    }

    pub fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(path, content).expect("written");
    }

    pub fn read(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The program with a clean environment, not started.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
        command
            .args(args)
            .current_dir(self.work())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root.path().join("home"))
            .env("MESH_HOME", self.mesh_home())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("MESH", env!("CARGO_BIN_EXE_mesh"))
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub fn mesh(&self, args: &[&str]) -> Said {
        said(self.command(args).output().expect("mesh starts"))
    }

    /// A PATH on which there are only these programs, so that none of the machine's agents is found.
    pub fn path_with(&self, programs: &[&str]) -> PathBuf {
        let folder = self.root.path().join("bin");
        std::fs::create_dir_all(&folder).expect("a folder");
        for program in programs {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let found = std::env::split_paths(&path)
                .map(|folder| folder.join(program))
                .find(|file| file.is_file())
                .unwrap_or_else(|| panic!("{program} is not installed"));
            std::os::unix::fs::symlink(found, folder.join(program)).expect("linked");
        }
        folder
    }

    /// Runs git; it has to succeed.
    pub fn git(&self, args: &[&str]) -> String {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.invalid"];
        let output = Command::new("git")
            .args(identity)
            .args(args)
            .current_dir(self.work())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .expect("git starts");
        let said = said(output);
        assert_eq!(said.code, 0, "git {args:?}: {}", said.err);
        said.out
    }

    /// Every file of the work tree but git's own, the plan's and the learnings, with its content and mode.
    pub fn tree(&self) -> Vec<(PathBuf, u32, Vec<u8>)> {
        let mut files = Vec::new();
        collect(&self.work(), &self.work(), &mut files);
        files.sort();
        files
    }

    /// The folder of the only run there is.
    pub fn only_run(&self) -> PathBuf {
        let runs: Vec<PathBuf> = std::fs::read_dir(self.mesh_home().join("runs"))
            .expect("runs")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs[0].clone()
    }

    /// The events of the only run there is, as (name, record).
    pub fn events(&self) -> Vec<(String, serde_json::Value)> {
        let ledger =
            std::fs::read_to_string(self.only_run().join("ledger.jsonl")).expect("a ledger");
        ledger
            .lines()
            .map(|line| {
                let record: serde_json::Value = serde_json::from_str(line).expect("JSON");
                (record["event"].as_str().expect("a name").to_owned(), record)
            })
            .collect()
    }
}

/// The fake agent under `tests/agents`: its path.
pub fn fake_agent() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/agents/fake-agent")
        .display()
        .to_string()
}

/// Waits until something holds, at most half a minute.
pub fn wait_for(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..3000 {
        if holds() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("not within half a minute: {what}");
}

/// `text` with every UUID as `JOB` and every time of an output CSV as `TIME`.
pub fn redacted(text: &str) -> String {
    const SHAPES: [(&str, &str); 2] = [
        ("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", "JOB"),
        ("xxxx-xx-xxTxx:xx:xx+00:00", "TIME"),
    ];
    let fits = |rest: &str, shape: &str| {
        rest.len() >= shape.len()
            && rest
                .bytes()
                .zip(shape.bytes())
                .all(|(byte, wanted)| match wanted {
                    b'x' => byte.is_ascii_hexdigit(),
                    exact => byte == exact,
                })
    };
    let mut redacted = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match SHAPES.iter().find(|(shape, _)| fits(rest, shape)) {
            Some((shape, name)) => {
                redacted.push_str(name);
                rest = &rest[shape.len()..];
            }
            None => {
                redacted.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    redacted
}

/// `text` with the time in every id of a learning as `TIME`: `lrn-TIME-1a2b3c4d`.
pub fn without_learning_times(text: &str) -> String {
    const TIME: usize = "20260213T015500Z".len();
    let mut parts = text.split("lrn-");
    let mut redacted = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.get(TIME..).filter(|rest| rest.starts_with('-'));
        redacted.push_str("lrn-");
        redacted.push_str(&rest.map_or(part.to_owned(), |rest| format!("TIME{rest}")));
    }
    redacted
}

/// The path of a program that makes a JSON string of its standard input.
pub fn json_string() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/agents/json-string")
        .display()
        .to_string()
}

/// An output as text.
pub fn said(output: Output) -> Said {
    use std::os::unix::process::ExitStatusExt;
    let signal = output.status.signal().map(|signal| 128 + signal);
    Said {
        code: output.status.code().or(signal).unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(PathBuf, u32, Vec<u8>)>) {
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.strip_prefix(root).expect("below").to_owned();
        if [".git", ".step", ".learnings.jsonl"]
            .iter()
            .any(|own| name == Path::new(own))
        {
            continue;
        }
        let metadata = std::fs::symlink_metadata(&path).expect("metadata");
        if metadata.is_symlink() {
            let target = std::fs::read_link(&path).expect("a target");
            let target = target.into_os_string().into_encoded_bytes();
            files.push((name, metadata.permissions().mode(), target));
        } else if metadata.is_dir() {
            files.push((name, metadata.permissions().mode(), Vec::new()));
            collect(root, &path, files);
        } else {
            let content = std::fs::read(&path).unwrap_or_default();
            files.push((name, metadata.permissions().mode(), content));
        }
    }
}
