//! `max_tasks=` and `parallel_tasks=`: a number, or `auto`.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The word for a limit that `mesh` chooses.
const AUTO: &str = "auto";

/// Rows that `parallel_tasks=auto` leaves to agents outside of the run, such as the one that started it.
pub const RESERVE: usize = 2;

/// A limit of tasks, of at least 1. In JSON a number, or the text `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskLimit {
    /// That many.
    Number(u32),
    /// As many as are ready for `max_tasks`; as many as fit for `parallel_tasks`.
    Auto,
}

impl TaskLimit {
    /// Whether it is `auto`.
    pub fn is_auto(self) -> bool {
        self == TaskLimit::Auto
    }

    /// The number of tasks; all for `auto`.
    pub fn count(self) -> usize {
        match self {
            TaskLimit::Number(number) => number as usize,
            TaskLimit::Auto => usize::MAX,
        }
    }
}

impl fmt::Display for TaskLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskLimit::Number(number) => number.fmt(f),
            TaskLimit::Auto => f.write_str(AUTO),
        }
    }
}

impl FromStr for TaskLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(number) if number > 0 => Ok(TaskLimit::Number(number)),
            _ if text == AUTO => Ok(TaskLimit::Auto),
            _ => Err(format!("must be a number of at least 1, or {AUTO}")),
        }
    }
}

impl Serialize for TaskLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            TaskLimit::Number(number) => serializer.serialize_u32(*number),
            TaskLimit::Auto => serializer.serialize_str(AUTO),
        }
    }
}

impl<'de> Deserialize<'de> for TaskLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Number(u32),
            Text(String),
        }
        match Given::deserialize(deserializer)? {
            Given::Number(number) => Ok(TaskLimit::Number(number)),
            Given::Text(text) => text.parse().map_err(D::Error::custom),
        }
    }
}

/// How many tasks may be admitted now: as many as may be in flight besides those `at_work`, and no more than `max_tasks` in all, of
/// which there have been `admitted`.
pub fn free_task_slots(
    parallel_tasks: u32,
    max_tasks: TaskLimit,
    at_work: usize,
    admitted: usize,
) -> usize {
    let parallel = parallel_tasks.max(1) as usize;
    let left = max_tasks.count().saturating_sub(admitted);
    parallel.saturating_sub(at_work).min(left)
}

/// How `parallel_tasks=auto` was computed: `max(1, (concurrency - reserve) / roles)`, rounded down.
///
/// In JSON `{"concurrency":16,"reserve":2,"roles":5,"tasks":2}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskArithmetic {
    /// The rows that may run at once.
    pub concurrency: usize,
    /// The rows that are not used.
    pub reserve: usize,
    /// The rows of a task that may run at once.
    pub roles: usize,
    /// The tasks in flight at once.
    pub tasks: u32,
}

impl TaskArithmetic {
    /// For `concurrency` rows at once, of which a task needs `roles`.
    pub fn new(concurrency: usize, roles: usize) -> Self {
        let tasks = Self::fit(concurrency, roles).max(1);
        Self {
            concurrency,
            reserve: RESERVE,
            roles,
            tasks: u32::try_from(tasks).unwrap_or(u32::MAX),
        }
    }

    /// How many tasks fit; may be none.
    pub fn fit(concurrency: usize, roles: usize) -> usize {
        concurrency.saturating_sub(RESERVE) / roles.max(1)
    }
}

impl fmt::Display for TaskArithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "parallel_tasks=auto: max(1, floor(({} - {}) / {})) = {}",
            self.concurrency, self.reserve, self.roles, self.tasks
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_or_auto() {
        for (text, limit) in [
            ("1", Some(TaskLimit::Number(1))),
            ("auto", Some(TaskLimit::Auto)),
        ] {
            assert_eq!(text.parse().ok(), limit);
            let json = serde_json::to_string(&limit).expect("JSON");
            assert_eq!(serde_json::from_str(&json).ok(), limit, "{json}");
        }
        for text in ["0", "-1", "", "Auto", "1.5", "4294967296"] {
            assert!(text.parse::<TaskLimit>().is_err(), "{text}");
        }
    }

    #[test]
    fn tasks_at_once_leave_the_reserve() {
        for (concurrency, roles, tasks) in [
            (16, 5, 2),
            (22, 5, 4),
            (7, 5, 1),
            (6, 5, 1),
            (1, 3, 1),
            (64, 1, 62),
        ] {
            let arithmetic = TaskArithmetic::new(concurrency, roles);
            assert_eq!(arithmetic.tasks, tasks, "{arithmetic}");
        }
        assert_eq!(TaskArithmetic::fit(6, 5), 0);
        assert_eq!(TaskArithmetic::fit(1, 0), 0);
    }
}
