//! Workers of several waves that outlive a killed `mesh`.

use super::*;

/// The first time, the worker of `a` ends with TERM, that of `b` and that of `c` do not; each writes its process id to a file.
/// The second time it writes to `overlap` which of the first ones still run.
const WORKER: &str = r#"
shared=$1
shift
task=${MESH_ITEM_ID%%.*}
if mkdir $shared/first.$task 2>/dev/null; then
    [ $task = a ] || trap '' TERM
    echo $$ >$shared/pid.$task
    while :; do sleep 1; done
fi
for first in a b c; do
    # A zombie has no command line.
    grep -q . /proc/$(cat $shared/pid.$first)/cmdline 2>/dev/null && echo $first >>$shared/overlap
done
exec "$@"
"#;

#[cfg(target_os = "linux")]
#[test]
fn no_row_starts_beside_what_a_killed_mesh_left_of_another_wave() {
    let bench = Bench::with_files(&["a", "b", "c"].map(Task::new), &[("duo.yaml", DUO)]);
    let shared = bench.beside("shared");
    std::fs::create_dir(&shared).expect("a folder");
    let folder = shared.display().to_string();
    let args = Args::from("run --run-id R protocol=duo.yaml max_tasks=3 parallel_tasks=3 -j 3")
        .and("grace_seconds=1 --writable")
        .and(&[&folder]);
    let worker = ["--", "sh", "-c", WORKER, "sh", &folder, &fake_agent()];
    let worker = Args::from(&worker).and(&["--answers", &bench.answers()]);
    let mut mesh = bench.command(args.and(worker));
    let mut mesh = mesh
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mesh starts");
    wait_for("three workers", || {
        let is_there = |task| {
            let pid = std::fs::read_to_string(shared.join(format!("pid.{task}")));
            pid.is_ok_and(|pid| pid.ends_with('\n'))
        };
        ["a", "b", "c"].into_iter().all(is_there)
    });
    mesh.kill().expect("killed");
    mesh.wait().expect("reaped");

    bench.mesh("resume R").exits(0);
    let overlap = std::fs::read_to_string(shared.join("overlap"));
    assert!(overlap.is_err(), "{overlap:?} ran beside other rows");
    for task in ["a", "b", "c"] {
        assert_eq!(bench.status_of(task), "completed");
    }
    // The ledger agrees: the ends of all three come before the first start.
    let trace = bench.events();
    let attempts = trace
        .iter()
        .filter(|(name, _)| name.starts_with("attempt_") && name != "attempt_reported");
    let names: Vec<&str> = attempts.map(|(name, _)| name.as_str()).take(7).collect();
    let (started, finished) = ("attempt_started", "attempt_finished");
    assert_eq!(
        names,
        [
            started, started, started, finished, finished, finished, started
        ]
    );
    bench.mesh("audit R").exits(0);
}
