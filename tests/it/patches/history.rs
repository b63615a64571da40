//! Histories to make patches from: one that is made up, the same one every time, and this project's own.

use crate::fixture::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A commit: what it changes and the tree that it leads to.
pub struct Commit {
    pub tree: String,
    /// As git writes it, with renames and copies.
    pub patch: String,
    /// Whether it is UTF-8, as every answer is.
    pub is_text: bool,
    /// The same without `a/` and `b/`.
    pub bare: String,
    /// Paths written and removed.
    pub paths: Vec<String>,
}

/// The newest commits of the first-parent history of `HEAD`, oldest first.
pub fn commits(repo: &Path, count: usize) -> Vec<Commit> {
    let count = count.to_string();
    let texts = |args: &[&str]| -> Vec<String> {
        let head = [
            "log",
            "--reverse",
            "--first-parent",
            "--diff-merges=first-parent",
        ];
        let head = [&head[..], &["--format=%x01commit%x01%T", "-n", &count]].concat();
        let log = git(repo, Args::from(&head[..]).and(args));
        let commits = log.split("\u{1}commit\u{1}").skip(1);
        commits.map(str::to_owned).collect()
    };
    let diff = [
        "-p",
        "--binary",
        "--full-index",
        "--find-renames",
        "--find-copies-harder",
    ];
    let diffs = texts(&diff);
    let bare = texts(&[&diff[..], &["--no-prefix"]].concat());
    let paths = texts(&["--name-only", "--no-renames", "-z"]);
    let commits = diffs.iter().zip(&bare).zip(&paths);
    let commits = commits.map(|((diff, bare), paths)| {
        let body = |text: &str| {
            text.split_once('\n')
                .unwrap_or((text, ""))
                .1
                .trim_start_matches('\n')
                .to_owned()
        };
        let mut records = paths
            .split(['\0', '\n'])
            .filter(|record| !record.is_empty());
        Commit {
            tree: records.next().expect("a tree").to_owned(),
            // What was no UTF-8 has become this sign.
            is_text: !diff.contains('\u{fffd}'),
            patch: body(diff),
            bare: body(bare),
            paths: records.map(str::to_owned).collect(),
        }
    });
    commits.collect()
}

/// This project's repository, when the tests run in one.
pub fn own() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("git")
        .args(["rev-parse", "--show-toplevel"])
        .current_dir(&root)
        .output()
        .ok()?;
    let top = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim_end());
    (output.status.success() && top.canonicalize().ok()? == root.canonicalize().ok()?)
        .then_some(root)
}

/// Lets `sandbox` have the objects of `repo`, and gives it the tree that the first of the newest `count` commits goes out from.
pub fn check_out_start(sandbox: &Sandbox, repo: &Path, count: usize) {
    let objects = git(repo, "rev-parse --path-format=absolute --git-path objects");
    sandbox.write(".git/objects/info/alternates", &objects);
    let parents = git(
        repo,
        &[
            "log",
            "--first-parent",
            "-n",
            &count.to_string(),
            "--format=%P",
        ],
    );
    let oldest = parents.lines().last().unwrap_or_default();
    // Nothing goes before the first commit, or the first one that a shallow clone has.
    if let Some(parent) = oldest.split(' ').find(|parent| !parent.is_empty()) {
        check_out(sandbox, parent);
    }
}

/// Gives the work tree and the index of `sandbox` another tree.
pub fn check_out(sandbox: &Sandbox, tree: &str) {
    sandbox.git(&["read-tree", "-u", "--reset", tree]);
}

fn git(repo: &Path, args: impl Into<Args>) -> String {
    let mut git = Command::new("git");
    git.args(args.into().as_slice()).current_dir(repo);
    git.env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    git.run_to_end().exits(0).out
}

/// A made-up history in `sandbox`, as long as asked for.
pub fn make_up(sandbox: &Sandbox, commits: usize) {
    let mut author = Author {
        random: Random(0x9e37_79b9_7f4a_7c15),
        files: BTreeMap::new(),
        stream: Vec::new(),
    };
    author.put("made-up", "100644", b"by the tests\n".to_vec());
    for number in 0..commits {
        author.commit(number);
    }
    sandbox.write("../stream", "");
    std::fs::write(sandbox.path("../stream"), &author.stream).expect("written");
    sandbox.git("init --quiet --initial-branch=main");
    let stream = std::fs::File::open(sandbox.path("../stream")).expect("the stream");
    let status = Command::new("git")
        .args(["fast-import", "--quiet"])
        .current_dir(sandbox.work())
        .stdin(stream)
        .status();
    assert!(status.expect("git starts").success());
    sandbox.git("reset --quiet --hard");
}

/// xorshift64*; enough to make the same history every time.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    pub fn of<'c, T: ?Sized>(&mut self, choices: &[&'c T]) -> &'c T {
        choices[self.below(choices.len())]
    }
}

/// Someone who changes files at random and commits it: a stream for `git fast-import`.
struct Author {
    random: Random,
    /// Mode and content, by path.
    files: BTreeMap<String, (&'static str, Vec<u8>)>,
    stream: Vec<u8>,
}

impl Author {
    fn commit(&mut self, number: usize) {
        let message = format!("commit {number}");
        let time = 1_700_000_000 + number;
        self.say(&format!(
            "commit refs/heads/main\ncommitter t <t@example.invalid> {time} +0000\n"
        ));
        self.say(&format!("data {}\n{message}\n", message.len()));
        if number == 0 {
            self.say("M 100644 inline made-up\ndata 13\nby the tests\n\n");
        }
        // A path is touched once in a commit: what comes of two steps is for git to name, not for us.
        let mut touched = Vec::new();
        for _ in 0..=self.random.below(4) {
            self.step(number, &mut touched);
        }
        self.say("\n");
    }

    fn step(&mut self, number: usize, touched: &mut Vec<String>) {
        let known: Vec<String> = self
            .files
            .keys()
            .filter(|path| *path != "made-up" && !touched.contains(path))
            .cloned()
            .collect();
        let kind = if known.len() < 8 {
            0
        } else {
            self.random.below(10)
        };
        let path = match kind {
            0 | 1 => self.new_path(number, touched.len()),
            _ => known[self.random.below(known.len())].clone(),
        };
        touched.push(path.clone());
        if kind < 2 {
            return self.add(&path);
        }
        let (mode, content) = self.files[&path].clone();
        match kind {
            2 => self.remove(&path),
            3 | 4 if mode != "120000" => {
                let to = self.new_path(number, touched.len());
                touched.push(to.clone());
                if kind == 3 {
                    self.remove(&path);
                }
                let content = if self.random.below(2) == 0 {
                    self.edited(&content)
                } else {
                    content
                };
                self.put(&to, mode, content);
            }
            5 if mode != "120000" => {
                let flipped = if mode == "100644" { "100755" } else { "100644" };
                let content = if self.random.below(2) == 0 {
                    self.edited(&content)
                } else {
                    content
                };
                self.put(&path, flipped, content);
            }
            _ if mode == "120000" => self.put(&path, mode, format!("made-up{number}").into_bytes()),
            _ => {
                let content = self.edited(&content);
                self.put(&path, mode, content);
            }
        }
    }

    fn new_path(&mut self, number: usize, step: usize) -> String {
        let folder = self.random.of(&[
            "",
            "src/",
            "src/deep/er/",
            "with space/",
            "größe/",
            "a/",
            "b/",
        ]);
        let name = self.random.of(&[
            "plain",
            "two words",
            "ümlaut",
            "quo\"te",
            "back\\slash",
            "[x]",
            "-dash",
            "tail ",
            "日本",
        ]);
        format!("{folder}{name}{number}.{step}")
    }

    fn add(&mut self, path: &str) {
        let mode = self
            .random
            .of(&["100644", "100644", "100644", "100755", "120000"]);
        if mode == "120000" {
            return self.put(path, mode, b"made-up".to_vec());
        }
        if self.random.below(12) == 0 {
            let bytes = (0..500).map(|_| self.random.below(256) as u8);
            let content = [b"\0", bytes.collect::<Vec<_>>().as_slice()].concat();
            return self.put(path, mode, content);
        }
        let end: &[u8] = self.random.of(&[b"\n", b"\n", b"\r\n" as &[u8]]);
        let mut content = Vec::new();
        for line in 0..self.random.below(40) {
            content.extend(self.line(line));
            // Some lines end differently, now and then.
            let is_odd = self.random.below(200) == 0;
            content.extend(if is_odd { b"\r\n" } else { end });
        }
        if self.random.below(5) == 0 {
            content.extend(b"no line end");
        }
        self.put(path, mode, content);
    }

    fn line(&mut self, number: usize) -> Vec<u8> {
        let text = self.random.of(&[
            "",
            " ",
            "\t",
            "-- b/x",
            "++ b/x",
            "@@ -1 +1 @@",
            "diff --git a/x b/x",
            "```",
            "\\ No",
            "wörd",
            "- item",
            "x",
        ]);
        match self.random.below(3) {
            0 => text.as_bytes().to_vec(),
            _ => format!("{text} {number} {}", self.random.below(1000)).into_bytes(),
        }
    }

    /// One to three lines added, removed or replaced, anywhere; now and then the last line end as well.
    fn edited(&mut self, content: &[u8]) -> Vec<u8> {
        if content.starts_with(b"\0") {
            return [content, &[self.random.below(256) as u8]].concat();
        }
        let mut lines: Vec<Vec<u8>> = content
            .split_inclusive(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        let end: &[u8] = if content.ends_with(b"\r\n") {
            b"\r\n"
        } else {
            b"\n"
        };
        for _ in 0..=self.random.below(3) {
            let at = self.random.below(lines.len() + 1);
            let line = [self.line(at), end.to_vec()].concat();
            match self.random.below(3) {
                0 if at < lines.len() => drop(lines.remove(at)),
                1 if at < lines.len() => lines[at] = line,
                // Behind a line without an end there is no place.
                _ => lines.insert(at.min(lines.len().saturating_sub(1)), line),
            }
        }
        let mut content = lines.concat();
        if self.random.below(6) == 0 {
            while content.last().is_some_and(|byte| b"\r\n".contains(byte)) {
                content.pop();
            }
        }
        content
    }

    fn put(&mut self, path: &str, mode: &'static str, content: Vec<u8>) {
        if !self.stream.is_empty() {
            self.say(&format!(
                "M {mode} inline {}\ndata {}\n",
                quoted(path),
                content.len()
            ));
            self.stream.extend(&content);
            self.say("\n");
        }
        self.files.insert(path.to_owned(), (mode, content));
    }

    fn remove(&mut self, path: &str) {
        self.say(&format!("D {}\n", quoted(path)));
        self.files.remove(path);
    }

    fn say(&mut self, text: &str) {
        self.stream.extend(text.as_bytes());
    }
}

fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\""))
}
