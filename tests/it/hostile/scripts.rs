//! Exported waves: cells, the worker's command, and the names of folders and files.

use super::*;
use serde_json::json;
use std::process::Command;

/// A wave in which every text is an id, a prompt and a word of the worker's command, which prints an object.
fn prepare(sandbox: &Sandbox) -> Args {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["id", "prompt"]).expect("memory");
    for ((_, id), (_, prompt)) in corpus::words("id").into_iter().zip(corpus::words("prompt")) {
        table.write_record([id, prompt]).expect("memory");
    }
    let table = table.into_inner().expect("memory");
    std::fs::write(sandbox.path("w.csv"), table).expect("written");
    let call = json!({"csv_path": "w.csv", "instruction": "{prompt}", "id_column": "id",
        "max_concurrency": 4, "max_runtime_seconds": 30});
    sandbox.write("w.call.json", &call.to_string());
    let words: Vec<String> = corpus::words("word")
        .into_iter()
        .map(|(_, word)| word)
        .collect();
    let worker = [
        "--",
        "sh",
        "-c",
        "cat >/dev/null; echo '{\"ok\":true}'",
        "{prompt}",
    ];
    Args::from(&worker).and(&words)
}

#[test]
fn no_text_becomes_a_part_of_a_script() {
    let sandbox = Sandbox::new();
    let worker = prepare(&sandbox);
    let mut matrix = Matrix::default();
    for input in ["id", "prompt", "word"] {
        matrix.carry(input);
    }
    for (engine, file) in [
        ("slurm", "job.sbatch"),
        ("kubernetes", "job.yaml"),
        ("parallel", "run"),
        ("xargs", "run"),
        ("hyperqueue", "run"),
        ("shell", "run"),
    ] {
        let args = Args::from("wave export w.csv --rows-per-task 25 --to").and(engine);
        sandbox.mesh(args.and(engine).and(&worker)).exits(0);
        let script = std::fs::read(sandbox.path(engine).join(file)).expect("a script");
        matrix.look(engine, script_has_no_text, &script);
    }
    // The slices of one are worked, with every text on their way.
    let mut xargs = Command::new(sandbox.path("xargs/run"));
    said(
        xargs
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .output()
            .expect("it starts"),
    )
    .exits(0);
    let mut slices = Vec::new();
    for entry in std::fs::read_dir(sandbox.path("xargs/slices"))
        .expect("slices")
        .flatten()
    {
        slices.extend(std::fs::read(entry.path()).expect("a file"));
    }
    matrix.look("slices", json_is_valid, &slices);
    assert_names_are_plain(&sandbox.path("xargs"));
    matrix.assert_is_as_before("scripts");
    assert_no_canary(&sandbox);
}

#[test]
fn names_of_folders_stay_words_of_the_scripts() {
    let sandbox = Sandbox::new();
    let _ = prepare(&sandbox);
    sandbox.write("w.csv", "id,prompt\na,b\n");
    let worker = ["--", "echo", "{}"];
    let is_of_a_shell = |(text, _): &(Text, String)| text.name.starts_with("shell");
    for (_, name) in corpus::words("folder").into_iter().filter(is_of_a_shell) {
        for (engine, file) in [("slurm", "job.sbatch"), ("shell", "run")] {
            // The shell that looks for the folder of its script drops line ends at the end of a name.
            let folder = format!("{engine} {name}").trim_end().to_owned();
            let args = Args::from("wave export w.csv")
                .and(&[&folder])
                .and("--to")
                .and(engine);
            let exported = sandbox.mesh(args.and(&worker));
            terminal_is_tame(exported.out.as_bytes()).expect(&folder);
            terminal_is_tame(exported.err.as_bytes()).expect(&folder);
            if name.contains(['\n', '"']) && engine == "slurm" {
                exported
                    .exits(2)
                    .err_has("has a line break or a double quote");
                continue;
            }
            exported.exits(0);
            let mut shell = Command::new("sh");
            let shell = shell.arg(sandbox.path(&folder).join(file)).env_clear();
            let shell = shell
                .env("PATH", "/usr/bin:/bin")
                .env("SLURM_ARRAY_TASK_ID", "1");
            said(
                shell
                    .current_dir(sandbox.work())
                    .output()
                    .expect("it starts"),
            )
            .exits(0);
            let slices = std::fs::read_dir(sandbox.path(&folder).join("slices")).expect("slices");
            assert_eq!(slices.count(), 1, "{folder}");
        }
    }
    assert_no_canary(&sandbox);
}
