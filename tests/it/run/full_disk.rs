//! What git says about the machine is never a verdict on a patch: the run ends, and goes on later.

use super::*;

/// One task, and a run in which git finds the disk full when its arguments hold `part`, as long as there is no file `freed`.
fn run_with_full_disk(part: &str, args: &str) -> (Bench, Said) {
    let bench = Bench::new(&[Task::new("a")]);
    bench.answer("a", "synthesis.author.1", &synthesis("a.txt", "new"));
    bench.git("config user.name t");
    bench.git("config user.email t@example.invalid");
    let freed = bench.beside("freed").display().to_string();
    let path = bench.path_with_git(&format!(
        "case \" $* \" in *\"{part}\"*) [ -e '{freed}' ] || {{ echo \"error: unable to write file 'a.txt': No space left on device\" >&2; exit 128; }} ;; esac"
    ));
    let mut mesh = bench.replay_command(&format!("--protocol solo {args}"));
    let said = mesh.env("PATH", path).run_to_end();
    (bench, said)
}

#[test]
fn a_patch_is_not_blamed_for_a_disk_that_is_full_when_git_applies_or_commits_it() {
    for (part, args) in [
        (" apply --whitespace=nowarn -p1 /", "delivery=patch"),
        (" apply --whitespace=nowarn -p1 --check", "delivery=patch"),
        (" apply --whitespace=nowarn -p1 /", "isolation=worktree"),
        (" commit ", "delivery=commit --allow-protected"),
        (" update-index ", "delivery=commit --allow-protected"),
        (" fetch ", "delivery=branch"),
    ] {
        let (bench, said) = run_with_full_disk(part, args);
        assert_eq!(said.code, 4, "{part} {args}: {}", said.err);
        said.err_has("No space left on device");
        said.err_has("free space on that disk");
        assert_eq!(said.err.matches("No space left").count(), 1, "{}", said.err);
        assert_eq!(bench.status_of("a"), "in_progress", "{part} {args}");
        std::fs::write(bench.beside("freed"), "").expect("written");
        bench.mesh("resume R").exits(0);
        assert_eq!(bench.status_of("a"), "completed", "{part} {args}");
        match args {
            "delivery=branch" => assert_eq!(bench.git("show mesh/R:a.txt"), "new\n"),
            _ => assert_eq!(bench.read("a.txt"), "new\n", "{part} {args}"),
        }
    }
}
