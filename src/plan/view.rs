//! Renders a plan for people and programs: `show`, `ready` and `blocked`, each as Markdown, table or JSON.

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::id::ItemId;
use super::item::Item;
use super::link::Dep;
use super::snapshot;
use super::state::Plan;
use super::status::{DepState, Status};

/// The items of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of them.
    All,
    /// Pending ones whose dependencies are completed.
    Ready,
    /// Blocked ones, and pending ones that wait for dependencies.
    Blocked,
}

/// The format of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A check list.
    Markdown,
    /// Columns of fixed width.
    Table,
    /// `{"items":[…]}`, indented by two; each item as in the file, then `dep_state` and `waiting_on`.
    Json,
}

/// Renders a view, with a final line end.
pub fn render(plan: &Plan, selection: Selection, format: Format) -> String {
    let rows = rows(plan, selection);
    match (format, selection) {
        (Format::Markdown, Selection::All) => sections(&rows),
        (Format::Markdown, Selection::Ready | Selection::Blocked) => bullets(&rows),
        (Format::Table, _) => table(&rows),
        (Format::Json, _) => snapshot::indented(rows.iter()),
    }
}

/// An item and its derived fields. As JSON: the item's fields, then `dep_state` and `waiting_on`.
pub(super) struct Row<'a> {
    item: &'a Item,
    dep_state: DepState,
    waiting_on: Vec<ItemId>,
}

/// The selected items, in plan order.
pub(super) fn rows(plan: &Plan, selection: Selection) -> Vec<Row<'_>> {
    plan.items()
        .iter()
        .map(|item| Row::new(plan, item))
        .filter(|row| row.is_in(selection))
        .collect()
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut value = serde_json::to_value(self.item).map_err(serde::ser::Error::custom)?;
        if let Value::Object(object) = &mut value {
            for field in super::item::DERIVED {
                object.shift_remove(field);
            }
            object.insert("dep_state".to_owned(), self.dep_state.as_str().into());
            object.insert("waiting_on".to_owned(), json!(self.waiting_on));
        }
        value.serialize(serializer)
    }
}

impl<'a> Row<'a> {
    fn new(plan: &Plan, item: &'a Item) -> Row<'a> {
        let waiting_on = plan.waiting_on(item);
        Row {
            item,
            dep_state: DepState::new(item.status(), !waiting_on.is_empty()),
            waiting_on,
        }
    }

    fn is_in(&self, selection: Selection) -> bool {
        let state = (self.item.status(), self.dep_state);
        match selection {
            Selection::All => true,
            Selection::Ready => state == (Status::Pending, DepState::Ready),
            Selection::Blocked => {
                state.0 == Status::Blocked || state == (Status::Pending, DepState::WaitingOnDeps)
            }
        }
    }

    fn section(&self) -> &'static str {
        match (self.item.status(), self.dep_state) {
            (Status::InProgress, _) => "In Progress",
            (Status::Pending, DepState::WaitingOnDeps) => "Waiting on Dependencies",
            (Status::Pending, _) => "Ready",
            (Status::Blocked, _) => "Blocked",
            (Status::Deferred, _) => "Deferred",
            (Status::Canceled, _) => "Canceled",
            (Status::Completed, _) => "Completed",
        }
    }

    fn mark(&self) -> &'static str {
        match self.item.status() {
            // A canceled step is struck through instead.
            Status::Pending | Status::Canceled => "[ ]",
            Status::InProgress => "[~]",
            Status::Completed => "[x]",
            Status::Blocked => "[!]",
            Status::Deferred => "[-]",
        }
    }

    /// `ID STEP (dep_state: …; deps: …; waiting: …; status: …)`, without empty parts.
    fn line(&self) -> String {
        let id = one_line(self.item.id().as_str());
        let step = one_line(self.item.step());
        let step = if self.item.status() == Status::Canceled {
            format!("~~{step}~~")
        } else {
            step
        };
        let mut parts = Vec::new();
        if self.dep_state != DepState::NotApplicable {
            parts.push(format!("dep_state: {}", self.dep_state));
        }
        if !self.item.deps().is_empty() {
            parts.push(format!("deps: {}", deps_text(self.item.deps())));
        }
        if !self.waiting_on.is_empty() {
            parts.push(format!("waiting: {}", join(&self.waiting_on)));
        }
        if !matches!(self.item.status(), Status::Pending | Status::Completed) {
            parts.push(format!("status: {}", self.item.status()));
        }
        if parts.is_empty() {
            format!("{id} {step}")
        } else {
            format!("{id} {step} ({})", parts.join("; "))
        }
    }
}

/// The dependencies in the format of the command line: `a, b:type`.
pub fn deps_text(deps: &[Dep]) -> String {
    join(deps)
}

/// The texts on one line, with commas between them.
fn join(texts: &[impl ToString]) -> String {
    let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
    one_line(&texts.join(", "))
}

/// A text on one line: a line end or an escape sequence in a step must not forge a line. A tab is kept.
fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\t', " ")
}

const SECTIONS: [&str; 7] = [
    "In Progress",
    "Ready",
    "Waiting on Dependencies",
    "Blocked",
    "Deferred",
    "Canceled",
    "Completed",
];

fn sections(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "- [ ] (empty plan)\n".to_owned();
    }
    let section = |name: &&'static str| {
        let lines = rows.iter().filter(|row| row.section() == *name);
        let lines: String = lines
            .map(|row| format!("- {} {}\n", row.mark(), row.line()))
            .collect();
        (!lines.is_empty()).then(|| format!("### {name}\n{lines}"))
    };
    SECTIONS
        .iter()
        .filter_map(section)
        .collect::<Vec<_>>()
        .join("\n")
}

fn bullets(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "- (none)\n".to_owned();
    }
    rows.iter()
        .map(|row| format!("- {}\n", row.line()))
        .collect()
}

fn table(rows: &[Row]) -> String {
    let header = table_line(["ID", "STATUS", "DEP_STATE", "WAITING_ON", "DEPS", "STEP"]);
    let mut lines = vec![header.clone(), "-".repeat(header.chars().count())];
    for row in rows {
        let or_dash = |text: String| match text.is_empty() {
            true => "-".to_owned(),
            false => text,
        };
        let (waiting_on, deps) = (
            or_dash(join(&row.waiting_on)),
            or_dash(deps_text(row.item.deps())),
        );
        lines.push(table_line([
            &one_line(row.item.id().as_str()),
            row.item.status().as_str(),
            row.dep_state.as_str(),
            &waiting_on,
            &deps,
            &one_line(row.item.step()),
        ]));
    }
    lines.join("\n") + "\n"
}

fn table_line([id, status, dep_state, waiting_on, deps, step]: [&str; 6]) -> String {
    format!("{id:<10} {status:<12} {dep_state:<18} {waiting_on:<20} {deps:<20} {step}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let items = snapshot::parse(
            r#"[{"id":"st-001","step":"Lay the base","status":"completed","deps":[]},
                {"id":"st-002","step":"Build on it","status":"in_progress","deps":["st-001"]},
                {"id":"st-003","step":"Paint","deps":["st-001",{"id":"st-002","type":"after"}]},
                {"id":"st-004","step":"Sweep","deps":[],"priority":"low"},
                {"id":"st-005","step":"Ask","status":"blocked","deps":[]},
                {"id":"st-006","step":"Rest","status":"deferred","deps":["st-005"]},
                {"id":"st-007","step":"Gild","status":"canceled","deps":[]}]"#,
        );
        Plan::from_items(items.expect("a good snapshot")).expect("each id once")
    }

    #[test]
    fn show_lists_the_sections_in_order() {
        let expected = "\
### In Progress
- [~] st-002 Build on it (dep_state: ready; deps: st-001; status: in_progress)

### Ready
- [ ] st-004 Sweep (dep_state: ready)

### Waiting on Dependencies
- [ ] st-003 Paint (dep_state: waiting_on_deps; deps: st-001, st-002:after; waiting: st-002)

### Blocked
- [!] st-005 Ask (dep_state: blocked_manual; status: blocked)

### Deferred
- [-] st-006 Rest (deps: st-005; waiting: st-005; status: deferred)

### Canceled
- [ ] st-007 ~~Gild~~ (status: canceled)

### Completed
- [x] st-001 Lay the base
";
        assert_eq!(render(&plan(), Selection::All, Format::Markdown), expected);
        assert_eq!(
            render(&Plan::default(), Selection::All, Format::Markdown),
            "- [ ] (empty plan)\n"
        );
    }

    #[test]
    fn ready_and_blocked_are_bullets() {
        assert_eq!(
            render(&plan(), Selection::Ready, Format::Markdown),
            "- st-004 Sweep (dep_state: ready)\n"
        );
        assert_eq!(
            render(&plan(), Selection::Blocked, Format::Markdown),
            "- st-003 Paint (dep_state: waiting_on_deps; deps: st-001, st-002:after; waiting: st-002)\n\
             - st-005 Ask (dep_state: blocked_manual; status: blocked)\n"
        );
        assert_eq!(
            render(&Plan::default(), Selection::Ready, Format::Markdown),
            "- (none)\n"
        );
    }

    #[test]
    fn tables_have_fixed_columns() {
        let text = render(&plan(), Selection::Blocked, Format::Table);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "ID         STATUS       DEP_STATE          WAITING_ON           DEPS                 STEP"
        );
        assert_eq!(lines[1], "-".repeat(lines[0].len()));
        assert_eq!(
            lines[3],
            "st-005     blocked      blocked_manual     -                    -                    Ask"
        );
    }

    #[test]
    fn json_has_the_derived_fields_last() {
        let text = render(&plan(), Selection::Ready, Format::Json);
        assert!(
            text.starts_with("{\n  \"items\": [\n    {\n      \"id\": \"st-004\","),
            "{text}"
        );
        assert!(
            text.ends_with(
                "\"comments\": [],\n      \"dep_state\": \"ready\",\n      \"waiting_on\": []\n    }\n  ]\n}\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_step_cannot_forge_a_line() {
        let items =
            snapshot::parse(r#"[{"id":"a","step":"x\n### Completed\u001b[31m","deps":[]}]"#);
        let plan = Plan::from_items(items.expect("a good snapshot")).expect("each id once");
        assert_eq!(
            render(&plan, Selection::All, Format::Markdown),
            "### Ready\n- [ ] a x ### Completed [31m (dep_state: ready)\n"
        );
    }
}
