//! Children that may change a tree, recorded before they begin, so that the next `mesh` can end those that a killed one
//! left running.
//!
//! Such a child waits behind a gate: a shell that reads one line and then becomes the program. The line is written when the
//! child's id and start time stand in the record; when `mesh` dies before that, the shell finds the end of its input and
//! begins nothing. Each line says on which system: `<pid> <start time> <system>`. It begins with a line end of its own, since the
//! one before may be torn by a full disk. Nothing is synced: what a killed process wrote is in the system's memory, and a power failure ends the
//! children as well.
//!
//! [`Writers::end`] ends what is surely ours: the recorded process and the group that it leads, known by id and start time;
//! whatever has the mark in its environment, also in a session of its own; and what these have started. A process whose
//! parents have ended and that left both the group and the environment behind can't be told from any other. Only Linux
//! gives such proof; elsewhere nothing is signalled.
//!
//! This process and those that it was started from are spared. Its process group is not: a script runs everything in one
//! group, so a hook of a killed `mesh` may be in it too.

use super::Process;
use crate::platform::look;
use rustix::process::{Pid, Signal};
use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The name of the variable that every recorded child has; its value is the path of the record.
const MARK: &str = "MESH_WRITER";
/// The name of the variable with the number of one child ([`Writers::numbered`]).
const NUMBER: &str = "MESH_WRITER_NUMBER";
/// The start times of the record and of `/proc` may fall on two sides of a tick.
const TICKS_OFF: u64 = 1;
/// Between two looks at processes that were asked to end.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a killed process may take to be gone.
const KILL_PATIENCE: Duration = Duration::from_secs(2);

/// The record of one run's children.
#[derive(Clone, Debug)]
pub struct Writers {
    file: PathBuf,
    /// The number of the one child that this record is used for.
    number: Option<u64>,
}

/// What a child gets on its standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Nothing.
    Null,
    /// What is written to the pipe that [`Writers::start`] gives back.
    Pipe,
}

/// Whose process group a child is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// One of its own.
    Own,
    /// That of `mesh`: it may ask for a passphrase at the terminal.
    Shared,
}

impl Writers {
    /// The record in `file`, which need not exist yet.
    pub fn at(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            number: None,
        }
    }

    /// Where the record is.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The same record, for one child that others may run beside: [`Writers::end_marked`] ends only what this one left.
    pub fn numbered(&self) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            number: Some(NEXT.fetch_add(1, Ordering::Relaxed)),
            ..self.clone()
        }
    }

    /// A command that will run `program` once it is recorded. To be started by [`Writers::start`].
    pub fn command<S: AsRef<OsStr>>(&self, program: &str, args: &[S], input: Input) -> Command {
        let script = match input {
            Input::Null => r#"IFS= read -r go && exec "$@" </dev/null"#,
            // A shell reads no byte beyond the line.
            Input::Pipe => r#"IFS= read -r go && exec "$@""#,
        };
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, "sh", program]).args(args);
        command.env(MARK, &self.file);
        match self.number {
            Some(number) => command.env(NUMBER, number.to_string()),
            None => command.env_remove(NUMBER),
        };
        command
    }

    /// Starts `command`, records it, and lets it begin.
    pub fn start(&self, mut command: Command, group: Group) -> io::Result<(Child, ChildStdin)> {
        if group == Group::Own {
            command.process_group(0);
        }
        let mut record = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.file)?;
        let mut child = command.stdin(Stdio::piped()).spawn()?;
        let begun = record_child(&mut record, &child).and_then(|()| {
            let mut stdin = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
            stdin.write_all(b"go\n")?;
            Ok(stdin)
        });
        match begun {
            Ok(stdin) => Ok((child, stdin)),
            Err(error) => {
                // Behind the gate it finds the end of its input.
                drop(child.stdin.take());
                child.wait()?;
                Err(error)
            }
        }
    }

    /// Ends everything that is recorded or marked: TERM, `grace`, KILL. Gives those that are still there. To be called
    /// only by one who holds the run's lock: the children of a living `mesh` look the same.
    ///
    /// # Errors
    /// The record can't be read, so nothing was ended.
    pub fn end(&self, grace: Duration) -> io::Result<Vec<Process>> {
        let Some(bytes) = look::found(std::fs::read(&self.file))? else {
            return Ok(Vec::new());
        };
        let text = String::from_utf8_lossy(&bytes);
        let system = super::system()?;
        // Those of another boot or machine don't run any more.
        let entries = text.lines().filter_map(|line| Entry::parse(line, &system));
        let left = self.end_all(&entries.collect::<Vec<_>>(), grace, Spared::Parents)?;
        if left.is_empty() {
            // One that stays names processes that are gone.
            let _ = std::fs::remove_file(&self.file);
        }
        Ok(left)
    }

    /// Ends at once what a child that has ended left running, in whatever group or session. Other children of this process
    /// may run; what those have left behind is spared if this record is [`numbered`](Self::numbered).
    ///
    /// # Errors
    /// The processes can't be read, so some may run on until the record is ended.
    pub fn end_marked(&self) -> io::Result<()> {
        self.end_all(&[], Duration::ZERO, Spared::Family).map(drop)
    }

    fn end_all(
        &self,
        entries: &[Entry],
        grace: Duration,
        spared: Spared,
    ) -> io::Result<Vec<Process>> {
        let begun = Instant::now();
        let mut told: Vec<Identity> = Vec::new();
        loop {
            // One that was told to end stays ours when its parent ends first.
            let ours = self.ours(entries, &told, spared)?;
            if ours.is_empty() || begun.elapsed() >= grace + KILL_PATIENCE {
                return Ok(ours);
            }
            let is_due = begun.elapsed() >= grace;
            for process in &ours {
                let identity = identify(process);
                if is_due {
                    let _ = super::signal(process, Signal::KILL);
                } else if !told.contains(&identity) {
                    let _ = super::signal(process, Signal::TERM);
                }
                if !told.contains(&identity) {
                    told.push(identity);
                }
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// The processes that run and are ours: recorded, marked, `known` from an earlier look, or started by one of these.
    fn ours(
        &self,
        entries: &[Entry],
        known: &[Identity],
        spared: Spared,
    ) -> io::Result<Vec<Process>> {
        let all = super::all()?;
        let is_recorded = |process: &Process| {
            let mut leaders = all.iter().filter(|leader| {
                leader.pid == process.pid || super::number(leader.pid) == process.group
            });
            leaders.any(|leader| entries.iter().any(|entry| entry.is(leader)))
        };
        let mut ours: HashSet<u32> = HashSet::new();
        for process in &all {
            let is_known = known.contains(&identify(process)) || is_recorded(process);
            if is_known || self.has_mark(process)? {
                ours.insert(number_of(process));
            }
        }
        add_children(&mut ours, &all);
        let spared = spared.among(&all);
        let is_ours = |process: &&Process| {
            let number = number_of(process);
            ours.contains(&number) && !spared.contains(&number)
        };
        Ok(all.iter().filter(is_ours).cloned().collect())
    }

    fn has_mark(&self, process: &Process) -> io::Result<bool> {
        let mut mark = OsString::from(format!("{MARK}="));
        mark.push(&self.file);
        let environment = super::environment(process.pid)?;
        let has = |wanted: &[u8]| {
            environment
                .split(|byte| *byte == 0)
                .any(|entry| entry == wanted)
        };
        let is_numbered = |number: u64| has(format!("{NUMBER}={number}").as_bytes());
        Ok(has(mark.as_bytes()) && self.number.is_none_or(is_numbered))
    }
}

/// What tells a process from a later one with the same id.
type Identity = (Pid, u64);

fn identify(process: &Process) -> Identity {
    (process.pid, process.start_ticks)
}

fn number_of(process: &Process) -> u32 {
    super::number(process.pid)
}

/// The processes that are never ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spared {
    /// This one and those that it was started from.
    Parents,
    /// And those that it has started.
    Family,
}

impl Spared {
    fn among(self, all: &[Process]) -> HashSet<u32> {
        let own = std::process::id();
        let mut spared = HashSet::from([own]);
        if self == Self::Family {
            add_children(&mut spared, all);
        }
        let parents: HashMap<u32, u32> =
            all.iter().map(|one| (number_of(one), one.parent)).collect();
        let mut next = parents.get(&own);
        while let Some(parent) = next.filter(|parent| spared.insert(**parent)) {
            next = parents.get(parent);
        }
        spared
    }
}

/// Adds what the processes in `found` have started, and what those have.
fn add_children(found: &mut HashSet<u32>, all: &[Process]) {
    let mut has_grown = true;
    while has_grown {
        let count = found.len();
        let children = all.iter().filter(|one| found.contains(&one.parent));
        let children: Vec<u32> = children.map(number_of).collect();
        found.extend(children);
        has_grown = found.len() > count;
    }
}

/// One recorded child.
struct Entry {
    pid: u32,
    start_ticks: u64,
}

impl Entry {
    /// The child of a line, if it was started on this system.
    fn parse(line: &str, system: &str) -> Option<Self> {
        let (pid, rest) = line.split_once(' ')?;
        let (ticks, _) = rest.split_once(' ').filter(|(_, on)| *on == system)?;
        Some(Self {
            pid: pid.parse().ok()?,
            start_ticks: ticks.parse().ok()?,
        })
    }

    fn is(&self, process: &Process) -> bool {
        super::number(process.pid) == self.pid
            && process.start_ticks.abs_diff(self.start_ticks) <= TICKS_OFF
    }
}

fn record_child(record: &mut File, child: &Child) -> io::Result<()> {
    let found = super::find(Pid::from_child(child)).ok().flatten();
    let ticks = found.map_or_else(super::boot_ticks, |process| process.start_ticks);
    let line = format!("\n{} {ticks} {}\n", child.id(), super::system()?);
    // In one write, as other threads write as well.
    record.write_all(line.as_bytes())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io::Read;

    fn start(writers: &Writers, script: &str) -> Child {
        let mut command = writers.command("/bin/sh", &["-c", script], Input::Null);
        command.stdout(Stdio::piped());
        writers.start(command, Group::Own).expect("started").0
    }

    fn first_byte(child: &mut Child) {
        let stdout = child.stdout.as_mut().expect("a pipe");
        stdout.read_exact(&mut [0]).expect("it says that it runs");
    }

    #[test]
    fn a_child_begins_when_it_is_recorded_and_not_when_nobody_lets_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let writers = Writers::at(&folder.path().join("writers"));
        let seen = folder.path().join("seen");
        let script = ["-c".to_owned(), format!("echo x >{}", seen.display())];
        let mut alone = writers.command("/bin/sh", &script, Input::Null);
        let mut alone = alone.stdin(Stdio::piped()).spawn().expect("started");
        drop(alone.stdin.take());
        assert!(!alone.wait().expect("ended").success());
        assert!(!seen.exists());

        let mut child = start(&writers, "cat; echo done");
        let record = std::fs::read_to_string(folder.path().join("writers")).expect("a record");
        assert!(record.contains(&format!("\n{} ", child.id())), "{record}");
        let mut out = String::new();
        let stdout = child.stdout.as_mut().expect("a pipe");
        stdout.read_to_string(&mut out).expect("read");
        assert_eq!(
            (out.as_str(), child.wait().expect("ended").success()),
            ("done\n", true)
        );
    }

    #[test]
    fn a_child_behind_a_torn_line_is_ended_and_a_record_that_can_not_be_read_ends_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("writers");
        std::fs::write(&file, "12 34").expect("a torn line");
        let writers = Writers::at(&file);
        // Without the mark only the record tells whose it is.
        let mut child = start(&writers, "exec env -i sh -c 'echo; exec sleep 600'");
        first_byte(&mut child);
        let unreadable = Writers::at(Path::new("/proc/self/mem"));
        assert!(unreadable.end(Duration::ZERO).is_err());
        assert!(child.try_wait().expect("ours").is_none());
        assert_eq!(writers.end(Duration::ZERO).expect("read"), []);
        let ended = child.try_wait().expect("ours");
        child.kill().expect("killed");
        child.wait().expect("ended");
        assert!(ended.is_some_and(|status| !status.success()));
        let other = Entry::parse(
            "12 34 another boot",
            &crate::platform::process::system().expect("read"),
        );
        assert!(other.is_none());
    }

    #[test]
    fn what_follows_on_the_pipe_is_the_childs() {
        let folder = tempfile::tempdir().expect("a folder");
        let writers = Writers::at(&folder.path().join("writers"));
        let mut command = writers.command("cat", &[""; 0], Input::Pipe);
        command.stdout(Stdio::piped());
        let (child, mut stdin) = writers.start(command, Group::Own).expect("started");
        stdin.write_all(b"one\ntwo").expect("written");
        drop(stdin);
        let output = child.wait_with_output().expect("ended");
        assert_eq!(output.stdout, b"one\ntwo");
    }

    #[test]
    fn a_group_and_what_left_it_are_ended_and_others_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let writers = Writers::at(&folder.path().join("writers"));
        let other = Writers::at(&folder.path().join("others"));
        let mut bystander = start(&other, "echo; sleep 600");
        first_byte(&mut bystander);
        // One of the group has thrown away its environment; one of the marked has a session of its own.
        let mut grouped = start(
            &writers,
            "trap '' TERM; env -i sleep 600 & echo; wait; sleep 600",
        );
        first_byte(&mut grouped);
        let mut leaving = start(&writers, "setsid sleep 600 >/dev/null & echo");
        first_byte(&mut leaving);
        leaving.wait().expect("ended");
        let grouped_group = crate::platform::process::number(Pid::from_child(&grouped));
        let left = writers.end(Duration::from_millis(200)).expect("read");
        assert_eq!(left, []);
        assert!(!grouped.wait().expect("ended").success());
        let all = crate::platform::process::all().expect("read");
        assert!(!all.iter().any(|process| process.group == grouped_group));
        assert!(
            writers
                .ours(&[], &[], Spared::Parents)
                .expect("read")
                .is_empty()
        );
        assert!(!folder.path().join("writers").exists());
        assert!(bystander.try_wait().expect("ours").is_none());
        assert_eq!(other.end(Duration::ZERO).expect("read"), []);
        bystander.wait().expect("ended");
    }

    #[test]
    fn the_process_group_of_this_one_spares_no_child_of_a_killed_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let writers = Writers::at(&folder.path().join("writers"));
        // A hook without the mark, started by a recorded git in the group of this process.
        let script = "env -i sh -c 'echo; exec sleep 600'; :";
        let mut command = writers.command("/bin/sh", &["-c", script], Input::Null);
        command.stdout(Stdio::piped());
        let (mut child, _) = writers.start(command, Group::Shared).expect("started");
        first_byte(&mut child);
        assert_eq!(writers.end(Duration::from_millis(200)).expect("read"), []);
        assert!(!child.wait().expect("ended").success());
        let mut rest = Vec::new();
        let mut stdout = child.stdout.take().expect("a pipe");
        stdout
            .read_to_end(&mut rest)
            .expect("the hook has ended too");
    }

    #[test]
    fn a_child_that_runs_outlives_what_another_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let writers = Writers::at(&folder.path().join("writers"));
        let mut running = start(&writers, "echo; exec sleep 600");
        first_byte(&mut running);
        let mut leaving = start(&writers, "setsid sleep 600 & echo");
        let mut rest = Vec::new();
        first_byte(&mut leaving);
        leaving.wait().expect("ended");
        writers.end_marked().expect("read");
        let mut stdout = leaving.stdout.take().expect("a pipe");
        stdout
            .read_to_end(&mut rest)
            .expect("what it left has ended");
        assert!(running.try_wait().expect("ours").is_none());
        assert_eq!(writers.end(Duration::ZERO).expect("read"), []);
        running.wait().expect("ended");
    }
}
