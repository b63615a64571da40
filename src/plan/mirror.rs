//! The plan in the formats of the planning panels of agent programs. A panel is a mirror: nothing is read back from it.

use serde::Serialize;
use serde_json::Value;

use super::item::Item;
use super::state::Plan;
use super::status::{DepState, Status};
use super::view;
use super::view::{Row, Selection};

/// The argument of an `update_plan` call: `{"plan":[{"step":…,"status":…}]}`, compact.
///
/// The panel has three statuses: in progress and completed are shown as they are; all others are pending, and so is an item
/// that waits on dependencies.
pub fn update_plan(plan: &Plan) -> String {
    let steps = plan.items().iter().map(|item| Step::new(plan, item));
    compact(&Panel {
        plan: steps.collect(),
    })
}

/// The input of all mirrors, compact: the items with their derived fields, the `update_plan` argument (`codex`, without
/// completed and canceled items) and a to-do list (`opencode`). Items whose `in_plan` is false are in neither panel.
pub fn plan_sync(plan: &Plan) -> String {
    let shown = || plan.items().iter().filter(|item| is_in_plan(item));
    let steps = shown()
        .filter(|item| !item.status().is_terminal())
        .map(|item| Step::new(plan, item));
    compact(&Sync {
        version: 1,
        items: view::rows(plan, Selection::All),
        codex: Panel {
            plan: steps.collect(),
        },
        opencode: Todos {
            todos: shown().map(|item| Todo::new(plan, item)).collect(),
        },
    })
}

#[derive(Serialize)]
struct Sync<'a> {
    version: u8,
    items: Vec<Row<'a>>,
    codex: Panel<'a>,
    opencode: Todos<'a>,
}

#[derive(Serialize)]
struct Panel<'a> {
    plan: Vec<Step<'a>>,
}

#[derive(Serialize)]
struct Step<'a> {
    step: &'a str,
    status: &'static str,
}

#[derive(Serialize)]
struct Todos<'a> {
    todos: Vec<Todo<'a>>,
}

#[derive(Serialize)]
struct Todo<'a> {
    content: &'a str,
    status: &'static str,
    priority: &'static str,
}

impl<'a> Step<'a> {
    fn new(plan: &Plan, item: &'a Item) -> Step<'a> {
        Step {
            step: item.step(),
            status: panel_status(plan, item).as_str(),
        }
    }
}

impl<'a> Todo<'a> {
    fn new(plan: &Plan, item: &'a Item) -> Todo<'a> {
        Todo {
            content: item.step(),
            status: match item.status() {
                Status::Canceled => "cancelled",
                _ => panel_status(plan, item).as_str(),
            },
            priority: priority(item),
        }
    }
}

/// The item's priority, or `medium`.
fn priority(item: &Item) -> &'static str {
    let own = item.field("priority").unwrap_or_default();
    let known = ["high", "medium", "low"];
    known
        .into_iter()
        .find(|name| own == *name)
        .unwrap_or("medium")
}

fn is_in_plan(item: &Item) -> bool {
    item.field("in_plan") != Some(Value::Bool(false))
}

fn compact(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts and items are JSON, and not nested too deeply")
}

fn panel_status(plan: &Plan, item: &Item) -> Status {
    match item.status() {
        Status::Completed => Status::Completed,
        Status::InProgress if plan.dep_state(item) == DepState::Ready => Status::InProgress,
        _ => Status::Pending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::snapshot;

    fn plan() -> Plan {
        let items = snapshot::parse(
            r#"[{"id":"a","step":"A","status":"completed","deps":[]},
                {"id":"b","step":"B","status":"in_progress","deps":["a"],"priority":"high"},
                {"id":"c","step":"C","status":"in_progress","deps":["b"],"in_plan":false},
                {"id":"d","step":"D","status":"canceled","deps":[]},
                {"id":"e","step":"E","status":"blocked","deps":[]}]"#,
        );
        Plan::from_items(items.expect("a good snapshot")).expect("each id once")
    }

    #[test]
    fn the_panel_knows_three_statuses() {
        assert_eq!(
            update_plan(&plan()),
            r#"{"plan":[{"step":"A","status":"completed"},{"step":"B","status":"in_progress"},{"step":"C","status":"pending"},{"step":"D","status":"pending"},{"step":"E","status":"pending"}]}"#
        );
    }

    #[test]
    fn a_sync_omits_items_outside_the_plan() {
        let sync: Value = serde_json::from_str(&plan_sync(&plan())).expect("JSON");
        assert_eq!(sync["items"].as_array().map(Vec::len), Some(5));
        assert_eq!(
            sync["codex"].to_string(),
            r#"{"plan":[{"step":"B","status":"in_progress"},{"step":"E","status":"pending"}]}"#
        );
        assert_eq!(
            sync["opencode"]["todos"].to_string(),
            r#"[{"content":"A","status":"completed","priority":"medium"},{"content":"B","status":"in_progress","priority":"high"},{"content":"D","status":"cancelled","priority":"medium"},{"content":"E","status":"pending","priority":"medium"}]"#
        );
    }
}
