use super::*;
use crate::executor::local::worker_registry::{FORMAT, RECORD_BYTES, WorkerRegistry, record_bytes};
use crate::model::{ReportToken, RowId};
use std::io;
use std::os::unix::fs::FileExt;
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
        let registry = WorkerRegistry::begin(&folder.path().join("workers"), 3).expect("a file");
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

    /// A process that only waits; its name is `sleep` from the start.
    fn sleeper(&self) -> Command {
        let mut command = Command::new("/bin/sleep");
        command.arg("600").process_group(0);
        command
    }

    /// Starts a worker and records it.
    fn spawn_recorded(&self, mut command: Command) -> Child {
        let mut entry = self.registry.entry(1);
        entry.prepare();
        let child = command.spawn().expect("started");
        entry.record(Pid::from_child(&child), &self.token, &self.item);
        child
    }

    fn sweep(&self) -> SweepReport {
        self.sweep_with(GRACE)
    }

    fn sweep_with(&self, grace: Duration) -> SweepReport {
        let stop = Stop::new().expect("a pipe");
        end(&[(self.path(), &self.job)], grace, &stop).expect("a registry that can be read")
    }
}

fn is_running(child: &mut Child) -> bool {
    child.try_wait().expect("ours").is_none()
}

fn kill_and_reap(mut child: Child) {
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
fn an_orphan_is_shown_with_its_name_and_item_if_known() {
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
fn invalid_records_are_skipped() {
    let scene = Scene::new();
    let pid = rustix::process::getpid();
    scene
        .registry
        .entry(0)
        .record(pid, &scene.token, &RowId::new("ä".repeat(300)));
    let garbage = [b'\xff'; 100];
    let file = &scene.registry.file;
    file.write_all_at(&garbage, 2 * RECORD_BYTES as u64 + 10)
        .expect("written");
    scene
        .registry
        .entry(2)
        .record(pid, &scene.token, &scene.item);
    scene.registry.entry(2).clear();
    file.write_all_at(b"7 8 9 torn", 4 * RECORD_BYTES as u64)
        .expect("written");
    let registry = RegistryFile::read(&scene.path()).expect("read");
    let registry = registry.expect("a registry");
    let items: Vec<_> = registry.workers.iter().map(|worker| &worker.item).collect();
    assert_eq!(items.len(), 1);
    assert!(items[0].starts_with("ää"), "{items:?}");
    assert_eq!(registry.workers[0].pid, pid);
    assert_eq!(registry.workers[0].token, scene.token.as_str());

    std::fs::write(scene.path(), "something else").expect("written");
    assert!(matches!(RegistryFile::read(&scene.path()), Ok(None)));
    std::fs::remove_file(scene.path()).expect("removed");
    assert_eq!(scene.sweep(), SweepReport::default());
    // One that can't be read may name workers that still run.
    std::os::unix::fs::symlink("/proc/self/mem", scene.path()).expect("a link");
    let stop = Stop::new().expect("a pipe");
    assert!(end(&[(scene.path(), &scene.job)], GRACE, &stop).is_err());
}

#[cfg(not(target_os = "linux"))]
#[test]
fn without_proof_nothing_is_signalled_and_orphans_are_reported() {
    let scene = Scene::new();
    let mut child = scene.spawn_recorded(scene.sleeper());
    let left = (orphan(&child, "", "item 7"), Doubt::NotLinux);
    assert_eq!(scene.sweep().left, [left]);
    assert!(is_running(&mut child));
    kill_and_reap(child);
    assert_eq!(scene.sweep(), SweepReport::default());
}

#[cfg(target_os = "linux")]
mod on_linux {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn a_recorded_worker_ends_with_all_of_its_group() {
        let scene = Scene::new();
        // The environment of the second process does not name the job.
        let script = "env -i /bin/sh -c 'trap \"\" TERM; echo; while :; do sleep 1; done' & wait";
        let mut command = scene.shell(script);
        command.stdout(std::process::Stdio::piped());
        let mut child = scene.spawn_recorded(command);
        let mut line = [0];
        let mut stdout = child.stdout.take().expect("a pipe");
        io::Read::read_exact(&mut stdout, &mut line).expect("the second process is there");
        assert_eq!(scene.sweep().ended, [orphan(&child, "sh", "item 7")]);
        assert_eq!(child.wait().expect("reaped").signal(), Some(15));
        // Ends when the last process that holds the pipe has ended.
        let mut rest = Vec::new();
        io::Read::read_to_end(&mut stdout, &mut rest).expect("read");
        assert_eq!(scene.sweep(), SweepReport::default());
    }

    #[test]
    fn an_orphan_that_ignores_term_is_killed() {
        let scene = Scene::new();
        let script = "trap '' TERM; while :; do sleep 1; done";
        let mut child = scene.spawn_recorded(scene.shell(script));
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
        let start = process::all()
            .expect("read")
            .into_iter()
            .find(|one| one.pid == pid);
        let start = start.expect("it runs").start_ticks;
        let entry = scene.registry.entry(0);
        for (since, until) in [(0, start - 2), (start + 2, start + 1000)] {
            let (token, item) = (&scene.token, &scene.item);
            entry.write(format_args!("{pid} {since} {until} {token} {item}"));
            assert_eq!(scene.sweep(), SweepReport::default());
            assert!(is_running(&mut child));
        }
        let (token, item) = (&scene.token, &scene.item);
        entry.write(format_args!("{pid} {start} {start} {token} {item}"));
        assert_eq!(scene.sweep().ended, [orphan(&child, "sleep", "item 7")]);
        assert_eq!(child.wait().expect("reaped").signal(), Some(15));
    }

    #[test]
    fn a_record_of_another_boot_is_ignored() {
        let scene = Scene::new();
        let mut child = scene.spawn_recorded(scene.sleeper());
        let session = process::own().expect("it runs").session;
        let head = record_bytes(format_args!("{FORMAT} {session} another-boot"));
        let file = &scene.registry.file;
        file.write_all_at(&head, 0).expect("written");
        assert_eq!(scene.sweep(), SweepReport::default());
        assert!(is_running(&mut child));
        kill_and_reap(child);
    }

    #[test]
    fn a_cleared_record_is_ignored() {
        let scene = Scene::new();
        let mut child = scene.spawn_recorded(scene.sleeper());
        scene.registry.entry(1).clear();
        assert_eq!(scene.sweep(), SweepReport::default());
        assert!(is_running(&mut child));
        kill_and_reap(child);
    }

    #[test]
    fn a_group_without_its_leader_is_proven_by_the_token_alone() {
        for has_token in [true, false] {
            let scene = Scene::new();
            let mut command = scene.shell("sleep 600 >/dev/null 2>&1 & echo $!");
            if has_token {
                command.env("MESH_REPORT_TOKEN", scene.token.as_str());
            }
            command.stdout(std::process::Stdio::piped());
            let child = scene.spawn_recorded(command);
            let (group, pid) = (Pid::from_child(&child), child.id());
            let output = child.wait_with_output().expect("reaped");
            let member: i32 = String::from_utf8_lossy(&output.stdout)
                .trim()
                .parse()
                .expect("a number");
            let member = Pid::from_raw(member).expect("a number");
            let runs = || {
                process::all()
                    .expect("read")
                    .iter()
                    .any(|one| one.pid == member)
            };
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
    fn what_an_orphan_starts_when_it_is_ended_is_ended_too() {
        let scene = Scene::new();
        let script = "trap 'sleep 600 >/dev/null 2>&1 & echo $!; exit' TERM; echo; while :; do sleep 0.01; done";
        let mut command = scene.shell(script);
        command.env("MESH_REPORT_TOKEN", scene.token.as_str());
        command.stdout(std::process::Stdio::piped());
        let mut child = scene.spawn_recorded(command);
        let mut stdout = child.stdout.take().expect("a pipe");
        io::Read::read_exact(&mut stdout, &mut [0]).expect("the trap is set");
        // However late the trap runs.
        let swept = scene.sweep_with(Duration::from_secs(60));
        let mut text = String::new();
        io::Read::read_to_string(&mut stdout, &mut text).expect("text");
        let started: i32 = text.trim().parse().expect("a number");
        let started = Pid::from_raw(started).expect("a number");
        assert_eq!(process::find(started).expect("read"), None, "{swept:?}");
        assert_eq!((swept.ended.len(), swept.left.len()), (1, 0), "{swept:?}");
        child.wait().expect("reaped");
    }

    #[test]
    fn an_unrecorded_worker_is_proven_by_the_job_id() {
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
        kill_and_reap(other);
    }

    #[test]
    fn another_session_is_not_searched() {
        let scene = Scene::new();
        let head = record_bytes(format_args!(
            "{FORMAT} {} {}",
            u32::MAX,
            process::system().expect("read")
        ));
        let file = &scene.registry.file;
        file.write_all_at(&head, 0).expect("written");
        let mut command = scene.sleeper();
        command.env("MESH_JOB_ID", scene.job.as_str());
        let mut child = command.spawn().expect("started");
        assert_eq!(scene.sweep(), SweepReport::default());
        assert!(is_running(&mut child));
        kill_and_reap(child);
    }

    #[test]
    fn the_group_of_this_process_is_left_alone() {
        let scene = Scene::new();
        let mut command = Command::new("/bin/sleep");
        command.arg("600").env("MESH_JOB_ID", scene.job.as_str());
        let mut child = command.spawn().expect("started");
        let swept = scene.sweep();
        assert_eq!(swept.ended, []);
        assert_eq!(swept.left[0].1, Doubt::ContainsSelf);
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
        let mut child = scene.spawn_recorded(command);
        let mut line = [0];
        let stdout = child.stdout.as_mut().expect("a pipe");
        io::Read::read_exact(stdout, &mut line).expect("the trap is set");
        let stop = Stop::new().expect("a pipe");
        stop.end_now();
        // The test would time out within the whole grace period.
        let grace = Duration::from_secs(3600);
        let swept = end(&[(scene.path(), &scene.job)], grace, &stop).expect("read");
        assert_eq!(swept.ended.len(), 1);
        assert_eq!(child.wait().expect("reaped").signal(), Some(9));
    }
}
