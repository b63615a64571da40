//! A repository with a plan of small tasks and recorded answers for all of their rounds, so that a test of a run is
//! five lines. Task `a` turns `a.txt` from `old` to `new` and everybody agrees, unless the test says otherwise.

use crate::env::{Said, Sandbox, fake_agent, said, without_learning_times};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};

pub const PLAN: &str = ".step/st-plan.jsonl";
const VOTERS: [&str; 5] = ["proposer", "skeptic", "synthesizer", "critic_a", "critic_b"];

/// A task of the plan, with what its workers will answer.
#[derive(Clone)]
pub struct Task {
    id: String,
    status: String,
    deps: Vec<String>,
    scope: Vec<String>,
    validation: Option<Vec<String>>,
    more: String,
    notes: Option<String>,
    patches: Vec<String>,
    agree: Vec<usize>,
}

impl Task {
    pub fn new(id: &str) -> Self {
        let file = format!("{id}.txt");
        Self {
            id: id.to_owned(),
            status: "pending".to_owned(),
            deps: Vec::new(),
            scope: vec![file.clone()],
            validation: Some(vec![format!("grep -q new {file}")]),
            more: String::new(),
            notes: None,
            patches: vec![edit(&file, "old", "new")],
            agree: vec![5],
        }
    }

    pub fn status(mut self, status: &str) -> Self {
        self.status = status.to_owned();
        self
    }

    pub fn after(mut self, ids: &[&str]) -> Self {
        self.deps = ids.iter().map(|id| (*id).to_owned()).collect();
        self
    }

    pub fn scope(mut self, globs: &[&str]) -> Self {
        self.scope = globs.iter().map(|glob| (*glob).to_owned()).collect();
        self
    }

    pub fn validation(mut self, commands: &[&str]) -> Self {
        self.validation = Some(commands.iter().map(|text| (*text).to_owned()).collect());
        self
    }

    /// The `mesh` block has no key `validation`.
    pub fn without_validation(mut self) -> Self {
        self.validation = None;
        self
    }

    /// Further lines of the `mesh` block.
    pub fn more(mut self, yaml: &str) -> Self {
        self.more = yaml.to_owned();
        self
    }

    /// Notes instead of the generated ones.
    pub fn notes(mut self, notes: &str) -> Self {
        self.notes = Some(notes.to_owned());
        self
    }

    /// The patches of the first, second, … synthesis; the last one is repeated.
    pub fn patches(mut self, patches: &[&str]) -> Self {
        self.patches = patches.iter().map(|text| (*text).to_owned()).collect();
        self
    }

    /// How many agree in the first, second, … vote. Proposer, skeptic, synthesizer, critic_a, critic_b agree in this order.
    pub fn agree(mut self, votes: &[usize]) -> Self {
        self.agree = votes.to_vec();
        self
    }

    fn item(&self) -> Value {
        let block = || {
            let mut yaml = format!("scope: {}\nacceptance: [it is new]\n", json!(self.scope));
            if let Some(commands) = &self.validation {
                yaml.push_str(&format!("validation: {}\n", json!(commands)));
            }
            format!("Words.\n\n```mesh\n{yaml}{}\n```\n", self.more)
        };
        let deps: Vec<Value> = self
            .deps
            .iter()
            .map(|id| json!({"id": id, "type": "blocks"}))
            .collect();
        json!({
            "id": self.id, "step": format!("Do {}", self.id), "status": self.status, "deps": deps,
            "notes": self.notes.clone().unwrap_or_else(block), "comments": [],
        })
    }

    fn answers(&self) -> Vec<(String, Value)> {
        let mut answers = vec![(
            "proposal.proposer.1".to_owned(),
            json!({"plan": ["edit"], "assumptions": [], "risk": "low", "risks": []}),
        )];
        // One more than there are votes: a refused synthesis is asked for again.
        for cycle in 1..=self.agree.len().max(self.patches.len()) {
            let patch = self.patches.get(cycle - 1).or(self.patches.last());
            for role in ["critic_a", "critic_b", "skeptic"] {
                answers.push((
                    format!("critique.{role}.{cycle}"),
                    json!({"findings": [format!("finding of {role}")], "must_fix": [], "flip_conditions": [], "risk": "low"}),
                ));
            }
            answers.push((
                format!("synthesis.synthesizer.{cycle}"),
                json!({"decision_log": [], "patch": patch, "validation": [], "residual_risk": "low"}),
            ));
            let agree = self.agree.get(cycle - 1).or(self.agree.last());
            for (index, role) in VOTERS.iter().enumerate() {
                let vote = if index < *agree.unwrap_or(&5) {
                    "agree"
                } else {
                    "disagree"
                };
                answers.push((
                    format!("vote.{role}.{cycle}"),
                    json!({"vote": vote, "reason": format!("{role} in cycle {cycle}")}),
                ));
            }
        }
        answers
    }
}

/// A diff that replaces the one line of a file.
pub fn edit(path: &str, from: &str, to: &str) -> String {
    format!(
        "diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-{from}\n+{to}\n"
    )
}

/// A diff that makes a file of one line.
pub fn create(path: &str, line: &str) -> String {
    format!(
        "diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+{line}\n"
    )
}

/// The text of a plan file with `items`.
pub fn plan_text(items: &[Value]) -> String {
    let ts = "2026-02-13T01:50:00Z";
    let mutation = json!({"allow_multiple_in_progress": false, "actor": "test", "pid": 1});
    let event = json!({"v": 3, "ts": ts, "lane": "event", "seq": 2, "op": "replace", "items": items, "mutation": mutation});
    let checkpoint = json!({"v": 3, "ts": ts, "lane": "checkpoint", "seq": 2, "items": items});
    format!("{event}\n{checkpoint}\n")
}

/// One wave CSV.
pub struct WaveFile {
    pub name: String,
    pub header: Vec<String>,
    pub rows: Vec<BTreeMap<String, String>>,
}

impl WaveFile {
    pub fn read(path: &Path) -> Self {
        let mut reader = csv::Reader::from_path(path).expect("a wave CSV");
        let header: Vec<String> = reader
            .headers()
            .expect("a header")
            .iter()
            .map(str::to_owned)
            .collect();
        let rows = reader.records().map(|record| {
            let record = record.expect("a record");
            let cells = record.iter().map(str::to_owned);
            header.iter().cloned().zip(cells).collect()
        });
        Self {
            name: path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned(),
            rows: rows.collect(),
            header,
        }
    }

    pub fn column(&self, name: &str) -> Vec<&str> {
        self.rows.iter().map(|row| row[name].as_str()).collect()
    }
}

/// A sandbox with a plan and recorded answers.
pub struct Bench {
    sandbox: Sandbox,
}

impl Deref for Bench {
    type Target = Sandbox;
    fn deref(&self) -> &Sandbox {
        &self.sandbox
    }
}

impl Bench {
    pub fn new(tasks: &[Task]) -> Self {
        Self::with_files(tasks, &[])
    }

    /// The same with further files in the first commit.
    pub fn with_files(tasks: &[Task], more: &[(&str, &str)]) -> Self {
        let names: Vec<String> = tasks
            .iter()
            .map(|task| format!("{}.txt", task.id))
            .collect();
        let mut files: Vec<(&str, &str)> =
            names.iter().map(|name| (name.as_str(), "old\n")).collect();
        files.push(("kept.txt", "kept\n"));
        files.extend(more);
        let sandbox = Sandbox::with_repo(&files);
        let items: Vec<Value> = tasks.iter().map(Task::item).collect();
        sandbox.write(PLAN, &plan_text(&items));
        let bench = Self { sandbox };
        for task in tasks {
            for (name, answer) in task.answers() {
                bench.answer(&task.id, &name, &answer.to_string());
            }
        }
        bench
    }

    /// A place beside the work folder: not in the repository, gone with the sandbox.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.work().parent().expect("a root").join(name)
    }

    /// Records an answer, as the file has it.
    pub fn answer(&self, unit: &str, name: &str, text: &str) {
        let path = self
            .beside("answers")
            .join(unit)
            .join(format!("{name}.json"));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        std::fs::write(path, text).expect("written");
    }

    /// `mesh run` as run `R` with the recorded answers.
    pub fn run(&self, args: &[&str]) -> Said {
        let answers = self.beside("answers").display().to_string();
        let head: &[&str] = &["run", "--run-id", "R", "--adapter", "replay"];
        self.mesh(&[head, &["--answers", &answers], args].concat())
    }

    /// Runs as run `R` and is killed right before the first `event` gets into the ledger.
    pub fn run_killed_before(&self, event: &str) {
        let probe = Bench::new(&[Task::new("a")]);
        probe.run(&[]);
        let before = probe.events().iter().position(|(name, _)| name == event);
        let seq = before.expect("such an event") + 1;
        let answers = self.beside("answers").display().to_string();
        let head: &[&str] = &["run", "--run-id", "R", "--adapter", "replay"];
        let mut mesh = self.command(&[head, &["--answers", &answers]].concat());
        mesh.env("MESH_FAULT_KILL", format!("before:{seq}"));
        let killed = mesh.output().map(said).expect("mesh starts");
        assert_eq!(killed.code, 128 + 9, "{}", killed.err);
    }

    /// `mesh run` as run `R` with the fake agent, which gives the recorded answers after doing what `behaviour` says.
    pub fn agent_args(&self, args: &[&str], behaviour: &[&str]) -> Vec<String> {
        let answers = self.beside("answers").display().to_string();
        let agent = fake_agent();
        let head: &[&str] = &["run", "--run-id", "R"];
        let tail: &[&str] = &["--answers", &answers];
        let all = [head, args, &["--", &agent], behaviour, tail].concat();
        all.iter().map(|arg| (*arg).to_owned()).collect()
    }

    /// Runs [`Bench::agent_args`] to its end.
    pub fn run_agent(&self, args: &[&str], behaviour: &[&str]) -> Said {
        let args = self.agent_args(args, behaviour);
        self.mesh(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The folder of run `R`.
    pub fn run_folder(&self) -> PathBuf {
        self.mesh_home().join("runs/R")
    }

    /// The wave CSVs of run `R`, in order.
    pub fn waves(&self) -> Vec<WaveFile> {
        let folder = self.run_folder().join("waves");
        let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
            .expect("waves")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| {
                let name = path.to_string_lossy();
                name.ends_with(".csv") && !name.ends_with(".out.csv")
            })
            .collect();
        paths.sort();
        paths.iter().map(|path| WaveFile::read(path)).collect()
    }

    /// Row ids, wave by wave.
    pub fn rows(&self) -> Vec<String> {
        let waves = self.waves();
        let ids = waves
            .iter()
            .flat_map(|wave| wave.column("id").into_iter().map(str::to_owned));
        ids.collect()
    }

    /// The prompt of a row of run `R`.
    pub fn prompt(&self, id: &str) -> String {
        let waves = self.waves();
        let mut rows = waves.iter().flat_map(|wave| &wave.rows);
        let row = rows.find(|row| row["id"] == id);
        row.unwrap_or_else(|| panic!("no row {id}"))["prompt"].clone()
    }

    /// An item of the plan.
    pub fn item(&self, id: &str) -> Value {
        let text = self.read(PLAN);
        let last = text.lines().last().expect("a line");
        let record: Value = serde_json::from_str(last).expect("JSON");
        let items = record["items"].as_array().expect("items");
        let item = items.iter().find(|item| item["id"] == id);
        item.unwrap_or_else(|| panic!("no item {id}")).clone()
    }

    pub fn status_of(&self, id: &str) -> String {
        self.item(id)["status"].as_str().expect("text").to_owned()
    }

    /// The comments of an item, as texts, without times.
    pub fn comments(&self, id: &str) -> Vec<String> {
        let item = self.item(id);
        let comments = item["comments"].as_array().expect("comments");
        let text =
            |comment: &Value| without_learning_times(comment["text"].as_str().expect("text"));
        comments.iter().map(text).collect()
    }

    /// Names of the ledger's events that `wanted` lets through, with the unit or row that they are about.
    pub fn trace(&self, wanted: &[&str]) -> Vec<String> {
        let about = |record: &Value| {
            ["unit", "item_id", "round"]
                .iter()
                .find_map(|key| record[*key].as_str())
                .map_or(String::new(), |text| format!(" {text}"))
        };
        self.events()
            .iter()
            .filter(|(name, _)| wanted.contains(&name.as_str()))
            .map(|(name, record)| match record["status"].as_str() {
                Some(status) => format!("{name}{} {status}", about(record)),
                None => format!("{name}{}", about(record)),
            })
            .collect()
    }

    /// What git has beside the work tree: commit, index, branches, stash.
    pub fn git_state(&self) -> Vec<String> {
        [
            &["rev-parse", "HEAD"] as &[&str],
            &["ls-files", "--stage"],
            &["for-each-ref"],
            &["symbolic-ref", "HEAD"],
        ]
        .iter()
        .map(|args| self.git(args))
        .collect()
    }
}

/// The report of a run that was asked for with `--json`.
pub fn report(said: &Said) -> Value {
    let last = said.out.lines().last().unwrap_or_default();
    serde_json::from_str(last)
        .unwrap_or_else(|error| panic!("{error}: {:?} {:?}", said.out, said.err))
}

/// The `ids=` of the preflight line.
pub fn selected(said: &Said) -> String {
    let line = said.err.lines().next().unwrap_or_default();
    assert!(line.starts_with("mesh_preflight "), "{}", said.err);
    let ids = line.split(' ').find_map(|word| word.strip_prefix("ids="));
    ids.expect("ids").to_owned()
}
