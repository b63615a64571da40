//! Ends the workers that a killed `mesh` left running, before their rows start again.
//!
//! A resume reads the [worker registry](super::worker_registry) of the dead `mesh` and ends the processes that are proven to
//! be its workers. A process id alone proves nothing, because ids are reused. Each of these is a proof, in the same boot and
//! process table:
//!
//! - the recorded id, start time and group: then the whole group is the worker's, since no other process can join it;
//! - in a recorded group without its leader, the attempt's report token in the environment of the process;
//! - in the session of the dead `mesh`, the job id in the environment: a worker that was not recorded before the kill, or a
//!   process that a worker started in a group of its own. A process that left the session is a daemon and stays.
//!
//! Every other process is left alone and reported. Signals go to single processes that are checked once more. Only Linux
//! offers such proof; elsewhere nothing is signalled, and what may still be running is reported.

use super::worker_registry::{RecordedWorker, RegistryFile};
use crate::job::{Stop, Urgency};
use crate::model::{JobId, one_line};
use crate::platform::{Process, number, process};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The kernel and this process may read the clock on two sides of a tick.
const TICKS_OFF: u64 = 1;
/// Between two checks of processes that were sent TERM.
const PAUSE: Duration = Duration::from_millis(20);
/// How often is looked for orphans at most: processes that start others without end can't be caught one by one.
const LOOKS_MAX: u32 = 10;
/// How long a killed process may take to end; one that hangs in the kernel may take forever.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// The orphans found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SweepReport {
    /// Ended orphans, one per process group.
    pub ended: Vec<Orphan>,
    /// Orphans that may still be running.
    pub left: Vec<(Orphan, Doubt)>,
}

/// A worker whose `mesh` was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Orphan {
    /// The id of its process group.
    pub pid: u32,
    /// Its program; empty if unknown.
    pub name: String,
    /// Its item, cut to fit a message; empty if unknown.
    pub item: String,
}

/// Why an orphan was left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// Its leader ended, and nothing proves that the rest of the group is the worker's.
    NoProof,
    /// It was the worker, but is in another group now.
    LeftItsGroup,
    /// This `mesh` runs in its group.
    ContainsSelf,
    /// The system does not permit signalling it.
    NotPermitted,
    /// It was killed but has not ended.
    DidNotEnd,
    /// This system offers no proof of a process's identity.
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
                "its group has lost its leader, and nothing proves that it is the worker's"
            }
            Doubt::LeftItsGroup => "it has left its process group",
            Doubt::ContainsSelf => "this `mesh` was started from it",
            Doubt::NotPermitted => "it belongs to another user",
            Doubt::DidNotEnd => "it was killed and has not ended",
            Doubt::NotLinux => "only Linux can tell whether it is still the worker",
        })
    }
}

/// Ends what a dead `mesh` recorded or started for `jobs`, each with its registry, all at once: TERM, `grace` (less if `stop`
/// is urgent), KILL. Returns when it has ended; passes over a job without a registry, or with one of another boot.
///
/// The caller must hold the run's lock: the workers of a running `mesh` look the same.
///
/// # Errors
/// A registry or the processes can't be read: what is recorded may still run.
pub(crate) fn end(
    jobs: &[(PathBuf, &JobId)],
    grace: Duration,
    stop: &Stop,
) -> io::Result<SweepReport> {
    let mut registries: Vec<(RegistryFile, &JobId)> = Vec::new();
    for (path, job) in jobs {
        registries.extend(RegistryFile::read(path)?.map(|registry| (registry, *job)));
    }
    let mut swept = SweepReport::default();
    if !cfg!(target_os = "linux") {
        let registries = registries.into_iter();
        swept.left = registries
            .flat_map(|(registry, _)| find_unproven(registry))
            .collect();
        return Ok(swept);
    }
    // A worker that was sent TERM may have started another process meanwhile, in its group or in a new one.
    for _ in 0..LOOKS_MAX {
        let all = process::all()?;
        let mut unproven = Vec::new();
        let mut targets: Vec<Target> = Vec::new();
        for (registry, job) in &registries {
            targets.extend(find_targets(registry, job, &all, &mut unproven)?);
        }
        let is_left = |target: &Target| swept.left.iter().any(|(one, _)| one.pid == target.group);
        targets.retain(|target| !is_left(target));
        let is_last = targets.is_empty();
        end_targets(targets, grace, stop, &mut swept)?;
        if is_last {
            swept.left.extend(unproven);
            break;
        }
    }
    swept.settle(&process::all()?);
    Ok(swept)
}

impl SweepReport {
    /// One entry for each group, and of those that are left only the ones that `all` has: an orphan left alone for one reason
    /// may have been ended for another. Of a group that was ended, processes without proof may be left.
    fn settle(&mut self, all: &[Process]) {
        let unproven = self.ended.iter();
        let unproven = unproven.map(|orphan| (orphan.clone(), Doubt::NoProof));
        self.left.extend(unproven.collect::<Vec<_>>());
        let mut seen = HashSet::new();
        self.left.retain(|(orphan, _)| {
            let is_there = all.iter().any(|process| orphan.matches(process));
            is_there && seen.insert(orphan.pid)
        });
        seen.clear();
        self.ended.retain(|orphan| seen.insert(orphan.pid));
    }
}

/// The groups with proven workers. Others are added to `left`.
fn find_targets(
    registry: &RegistryFile,
    job: &JobId,
    all: &[Process],
    left: &mut Vec<(Orphan, Doubt)>,
) -> io::Result<Vec<Target>> {
    let mut targets: Vec<Target> = Vec::new();
    for worker in &registry.workers {
        match claim(worker, all)? {
            Claim::Gone => {}
            Claim::Ours(target) => targets.push(target),
            Claim::Left(orphan, doubt) => left.push((orphan, doubt)),
        }
    }
    let mark = format!("MESH_JOB_ID={job}");
    for process in all {
        let is_known = |target: &Target| target.group == process.group;
        if process.session != registry.session || targets.iter().any(is_known) {
            continue;
        }
        let environment = process::environment(process.pid)?;
        if holds(&environment, &mark) {
            let item = variable(&environment, "MESH_ITEM_ID").unwrap_or_default();
            let target = Target::new(process, &item, Proof::Mark(mark.clone()));
            targets.push(target);
        }
    }
    let own = process::own().map(|own| own.group);
    let runs_this = targets.extract_if(.., |target| Some(target.group) == own);
    left.extend(runs_this.map(|target| (target.orphan, Doubt::ContainsSelf)));
    Ok(targets)
}

/// All recorded workers whose group exists, on a system without proof.
fn find_unproven(registry: RegistryFile) -> impl Iterator<Item = (Orphan, Doubt)> {
    let workers = registry.workers.into_iter();
    let running = workers.filter(|worker| process::group_exists(worker.pid));
    running.map(|worker| (orphan(&worker, ""), Doubt::NotLinux))
}

/// What is known of a recorded worker.
enum Claim {
    /// It has ended.
    Gone,
    /// It runs.
    Ours(Target),
    /// It may be running.
    Left(Orphan, Doubt),
}

fn claim(worker: &RecordedWorker, all: &[Process]) -> io::Result<Claim> {
    let (since, until) = worker.started;
    let started = since.saturating_sub(TICKS_OFF)..=until.saturating_add(TICKS_OFF);
    if let Some(holder) = all.iter().find(|process| process.pid == worker.pid) {
        return Ok(if !started.contains(&holder.start_ticks) {
            // The id was reused, which is impossible while a process of the group runs.
            Claim::Gone
        } else if holder.group != number(worker.pid) {
            Claim::Left(orphan(worker, &holder.name), Doubt::LeftItsGroup)
        } else {
            let known = all
                .iter()
                .filter(|process| process.group == number(worker.pid));
            let proof = Proof::Known(known.map(identity).collect());
            Claim::Ours(Target::new(holder, &worker.item, proof))
        });
    }
    let mark = format!("MESH_REPORT_TOKEN={}", worker.token);
    let is_member = |one: &&Process| one.group == number(worker.pid);
    let members: Vec<&Process> = all.iter().filter(is_member).collect();
    for member in &members {
        if is_marked(member, &mark)? {
            let target = Target::new(member, &worker.item, Proof::Mark(mark));
            return Ok(Claim::Ours(target));
        }
    }
    Ok(match members.first() {
        Some(member) => Claim::Left(orphan(worker, &member.name), Doubt::NoProof),
        None => Claim::Gone,
    })
}

fn orphan(worker: &RecordedWorker, name: &str) -> Orphan {
    Orphan {
        pid: number(worker.pid),
        name: name.to_owned(),
        item: one_line(&worker.item),
    }
}

impl Orphan {
    fn matches(&self, process: &Process) -> bool {
        [number(process.pid), process.group].contains(&self.pid)
    }
}

/// A process group with processes to end.
struct Target {
    orphan: Orphan,
    group: u32,
    proof: Proof,
    /// Processes that were sent TERM.
    terminated: HashSet<Identity>,
    refused: bool,
}

/// What proves that a process of a group is the worker's.
enum Proof {
    /// The whole group is; these were seen in it. While one of them runs, the group id is not reused.
    Known(HashSet<Identity>),
    /// Processes with this entry in their environment are.
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
            terminated: HashSet::new(),
            refused: false,
        }
    }

    /// The processes of the group that are proven to be the worker's.
    fn members<'p>(&mut self, all: &'p [Process]) -> io::Result<Vec<&'p Process>> {
        let is_member = |process: &&Process| process.group == self.group;
        let members: Vec<&Process> = all.iter().filter(is_member).collect();
        match &mut self.proof {
            Proof::Mark(mark) => {
                let mut marked = Vec::new();
                for member in members {
                    if is_marked(member, mark)? {
                        marked.push(member);
                    }
                }
                Ok(marked)
            }
            Proof::Known(known) => {
                let is_known = |member: &&Process| known.contains(&identity(member));
                if !members.iter().any(is_known) {
                    return Ok(Vec::new());
                }
                known.extend(members.iter().map(|member| identity(member)));
                Ok(members)
            }
        }
    }

    /// KILL for all, or TERM for those that did not get it yet.
    fn signal(&mut self, members: &[&Process], is_due: bool) {
        for member in members {
            let is_new = self.terminated.insert(identity(member));
            let sent = match (is_due, is_new) {
                (true, _) => process::signal(member, Signal::KILL),
                (false, true) => process::signal(member, Signal::TERM),
                (false, false) => Ok(()),
            };
            self.refused |= sent == Err(Errno::PERM);
        }
    }
}

/// Ends `targets`: TERM, then KILL, until they are empty or killing has timed out.
fn end_targets(
    mut targets: Vec<Target>,
    grace: Duration,
    stop: &Stop,
    swept: &mut SweepReport,
) -> io::Result<()> {
    let begun = Instant::now();
    let mut killing: Option<Instant> = None;
    while !targets.is_empty() {
        if begun.elapsed() >= grace || stop.urgency() == Urgency::Now {
            killing.get_or_insert_with(Instant::now);
        }
        let has_timed_out = killing.is_some_and(|since| since.elapsed() >= KILL_TIMEOUT);
        let all = process::all()?;
        let mut running = Vec::new();
        for mut target in targets {
            let members = target.members(&all)?;
            if members.is_empty() {
                swept.ended.push(target.orphan);
            } else if target.refused {
                swept.left.push((target.orphan, Doubt::NotPermitted));
            } else if has_timed_out {
                swept.left.push((target.orphan, Doubt::DidNotEnd));
            } else {
                target.signal(&members, killing.is_some());
                running.push(target);
            }
        }
        targets = running;
        if !targets.is_empty() {
            std::thread::sleep(PAUSE);
        }
    }
    Ok(())
}

fn identity(process: &Process) -> Identity {
    (process.pid, process.start_ticks)
}

fn is_marked(process: &Process, mark: &str) -> io::Result<bool> {
    Ok(holds(&process::environment(process.pid)?, mark))
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
mod tests;
