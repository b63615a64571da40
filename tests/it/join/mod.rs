//! Several runs on one plan (`mesh run --join`): processes that are killed and stopped at any time.

mod killed;

use crate::fixture::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The life of a lease in these tests.
const LIFE_MS: u64 = 1500;

impl Bench {
    fn quick(&self, mut command: Command) -> Command {
        command
            .env("MESH_POLL_MS", "50")
            .env("MESH_LEASE_MS", LIFE_MS.to_string());
        command
    }

    /// A joined run with the recorded answers, not started.
    fn joined(&self, run: &str, args: impl Into<Args>) -> Command {
        let head = format!(
            "run --join --run-id {run} --adapter replay --answers {}",
            self.answers()
        );
        self.quick(self.command(Args::from(&head).and(args)))
    }

    /// A run that has not joined.
    fn alone(&self, run: &str, args: &str) -> Said {
        let answers = self.answers();
        self.mesh(&format!(
            "run --run-id {run} --adapter replay --answers {answers} {args}"
        ))
    }

    fn resumed(&self, run: &str) -> Command {
        self.quick(self.command(&["resume", run]))
    }

    /// A joined run, until the proposer of `task` runs; it goes on when its gate is opened.
    fn held_run(&self, run: &str, task: &str, args: &str) -> Child {
        self.held(self.held_command(run, task, args), run)
    }

    /// The same, and no other run finds its leases expired.
    fn held_run_with_leases(&self, run: &str, task: &str, args: &str) -> Child {
        self.held(patient(self.held_command(run, task, args)), run)
    }

    fn held_command(&self, run: &str, task: &str, args: &str) -> Command {
        let gate = self.gate(run);
        let row = format!("{task}.proposal.proposer.1");
        let head = format!("run --join --run-id {run} {args}");
        let args = Args::from(&head).and(&["--", &fake_agent(), "--hold-at", &row, &gate]);
        let args = args.and(&["--answers", &self.answers()]);
        self.quick(self.command(args))
    }

    fn held(&self, command: Command, run: &str) -> Child {
        let child = spawn(command, &self.beside(&format!("{run}.err")));
        let held = format!("{}.held", self.gate(run));
        wait_for("the worker", || std::path::Path::new(&held).exists());
        child
    }

    fn gate(&self, run: &str) -> String {
        self.beside(&format!("gate-{run}")).display().to_string()
    }

    fn open_gate(&self, run: &str) {
        std::fs::write(self.gate(run), "").expect("opened");
    }

    /// Waits until no run has its turn: the name of its process is removed and the file is unlocked then.
    fn wait_for_the_end_of_the_turn(&self) {
        let file = std::fs::File::open(self.path(".git/mesh.lock")).expect("the lock");
        wait_for("the end of the turn", || {
            let is_free = file.try_lock_shared().is_ok();
            if is_free {
                file.unlock().expect("unlocked");
            }
            is_free && self.read(".git/mesh.lock").is_empty()
        });
    }

    /// The records of a run, with its id.
    fn records(&self, run: &str) -> Vec<Value> {
        let path = self.mesh_home().join("runs").join(run).join("ledger.jsonl");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // The last line may be torn.
        let records = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        records.collect()
    }

    fn named(&self, run: &str, event: &str) -> Vec<Value> {
        let mut records = self.records(run);
        records.retain(|record| record["event"] == event);
        records
    }
}

/// The usual life of a lease.
fn patient(mut command: Command) -> Command {
    command.env_remove("MESH_LEASE_MS");
    command
}

fn spawn(mut command: Command, stderr: &std::path::Path) -> Child {
    let mut options = std::fs::OpenOptions::new();
    let file = options.create(true).append(true).open(stderr);
    command
        .stdout(Stdio::null())
        .stderr(file.expect("a file"))
        .spawn()
        .expect("started")
}

fn code(mut child: Child) -> Option<i32> {
    child.wait().expect("ended").code()
}

#[test]
fn joined_runs_and_others_keep_one_another_out_by_name() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let first = bench.held_run("R", "a", "ids=a");
    let alone = bench.alone("S", "ids=b").exits(3);
    alone.err_has(&format!(
        "joined are at work in this repository: `R` (process {} on",
        first.id()
    ));
    alone.err_has("hint: work on the same plan beside them: mesh run --join");
    assert!(!bench.mesh_home().join("runs/S").exists(), "nothing began");
    let step = bench.mesh("wave next").exits(3);
    step.err_has("joined are at work in this repository");
    // Both begin, with disjoint scopes.
    bench.joined("T", "ids=b").run_to_end().exits(0);
    bench.open_gate("R");
    assert_eq!(code(first), Some(0));
    let done = ["a", "b"].map(|id| bench.status_of(id));
    assert_eq!(done, ["completed", "completed"]);

    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let gate = bench.gate("R");
    let args = bench.agent_args("ids=a", &["--hold-at", "a.proposal.proposer.1", &gate]);
    let alone = spawn(bench.command(&args), &bench.beside("R.err"));
    wait_for("the worker", || bench.beside("gate-R.held").exists());
    let joined = bench.joined("S", "ids=b").run_to_end().exits(3);
    joined.err_has(&format!(
        "another `mesh` is running in this repository: process {} on",
        alone.id()
    ));
    joined.err_has("(run `R`)");
    assert!(!bench.mesh_home().join("runs/S").exists(), "nothing began");
    bench.open_gate("R");
    assert_eq!(code(alone), Some(0));
    bench.joined("S", "ids=b").run_to_end().exits(0);
    // A joined run that has ended keeps nobody out.
    bench.alone("U", "").exits(0);
}

#[test]
fn what_joined_runs_cannot_do_is_refused_before_anything_begins() {
    let bench = Bench::new(&[Task::new("a")]);
    for (args, option) in [
        ("delivery=branch", "delivery=branch"),
        ("isolation=worktree", "isolation=worktree"),
        ("prevalidate=true", "prevalidate"),
        ("--follow", "follow"),
        ("integrate=false", "integrate=false"),
        ("--adapter external", "the adapter external"),
    ] {
        let said = bench.mesh(Args::from("run --join").and(args)).exits(2);
        said.err_has(&format!("--join does not go with {option}: "));
    }
    bench.write("mesh.yaml", "join: true\n");
    let said = bench.run("delivery=branch").exits(2);
    said.err_has("--join does not go with delivery=branch");
    bench.run("").exits(0);
    assert_eq!(bench.named("R", "run_started")[0]["settings"]["join"], true);
    assert_eq!(bench.named("R", "lease_acquired")[0]["epoch"], 1);
    bench
        .mesh("wave next --run R")
        .err_has("can't be driven step by step");
}

#[test]
fn a_run_that_was_stopped_past_its_lease_is_fenced() {
    let bench = Bench::new(&[Task::new("a")]);
    let first = bench.held_run("R", "a", "ids=a");
    bench.wait_for_the_end_of_the_turn();
    signal(first.id(), "-STOP");
    bench.joined("S", "").run_to_end().exits(0);
    assert_eq!(bench.status_of("a"), "completed");
    let plan = bench.read(PLAN);
    let taken = &bench.named("S", "lease_acquired")[0];
    assert_eq!((&taken["epoch"], &taken["from"]), (&2.into(), &"R".into()));
    signal(first.id(), "-CONT");
    bench.open_gate("R");
    assert_eq!(code(first), Some(1));
    let said = read_file(bench.beside("R.err"));
    assert_contains(
        &said,
        "a: run `S` has taken the task over, because the lease of this run had expired",
    );
    assert_eq!(bench.read(PLAN), plan, "not a byte");
    assert!(bench.named("R", "integration_started").is_empty());
    let refused = bench.named("R", "verdict");
    assert!(
        refused.iter().all(|one| one["code"] == "plan_conflict"),
        "{refused:?}"
    );
    assert_eq!(bench.named("R", "plan_conflict")[0]["taken_by"], "S");
}

#[test]
fn a_run_with_free_slots_takes_what_another_one_makes_ready() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b").after(&["c"]), Task::new("c")]);
    let other = bench.held_run_with_leases("S", "c", "ids=c");
    let first = bench.held_run_with_leases("R", "a", "ids=a,b max_tasks=2 parallel_tasks=2");
    bench.open_gate("S");
    assert_eq!(code(other), Some(0));
    // Its own row has not ended.
    wait_for("the task", || bench.status_of("b") == "completed");
    assert_eq!(bench.status_of("a"), "in_progress");
    bench.open_gate("R");
    assert_eq!(code(first), Some(0));
    // It waits for others also when it has nothing to do.
    let bench = Bench::new(&[Task::new("b").after(&["c"]), Task::new("c")]);
    let other = bench.held_run_with_leases("S", "c", "ids=c");
    let waiting = spawn(patient(bench.joined("R", "ids=b")), &bench.beside("R.err"));
    wait_for("the run", || !bench.records("R").is_empty());
    bench.open_gate("S");
    assert_eq!((code(other), code(waiting)), (Some(0), Some(0)));
    assert_eq!(bench.status_of("b"), "completed");
}

#[test]
fn a_change_of_another_run_is_no_violation_but_any_other_is() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let first = bench.held_run("R", "a", "ids=a");
    bench.joined("S", "ids=b").run_to_end().exits(0);
    bench.open_gate("R");
    assert_eq!(code(first), Some(0));
    assert!(bench.named("R", "violation").is_empty());

    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    bench.breaks(&["single_writer"]);
    let first = bench.held_run("R", "a", "ids=a");
    bench.joined("S", "ids=b").run_to_end().exits(0);
    bench.write("kept.txt", "changed\n");
    bench.open_gate("R");
    code(first);
    let violations = bench.named("R", "violation");
    let paths: Vec<&Value> = violations.iter().map(|one| &one["paths"]).collect();
    assert_eq!(paths, [&serde_json::json!(["kept.txt"])]);
}

#[test]
fn a_cancelled_run_leaves_its_tasks_to_others() {
    let bench = Bench::new(&[Task::new("a")]);
    let mut first = bench.joined("R", "");
    first.env("MESH_FAULT_KILL", "before:9");
    assert_eq!(code(spawn(first, &bench.beside("R.err"))), None);
    bench.mesh("cancel R").exits(0);
    bench.joined("S", "").run_to_end().exits(0);
    assert_eq!(bench.named("S", "lease_acquired")[0]["from"], Value::Null);
    bench.resumed("R").run_to_end().exits(1);
}

/// A number that follows from a seed (xorshift), so that a failure can be repeated as far as the machine allows.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Three runs on one plan.
struct Fleet<'b> {
    bench: &'b Bench,
    running: BTreeMap<String, Child>,
    seeded: Seeded,
    kills: usize,
    stops: usize,
}

impl Fleet<'_> {
    fn start(&mut self, run: &str) {
        let command = match self.bench.records(run).is_empty() {
            true => {
                // A kill may have come before the ledger.
                let _ = std::fs::remove_dir_all(self.bench.mesh_home().join("runs").join(run));
                self.bench
                    .joined(run, "max_tasks=999 parallel_tasks=3 --no-learnings")
            }
            false => self.bench.resumed(run),
        };
        let child = spawn(command, &self.bench.beside(&format!("{run}.err")));
        self.running.insert(run.to_owned(), child);
    }

    /// How many records there are in all ledgers.
    fn progress(&self) -> usize {
        let runs = self.running.keys();
        runs.map(|run| self.bench.records(run).len()).sum()
    }

    /// Waits until there are some more records, a run has ended, or nothing occurs any more.
    fn wait_for_progress(&mut self) {
        let more = self.seeded.below(40) as usize;
        let wanted = self.progress() + 1 + more;
        let patience = Duration::from_millis(2 * LIFE_MS);
        let began = Instant::now();
        while self.progress() < wanted && began.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn any_run(&mut self) -> String {
        let at = self.seeded.below(self.running.len() as u64) as usize;
        self.running.keys().nth(at).expect("a run").clone()
    }

    fn has_ended(&mut self, run: &str) -> bool {
        let child = self.running.get_mut(run).expect("known");
        child.try_wait().expect("asked").is_some()
    }

    fn kill(&mut self) {
        let run = self.any_run();
        if !self.has_ended(&run) {
            let child = self.running.get_mut(&run).expect("known");
            child.kill().expect("killed");
            child.wait().expect("ended");
            self.kills += 1;
        }
    }

    /// Stops a run until another one has taken a task of it over, or it is known that none can.
    fn stop(&mut self) {
        let run = self.any_run();
        if self.has_ended(&run) {
            return;
        }
        let process = self.running[&run].id();
        let others: Vec<String> = self
            .running
            .keys()
            .filter(|it| **it != run)
            .cloned()
            .collect();
        let taken = |bench: &Bench| {
            let acquired = others
                .iter()
                .flat_map(|other| bench.named(other, "lease_acquired"));
            acquired.filter(|one| one["from"] == run.as_str()).count()
        };
        let before = taken(self.bench);
        signal(process, "-STOP");
        self.stops += 1;
        let began = Instant::now();
        // In its turn it keeps the others waiting, and without a task it has nothing to lose.
        let patience = Duration::from_millis(3 * LIFE_MS);
        while taken(self.bench) == before && began.elapsed() < patience && !self.is_drained() {
            for other in &others {
                if self.has_ended(other) {
                    self.start(other);
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        signal(process, "-CONT");
    }

    fn is_drained(&self) -> bool {
        let items = self.bench.items();
        let blocked = items.iter().find(|item| item["status"] == "blocked");
        assert!(blocked.is_none(), "{blocked:?}");
        items.iter().all(|item| item["status"] == "completed")
    }
}

impl Bench {
    fn items(&self) -> Vec<Value> {
        let text = self.read(PLAN);
        let last = text.lines().last().expect("a line");
        let record: Value = serde_json::from_str(last).expect("JSON");
        record["items"].as_array().expect("items").clone()
    }
}

/// 14 tasks; `MESH_JOIN_TASKS` for more, and `MESH_JOIN_SEED` for another order of events.
#[test]
fn three_runs_drain_a_plan_through_kills_and_stops() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let count = number("MESH_JOIN_TASKS").unwrap_or(14);
    let seed = number("MESH_JOIN_SEED").unwrap_or(7);
    let id = |number: u64| format!("g{:02}{}", number / 2, ["a", "b"][number as usize % 2]);
    let tasks: Vec<Task> = (0..count)
        .map(|number| {
            // Two have the same scope, and every fifth waits for the one before.
            let task = Task::new(&id(number)).scope(&[&format!("g{:02}*", number / 2)]);
            match number % 5 {
                4 => task.after(&[&id(number - 1)]),
                _ => task,
            }
        })
        .collect();
    let bench = Bench::new(&tasks);
    let mut fleet = Fleet {
        bench: &bench,
        running: BTreeMap::new(),
        seeded: Seeded(seed.max(1)),
        kills: 0,
        stops: 0,
    };
    let runs = ["R", "S", "T"].map(str::to_owned);
    runs.iter().for_each(|run| fleet.start(run));
    while !fleet.is_drained() {
        fleet.wait_for_progress();
        match fleet.seeded.below(4) {
            0 => fleet.stop(),
            1 => fleet.kill(),
            _ => {}
        }
        for run in &runs {
            if !fleet.is_drained() && fleet.has_ended(run) && fleet.seeded.below(2) == 0 {
                fleet.start(run);
            }
        }
    }
    for (run, child) in std::mem::take(&mut fleet.running) {
        if code(child).is_none() {
            bench.resumed(&run).run_to_end();
        }
    }
    let ids: Vec<String> = (0..count).map(id).collect();
    let taken_over = check(&bench, &runs, &ids);
    println!(
        "{count} tasks: {} kills, {} stops, {taken_over} leases taken over",
        fleet.kills, fleet.stops
    );
}

/// The time for which a run had the lease of a task.
struct Holding {
    unit: String,
    run: String,
    from: String,
    until: String,
}

/// Checks, from the ledgers, that every task ended once, that no scope was held twice, and that nothing was integrated without a
/// lease. The audit follows when the bench goes. Returns how many leases were taken over.
fn check(bench: &Bench, runs: &[String], ids: &[String]) -> usize {
    let mut records: Vec<(String, Value)> = Vec::new();
    for run in runs {
        records.extend(
            bench
                .records(run)
                .into_iter()
                .map(|record| (run.clone(), record)),
        );
    }
    let of = |event: &str, unit: &str| -> Vec<&(String, Value)> {
        let is_it =
            |(_, record): &&(String, Value)| record["event"] == event && record["unit"] == unit;
        records.iter().filter(is_it).collect()
    };
    let mut holdings = Vec::new();
    let mut taken_over = 0;
    for id in ids {
        let ended = of("plan_mutated", id);
        let ended: Vec<_> = ended
            .iter()
            .filter(|(_, one)| one["status"] == "completed")
            .collect();
        assert_eq!(ended.len(), 1, "{id}: {ended:?}");
        let applied = of("integration_finished", id);
        let applied: Vec<_> = applied
            .iter()
            .filter(|(_, one)| one["outcome"] == "applied")
            .collect();
        assert_eq!(applied.len(), 1, "{id}: {applied:?}");
        let mut leases = of("lease_acquired", id);
        leases.sort_by_key(|(_, one)| one["epoch"].as_u64());
        let epochs: BTreeSet<u64> = leases
            .iter()
            .filter_map(|(_, one)| one["epoch"].as_u64())
            .collect();
        assert_eq!(
            epochs.len(),
            leases.len(),
            "{id}: an epoch was given twice: {leases:?}"
        );
        taken_over += leases
            .iter()
            .filter(|(_, one)| one["from"].is_string())
            .count();
        // The last owner before the patch was applied is the one that applied it.
        let (owner, time) = (&applied[0].0, text(&applied[0].1, "ts"));
        let before = leases.iter().rev().find(|(_, one)| text(one, "ts") <= time);
        assert_eq!(
            before.map(|(run, _)| run),
            Some(owner),
            "{id}: {leases:?} {applied:?}"
        );
        for (at, (run, lease)) in leases.iter().enumerate() {
            let from = text(lease, "ts");
            let ends = ["plan_mutated", "plan_conflict"]
                .into_iter()
                .flat_map(|event| of(event, id));
            let ends = ends.filter(|(of, one)| of == run && one["status"] != "in_progress");
            let ends = ends
                .map(|(_, one)| text(one, "ts"))
                .filter(|end| *end >= from);
            let next = leases.get(at + 1).map(|(_, next)| text(next, "ts"));
            holdings.push(Holding {
                unit: id.clone(),
                run: run.clone(),
                from: from.clone(),
                until: ends.chain(next).min().unwrap_or_else(|| "~".to_owned()),
            });
        }
    }
    for (at, one) in holdings.iter().enumerate() {
        for other in &holdings[at + 1..] {
            let is_same_scope = scope_of(&one.unit) == scope_of(&other.unit);
            let is_apart = one.until <= other.from || other.until <= one.from;
            assert!(
                !is_same_scope || is_apart,
                "`{}` in {} and `{}` in {} at the same time",
                one.unit,
                one.run,
                other.unit,
                other.run
            );
        }
    }
    assert!(
        runs.iter()
            .all(|run| bench.named(run, "violation").is_empty())
    );
    taken_over
}

/// Tasks whose ids begin with the same three characters have the same scope.
fn scope_of(unit: &str) -> &str {
    unit.get(..3).unwrap_or(unit)
}

fn text(record: &Value, key: &str) -> String {
    record[key].as_str().unwrap_or_default().to_owned()
}
