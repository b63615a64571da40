//! `--otel`: a run as a trace of OpenTelemetry.

use crate::fixture::*;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// The spans of a trace, after a check of everything that OTLP demands of each.
fn spans(text: &str) -> Vec<Value> {
    let trace: Value = serde_json::from_str(text).expect("JSON");
    let resource = &trace["resourceSpans"][0];
    assert_eq!(attribute(&resource["resource"], "service.name"), "mesh");
    let spans = resource["scopeSpans"][0]["spans"]
        .as_array()
        .expect("spans");
    let ids: HashMap<&str, &Value> = spans
        .iter()
        .map(|span| (text_of(span, "spanId"), span))
        .collect();
    assert_eq!(ids.len(), spans.len(), "ids are different");
    for span in spans {
        for (name, digits) in [("traceId", 32), ("spanId", 16)] {
            let id = text_of(span, name);
            assert!(
                id.len() == digits && id.bytes().all(|b| b.is_ascii_hexdigit()),
                "{span}"
            );
        }
        assert_eq!(span["traceId"], spans[0]["traceId"]);
        let (start, end) = (
            nanos(span, "startTimeUnixNano"),
            nanos(span, "endTimeUnixNano"),
        );
        assert!(0 < start && start <= end, "{span}");
        match span.get("parentSpanId") {
            Some(parent) => assert!(ids.contains_key(parent.as_str().expect("text")), "{span}"),
            None => assert!(
                text_of(span, "name").starts_with("invoke_workflow mesh "),
                "{span}"
            ),
        }
    }
    spans.clone()
}

fn text_of<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name}: {value}"))
}

fn nanos(span: &Value, name: &str) -> u64 {
    text_of(span, name).parse().expect("a number as text")
}

/// The value of an attribute as text; empty without it.
fn attribute(span: &Value, key: &str) -> String {
    let attributes = span["attributes"].as_array().expect("attributes");
    let found = attributes.iter().find(|attribute| attribute["key"] == key);
    let value = found.and_then(|attribute| attribute["value"].as_object()?.values().next());
    value.map_or(String::new(), |value| {
        value.as_str().map_or(value.to_string(), str::to_owned)
    })
}

/// How many spans begin with each first word.
fn kinds(spans: &[Value]) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for span in spans {
        let word = text_of(span, "name").split(' ').next().unwrap_or_default();
        *kinds.entry(word.to_owned()).or_default() += 1;
    }
    kinds
}

#[test]
fn a_job_has_spans_for_wave_rows_and_attempts_without_their_texts() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "id\na\nb\nsecret-cell\n");
    let script = r#"case $MESH_ITEM_ID in b) echo hidden-words >&2; exit 3;; esac; printf '{"a": "secret-answer"}'"#;
    let args = Args::from(
        "spawn in.csv --run-id R --id-column id --retries 0 -o out.csv --instruction secret-prompt --",
    );
    sandbox.mesh(args.and(&["sh", "-c", script])).exits(1);
    sandbox
        .mesh("inspect R --otel trace.json")
        .exits(0)
        .out_has("trace.json");
    let text = sandbox.read("trace.json");
    for hidden in ["secret-prompt", "secret-answer", "hidden-words"] {
        assert_lacks(&text, hidden);
    }
    let spans = spans(&text);
    let counts = kinds(&spans);
    assert_eq!(
        (
            counts["invoke_workflow"],
            counts["wave"],
            counts["row"],
            counts["invoke_agent"]
        ),
        (1, 1, 3, 3)
    );
    let failed: Vec<&Value> = spans
        .iter()
        .filter(|span| attribute(span, "error.type") == "worker_exit")
        .collect();
    assert_eq!(failed.len(), 2, "the row b and its attempt");
    for span in failed {
        assert_eq!(span["status"]["code"], 2);
        assert_eq!(attribute(span, "mesh.row.id"), "b");
    }
    let attempt = spans
        .iter()
        .find(|span| span["kind"] == 3)
        .expect("an attempt");
    assert_eq!(attribute(attempt, "gen_ai.operation.name"), "invoke_agent");
    assert_eq!(attribute(attempt, "gen_ai.provider.name"), "command");
    // The same run gives the same bytes; what exists stays; a CSV is no run.
    sandbox.mesh("inspect R --otel again.json").exits(0);
    assert_eq!(sandbox.read("again.json"), text);
    sandbox
        .mesh("inspect R --otel trace.json")
        .exits(2)
        .err_has("already exists");
    sandbox
        .mesh("inspect out.csv --otel no.json")
        .exits(2)
        .err_has("a trace shows a run");
}

#[test]
fn a_plan_run_has_integrations_and_validations_below_the_run() {
    let bench = Bench::new(&[
        Task::new("a").agree(&[3, 4]),
        Task::new("b").validation(&["exit 3"]),
    ]);
    bench.run("max_tasks=2").exits(1);
    bench.mesh("inspect R --otel trace.json").exits(0);
    let spans = spans(&bench.read("trace.json"));
    let counts = kinds(&spans);
    assert_eq!(counts["integration"], 2);
    assert_eq!(counts["row"], counts["invoke_agent"]);
    assert!(
        counts["validation"] >= 2 && counts["wave"] >= 4,
        "{counts:?}"
    );
    let root = text_of(&spans[0], "spanId");
    for span in &spans {
        let name = text_of(span, "name");
        if ["integration", "validation", "wave"]
            .iter()
            .any(|kind| name.starts_with(kind))
        {
            assert_eq!(text_of(span, "parentSpanId"), root, "{span}");
        }
    }
    let restored = spans
        .iter()
        .find(|span| span["name"] == "integration b")
        .expect("a span");
    assert_eq!(attribute(restored, "error.type"), "restored");
}

#[test]
fn a_run_that_was_killed_has_a_trace_too() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run_killed_before("verdict");
    bench.mesh("inspect R --otel trace.json").exits(0);
    let spans = spans(&bench.read("trace.json"));
    assert_eq!(attribute(&spans[0], "mesh.run.status"), "not ended");
}
