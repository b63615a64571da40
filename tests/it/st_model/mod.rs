//! Random command sequences: `mesh st` and a model of it, written from the description of the format alone, must agree
//! on exit code, standard output and the records of the file.
//!
//! The sequences are the same in every run. A failure prints the shortest sequence that shows it.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use self::model::{Item, Model};
use crate::fixture::*;

mod model;

const PLAN: &str = ".step/st-plan.jsonl";
const AUTHOR: &str = "ann";

/// What a command is given. Ids name items of the plan or none of them.
#[derive(Clone, Debug)]
enum Command {
    Add {
        id: Option<&'static str>,
        step: &'static str,
        status: Option<&'static str>,
        deps: Option<String>,
    },
    Status(&'static str, &'static str),
    Deps(&'static str, String),
    Notes(&'static str, &'static str),
    Comment(&'static str, &'static str),
    Remove(&'static str),
    Import(Vec<(&'static str, &'static str)>, bool),
    Clear,
    Show(&'static str, &'static str),
    Mirror,
    Doctor,
}

const IDS: [&str; 7] = ["a", "b", " c ", "st-001", "kt-007", "\u{e9}", ""];
const TEXTS: [&str; 6] = [
    "do it",
    "tab\there",
    " \u{2603} trimmed ",
    "\"q\" \\n",
    " ",
    "-x *y*",
];
const STATUSES: [(&str, Option<&str>); 12] = [
    ("pending", Some("pending")),
    ("open", Some("pending")),
    ("in_progress", Some("in_progress")),
    ("In-Progress", Some("in_progress")),
    ("doing", Some("in_progress")),
    ("completed", Some("completed")),
    ("DONE", Some("completed")),
    ("blocked", Some("blocked")),
    ("deferred", Some("deferred")),
    ("canceled", Some("canceled")),
    ("cancelled", Some("canceled")),
    ("ready", None),
];

fn command() -> impl Strategy<Value = Command> {
    let id = || select(&IDS[..]);
    let text = || select(&TEXTS[..]);
    let status = || select(&STATUSES[..]).prop_map(|(name, _)| name);
    let ends = || select(&["", "", "", ":", ":blocks", ":relates-to", ":A_B"][..]);
    let deps = move || {
        let one = (id(), ends()).prop_map(|(id, kind)| format!("{id}{kind}"));
        vec(one, 0..3).prop_map(|all| all.join(","))
    };
    let option = proptest::option::of::<BoxedStrategy<&'static str>>;
    prop_oneof![
        8 => (option(id().boxed()), text(), option(status().boxed()), proptest::option::of(deps()))
            .prop_map(|(id, step, status, deps)| Command::Add { id, step, status, deps }),
        8 => (id(), status()).prop_map(|(id, status)| Command::Status(id, status)),
        4 => (id(), deps()).prop_map(|(id, deps)| Command::Deps(id, deps)),
        1 => (id(), text()).prop_map(|(id, text)| Command::Notes(id, text)),
        2 => (id(), text()).prop_map(|(id, text)| Command::Comment(id, text)),
        2 => id().prop_map(Command::Remove),
        1 => (vec((select(&IDS[..6]), status()), 1..4), any::<bool>())
            .prop_map(|(items, replaces)| Command::Import(items, replaces)),
        1 => Just(Command::Clear),
        3 => (select(&["show", "ready", "blocked"][..]), select(&["markdown", "table", "json"][..]))
            .prop_map(|(view, format)| Command::Show(view, format)),
        1 => Just(Command::Mirror),
        1 => Just(Command::Doctor),
    ]
}

fn arguments(command: &Command, sandbox: &Sandbox) -> Vec<String> {
    let mut args = Vec::new();
    let mut option = |name: &str, value: &str| args.push(format!("--{name}={value}"));
    let name = match command {
        Command::Add {
            id,
            step,
            status,
            deps,
        } => {
            id.iter().for_each(|id| option("id", id));
            option("step", step);
            status.iter().for_each(|status| option("status", status));
            deps.iter().for_each(|deps| option("deps", deps));
            "add"
        }
        Command::Status(id, status) => {
            option("id", id);
            option("status", status);
            "set-status"
        }
        Command::Deps(id, deps) => {
            option("id", id);
            option("deps", deps);
            "set-deps"
        }
        Command::Notes(id, notes) => {
            option("id", id);
            option("notes", notes);
            "set-notes"
        }
        Command::Comment(id, text) => {
            option("id", id);
            option("text", text);
            option("author", AUTHOR);
            "add-comment"
        }
        Command::Remove(id) => {
            option("id", id);
            "remove"
        }
        Command::Import(items, replaces) => {
            let item = |(id, status): &(&str, &str)| json!({"id": id, "step": "imported", "status": status, "deps": []});
            let items: Vec<Value> = items.iter().map(item).collect();
            sandbox.write("in.json", &json!({ "items": items }).to_string());
            option("input", "in.json");
            if *replaces {
                args.push("--replace".to_owned());
            }
            "import-plan"
        }
        Command::Clear => {
            args.push("--replace".to_owned());
            "init"
        }
        Command::Show(view, format) => {
            option("format", format);
            view
        }
        Command::Mirror => "emit-update-plan",
        Command::Doctor => "doctor",
    };
    args.insert(0, name.to_owned());
    args.insert(0, "st".to_owned());
    args
}

/// The text with every time as `T`.
fn timeless(text: &str) -> String {
    let mut rest = text;
    let mut out = String::new();
    while let Some(at) = rest
        .find("\"ts\": \"20")
        .or_else(|| rest.find("\"ts\":\"20"))
    {
        let from = at + rest[at..].find("20").expect("found before");
        out += &rest[..from];
        out.push('T');
        rest = &rest[from + "2026-02-09T20:02:00Z".len()..];
    }
    out + rest
}

/// Runs `command` on both, and compares.
fn step(sandbox: &Sandbox, model: &mut Model, command: &Command) -> Result<(), TestCaseError> {
    let args = arguments(command, sandbox);
    let before = sandbox.read(PLAN);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let said = sandbox.mesh(&args);
    let after = sandbox.read(PLAN);
    let mut next = model.clone();
    let (wanted, events) = match command {
        Command::Show(view, "markdown") => (Ok(model.markdown(view)), 0),
        Command::Show(view, "table") => (Ok(model.table(view)), 0),
        Command::Show(view, _) => (Ok(model.json(view)), 0),
        Command::Mirror => (Ok(format!("{}\n", model.mirror())), 0),
        Command::Doctor => (Ok(format!("seq contract ok: {PLAN}\n")), 0),
        Command::Clear => {
            next.items.clear();
            let cleared = format!("already initialized: {PLAN}\ncleared plan in {PLAN}\n");
            (Ok(cleared), 1)
        }
        _ => match next
            .change(command)
            .and_then(|done| next.check().map(|()| done))
        {
            Ok((line, events)) => (
                Ok(format!("{line}\nupdate_plan: {}\n", next.mirror())),
                events,
            ),
            Err(refusal) => (Err(refusal), 0),
        },
    };
    match wanted {
        Ok(out) => {
            prop_assert_eq!((said.code, said.err.as_str()), (0, ""), "{:?}", args);
            prop_assert_eq!(timeless(&said.out), out, "{:?}", args);
        }
        Err(refusal) => {
            prop_assert_eq!((said.code, said.out.as_str()), (2, ""), "{:?}", args);
            let is_said = |one: &String| said.err.starts_with(&format!("error: {one}"));
            let is_said = refusal.iter().any(is_said);
            prop_assert!(is_said, "{args:?}: {refusal:?}, not {}", said.err);
        }
    }
    if events == 0 {
        prop_assert_eq!(before, after, "{:?}", args);
        return Ok(());
    }
    next.seq += events;
    *model = next;
    let items: Vec<Value> = model.items.iter().map(Item::json).collect();
    let items = Value::from(items);
    let begin = format!(
        "{{\"v\":3,\"ts\":\"T\",\"lane\":\"event\",\"seq\":{},\"op\":\"replace\"",
        model.seq
    );
    let middle = format!(
        "{{\"v\":3,\"ts\":\"T\",\"lane\":\"checkpoint\",\"seq\":{}",
        model.seq
    );
    let after = timeless(&after);
    let lines: Vec<&str> = after.lines().collect();
    prop_assert_eq!(lines.len(), 2, "{:?}", args);
    for (line, begin) in lines.into_iter().zip([begin, middle]) {
        let begin = format!("{begin},\"items\":");
        prop_assert!(line.starts_with(&begin), "{args:?}: {line}, not {begin}");
        let record: Value = serde_json::from_str(line).expect("a record");
        prop_assert_eq!(&record["items"], &items, "{:?}", args);
        prop_assert!(record["mutation"]["actor"].is_string());
    }
    Ok(())
}

#[test]
fn random_commands_do_what_the_model_does() {
    let config = ProptestConfig {
        cases: 16,
        failure_persistence: None,
        max_shrink_iters: 60,
        ..ProptestConfig::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let result = runner.run(&vec(command(), 10..30), |commands| {
        let sandbox = Sandbox::new();
        let said = sandbox.mesh(&["st", "init"]);
        prop_assert_eq!((said.code, said.out), (0, format!("initialized {PLAN}\n")));
        let mut model = Model {
            seq: 1,
            ..Model::default()
        };
        for command in &commands {
            step(&sandbox, &mut model, command)?;
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
