//! `--svg`: pictures of a run.

use crate::fixture::*;
use quick_xml::events::Event;

/// A job with texts that would be markup, and rows that fail.
fn hostile_job(sandbox: &Sandbox) {
    let id = "\"<script>alert(1)</script>&\u{202e}\"";
    sandbox.write("in.csv", &format!("id\n{id}\nb\nc\n"));
    let script = r#"case $MESH_ITEM_ID in b) echo "]]><b>" >&2; exit 0;; esac; printf '{"a": 1}'"#;
    let args = Args::from(
        "spawn in.csv --run-id R --id-column id --retries 1 -j 2 -o out.csv --instruction x --",
    );
    sandbox.mesh(args.and(&["sh", "-c", script])).exits(1);
}

fn well_formed(svg: &str) {
    let mut reader = quick_xml::Reader::from_str(svg);
    loop {
        match reader.read_event().expect("well-formed XML") {
            Event::Eof => return,
            Event::Start(tag) | Event::Empty(tag) => {
                let name = String::from_utf8_lossy(tag.name().as_ref()).into_owned();
                assert!(
                    ["svg", "title", "desc", "style", "rect", "path", "g", "text"]
                        .contains(&name.as_str()),
                    "{name}"
                );
            }
            _ => {}
        }
    }
}

#[test]
fn a_timeline_shows_every_attempt_and_texts_stay_texts() {
    let sandbox = Sandbox::new();
    hostile_job(&sandbox);
    let file = sandbox.path("t.svg");
    let said = sandbox.mesh("inspect R --svg timeline t.svg").exits(0);
    assert_eq!(said.out.trim_end(), file.to_string_lossy());
    let svg = sandbox.read("t.svg");
    well_formed(&svg);
    assert!(
        svg.contains("Timeline of run R") && svg.contains("4 attempts in "),
        "{svg}"
    );
    assert!(
        svg.contains("&lt;script&gt;alert(1)") && !svg.contains('\u{202e}'),
        "{svg}"
    );
    assert!(svg.contains("b: attempt 2: failed"), "{svg}");
    // The same run gives the same bytes; what exists stays.
    sandbox.mesh("inspect R --svg timeline again.svg").exits(0);
    assert_eq!(sandbox.read("again.svg"), svg);
    let said = sandbox.mesh("inspect R --svg timeline t.svg").exits(2);
    assert!(said.err.contains("already exists"), "{}", said.err);
    sandbox.write("t.svg", "old");
    sandbox
        .mesh("inspect R --svg timeline t.svg --force")
        .exits(0);
    assert_eq!(sandbox.read("t.svg"), svg);
}

#[test]
fn what_has_no_picture_is_refused() {
    let sandbox = Sandbox::new();
    hostile_job(&sandbox);
    for (args, expected) in [
        ("inspect R --svg graph g.svg", "no tasks, and so no graph"),
        ("inspect R --svg pie g.svg", "`pie` is not a picture"),
        (
            "inspect out.csv --svg timeline g.svg",
            "`out.csv` is a CSV; a timeline shows a run",
        ),
    ] {
        let said = sandbox.mesh(args).exits(2);
        assert!(said.err.contains(expected), "{args}: {}", said.err);
        assert!(!sandbox.path("g.svg").exists(), "{args}");
    }
}

#[test]
fn a_graph_shows_every_task_by_its_dependencies() {
    let bench = Bench::new(&[
        Task::new("a"),
        Task::new("b").after(&["a"]).validation(&["exit 3"]),
    ]);
    bench.run("max_tasks=2").exits(1);
    bench.mesh("inspect R --svg graph g.svg").exits(0);
    let svg = bench.read("g.svg");
    well_formed(&svg);
    let has = |part: &str| assert!(svg.contains(part), "{part} is not in {svg}");
    has("2 tasks: 1 completed, 1 blocked");
    has("<title>a: completed. ");
    has("<title>b: blocked (validation failed). ");
    // The edge is the longest path.
    assert_eq!(svg.matches("stroke-width=\"2\"").count(), 1, "{svg}");
    bench.mesh("inspect R --svg timeline t.svg").exits(0);
    well_formed(&bench.read("t.svg"));
    assert!(bench.read("t.svg").contains("integration of b: restored"));
}
