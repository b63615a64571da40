//! What must hold, from what was seen of a run ([`Seen`](super::observer::Seen)) and the description of the protocols.

use super::observer::{FAULTS_MAX, SeenUnit};
use super::world::{Call, Disk, End, History, Setting, TaskSpec, World};
use mesh::job::Budget;
use mesh::model::{Role, RowId, RowKey, UnitId};
use mesh::plan::{Plan, Status};
use mesh::protocol::{Emission, latest_synthesis};
use mesh::run::{State, Unit};
use mesh::schedule::Deps;

type Checked = Result<(), String>;

/// The fold over the ledger gives the state that the program had, but for faults, which a new call forgets.
pub fn check_fold(disk: &Disk) -> Checked {
    let mut links: Vec<&History> = Vec::new();
    let mut next = disk.history.as_deref();
    while let Some(link) = next {
        links.push(link);
        next = link.before.as_deref();
    }
    let mut folded = State::default();
    for (event, place) in links.iter().rev().flat_map(|link| &link.events) {
        folded.apply(event, *place);
    }
    folded.forget_faults();
    let mut known = disk.state.clone();
    known.forget_faults();
    let of_run = |state: &State| {
        (
            state.reduced_concurrency,
            state.applied,
            state.hydrations.len(),
        )
    };
    let of_unit = |unit: &Unit| {
        let ends = (
            unit.ended.clone(),
            unit.open_integration.is_some(),
            unit.applied_number,
        );
        (
            unit.id.clone(),
            unit.state.clone(),
            unit.is_early,
            unit.spent.rows,
            ends,
        )
    };
    let (units, same) = (
        folded.units.iter().map(of_unit),
        known.units.iter().map(of_unit),
    );
    if of_run(&folded) != of_run(&known) || !units.eq(same) {
        return Err("a resume finds another state of the tasks".to_owned());
    }
    for (wave, same) in folded.waves.iter().zip(&known.waves) {
        let rows = 0..wave.compiled.rows.len() as u64;
        let is_same = |row: u64| {
            let [item, other] = [wave, same].map(|wave| wave.job.item(row));
            let of_items = item.zip(other).is_none_or(|(one, other)| {
                (one.status, one.attempts, one.failures, one.reported)
                    == (other.status, other.attempts, other.failures, other.reported)
            });
            of_items
                && item.is_some() == other.is_some()
                && wave.is_judged(row) == same.is_judged(row)
        };
        if !rows.clone().all(is_same) || wave.failures != same.failures {
            return Err("a resume finds another state of the rows".to_owned());
        }
    }
    Ok(())
}

/// What holds after every write.
pub fn check_disk(setting: &Setting, disk: &Disk) -> Checked {
    let number = disk.state.concurrency(disk.seen.full);
    if number != disk.seen.concurrency {
        return Err(format!(
            "the concurrency number is {number} instead of {}",
            disk.seen.concurrency
        ));
    }
    let in_flight: Vec<&Unit> = disk.state.in_flight().collect();
    let begun = in_flight.iter().filter(|unit| !unit.is_early).count();
    let parallel = setting.scenario.parallel_tasks as usize;
    if begun > parallel && setting.scenario.deps == Deps::Strict {
        return Err(format!(
            "{begun} tasks are in flight, and {parallel} may be"
        ));
    }
    let retries = setting.scenario.swarm.consensus_retries.unwrap_or(2) as usize;
    let votes_too_often = |unit: &SeenUnit| unit.votes_held > retries + 1;
    if disk.seen.units.values().any(votes_too_often) {
        return Err(format!("consensus is retried more than {retries} times"));
    }
    for (at, one) in in_flight.iter().enumerate() {
        for other in &in_flight[at + 1..] {
            if overlap(
                &scope(setting, &disk.plan, &one.id),
                &scope(setting, &disk.plan, &other.id),
            ) {
                return Err(format!(
                    "{} and {} are in flight together",
                    one.id, other.id
                ));
            }
        }
    }
    Ok(())
}

/// The folder that a task may change; empty for anything.
fn scope(setting: &Setting, plan: &Plan, unit: &UnitId) -> String {
    let spec = setting.spec(unit);
    let mut items = plan.items().iter();
    let item = items.find(|item| item.id().as_str() == unit.as_str());
    match item.is_some_and(|item| item.notes() == "prose") {
        true => String::new(),
        false if spec.scope.is_empty() => "hydrated/".to_owned(),
        false => spec.scope.trim_end_matches("**").to_owned(),
    }
}

fn overlap(one: &str, other: &str) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// An outcome in the plan is final.
pub fn check_status(plan: &Plan, unit: &UnitId, status: Status) -> Checked {
    let mut items = plan.items().iter();
    let item = items.find(|item| item.id().as_str() == unit.as_str());
    let before = item.ok_or("a task that is not in the plan")?.status();
    let is_over = matches!(before, Status::Completed | Status::Blocked);
    match is_over && before != status {
        true => Err(format!(
            "{unit} becomes {} after {}",
            status.as_str(),
            before.as_str()
        )),
        false => Ok(()),
    }
}

/// A task begins after its dependencies, or beside them if they may start early and share no path.
pub fn check_dependencies(setting: &Setting, disk: &Disk, unit: &UnitId, deps: Deps) -> Checked {
    for id in setting.spec(unit).after {
        let dependency = UnitId::new(*id);
        let mut items = disk.plan.items().iter();
        let item = items
            .find(|item| item.id().as_str() == *id)
            .ok_or("it is in the plan")?;
        let is_applied = disk
            .seen
            .units
            .get(&dependency)
            .is_some_and(|unit| unit.is_applied);
        if item.status() == Status::Completed && is_applied {
            continue;
        }
        let scopes = [unit, &dependency].map(|unit| scope(setting, &disk.plan, unit));
        if deps == Deps::Strict || overlap(&scopes[0], &scopes[1]) {
            return Err(format!("{unit} begins before {id} is completed"));
        }
    }
    Ok(())
}

/// How many must agree, and who votes: what the files in `templates/` say.
fn gate(protocol: &str) -> Option<(usize, &'static [&'static str])> {
    match protocol {
        "duo" => Some((1, &["skeptic"])),
        "swarm" => Some((
            4,
            &["proposer", "critic_a", "critic_b", "skeptic", "synthesizer"],
        )),
        "swarm3" => Some((3, &["proposer", "skeptic", "synthesizer"])),
        _ => None,
    }
}

/// A patch is integrated only if it is the one that was agreed on.
pub fn check_accepted(setting: &Setting, disk: &Disk, unit: &Unit) -> Checked {
    let (protocol, _) = setting.protocol(&disk.plan, unit);
    let seen = disk
        .seen
        .units
        .get(&unit.id)
        .ok_or("nothing was seen of it")?;
    let agreed = match protocol.name.as_str() {
        "race" | "best" => selected(&protocol.name, seen)?,
        _ => {
            let patch = seen.patches.values().next();
            patch.ok_or_else(|| format!("{} is integrated without a patch", unit.id))?
        }
    };
    if let Some((threshold, voters)) = gate(&protocol.name) {
        let threshold = setting
            .scenario
            .swarm
            .consensus_threshold
            .map_or(threshold, |it| it as usize);
        let agree = seen.votes.iter();
        let agree =
            agree.filter(|(role, vote)| voters.contains(&role.as_str()) && *vote == "agree");
        if agree.clone().count() < threshold {
            let agree = agree.count();
            return Err(format!(
                "{} is integrated with {agree} of {threshold} votes",
                unit.id
            ));
        }
    }
    if protocol.name == "repro" && seen.tests.is_empty() {
        return Err(format!("{} is integrated without a test", unit.id));
    }
    let place = latest_synthesis(&protocol, &unit.state).ok_or("no accepted patch")?;
    let answer = place
        .read(&setting.outcomes.lines)
        .map_err(|error| error.to_string())?;
    match answer["patch"].as_str() == Some(agreed.as_str()) {
        true => Ok(()),
        false => Err(format!(
            "{}: {} is integrated instead of {agreed:?}",
            unit.id, answer["patch"]
        )),
    }
}

/// The patch that wins among candidates.
fn selected<'s>(protocol: &str, seen: &'s SeenUnit) -> Result<&'s String, String> {
    // Those that pass: whether they show nothing, how many are equal, how large they are, and who wrote them.
    let mut passed: Vec<(bool, i64, u64, &Role, &String)> = Vec::new();
    for (role, patch) in &seen.patches {
        let equal = seen
            .patches
            .values()
            .filter(|other| *other == patch)
            .count();
        match patch.as_str() {
            "small" => passed.push((false, -(equal as i64), 1, role, patch)),
            "large" => passed.push((false, -(equal as i64), 9, role, patch)),
            "weak" => passed.push((true, -(equal as i64), 1, role, patch)),
            _ => {}
        }
    }
    passed.sort();
    let best = *passed
        .first()
        .ok_or("it is integrated without a candidate that passes")?;
    let mut names: Vec<(&Role, &String)> = Vec::new();
    for (weak, equal, _, role, patch) in &passed {
        let stands_as_well = (*weak, *equal) == (best.0, best.1);
        if stands_as_well && !names.iter().any(|(_, known)| known == patch) {
            names.push((role, patch));
        }
    }
    if protocol == "race" || names.len() == 1 {
        return Ok(best.4);
    }
    let count = |role: &Role| {
        seen.votes
            .values()
            .filter(|vote| *vote == role.as_str())
            .count()
    };
    let most = names.iter().map(|(role, _)| count(role)).max().unwrap_or(0);
    let chosen = names
        .iter()
        .find(|(role, _)| count(role) == most)
        .ok_or("no candidate")?;
    let for_one = |vote: &&String| names.iter().any(|(role, _)| role.as_str() == vote.as_str());
    let none = seen.votes.values().filter(|vote| !for_one(vote)).count();
    match most >= 1 && most >= none {
        true => Ok(chosen.1),
        false => Err(format!(
            "{} votes are for the patch, and {none} for none",
            most
        )),
    }
}

/// Rows have ids of their own, and a unit has one open wave.
pub fn check_rows(disk: &Disk, group: &[(Unit, Emission)], rows: &[RowId]) -> Checked {
    for wave in &disk.state.waves {
        if let Some(row) = wave.compiled.rows.iter().find(|row| rows.contains(row)) {
            return Err(format!("{row} is compiled twice"));
        }
        let units = wave.compiled.rows.iter().filter_map(RowKey::parse);
        let mut units = units.map(|key| key.unit);
        if wave.is_open() && units.any(|unit| group.iter().any(|(other, _)| other.id == unit)) {
            return Err("a unit has rows in two waves".to_owned());
        }
    }
    Ok(())
}

/// A row is about to start: it has a slot, and room in the budget.
pub fn check_start(setting: &Setting, world: &World) -> Checked {
    let (running, seen) = (world.running_rows().len() + 1, &world.disk.seen);
    if running > seen.concurrency || running > setting.scenario.concurrency {
        return Err(format!("{running} rows run, and {} may", seen.concurrency));
    }
    if running != world.call.slots.taken() {
        return Err(format!(
            "{running} rows run in {} slots",
            world.call.slots.taken()
        ));
    }
    Ok(())
}

/// No more rows were started than the budgets of run and tasks have room for.
pub fn check_budget(setting: &Setting, disk: &Disk) -> Checked {
    let scenario = &setting.scenario;
    let of_run = scenario.budget[usize::from(disk.seen.is_raised)];
    let rows = disk.seen.rows.len() as u64;
    let of = |unit: &str| {
        let rows = disk.seen.rows.iter().filter_map(RowKey::parse);
        rows.filter(|key| key.unit.as_str() == unit).count() as u64
    };
    let has_too_many = |rows: u64, budget: &Budget| budget.max_rows.is_some_and(|max| rows > max);
    if has_too_many(rows, &of_run) || of_run.max_tokens.is_some_and(|max| disk.seen.tokens > max) {
        let tokens = disk.seen.tokens;
        return Err(format!("{rows} rows and {tokens} tokens under {of_run:?}"));
    }
    let over = |task: &&TaskSpec| has_too_many(of(task.id), &scenario.task_budget);
    match scenario.tasks.iter().find(over) {
        Some(task) => Err(format!("{}: {} rows were started", task.id, of(task.id))),
        None => Ok(()),
    }
}

/// What holds when a call ends.
pub fn check_end(setting: &Setting, disk: &Disk, call: &Call, end: End) -> Checked {
    if call.slots.taken() > 0 || !call.reserves.is_empty() {
        return Err("slots or reservations are kept".to_owned());
    }
    let scenario = &setting.scenario;
    let budgets = [scenario.budget[0], scenario.budget[1], scenario.task_budget];
    if end == End::BudgetReached && budgets.iter().all(Budget::is_none) {
        return Err("a budget is reached that does not exist".to_owned());
    }
    let gave_up = |unit: &SeenUnit| unit.faults.values().any(|faults| *faults > FAULTS_MAX);
    if end == End::Unanswered && !disk.seen.units.values().any(gave_up) {
        return Err("the run ends unanswered, and every role can be asked again".to_owned());
    }
    if end != End::Finished {
        return Ok(());
    }
    let is_completed = |id: &str| {
        let mut items = disk.plan.items().iter();
        items.any(|item| item.id().as_str() == id && item.status() == Status::Completed)
    };
    for item in disk.plan.items() {
        let spec = setting.spec(&UnitId::new(item.id().as_str()));
        let is_ready = spec.after.iter().all(|id| is_completed(id));
        let is_open = match item.status() {
            Status::Pending => is_ready,
            status => status == Status::InProgress,
        };
        if is_open {
            return Err(format!(
                "the run is finished, and {} is {}",
                item.id(),
                item.status().as_str()
            ));
        }
    }
    Ok(())
}
