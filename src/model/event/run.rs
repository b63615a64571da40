//! Fields of the events about a whole run.

use super::super::id::{RunId, UnitId};
use super::super::path_text;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use std::path::PathBuf;

/// Which command started the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// `mesh run`: tasks of a plan.
    Plan,
    /// `mesh spawn`: rows of a CSV.
    Spawn,
}

/// Fields of `run_started`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunStarted {
    /// The run.
    pub run_id: RunId,
    /// Plan or spawn.
    pub kind: RunKind,
    /// Version of the program that started the run.
    pub mesh_version: String,
    /// The working folder: the repository's root for a plan.
    #[serde(with = "path_text")]
    pub root: PathBuf,
    /// All settings, resolved: an object of `run::Settings` or `job::Settings`.
    pub settings: Value,
}

impl RunStarted {
    /// Applies the settings that a resume changed.
    pub fn change(&mut self, resumed: &RunResumed) {
        merge(&mut self.settings, &resumed.changed);
    }
}

/// Fields of `run_resumed`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunResumed {
    /// The fields of `settings` with a new value; objects are merged.
    pub changed: Value,
}

impl RunResumed {
    /// The change from the settings `old` to `new`; `None` if they are equal.
    pub fn between(old: &Value, new: &Value) -> Option<Self> {
        difference(old, new).map(|changed| Self { changed })
    }

    /// Whether it changes the output of a spawned CSV.
    pub fn names_output(&self) -> bool {
        !self.changed["job"]["output_csv_path"].is_null()
    }
}

/// The fields of `new` that differ from `old`; a removed field is null.
fn difference(old: &Value, new: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return (old != new).then(|| new.clone());
    };
    let mut changed = Map::new();
    for (key, value) in new {
        if let Some(value) = difference(old.get(key).unwrap_or(&Value::Null), value) {
            changed.insert(key.clone(), value);
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        changed.insert(key.clone(), Value::Null);
    }
    (!changed.is_empty()).then_some(Value::Object(changed))
}

fn merge(settings: &mut Value, changed: &Value) {
    match (settings, changed) {
        (Value::Object(settings), Value::Object(changed)) => {
            for (key, value) in changed {
                merge(settings.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (settings, changed) => *settings = changed.clone(),
    }
}

/// Fields of `budget_reached`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BudgetReached {
    /// The option that sets it.
    pub budget: String,
    /// Its value, in the unit that the option's name states.
    pub limit: Number,
    /// The task whose budget it is; `None` for the budget of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitId>,
}

/// Fields of `run_finished`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunFinished {
    /// `completed`, `failed` or `cancelled`.
    pub status: String,
    /// The exit code of the run.
    pub exit_code: u8,
    /// Why it ended early, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
