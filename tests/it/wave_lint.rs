//! `mesh wave lint`: every wave that `mesh` compiles passes, and what is wrong with others is named by row and column.

use crate::plan_fixture::{Bench, Task};

#[test]
fn compiled_waves_pass_also_with_several_units() {
    let bench = Bench::new(&[
        Task::new("a").agree(&[3, 5]),
        Task::new("b"),
        Task::new("c").notes(""),
    ]);
    bench.run(&["max_tasks=3", "parallel_tasks=2"]);
    let folder = bench.run_folder().join("waves");
    let paths: Vec<String> = bench
        .waves()
        .iter()
        .map(|wave| folder.join(&wave.name).display().to_string())
        .collect();
    assert!(paths.len() > 5, "{paths:?}");
    let args: Vec<&str> = ["wave", "lint"]
        .into_iter()
        .chain(paths.iter().map(String::as_str))
        .collect();
    let said = bench.mesh(&args);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
    assert_eq!(
        said.out
            .lines()
            .filter(|line| line.starts_with("ok "))
            .count(),
        paths.len()
    );
}

#[test]
fn what_is_wrong_is_named() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run(&[]);
    let wave =
        std::fs::read_to_string(bench.run_folder().join("waves/002-critique.csv")).expect("text");
    bench.write("w.csv", &wave.replacen("read_only", "write", 1));
    bench.write("w.call.json", "{}");
    let said = bench.mesh(&["wave", "lint", "w.csv"]);
    assert_eq!(said.code, 1);
    assert!(
        said.out
            .contains("`w.csv`: row 1, column `lane`: must be `read_only` or `patch`\n"),
        "{}",
        said.out
    );
    assert!(
        said.out
            .contains("`w.csv`: `id_column`: is null in the call file; the wave wants \"id\"\n"),
        "{}",
        said.out
    );
    let said = bench.mesh(&["--json", "wave", "lint", "w.csv"]);
    assert!(
        said.out
            .starts_with(r#"{"wave":"w.csv","rows":3,"problems":[{"row":1,"column":"lane","#),
        "{}",
        said.out
    );

    bench.write("other.csv", "id,prompt\n1,x\n");
    let said = bench.mesh(&["wave", "lint", "other.csv"]);
    assert_eq!(
        (said.code, said.out.as_str()),
        (1, "`other.csv`: `prompt`: column 2 must be `unit`\n")
    );
    let said = bench.mesh(&["wave", "lint", "none.csv"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("`none.csv`"), "{}", said.err);
}
