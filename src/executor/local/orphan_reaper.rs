//! Ending the workers that a killed `mesh` left running, before their rows are worked again.
//!
//! While a job runs, each thread of its pool keeps one record on file ([`WorkerRegistry`]): the process it sees through and when
//! that was started. Nothing is synced: what a killed process wrote is in the system's memory, and a power failure ends the
//! workers as well. At resume [`end`] reads the file and ends what is surely ours. An id alone proves nothing, because
//! ids are used again; each of these does, in the same boot and process table:
//!
//! - the recorded id, start time and group: then all of its group is ours, for nobody else gets into it;
//! - in a recorded group whose leader is gone, the attempt's report token in the environment of the process;
//! - in the session of the dead `mesh`, the job id in the environment: a worker that `mesh` was killed too early to record,
//!   or what a worker started in a group of its own. What has left the session is a daemon that wanted to stay.
//!
//! Everything else is left alone, and said. Signals go to single processes that are looked at once more. Only Linux gives
//! such proof; elsewhere nothing is signalled, and what may still run is said.

use crate::job::{Stop, Urgency};
use crate::model::{JobId, ReportToken, RowId, one_line};
use crate::platform::{Process, number, process};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fmt, io};

/// What the file begins with; another version writes another word.
const FORMAT: &str = "mesh-workers-1";
/// One record, a line of text that blanks fill up. The first is about the file itself.
const RECORD_BYTES: usize = 256;
/// Records beyond this are not read: no pool is so large.
const RECORDS_MAX: usize = 100_000;
/// The kernel's and our reading of the clock may fall on two sides of a tick.
const TICKS_OFF: u64 = 1;
/// Between two looks at processes that were asked to end.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a killed process may take to be gone; one that hangs in the kernel may take for ever.
const KILL_PATIENCE: Duration = Duration::from_secs(2);

/// The file in which the pool records its running workers.
pub(crate) struct WorkerRegistry {
    file: File,
}

impl WorkerRegistry {
    /// Begins the file anew, with nobody in it. To be called after [`end`].
    pub fn begin(path: &Path, slots: usize) -> io::Result<Self> {
        let file = crate::platform::create(path)?;
        let session = process::own().map_or(0, |own| own.session);
        let head = record(format_args!("{FORMAT} {session} {}", process::system()));
        let mut content = head.to_vec();
        // Room on the disk for every record: later writes can't fail for want of it.
        content.resize(RECORD_BYTES * (slots + 1), b' ');
        file.write_all_at(&content, 0)?;
        Ok(Self { file })
    }

    /// The record of thread `number`, counted from 0.
    pub fn slot(&self, number: usize) -> Slot<'_> {
        Slot {
            file: &self.file,
            offset: (RECORD_BYTES * (number + 1)) as u64,
            since_ticks: 0,
        }
    }
}

/// The place of one thread in the [`WorkerRegistry`]. Its writes take a microsecond and can be lost without harm to the job: the job
/// id in the worker's environment makes up for most of it.
pub(crate) struct Slot<'r> {
    file: &'r File,
    offset: u64,
    since_ticks: u64,
}

impl Slot<'_> {
    /// A worker is about to be started.
    pub fn prepare(&mut self) {
        self.since_ticks = process::boot_ticks();
    }

    /// It was started, at some time since [`Slot::prepare`].
    pub fn fill(&self, pid: Pid, token: &ReportToken, item: &RowId) {
        let (since, until) = (self.since_ticks, process::boot_ticks());
        self.write(format_args!("{pid} {since} {until} {token} {item}"));
    }

    /// No worker of this thread runs. Between two workers there is no need to say so: nothing has the identity of a process
    /// that is gone.
    pub fn clear(&self) {
        self.write(format_args!(""));
    }

    fn write(&self, content: fmt::Arguments<'_>) {
        let _ = self.file.write_all_at(&record(content), self.offset);
    }
}

/// `content` as one record; what does not fit is cut off.
fn record(content: fmt::Arguments<'_>) -> [u8; RECORD_BYTES] {
    let mut bytes = [b' '; RECORD_BYTES];
    bytes[RECORD_BYTES - 1] = b'\n';
    let _ = (&mut bytes[..RECORD_BYTES - 1]).write_fmt(content);
    bytes
}

/// What came of looking for orphans.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SweepReport {
    /// Ended, one for each process group.
    pub ended: Vec<Orphan>,
    /// Perhaps still running.
    pub left: Vec<(Orphan, Doubt)>,
}

/// A worker whose `mesh` is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Orphan {
    /// The id of its process group.
    pub pid: u32,
    /// Its program, where that is known.
    pub name: String,
    /// Its item, as far as it fits into a message; empty where it is not known.
    pub item: String,
}

/// Why an orphan was left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// Its leader is gone, and nothing about the rest of the group shows whose it is.
    NoProof,
    /// It was the worker, and is in another group now.
    LeftItsGroup,
    /// This `mesh` runs in it.
    RunsThis,
    /// The system refused to signal it.
    NotPermitted,
    /// It was killed and is still there.
    DidNotEnd,
    /// This system does not say which process is which.
    NotLinux,
}

impl fmt::Display for Orphan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)?;
        if !self.name.is_empty() {
            write!(f, " (`{}`)", self.name)?;
        }
        if !self.item.is_empty() {
            write!(f, " of item `{}`", self.item)?;
        }
        Ok(())
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Doubt::NoProof => {
                "its group has lost its leader, and nothing shows that it is the worker's"
            }
            Doubt::LeftItsGroup => "it has left its process group",
            Doubt::RunsThis => "this `mesh` was started from it",
            Doubt::NotPermitted => "it belongs to another user",
            Doubt::DidNotEnd => "it was killed and has not ended",
            Doubt::NotLinux => "only Linux can tell whether it is still the worker",
        })
    }
}

/// Ends what a dead `mesh` recorded in the file `path` or started for `job`: TERM, `grace` (less when `stop` is urgent),
/// KILL. Returns when it is gone; nothing happens when there is no such file, or one of another boot.
///
/// Only for one who holds the run's lock: the workers of a living `mesh` look the same.
pub(crate) fn end(path: &Path, job: &JobId, grace: Duration, stop: &Stop) -> SweepReport {
    let Some(registry) = RegistryFile::read(path) else {
        return SweepReport::default();
    };
    if !cfg!(target_os = "linux") {
        return registry.unproved();
    }
    let mut swept = SweepReport::default();
    let targets = registry.targets(job, &process::all(), &mut swept);
    end_targets(targets, grace, stop, &mut swept);
    if !swept.left.is_empty() {
        // What was left alone for one reason may have been ended for another.
        let all = process::all();
        swept
            .left
            .retain(|(orphan, _)| all.iter().any(|process| orphan.is_of(process)));
    }
    swept
}

/// What the file of a dead `mesh` says.
struct RegistryFile {
    session: u32,
    entries: Vec<Entry>,
}

/// One worker.
struct Entry {
    pid: Pid,
    /// When it was started at the earliest and the latest, in the ticks of [`Process::start_ticks`].
    started: (u64, u64),
    token: String,
    item: String,
}

impl RegistryFile {
    /// Nothing when there is no file, or it is of another system or boot. Records that make no sense are passed over.
    fn read(path: &Path) -> Option<Self> {
        use std::io::Read;
        let mut bytes = Vec::new();
        let bytes_max = (RECORD_BYTES * RECORDS_MAX) as u64;
        let file = File::open(path).ok()?;
        file.take(bytes_max).read_to_end(&mut bytes).ok()?;
        let mut records = bytes.chunks_exact(RECORD_BYTES);
        let head = String::from_utf8_lossy(records.next()?);
        let mut words = head.split_ascii_whitespace();
        let is_ours = words.next() == Some(FORMAT);
        let session = words.next()?.parse().ok()?;
        let is_here = words.next() == Some(process::system().as_str());
        (is_ours && is_here).then(|| Self {
            session,
            entries: records.filter_map(Entry::parse).collect(),
        })
    }

    /// The groups that hold something of ours; where that is not sure it goes into `swept`.
    fn targets(&self, job: &JobId, all: &[Process], swept: &mut SweepReport) -> Vec<Target> {
        let mut targets: Vec<Target> = Vec::new();
        for entry in &self.entries {
            match entry.claim(all) {
                Claim::Gone => {}
                Claim::Ours(target) => targets.push(target),
                Claim::Left(orphan, doubt) => swept.left.push((orphan, doubt)),
            }
        }
        let mark = format!("MESH_JOB_ID={job}");
        for process in all {
            let is_there = |target: &Target| target.group == process.group;
            if process.session != self.session || targets.iter().any(is_there) {
                continue;
            }
            let environment = process::environment(process.pid);
            if holds(&environment, &mark) {
                let item = variable(&environment, "MESH_ITEM_ID").unwrap_or_default();
                let target = Target::new(process, &item, Proof::Mark(mark.clone()));
                targets.push(target);
            }
        }
        let own = process::own().map(|own| own.group);
        let runs_this = targets.extract_if(.., |target| Some(target.group) == own);
        let left = runs_this.map(|target| (target.orphan, Doubt::RunsThis));
        swept.left.extend(left);
        targets
    }

    /// Where nothing can be proved.
    fn unproved(self) -> SweepReport {
        let there = self
            .entries
            .into_iter()
            .filter(|entry| process::group_exists(entry.pid));
        SweepReport {
            ended: Vec::new(),
            left: there
                .map(|entry| (entry.orphan(""), Doubt::NotLinux))
                .collect(),
        }
    }
}

/// What is to be said of a recorded worker.
enum Claim {
    /// It runs no more.
    Gone,
    /// It runs.
    Ours(Target),
    /// It may run.
    Left(Orphan, Doubt),
}

impl Entry {
    fn parse(record: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(record.strip_suffix(b"\n")?);
        let mut words = text.splitn(5, ' ');
        let mut number = || words.next()?.parse().ok();
        let (pid, since, until): (u64, u64, u64) = (number()?, number()?, number()?);
        Some(Self {
            pid: Pid::from_raw(i32::try_from(pid).ok()?)?,
            started: (since, until),
            token: words.next().filter(|token| !token.is_empty())?.to_owned(),
            item: words.next()?.trim_end_matches(' ').to_owned(),
        })
    }

    fn claim(&self, all: &[Process]) -> Claim {
        let (since, until) = self.started;
        let started = since.saturating_sub(TICKS_OFF)..=until.saturating_add(TICKS_OFF);
        if let Some(holder) = all.iter().find(|process| process.pid == self.pid) {
            return if !started.contains(&holder.start_ticks) {
                // The id went to somebody else, which it can't while any process is in the group.
                Claim::Gone
            } else if holder.group != number(self.pid) {
                Claim::Left(self.orphan(&holder.name), Doubt::LeftItsGroup)
            } else {
                let known = all
                    .iter()
                    .filter(|process| process.group == number(self.pid));
                let proof = Proof::Known(known.map(identity).collect());
                Claim::Ours(Target::new(holder, &self.item, proof))
            };
        }
        let mark = format!("MESH_REPORT_TOKEN={}", self.token);
        let members: Vec<_> = all
            .iter()
            .filter(|one| one.group == number(self.pid))
            .collect();
        match members.iter().find(|member| is_marked(member, &mark)) {
            Some(member) => Claim::Ours(Target::new(member, &self.item, Proof::Mark(mark))),
            None => match members.first() {
                Some(member) => Claim::Left(self.orphan(&member.name), Doubt::NoProof),
                None => Claim::Gone,
            },
        }
    }

    fn orphan(&self, name: &str) -> Orphan {
        Orphan {
            pid: number(self.pid),
            name: name.to_owned(),
            item: one_line(&self.item),
        }
    }
}

impl Orphan {
    fn is_of(&self, process: &Process) -> bool {
        [number(process.pid), process.group].contains(&self.pid)
    }
}

/// A process group in which something of ours is to be ended.
struct Target {
    orphan: Orphan,
    group: u32,
    proof: Proof,
    /// Who got TERM.
    told: HashSet<Identity>,
    refused: bool,
}

/// What makes a process of a group ours.
enum Proof {
    /// All of the group is; these were seen in it. While one of them is there, its id means the same group.
    Known(HashSet<Identity>),
    /// Those are that have this in their environment.
    Mark(String),
}

/// Id and start time.
type Identity = (Pid, u64);

impl Target {
    fn new(member: &Process, item: &str, proof: Proof) -> Self {
        Self {
            orphan: Orphan {
                pid: member.group,
                name: member.name.clone(),
                item: one_line(item),
            },
            group: member.group,
            proof,
            told: HashSet::new(),
            refused: false,
        }
    }

    /// Those of `all` that are in the group and ours.
    fn members<'p>(&mut self, all: &'p [Process]) -> Vec<&'p Process> {
        let mut members: Vec<&Process> = all
            .iter()
            .filter(|process| process.group == self.group)
            .collect();
        match &mut self.proof {
            Proof::Mark(mark) => members.retain(|member| is_marked(member, mark)),
            Proof::Known(known) => {
                if !members
                    .iter()
                    .any(|member| known.contains(&identity(member)))
                {
                    return Vec::new();
                }
                known.extend(members.iter().map(|member| identity(member)));
            }
        }
        members
    }

    /// KILL for all, or TERM for those that did not get it yet.
    fn signal(&mut self, members: &[&Process], is_due: bool) {
        for member in members {
            let is_new = self.told.insert(identity(member));
            let sent = match (is_due, is_new) {
                (true, _) => process::signal(member, Signal::KILL),
                (false, true) => process::signal(member, Signal::TERM),
                (false, false) => Ok(()),
            };
            self.refused |= sent == Err(Errno::PERM);
        }
    }
}

/// Ends `targets` until nothing of ours is left in them or it is no use.
fn end_targets(mut targets: Vec<Target>, grace: Duration, stop: &Stop, swept: &mut SweepReport) {
    let begun = Instant::now();
    let mut killing: Option<Instant> = None;
    while !targets.is_empty() {
        if begun.elapsed() >= grace || stop.urgency() == Urgency::Now {
            killing.get_or_insert_with(Instant::now);
        }
        let is_no_use = killing.is_some_and(|since| since.elapsed() >= KILL_PATIENCE);
        let all = process::all();
        targets.retain_mut(|target| {
            let members = target.members(&all);
            let orphan = || target.orphan.clone();
            if members.is_empty() {
                swept.ended.push(orphan());
                // Dropped by the caller, unless there are others in the group whose mark is gone.
                swept.left.push((orphan(), Doubt::NoProof));
            } else if target.refused {
                swept.left.push((orphan(), Doubt::NotPermitted));
            } else if is_no_use {
                swept.left.push((orphan(), Doubt::DidNotEnd));
            } else {
                target.signal(&members, killing.is_some());
                return true;
            }
            false
        });
        if !targets.is_empty() {
            std::thread::sleep(PAUSE);
        }
    }
}

fn identity(process: &Process) -> Identity {
    (process.pid, process.start_ticks)
}

fn is_marked(process: &Process, mark: &str) -> bool {
    holds(&process::environment(process.pid), mark)
}

/// Whether `environment` has exactly this `NAME=value`.
fn holds(environment: &[u8], entry: &str) -> bool {
    environment
        .split(|byte| *byte == 0)
        .any(|one| one == entry.as_bytes())
}

fn variable(environment: &[u8], name: &str) -> Option<String> {
    let mut entries = environment.split(|byte| *byte == 0);
    let value = entries.find_map(|one| one.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    Some(String::from_utf8_lossy(value).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};
    use tempfile::TempDir;

    const GRACE: Duration = Duration::from_millis(300);

    /// A dead `mesh` with one job.
    struct Scene {
        folder: TempDir,
        registry: WorkerRegistry,
        job: JobId,
        token: ReportToken,
        item: RowId,
    }

    impl Scene {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let registry =
                WorkerRegistry::begin(&folder.path().join("workers"), 3).expect("a file");
            Self {
                folder,
                registry,
                job: JobId::new(uuid::Uuid::new_v4().to_string()),
                token: ReportToken::new(uuid::Uuid::new_v4().simple().to_string()),
                item: RowId::new("item 7"),
            }
        }

        fn path(&self) -> std::path::PathBuf {
            self.folder.path().join("workers")
        }

        fn shell(&self, script: &str) -> Command {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script]).process_group(0);
            command
        }

        /// One that does nothing, and has its own name from the moment at which it is there.
        fn sleeper(&self) -> Command {
            let mut command = Command::new("/bin/sleep");
            command.arg("600").process_group(0);
            command
        }

        /// Starts a worker and records it.
        fn recorded(&self, mut command: Command) -> Child {
            let mut slot = self.registry.slot(1);
            slot.prepare();
            let child = command.spawn().expect("started");
            slot.fill(Pid::from_child(&child), &self.token, &self.item);
            child
        }

        fn sweep(&self) -> SweepReport {
            let stop = Stop::new().expect("a pipe");
            end(&self.path(), &self.job, GRACE, &stop)
        }
    }

    fn is_running(child: &mut Child) -> bool {
        child.try_wait().expect("ours").is_none()
    }

    fn put_away(mut child: Child) {
        process::kill(Pid::from_child(&child));
        child.wait().expect("reaped");
    }

    fn orphan(child: &Child, name: &str, item: &str) -> Orphan {
        Orphan {
            pid: child.id(),
            name: name.to_owned(),
            item: item.to_owned(),
        }
    }

    #[test]
    fn an_orphan_is_named_as_far_as_it_is_known() {
        let mut orphan = Orphan {
            pid: 7,
            name: "agent".to_owned(),
            item: "a b".to_owned(),
        };
        assert_eq!(orphan.to_string(), "process 7 (`agent`) of item `a b`");
        orphan.name.clear();
        orphan.item.clear();
        assert_eq!(orphan.to_string(), "process 7");
    }

    #[test]
    fn records_that_make_no_sense_are_passed_over() {
        let scene = Scene::new();
        let pid = rustix::process::getpid();
        scene
            .registry
            .slot(0)
            .fill(pid, &scene.token, &RowId::new("ä".repeat(300)));
        let garbage = [b'\xff'; 100];
        let file = &scene.registry.file;
        file.write_all_at(&garbage, 2 * RECORD_BYTES as u64 + 10)
            .expect("written");
        scene.registry.slot(2).fill(pid, &scene.token, &scene.item);
        scene.registry.slot(2).clear();
        file.write_all_at(b"7 8 9 torn", 4 * RECORD_BYTES as u64)
            .expect("written");
        let registry = RegistryFile::read(&scene.path()).expect("a roster");
        let items: Vec<_> = registry.entries.iter().map(|entry| &entry.item).collect();
        assert_eq!(items.len(), 1);
        assert!(items[0].starts_with("ää"), "{items:?}");
        assert_eq!(registry.entries[0].pid, pid);
        assert_eq!(registry.entries[0].token, scene.token.as_str());

        std::fs::write(scene.path(), "something else").expect("written");
        assert!(RegistryFile::read(&scene.path()).is_none());
        std::fs::remove_file(scene.path()).expect("removed");
        assert_eq!(scene.sweep(), SweepReport::default());
    }

    #[cfg(not(target_os = "linux"))]
    #[test]
    fn without_proof_nothing_is_signalled_and_what_may_run_is_said() {
        let scene = Scene::new();
        let mut child = scene.recorded(scene.sleeper());
        let left = (orphan(&child, "", "item 7"), Doubt::NotLinux);
        assert_eq!(scene.sweep().left, [left]);
        assert!(is_running(&mut child));
        put_away(child);
        assert_eq!(scene.sweep(), Swept::default());
    }

    #[cfg(target_os = "linux")]
    mod on_linux {
        use super::*;
        use std::os::unix::process::ExitStatusExt;

        #[test]
        fn a_recorded_worker_ends_with_all_of_its_group() {
            let scene = Scene::new();
            // The second process has nothing that names the job.
            let script =
                "env -i /bin/sh -c 'trap \"\" TERM; echo; while :; do sleep 1; done' & wait";
            let mut command = scene.shell(script);
            command.stdout(std::process::Stdio::piped());
            let mut child = scene.recorded(command);
            let mut line = [0];
            let mut stdout = child.stdout.take().expect("a pipe");
            io::Read::read_exact(&mut stdout, &mut line).expect("the second process is there");
            assert_eq!(scene.sweep().ended, [orphan(&child, "sh", "item 7")]);
            assert_eq!(child.wait().expect("reaped").signal(), Some(15));
            // Its end is the end of the last process that held it.
            let mut rest = Vec::new();
            io::Read::read_to_end(&mut stdout, &mut rest).expect("read");
            assert_eq!(scene.sweep(), SweepReport::default());
        }

        #[test]
        fn one_that_ignores_term_is_killed() {
            let scene = Scene::new();
            let script = "trap '' TERM; while :; do sleep 1; done";
            let mut child = scene.recorded(scene.shell(script));
            assert_eq!(scene.sweep().ended.len(), 1);
            // TERM may have come before the trap.
            let signal = child.wait().expect("reaped").signal();
            assert!([Some(9), Some(15)].contains(&signal), "{signal:?}");
        }

        #[test]
        fn a_recycled_id_is_never_signalled() {
            let scene = Scene::new();
            let mut child = scene.sleeper().spawn().expect("started");
            let pid = Pid::from_child(&child);
            let start = process::all().into_iter().find(|one| one.pid == pid);
            let start = start.expect("it runs").start_ticks;
            let slot = scene.registry.slot(0);
            for (since, until) in [(0, start - 2), (start + 2, start + 1000)] {
                let (token, item) = (&scene.token, &scene.item);
                slot.write(format_args!("{pid} {since} {until} {token} {item}"));
                assert_eq!(scene.sweep(), SweepReport::default());
                assert!(is_running(&mut child));
            }
            let (token, item) = (&scene.token, &scene.item);
            slot.write(format_args!("{pid} {start} {start} {token} {item}"));
            assert_eq!(scene.sweep().ended, [orphan(&child, "sleep", "item 7")]);
            assert_eq!(child.wait().expect("reaped").signal(), Some(15));
        }

        #[test]
        fn a_record_of_another_boot_means_nothing() {
            let scene = Scene::new();
            let mut child = scene.recorded(scene.sleeper());
            let session = process::own().expect("it runs").session;
            let head = record(format_args!("{FORMAT} {session} another-boot"));
            let file = &scene.registry.file;
            file.write_all_at(&head, 0).expect("written");
            assert_eq!(scene.sweep(), SweepReport::default());
            assert!(is_running(&mut child));
            put_away(child);
        }

        #[test]
        fn a_cleared_record_means_nothing() {
            let scene = Scene::new();
            let mut child = scene.recorded(scene.sleeper());
            scene.registry.slot(1).clear();
            assert_eq!(scene.sweep(), SweepReport::default());
            assert!(is_running(&mut child));
            put_away(child);
        }

        #[test]
        fn a_group_without_its_leader_is_ours_by_the_token_alone() {
            for has_token in [true, false] {
                let scene = Scene::new();
                let mut command = scene.shell("sleep 600 >/dev/null 2>&1 & echo $!");
                if has_token {
                    command.env("MESH_REPORT_TOKEN", scene.token.as_str());
                }
                command.stdout(std::process::Stdio::piped());
                let child = scene.recorded(command);
                let (group, pid) = (Pid::from_child(&child), child.id());
                let output = child.wait_with_output().expect("reaped");
                let member: i32 = String::from_utf8_lossy(&output.stdout)
                    .trim()
                    .parse()
                    .expect("a number");
                let member = Pid::from_raw(member).expect("a number");
                let runs = || process::all().iter().any(|one| one.pid == member);
                let swept = scene.sweep();
                assert_eq!(runs(), !has_token);
                if has_token {
                    assert_eq!((swept.ended.len(), swept.ended[0].pid), (1, pid));
                    assert_eq!(swept.left, []);
                } else {
                    assert_eq!(swept.ended, []);
                    assert_eq!(
                        (swept.left[0].0.pid, swept.left[0].1),
                        (pid, Doubt::NoProof)
                    );
                }
                process::kill(group);
            }
        }

        #[test]
        fn a_worker_that_was_not_recorded_yet_is_ours_by_the_job_id() {
            let scene = Scene::new();
            let mut command = scene.sleeper();
            command.env("MESH_JOB_ID", scene.job.as_str());
            command.env("MESH_ITEM_ID", "item\n8");
            let mut ours = command.spawn().expect("started");
            let mut command = scene.sleeper();
            command.env("MESH_JOB_ID", format!("{}0", scene.job));
            let mut other = command.spawn().expect("started");
            assert_eq!(
                scene.sweep().ended,
                [orphan(&ours, "sleep", "item\u{fffd}8")]
            );
            assert_eq!(ours.wait().expect("reaped").signal(), Some(15));
            assert!(is_running(&mut other));
            put_away(other);
        }

        #[test]
        fn another_session_is_not_searched() {
            let scene = Scene::new();
            let head = record(format_args!("{FORMAT} {} {}", u32::MAX, process::system()));
            let file = &scene.registry.file;
            file.write_all_at(&head, 0).expect("written");
            let mut command = scene.sleeper();
            command.env("MESH_JOB_ID", scene.job.as_str());
            let mut child = command.spawn().expect("started");
            assert_eq!(scene.sweep(), SweepReport::default());
            assert!(is_running(&mut child));
            put_away(child);
        }

        #[test]
        fn the_group_of_this_process_is_left_alone() {
            let scene = Scene::new();
            let mut command = Command::new("/bin/sleep");
            command.arg("600").env("MESH_JOB_ID", scene.job.as_str());
            let mut child = command.spawn().expect("started");
            let swept = scene.sweep();
            assert_eq!(swept.ended, []);
            assert_eq!(swept.left[0].1, Doubt::RunsThis);
            assert!(is_running(&mut child));
            child.kill().expect("killed");
            child.wait().expect("reaped");
        }

        #[test]
        fn an_urgent_stop_shortens_the_grace_period() {
            let scene = Scene::new();
            let script = "trap '' TERM; echo; while :; do sleep 1; done";
            let mut command = scene.shell(script);
            command.stdout(std::process::Stdio::piped());
            let mut child = scene.recorded(command);
            let mut line = [0];
            let stdout = child.stdout.as_mut().expect("a pipe");
            io::Read::read_exact(stdout, &mut line).expect("the trap is set");
            let stop = Stop::new().expect("a pipe");
            stop.end_now();
            // With the whole grace period the test would be ended before.
            let grace = Duration::from_secs(3600);
            let swept = end(&scene.path(), &scene.job, grace, &stop);
            assert_eq!(swept.ended.len(), 1);
            assert_eq!(child.wait().expect("reaped").signal(), Some(9));
        }
    }
}
