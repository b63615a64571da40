//! The plan as the description of the format has it: items, rules, and what every command prints.

use serde_json::{Value, json};

use super::{AUTHOR, Command, STATUSES};

#[derive(Clone, Debug)]
pub(super) struct Item {
    id: String,
    step: String,
    status: String,
    deps: Vec<(String, String)>,
    notes: String,
    comments: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) items: Vec<Item>,
    pub(super) seq: u64,
}

/// Why a command is refused: one of these is the message, since several rules may be broken at once.
pub(super) type Refusal = Vec<String>;

fn refusal<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err(vec![message.into()])
}

fn status(name: &str) -> Result<String, Refusal> {
    match STATUSES.iter().find(|(known, _)| *known == name) {
        Some((_, Some(status))) => Ok((*status).to_owned()),
        _ => refusal(format!(
            "invalid status '{name}'; expected one of: blocked, canceled, completed, deferred, in_progress, pending"
        )),
    }
}

fn deps(list: &str) -> Result<Vec<(String, String)>, Refusal> {
    let mut deps = Vec::new();
    for token in list.split(',').filter(|_| !list.trim().is_empty()) {
        let (id, kind) = token.split_once(':').unwrap_or((token, ""));
        let (id, kind) = (id.trim(), kind.trim());
        if token.trim().is_empty() || id.is_empty() {
            return refusal("--deps contains an empty dependency token");
        }
        if kind.contains('_') {
            return refusal("invalid dependency type");
        }
        let kind = if kind.is_empty() { "blocks" } else { kind };
        let dep = (id.to_owned(), kind.to_owned());
        if !deps.contains(&dep) {
            deps.push(dep);
        }
    }
    Ok(deps)
}

fn id_of(text: &str) -> Result<String, Refusal> {
    match text.trim() {
        "" => refusal("--id cannot be empty"),
        id => Ok(id.to_owned()),
    }
}

fn not_blank(option: &str, text: &str) -> Result<String, Refusal> {
    match text.trim() {
        "" => refusal(format!("--{option} cannot be empty")),
        text => Ok(text.to_owned()),
    }
}

impl Item {
    fn new(id: String) -> Item {
        Item {
            id,
            step: String::new(),
            status: "pending".to_owned(),
            deps: Vec::new(),
            notes: String::new(),
            comments: Vec::new(),
        }
    }

    fn deps_text(&self) -> String {
        let text = |(id, kind): &(String, String)| match kind.as_str() {
            "blocks" => id.clone(),
            kind => format!("{id}:{kind}"),
        };
        self.deps.iter().map(text).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn json(&self) -> Value {
        let dep = |(id, kind): &(String, String)| json!({"id": id, "type": kind});
        let comment = |text: &String| json!({"ts": "T", "author": AUTHOR, "text": text});
        json!({
            "id": self.id, "step": self.step, "status": self.status,
            "deps": self.deps.iter().map(dep).collect::<Vec<_>>(), "notes": self.notes,
            "comments": self.comments.iter().map(comment).collect::<Vec<_>>(),
        })
    }
}

impl Model {
    fn get(&self, id: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.id == id)
    }

    fn known(&mut self, id: &str) -> Result<&mut Item, Refusal> {
        let found = self.items.iter_mut().find(|item| item.id == id);
        found.ok_or_else(|| vec![format!("unknown id '{id}'")])
    }

    fn waiting_on(&self, item: &Item) -> Vec<String> {
        let mut waiting: Vec<String> = Vec::new();
        for (id, _) in &item.deps {
            let is_done = self.get(id).is_some_and(|dep| dep.status == "completed");
            if !is_done && !waiting.contains(id) {
                waiting.push(id.clone());
            }
        }
        waiting
    }

    fn dep_state(&self, item: &Item) -> &'static str {
        match item.status.as_str() {
            "blocked" => "blocked_manual",
            "completed" | "deferred" | "canceled" => "n/a",
            _ if self.waiting_on(item).is_empty() => "ready",
            _ => "waiting_on_deps",
        }
    }

    /// Whether `from` waits for `to`, however far away.
    fn reaches(&self, from: &str, to: &str, seen: &mut Vec<String>) -> bool {
        let deps = self.get(from).map_or(&[][..], |item| &item.deps);
        deps.iter().any(|(id, _)| {
            let is_new = !seen.contains(id);
            seen.push(id.clone());
            id == to || is_new && self.reaches(id, to, seen)
        })
    }

    pub(super) fn check(&self) -> Result<(), Refusal> {
        let mut broken = Vec::new();
        for item in &self.items {
            let id = &item.id;
            for (dep, _) in &item.deps {
                if dep == id {
                    broken.push(format!("item '{id}' cannot depend on itself"));
                } else if self.get(dep).is_none() {
                    broken.push(format!("item '{id}' references unknown dependency '{dep}'"));
                }
            }
            if self.reaches(id, id, &mut Vec::new()) {
                broken.push("dependency cycle detected: ".to_owned());
            }
            let waiting = self.waiting_on(item);
            let is_begun = ["in_progress", "completed"].contains(&item.status.as_str());
            if is_begun && !waiting.is_empty() {
                broken.push(format!(
                    "item '{id}' cannot be {}; unresolved dependencies: {}",
                    item.status,
                    waiting.join(", ")
                ));
            }
        }
        let begun = self
            .items
            .iter()
            .filter(|item| item.status == "in_progress");
        let begun: Vec<&str> = begun.map(|item| item.id.as_str()).collect();
        if begun.len() > 1 {
            broken.push(format!(
                "multiple in_progress items found: {}",
                begun.join(", ")
            ));
        }
        match broken.is_empty() {
            true => Ok(()),
            false => Err(broken),
        }
    }

    /// Makes the change that `command` asks for; gives what it prints and how many events it takes.
    pub(super) fn change(&mut self, command: &Command) -> Result<(String, u64), Refusal> {
        let said = match command {
            Command::Add {
                id,
                step,
                status: name,
                deps: list,
            } => {
                let id = match id {
                    Some(id) => id_of(id)?,
                    None => self.next_id(),
                };
                let name = name.map(status).transpose()?;
                let list = list.as_deref().map(deps).transpose()?;
                let step = not_blank("step", step)?;
                if self.get(&id).is_none() {
                    self.items.push(Item::new(id.clone()));
                }
                let item = self.known(&id)?;
                item.step = step;
                item.status = name.unwrap_or_else(|| item.status.clone());
                item.deps = list.unwrap_or_else(|| item.deps.clone());
                format!("upserted {id}")
            }
            Command::Status(id, name) => {
                let (id, name) = (id_of(id)?, status(name)?);
                self.known(&id)?.status.clone_from(&name);
                format!("updated {id} -> {name}")
            }
            Command::Deps(id, list) => {
                let (id, list) = (id_of(id)?, deps(list)?);
                let item = self.known(&id)?;
                item.deps = list;
                match item.deps_text() {
                    none if none.is_empty() => format!("updated {id} deps -> (none)"),
                    some => format!("updated {id} deps -> {some}"),
                }
            }
            Command::Notes(id, notes) => {
                let id = id_of(id)?;
                self.known(&id)?.notes = (*notes).to_owned();
                format!("updated {id} notes")
            }
            Command::Comment(id, text) => {
                let (id, text) = (id_of(id)?, not_blank("text", text)?);
                self.known(&id)?.comments.push(text);
                format!("added comment to {id}")
            }
            Command::Remove(id) => {
                let id = id_of(id)?;
                self.known(&id)?;
                self.items.retain(|item| item.id != id);
                format!("removed {id}")
            }
            Command::Import(items, replaces) => return self.import(items, *replaces),
            other => unreachable!("{other:?} changes nothing"),
        };
        Ok((said, 1))
    }

    fn import(
        &mut self,
        items: &[(&'static str, &'static str)],
        replaces: bool,
    ) -> Result<(String, u64), Refusal> {
        let mut read: Vec<Item> = Vec::new();
        for (id, name) in items {
            let mut item = Item::new(id.trim().to_owned());
            if read.iter().any(|one| one.id == item.id) {
                return refusal(format!("duplicate item id in snapshot: '{}'", item.id));
            }
            item.step = "imported".to_owned();
            item.status = status(name)?;
            read.push(item);
        }
        let count = read.len();
        if replaces {
            self.items = read;
            return Ok(("replaced plan from in.json".to_owned(), 1));
        }
        for item in read {
            match self.items.iter_mut().find(|own| own.id == item.id) {
                Some(own) => *own = item,
                None => self.items.push(item),
            }
        }
        Ok((
            format!("imported {count} item(s) from in.json"),
            count as u64,
        ))
    }

    fn next_id(&self) -> String {
        let number = |item: &Item| {
            let rest = ["st-", "kt-"]
                .iter()
                .find_map(|prefix| item.id.strip_prefix(prefix));
            rest.and_then(|rest| rest.parse::<u64>().ok())
        };
        let last = self.items.iter().filter_map(number).max().unwrap_or(0);
        format!("st-{:03}", last + 1)
    }

    pub(super) fn mirror(&self) -> String {
        let entry = |item: &Item| {
            let is_shown = match item.status.as_str() {
                "in_progress" => self.waiting_on(item).is_empty(),
                status => status == "completed",
            };
            let status = if is_shown {
                item.status.as_str()
            } else {
                "pending"
            };
            format!("{{\"step\":{},\"status\":\"{status}\"}}", json!(item.step))
        };
        let entries: Vec<String> = self.items.iter().map(entry).collect();
        format!("{{\"plan\":[{}]}}", entries.join(","))
    }

    fn viewed(&self, view: &str) -> Vec<&Item> {
        let is_in = |item: &&Item| match view {
            "show" => true,
            "ready" => item.status == "pending" && self.waiting_on(item).is_empty(),
            _ => {
                item.status == "blocked"
                    || item.status == "pending" && !self.waiting_on(item).is_empty()
            }
        };
        self.items.iter().filter(is_in).collect()
    }

    fn line(&self, item: &Item) -> String {
        let mut parts = Vec::new();
        let waiting = self.waiting_on(item).join(", ");
        let mut part = |name: &str, value: &str| {
            if !value.is_empty() {
                parts.push(format!("{name}: {value}"));
            }
        };
        part("dep_state", self.dep_state(item).trim_start_matches("n/a"));
        part("deps", &item.deps_text());
        part("waiting", &waiting);
        if !["pending", "completed"].contains(&item.status.as_str()) {
            part("status", &item.status);
        }
        let step = match item.status.as_str() {
            "canceled" => format!("~~{}~~", item.step),
            _ => item.step.clone(),
        };
        match parts.is_empty() {
            true => format!("{} {step}\n", item.id),
            false => format!("{} {step} ({})\n", item.id, parts.join("; ")),
        }
    }

    pub(super) fn markdown(&self, view: &str) -> String {
        if view != "show" {
            // Here nothing is struck through: neither list has a canceled item.
            let lines = self.viewed(view).into_iter().map(|item| self.line(item));
            let lines: String = lines.map(|line| format!("- {line}")).collect();
            return if lines.is_empty() {
                "- (none)\n".to_owned()
            } else {
                lines
            };
        }
        if self.items.is_empty() {
            return "- [ ] (empty plan)\n".to_owned();
        }
        let section = |item: &Item| match (item.status.as_str(), self.waiting_on(item).is_empty()) {
            ("in_progress", _) => 0,
            ("pending", true) => 1,
            ("pending", false) => 2,
            ("blocked", _) => 3,
            ("deferred", _) => 4,
            ("canceled", _) => 5,
            _ => 6,
        };
        let titles = [
            ("In Progress", '~'),
            ("Ready", ' '),
            ("Waiting on Dependencies", ' '),
            ("Blocked", '!'),
            ("Deferred", '-'),
            ("Canceled", ' '),
            ("Completed", 'x'),
        ];
        let mut sections = Vec::new();
        for (number, (title, mark)) in titles.into_iter().enumerate() {
            let items = self.items.iter().filter(|item| section(item) == number);
            let lines = items.map(|item| format!("- [{mark}] {}", self.line(item)));
            let lines: String = lines.collect();
            if !lines.is_empty() {
                sections.push(format!("### {title}\n{lines}"));
            }
        }
        sections.join("\n")
    }

    pub(super) fn table(&self, view: &str) -> String {
        let row = |cells: [&str; 6]| {
            let [id, status, state, waiting, deps, step] = cells;
            format!("{id:<10} {status:<12} {state:<18} {waiting:<20} {deps:<20} {step}\n")
        };
        let header = row(["ID", "STATUS", "DEP_STATE", "WAITING_ON", "DEPS", "STEP"]);
        let mut table = format!("{header}{}\n", "-".repeat(header.len() - 1));
        for item in self.viewed(view) {
            let (waiting, deps) = (self.waiting_on(item).join(", "), item.deps_text());
            let or_none = |text: String| {
                if text.is_empty() {
                    "-".to_owned()
                } else {
                    text
                }
            };
            let (waiting, deps) = (or_none(waiting), or_none(deps));
            let state = self.dep_state(item);
            table += &row([&item.id, &item.status, state, &waiting, &deps, &item.step]);
        }
        table
    }

    pub(super) fn json(&self, view: &str) -> String {
        let enriched = |item: &Item| {
            let mut value = item.json();
            value["dep_state"] = self.dep_state(item).into();
            value["waiting_on"] = self.waiting_on(item).into();
            value
        };
        let items: Vec<Value> = self.viewed(view).into_iter().map(enriched).collect();
        let text = serde_json::to_string_pretty(&json!({ "items": items })).expect("JSON");
        format!("{text}\n")
    }
}
