//! The plan as the planning panels of agent programs want it. A panel is a mirror: nothing is read
//! back from it.

use serde_json::{Value, json};

use super::{DepState, Item, Plan, Status, view};

/// The argument of an `update_plan` call: `{"plan":[{"step":…,"status":…}]}`.
///
/// The panel knows three statuses: in progress and completed are shown as they are, all else is
/// pending, and so is an item that waits on dependencies.
pub fn update_plan(plan: &Plan) -> Value {
    let steps: Vec<Value> = plan.items().iter().map(|item| step(plan, item)).collect();
    json!({ "plan": steps })
}

/// Everything a mirror could want: the items with their derived fields, the `update_plan` argument
/// (`codex`, without completed and canceled items) and a to-do list (`opencode`). Items whose
/// `in_plan` is false are in neither panel.
pub fn plan_sync(plan: &Plan) -> Value {
    let shown = || {
        plan.items()
            .iter()
            .filter(|item| item.field("in_plan") != Some(&Value::Bool(false)))
    };
    let steps: Vec<Value> = shown()
        .filter(|item| !item.status().is_terminal())
        .map(|item| step(plan, item))
        .collect();
    let todos: Vec<Value> = shown().map(|item| todo(plan, item)).collect();
    json!({
        "version": 1,
        "items": view::enriched_items(plan),
        "codex": { "plan": steps },
        "opencode": { "todos": todos },
    })
}

fn step(plan: &Plan, item: &Item) -> Value {
    json!({ "step": item.step(), "status": mirrored(plan, item).as_str() })
}

fn todo(plan: &Plan, item: &Item) -> Value {
    let status = if item.status() == Status::Canceled {
        "cancelled"
    } else {
        mirrored(plan, item).as_str()
    };
    let priority = item.field("priority").and_then(Value::as_str);
    let priority = priority
        .filter(|name| ["high", "medium", "low"].contains(name))
        .unwrap_or("medium");
    json!({ "content": item.step(), "status": status, "priority": priority })
}

fn mirrored(plan: &Plan, item: &Item) -> Status {
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
            update_plan(&plan()).to_string(),
            r#"{"plan":[{"step":"A","status":"completed"},{"step":"B","status":"in_progress"},{"step":"C","status":"pending"},{"step":"D","status":"pending"},{"step":"E","status":"pending"}]}"#
        );
    }

    #[test]
    fn a_sync_leaves_out_what_is_not_in_the_plan() {
        let sync = plan_sync(&plan());
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
