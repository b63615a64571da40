//! Messages and what becomes of them.

use super::invocation::{Invocation, TOKEN};
use super::*;
use proptest::prelude::*;

/// `run ids=a max_tasks=2`, the reason of a skip, or the error.
fn outcome(message: &str) -> String {
    match read(message) {
        Ok(Invocation::Skipped(reason)) => reason.as_str().to_owned(),
        Ok(Invocation::Run(arguments)) => {
            let pairs = arguments
                .iter()
                .map(|argument| format!(" {}={}", argument.key, argument.value));
            "run".to_owned() + &pairs.collect::<String>()
        }
        Err(error) => error.to_string(),
    }
}

fn all(expected: &str, messages: &[&str]) {
    for message in messages {
        assert_eq!(outcome(message), expected, "{message:?}");
    }
}

#[test]
fn the_bare_token_is_a_command() {
    all(
        "run",
        &[
            "$mesh",
            " $mesh\n",
            "$mesh.",
            "$mesh!",
            "`$mesh`",
            "**$mesh**",
            "\"$mesh\"",
            "($mesh)",
            "$mesh 🚀",
            "🚀 $mesh",
            "\u{feff}$mesh",
            "\u{a0}$mesh\u{2003}",
            "- $mesh",
            "1. $mesh",
            "$mesh please",
            "$mesh, please!",
            "$mesh now.",
            "$mesh go",
            "$mesh run the next task",
            "ok $mesh",
            "OK, $mesh",
            "Yes please: $mesh",
            "ship it, $mesh",
            "Looks good! $mesh",
            "Looks good. Tests pass.\r\n\r\n$mesh\r\n",
            "looks fine to me\n$mesh",
            "Great work — thanks. $mesh",
            "go $mesh",
            "Let's $mesh",
            "[$mesh](/home/a/.codex/skills/mesh/SKILL.md)",
            "$mesh。",
            "Do not push to main. $mesh",
            "请继续。 $mesh",
            "$mesh\n\n--\nJane",
        ],
    );
}

#[test]
fn a_verb_in_front_of_the_token_is_a_command() {
    all(
        "run",
        &[
            "run $mesh",
            "Run $mesh.",
            "please run `$mesh` again",
            "Start $mesh, then tell me how it went.",
            "use $mesh to work on the plan",
            "invoke $mesh now!",
            "Execute the next task with $mesh.",
            "kick off $mesh",
            "do it with $mesh",
            "continue with $mesh",
            "start a $mesh run",
            "use the $mesh skill",
            "Tests pass, run $mesh",
            "I want you to run $mesh",
            "can you run $mesh?",
            "Could you please start $mesh?",
            "I fixed the tests. Now run $mesh but do not push",
            "run $mesh and explain what it did",
            "go ahead and run $mesh",
            "run $mesh for the remaining tasks until everything is done",
        ],
    );
}

#[test]
fn arguments_stand_right_behind_the_token() {
    for (message, expected) in [
        ("$mesh ids=st-003,st-007", "run ids=st-003,st-007"),
        (
            "$mesh plan_file=.step/st-plan.jsonl",
            "run plan_file=.step/st-plan.jsonl",
        ),
        (
            "$mesh max_tasks=2 parallel_tasks=1",
            "run max_tasks=2 parallel_tasks=1",
        ),
        ("`$mesh ids=a`", "run ids=a"),
        (
            "Run `$mesh ids=a max_tasks=2`, please.",
            "run ids=a max_tasks=2",
        ),
        ("\"$mesh ids=a\"", "run ids=a"),
        ("$mesh: ids=a", "run ids=a"),
        ("$mesh, ids=a, max_tasks=2, thanks", "run ids=a max_tasks=2"),
        (
            "$mesh plan_file=.step/st-plan.jsonl. Thanks!",
            "run plan_file=.step/st-plan.jsonl",
        ),
        (
            "$mesh plan_file=\"my plan.jsonl\" max_tasks=2",
            "run plan_file=my plan.jsonl max_tasks=2",
        ),
        (
            "$mesh plan_file='my plan.jsonl'.",
            "run plan_file=my plan.jsonl",
        ),
        (
            "$mesh plan_file=“my plan.jsonl”",
            "run plan_file=my plan.jsonl",
        ),
        (
            "$mesh plan_file=日本/計画.jsonl。",
            "run plan_file=日本/計画.jsonl",
        ),
        ("$mesh\u{a0}ids=a\tmax_tasks=2", "run ids=a max_tasks=2"),
        ("$mesh ids=a and then review the result", "run ids=a"),
        ("$mesh ids=a (the parser)", "no_instruction"),
        ("Looks good, $mesh ids=a", "run ids=a"),
        ("please $mesh ids=a\r\nthanks", "run ids=a"),
        ("Run $mesh now!\n$mesh", "run"),
        ("$mesh ids=a\n\n$mesh ids=a", "run ids=a"),
        ("run $mesh ids=a, thanks. I like $mesh", "run ids=a"),
        ("$mesh ids=", "run ids="),
        ("$mesh ids=$(rm${IFS}-rf)", "run ids=$(rm${IFS}-rf"),
        ("$mesh ids=a;reboot", "run ids=a;reboot"),
        (
            "<skill>\n<name>mesh</name>\n$mesh ids=b\n</skill>\n$mesh ids=a",
            "run ids=a",
        ),
        ("> shall I start?\n$mesh ids=a", "run ids=a"),
        ("```\n$mesh ids=b\n```\n$mesh ids=a", "run ids=a"),
    ] {
        assert_eq!(outcome(message), expected, "{message:?}");
    }
}

#[test]
fn arguments_elsewhere_are_doubt() {
    all(
        "misplaced_argument",
        &[
            "$mesh please ids=st-003",
            "run $mesh with max_tasks=2",
            "$mesh. ids=a",
            "$mesh\nmax_tasks=2",
            "max_tasks=2\n$mesh",
            "run $mesh to get st-003 done",
            "run $mesh with --max-tasks=2",
        ],
    );
    all(
        "several_invocations",
        &[
            "$mesh ids=a\n$mesh ids=b",
            "$mesh\n$mesh ids=b",
            "- `$mesh`\n- `$mesh max_tasks=2`",
            "run $mesh ids=a then $mesh ids=b",
        ],
    );
    all(
        "no_instruction",
        &[
            "$mesh st-003",
            "$mesh --ids=a",
            "$mesh max_tasks = 2",
            "$mesh ids=a, b",
            "$mesh ids=a && reboot",
        ],
    );
}

#[test]
fn arguments_that_are_wrong() {
    for (message, expected) in [
        (
            "$mesh adapter=evil",
            "`adapter=evil` can't be set from a message, which never chooses the worker",
        ),
        ("$mesh model=big", "`model` can't be set from a message"),
        (
            "$mesh max-tasks=2",
            "`max-tasks` can't be set from a message",
        ),
        ("$mesh ids=a IDS=b", "`IDS` can't be set from a message"),
        (
            "$mesh plan_file=\"my plan",
            "the value of `plan_file` starts with a quote but does not end with one",
        ),
        // The gate comes first.
        ("what does $mesh adapter=evil do?", "meta_request"),
    ] {
        assert_eq!(outcome(message), expected, "{message:?}");
    }
}

#[test]
fn without_the_token_there_is_no_invocation() {
    all(
        "no_token",
        &[
            "",
            "\n",
            "go",
            "yep",
            "ship it",
            "run mesh",
            "mesh ids=a",
            "$meshed",
            "x$mesh",
            "\\$mesh",
            "$$mesh",
            "$mesh_ids",
            "$mesh-run",
            "$mesh.yaml",
            "${mesh}",
            "$MESH",
            "$Mesh",
            "$ mesh",
            "$mes",
            "运行$mesh",
            "$méshe",
            "update mesh/SKILL.md",
            "$mesh=1",
            "＄mesh",
            "$mesh\u{200b}",
        ],
    );
}

#[test]
fn pasted_text_is_no_intent() {
    all(
        "pasted_skill",
        &[
            "<skill>$mesh</skill>",
            "<skill>\n$mesh max_tasks=1\n</skill>\n",
            "<skill name=\"mesh\">\nrun $mesh",
            "ok\n<SKILL>\n$mesh\n</SKILL>\ngo",
            "<skill>\n```\n$mesh\n```\n</skill>",
            "<skill>\nA pasted <skill> block\n</skill>\n<skill>$mesh",
            "$mesh\n</skill>\ngo",
            "<skill>\nends with </skill>\n$mesh\n</skill>",
        ],
    );
    all(
        "pasted_text",
        &[
            "```\n$mesh\n```",
            "```sh\n$mesh\n",
            "~~~\n$mesh\n~~~",
            "````\n```\n$mesh\n```\n$mesh\n````",
            "> $mesh ids=a",
            ">$mesh",
            "> > $mesh\nok",
            "  > run $mesh\n\nyes",
            "``` $mesh\n```",
            "- a\n  ```\n  $mesh\n  ```",
            "```\r\n$mesh\r\n```\r\ngo",
        ],
    );
}

#[test]
fn requests_about_the_skill() {
    all(
        "meta_request",
        &[
            "review $mesh",
            "Please review `$mesh`.",
            "update mesh/SKILL.md so that $mesh asks first",
            "use $seq to improve $mesh",
            "explain what $mesh does",
            "how does $mesh work?",
            "How does $mesh work",
            "don't run $mesh",
            "Do not start $mesh yet",
            "never run $mesh",
            "please don’t run $mesh",
            "refine $mesh",
            "$mesh?",
            "what is $mesh",
            "is $mesh running?",
            "should I run $mesh?",
            "$mesh: explain how consensus works",
            "$mesh review",
            "analyze\n$mesh",
            "Please review\r\n$mesh",
            "review this:\n\n$mesh ids=a",
            "fix $mesh\n$mesh",
            "audit `$mesh ids=a`",
            "document $mesh in SKILL.md",
            "$mesh\nExplain what it does.",
            "$mesh\nis that right?",
            "can you explain $mesh?",
            "compare $mesh and $seq",
            "$mesh max_tasks=2 — is that right?",
            "I don't want you to run $mesh",
            "Summarize: run $mesh",
            "why did you run $mesh",
            "review <skill>$mesh</skill> and $mesh",
        ],
    );
}

#[test]
fn a_mention_is_no_instruction() {
    all(
        "no_instruction",
        &[
            "I like $mesh",
            "$mesh is broken",
            "$mesh and $seq are great",
            "the $mesh run failed",
            "$mesh's docs are good",
            "$mesh/README.md",
            "Reply with $mesh to run the next ready task from the $st plan.",
            "if the tests pass, run $mesh",
            "once CI is green, run $mesh",
            "after that, $mesh ids=a",
            "e.g. $mesh ids=a",
            "Usage: $mesh ids=a",
            "Examples:\n\n$mesh ids=a",
            "He said: run $mesh",
            "# $mesh",
            "| $mesh | does |",
            "<!-- $mesh -->",
            "$mesh run failed",
            "run $mesh tests",
            "run the linter on $mesh",
            "$mesh | grep x",
            "we tried to run $mesh",
            "install and run $mesh",
            "You can run $mesh",
            "$mesh $mesh",
            "use $mesh as an example",
            "$mesh ids=a fails",
            "The token is `$mesh`",
            "Looks good to everybody, $mesh",
        ],
    );
}

/// The seed itself, pasted without a fence: its list of forms and its examples start nothing.
#[test]
fn a_pasted_skill_without_tags() {
    let seed = "Invocation (Required)\n\nThe user message MUST contain the literal token $mesh.\n\n\
        Supported forms (space-separated key=value args):\n\n  • $mesh\n  • $mesh ids=st-003,st-007\n";
    all("no_instruction", &[seed]);
}

#[test]
fn the_time_is_linear() {
    let long = |part: &str| part.repeat(150_000 / part.len());
    for part in [
        "$mesh ",
        "$mesh\n",
        "word ",
        "w",
        "$mesh ids=a ",
        "ids=\" $mesh ids=' ",
        "<skill>",
        "</skill>\n$mesh",
        "```\n",
        "`",
        "> ",
        "a=",
        ")",
        ".",
        "$mesh ids=\"a ",
        "please ",
        "run ",
        "can you ",
        "\u{1f680}",
        "$mesh.",
        ", ",
        "<",
        "st-1 ",
        "=",
    ] {
        let message = format!("$mesh ids={}\n{}\n$mesh", long(part), long(part));
        // Whatever it means, it is read to its end.
        let _ = read(&message);
    }
    let words = "words and more words\n".repeat(50_000);
    all("run ids=a", &[&format!("{words}.\n$mesh ids=a")]);
}

#[test]
fn what_is_taken_back_does_not_run() {
    for message in [
        "$mesh ids=a\nplease do not run this",
        "$mesh ids=a. Actually no, wait",
        "$mesh ids=a\nScratch that.",
        "$mesh\n\nOn second thought, don't.",
    ] {
        assert!(!outcome(message).starts_with("run"), "{message:?}");
    }
    assert!(outcome("run $mesh ids=a but do not push").starts_with("run"));
}

/// Pieces that mean something to the gate, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "$mesh", "$mesh", " ", " ", "\n", "\r\n", "<skill>", "<skill ", "</skill>", "```", "`",
        "> ", ">", "ids=", "foo=", "\"", "'", "“", "”", "a", "é", "run", "review", "don't",
        "please", ".", "?", ",", ":", "](", "[", "/", "SKILL.md", "st-1", "—", "=",
    ]);
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn whatever_is_pasted_starts_nothing(text in pieces()) {
        let quoted: Vec<String> = text.lines().map(|line| format!("> {line}\n")).collect();
        // With another opening tag inside, it is two blocks and words between them.
        let block = text.replace("<skill", "<");
        for message in [
            format!("~~~\n{text}\n~~~\n"),
            quoted.concat(),
            format!("<skill>\n{block}\n</skill>\n"),
        ] {
            prop_assert!(!outcome(&message).starts_with("run"), "{message:?}");
        }
    }

    #[test]
    fn no_run_without_the_token_and_no_value_of_another_text(text in pieces()) {
        if let Ok(Invocation::Run(arguments)) = read(&text) {
            prop_assert!(text.contains(TOKEN));
            prop_assert!(arguments.iter().all(|argument| text.contains(&argument.value)));
        }
    }
}
