//! How long the workers' copy of a repository of 50,000 files takes: the first one, and each later one, when little or much
//! was changed in between on either side. Also the look at the user's tree that comes before and after each wave.
//! Prints, for each, the median of five passes as a line of `docs/BENCHMARKS.md`, with the processor time, its own and git's, that
//! other work on the machine does not change (Linux alone says it). The repository is made for it in the
//! temporary folder (`TMPDIR`): 500 folders of 100 files of 200 bytes to 20 kB, some 200 MB in all.
//!
//! Usage: `cargo bench --bench snapshot`

#![expect(
    clippy::disallowed_methods,
    reason = "what can't be looked at ends the benchmark"
)]

use mesh::platform::Repo;
use mesh::workspace::{Fingerprint, create_copy};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const FOLDERS: usize = 500;
const FILES: usize = 100;
const PASSES: usize = 5;

fn main() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let root = place.path().join("repo");
    let target = place.path().join("snapshot");
    generate(&root);
    let repo = Repo::find(&root).expect("a repository");
    println!("| repository of 50,000 files | median | processor time |");
    println!("| --- | --- | --- |");
    // Each in a place of its own: a file system is slow where much was deleted a moment ago.
    let all: Vec<usize> = (0..FOLDERS * FILES).collect();
    let number = Cell::new(0);
    let first = || {
        number.set(number.get() + 1);
        let target = place.path().join(format!("first{}", number.get()));
        create_copy(&repo, &target).expect("a copy");
    };
    measure("the first copy", || {}, first);
    let make = || create_copy(&repo, &target).expect("a copy");
    make();
    // The files of the last copy count as unsettled for two seconds.
    std::thread::sleep(Duration::from_secs(3));
    make();
    measure("the next one, nothing changed", || {}, make);
    measure(
        "the next one, a worker changed 10 files",
        || touch(&target, &all[..10]),
        make,
    );
    measure(
        "the next one, a worker changed 10,000",
        || touch(&target, &all[..10_000]),
        make,
    );
    measure(
        "the next one, the user changed 10",
        || touch(&root, &all[..10]),
        make,
    );
    let look = || drop(Fingerprint::take(&repo, &[]).expect("a fingerprint"));
    measure("a look at the tree, 10 files changed", || {}, look);
    touch(&root, &all[..10_000]);
    measure("a look at the tree, 10,000 changed", || {}, look);
}

fn measure(what: &str, before: impl Fn(), act: impl Fn()) {
    let mut times = Vec::new();
    for _ in 0..PASSES {
        before();
        let (begin, used) = (Instant::now(), processor_time());
        act();
        times.push((begin.elapsed(), processor_time() - used));
    }
    let mut median = |of: fn(&(Duration, Duration)) -> Duration| {
        times.sort_by_key(of);
        of(&times[PASSES / 2]).as_secs_f64()
    };
    let (elapsed, used) = (median(|pass| pass.0), median(|pass| pass.1));
    println!("| {what} | {elapsed:.2} s | {used:.2} s |");
}

/// Of this process and those that it waited for; in hundredths of a second.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks = fields
        .skip(11)
        .take(4)
        .filter_map(|field| field.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

fn path(number: usize) -> PathBuf {
    format!(
        "src/part{:03}/file{:03}.txt",
        number / FILES,
        number % FILES
    )
    .into()
}

fn touch(root: &Path, numbers: &[usize]) {
    for number in numbers {
        std::fs::write(root.join(path(*number)), format!("changed {number}\n")).expect("written");
    }
}

fn generate(root: &Path) {
    for number in 0..FOLDERS * FILES {
        let path = root.join(path(number));
        if number % FILES == 0 {
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        }
        let line = format!("line of file {number}\n");
        let text = line.repeat(200 / line.len() + number % 50 * 12);
        std::fs::write(path, text).expect("written");
    }
    for args in [
        &["init", "--quiet"] as &[&str],
        &["add", "--all"],
        &[
            "-c",
            "user.name=b",
            "-c",
            "user.email=b@example.invalid",
            "commit",
            "--quiet",
            "-m",
            "all",
        ],
    ] {
        let status = Command::new("git").args(args).current_dir(root).status();
        assert!(status.expect("git starts").success(), "git {args:?}");
    }
}
