//! Patches, names of files in the repository, and rounds with critiques and votes.

use super::outputs::look_at_all;
use super::*;
use serde_json::{Value, json};

/// The texts for `input` without those that are too long for a name or that git can't have in a path.
fn names(input: &str) -> Vec<String> {
    let words = corpus::words(input).into_iter().map(|(_, text)| text);
    words.filter(|text| text.len() < 200).collect()
}

fn answer(patch: &str) -> String {
    json!({"decision_log": [], "patch": patch, "validation": [], "residual_risk": "low"})
        .to_string()
}

#[test]
fn paths_and_contents_of_patches_stay_what_they_are() {
    let mut matrix = Matrix::default();
    for input in ["path", "content", "file"] {
        matrix.carry(input);
    }
    let paths = names("path");
    let mut tasks = vec![
        Task::new("content")
            .scope(&["all.txt"])
            .validation(&["test -s all.txt"]),
    ];
    tasks.extend((0..paths.len()).map(|at| {
        Task::new(&format!("t{at}"))
            .scope(&["ok/**"])
            .validation(&["true"])
    }));
    // Names of the repository, which git takes as they are.
    let files: Vec<String> = names("file")
        .into_iter()
        .filter(|name| !name.contains(".git") && !name.starts_with(['/', '.']))
        .collect();
    let committed: Vec<(&str, &str)> = files.iter().map(|name| (name.as_str(), "x\n")).collect();
    let bench = Bench::with_files(&tasks, &committed);
    for (at, path) in paths.iter().enumerate() {
        bench.answer(
            &format!("t{at}"),
            "synthesis.author.1",
            &answer(&create(path, "x")),
        );
    }
    let lines = corpus::unicode("content")
        .into_iter()
        .map(|(_, text)| text.replace(['\r', '\0'], ""));
    let content = lines.collect::<Vec<_>>().join("\n") + "\n";
    let added: String = content.lines().map(|line| format!("+{line}\n")).collect();
    let patch = format!(
        "diff --git a/all.txt b/all.txt\nnew file mode 100644\n--- /dev/null\n+++ b/all.txt\n@@ -0,0 +1,{} @@\n{added}",
        content.lines().count()
    );
    bench.answer("content", "synthesis.author.1", &answer(&patch));
    let said = bench
        .run("protocol=solo max_tasks=auto parallel_tasks=auto retries=0")
        .exits(1);
    matrix.look("run", terminal_is_tame, said.err.as_bytes());
    matrix.look("report", terminal_is_tame, said.out.as_bytes());
    assert_eq!(bench.status_of("content"), "completed");
    assert_eq!(bench.read("all.txt"), content);
    matrix.look(
        "the file",
        |bytes| Ok(vec![String::from_utf8_lossy(bytes).into_owned()]),
        content.as_bytes(),
    );
    let kept: Vec<_> = bench
        .git("status --porcelain")
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(
        kept.iter()
            .filter(|line| ![".step", ".learnings"].iter().any(|own| line.contains(own)))
            .collect::<Vec<_>>(),
        ["?? all.txt"]
    );
    look_at_all(&bench, &mut matrix, "t3.synthesis.author.1");
    matrix.assert_is_as_before("patches");
    assert_no_canary(&bench);
}

#[test]
fn critiques_and_votes_stay_texts_in_every_output() {
    let mut matrix = Matrix::default();
    let list = |matrix: &mut Matrix, input: &'static str| -> Vec<Value> {
        matrix.carry(input);
        corpus::unicode(input)
            .into_iter()
            .map(|(_, text)| Value::from(text))
            .collect()
    };
    let bench = Bench::new(&[Task::new("a")]);
    let put = |name: &str, answer: Value| bench.answer("a", name, &answer.to_string());
    let assumptions = list(&mut matrix, "assumption");
    put(
        "proposal.proposer.1",
        json!({"plan": ["x"], "assumptions": assumptions, "risk": "low", "risks": []}),
    );
    let must_fix = list(&mut matrix, "mustfix");
    put(
        "critique.skeptic.1",
        json!({"findings": ["x"], "must_fix": must_fix, "flip_conditions": [], "risk": "low"}),
    );
    let keys = list(&mut matrix, "key")
        .into_iter()
        .map(|key| (key.as_str().unwrap_or_default().to_owned(), json!(1)));
    let mut vote = json!({"vote": "agree", "reason": "x"});
    vote.as_object_mut().expect("an object").extend(keys);
    put("vote.skeptic.1", vote);
    let reason: Vec<String> = list(&mut matrix, "reason")
        .iter()
        .filter_map(|text| text.as_str().map(str::to_owned))
        .collect();
    put(
        "vote.critic_a.1",
        json!({"vote": "disagree", "reason": reason.join(" ")}),
    );
    let log: Vec<Value> = list(&mut matrix, "point")
        .into_iter()
        .map(|text| json!({"point": text, "action": "rejected", "reason": text}))
        .collect();
    put(
        "synthesis.synthesizer.1",
        json!({"decision_log": log, "patch": edit("a.txt", "old", "new"), "validation": [], "residual_risk": "low"}),
    );
    let said = bench.run("").exits(0);
    matrix.look("run", terminal_is_tame, said.err.as_bytes());
    matrix.look("report", terminal_is_tame, said.out.as_bytes());
    let mut prompts = Vec::new();
    for wave in bench.waves() {
        prompts.extend(wave.column("prompt").into_iter().map(str::to_owned));
    }
    matrix.look(
        "prompts",
        json_is_valid,
        json!(prompts).to_string().as_bytes(),
    );
    look_at_all(&bench, &mut matrix, "a.vote.critic_a.1");
    bench.mesh("runs show R --markdown report.md").exits(0);
    matrix.look(
        "runs show R --markdown",
        markdown_has_only_our_markup,
        bench.read("report.md").as_bytes(),
    );
    matrix.assert_is_as_before("votes");
    assert_no_canary(&bench);
}
