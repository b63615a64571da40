//! What the environment did with a run, noted from the events alone: votes, failures and rows are counted by the description of the
//! protocols, and the program's own functions are asked nothing.

use super::world::Setting;
use mesh::model::{
    AttemptEnd, AttemptFinished, Event, IntegrationOutcome, PlanMutated, Role, RowId, RowKey,
    UnitId, Usage, VerdictKind, VerdictRecord, WaveNo,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Checked = Result<(), String>;

/// What a row uses.
pub const USAGE: Usage = Usage {
    input_tokens: 1000,
    cached_input_tokens: 0,
    output_tokens: 0,
    cost_usd: None,
};

/// How often a role is asked again after a fault.
pub const FAULTS_MAX: usize = 2;

/// What was seen of a run.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub units: BTreeMap<UnitId, SeenUnit>,
    pub waves: BTreeMap<WaveNo, SeenWave>,
    /// The concurrency number by the rule of backpressure.
    pub concurrency: usize,
    pub full: usize,
    /// Rows that were started.
    pub rows: BTreeSet<RowId>,
    /// Tokens that ended attempts used. What a kill interrupts does not say what it used.
    pub tokens: u64,
    /// Rows and validations that failed.
    pub failures: usize,
    pub kills: usize,
    /// Whether the budget was raised by a later call.
    pub is_raised: bool,
}

/// What was seen of a task, in its current cycle of rounds.
#[derive(Clone, Debug, Default)]
pub struct SeenUnit {
    round: String,
    pub votes: BTreeMap<Role, String>,
    pub patches: BTreeMap<Role, String>,
    pub tests: BTreeMap<Role, String>,
    /// Answers of each role in the current round that can't be used, and faults.
    unusable: BTreeMap<Role, usize>,
    pub faults: BTreeMap<Role, usize>,
    /// Failed attempts of the row that each role has now.
    attempts: BTreeMap<Role, usize>,
    /// The round in which it fell back to a smaller protocol.
    fell_back_in: Option<String>,
    /// How often it came to a vote under its protocol.
    pub votes_held: usize,
    /// It was promoted to the next tier.
    is_promoted: bool,
    pub is_applied: bool,
    ended: Option<String>,
}

/// A wave without all of its verdicts.
#[derive(Clone, Debug)]
pub struct SeenWave {
    left: usize,
    is_bad: bool,
    number: usize,
}

impl Seen {
    pub fn new(full: usize) -> Self {
        Self {
            concurrency: full,
            full,
            ..Self::default()
        }
    }

    /// A new call asks all roles again that a fault kept from answering.
    pub fn forget_faults(&mut self) {
        self.units.values_mut().for_each(|unit| unit.faults.clear());
    }

    /// Notes an event, and checks that it may be there.
    pub fn note(&mut self, event: &Event) -> Checked {
        match event {
            Event::WaveCompiled(body) => {
                let wave = SeenWave {
                    left: body.rows.len(),
                    is_bad: false,
                    number: body.max_concurrency,
                };
                self.waves.insert(body.wave, wave);
                for row in &body.rows {
                    let unit = self.unit(row);
                    unit.begin_round(body.round.as_str());
                    unit.attempts.clear();
                }
            }
            Event::AttemptStarted(body) => {
                self.rows.insert(body.item_id.clone());
            }
            Event::AttemptReported(body) => self.note_report(&body.item_id, &body.result),
            Event::AttemptFinished(body) => self.note_end(body)?,
            Event::Verdict(body) => self.note_verdict(body)?,
            Event::ProtocolChanged(body) => {
                let unit = self.units.entry(body.unit.clone()).or_default();
                match body.keeps {
                    true => {
                        unit.fell_back_in = Some(unit.round.clone());
                        unit.unusable.clear();
                        unit.faults.clear();
                    }
                    false => {
                        *unit = SeenUnit {
                            is_promoted: true,
                            ..SeenUnit::default()
                        }
                    }
                }
            }
            Event::IntegrationFinished(body) if body.outcome == IntegrationOutcome::Applied => {
                let unit = self.units.entry(body.unit.clone()).or_default();
                if std::mem::replace(&mut unit.is_applied, true) {
                    return Err(format!("{} is integrated twice", body.unit));
                }
            }
            Event::PlanMutated(body) if body.status != "in_progress" => {
                self.note_outcome(body)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn note_end(&mut self, body: &AttemptFinished) -> Checked {
        let error = body.error.as_deref().unwrap_or_default();
        let is_timeout = error.starts_with("timeout");
        if let Some(wave) = self.waves.get_mut(&body.wave) {
            wave.is_bad |= is_timeout;
        }
        let key = RowKey::parse(&body.item_id).ok_or("an attempt of no row")?;
        self.tokens += body.usage.map_or(0, |usage| usage.tokens());
        let unit = self.unit(&body.item_id);
        if matches!(body.end, AttemptEnd::Failed | AttemptEnd::Retry) {
            *unit.attempts.entry(key.role.clone()).or_default() += 1;
        }
        if body.end == AttemptEnd::Failed && body.fault.is_none() {
            *unit.unusable.entry(key.role).or_default() += 1;
        }
        Ok(())
    }

    fn note_outcome(&mut self, body: &PlanMutated) -> Checked {
        let unit = self.units.entry(body.unit.clone()).or_default();
        if let Some(before) = &unit.ended {
            return Err(format!("{} is {} after {before}", body.unit, body.status));
        }
        if unit.is_applied != (body.status == "completed") {
            return Err(format!("{} is {}", body.unit, body.status)
                + if unit.is_applied {
                    ", and its patch is in the tree"
                } else {
                    " without a patch"
                });
        }
        if unit.is_promoted && unit.round.is_empty() {
            return Err(format!(
                "{} ends before the tier that it was promoted to",
                body.unit
            ));
        }
        unit.ended = Some(body.status.clone());
        Ok(())
    }

    fn unit(&mut self, row: &RowId) -> &mut SeenUnit {
        let key = RowKey::parse(row).expect("a row of a unit");
        self.units.entry(key.unit).or_default()
    }

    fn note_report(&mut self, row: &RowId, result: &Value) {
        let key = RowKey::parse(row).expect("a row of a unit");
        let unit = self.unit(row);
        let text = |name: &str| result[name].as_str().map(str::to_owned);
        let (map, found) = match key.round.as_str() {
            "vote" => (&mut unit.votes, text("vote")),
            "reproduction" => (&mut unit.tests, text("patch")),
            _ => (&mut unit.patches, text("patch")),
        };
        match found {
            Some(found) => drop(map.insert(key.role.clone(), found)),
            None => drop(map.remove(&key.role)),
        }
        if result.get("refused").is_some() {
            *unit.unusable.entry(key.role).or_default() += 1;
        }
    }

    fn note_verdict(&mut self, body: &VerdictRecord) -> Checked {
        let key = RowKey::parse(&body.item_id).ok_or("a verdict on no row")?;
        let (is_fault, row) = (body.fault.is_some(), &body.item_id);
        let unit = self.unit(row);
        if is_fault {
            *unit.faults.entry(key.role.clone()).or_default() += 1;
        }
        let count = |counts: &BTreeMap<Role, usize>| counts.get(&key.role).copied().unwrap_or(0);
        let (unusable, faults) = (count(&unit.unusable), count(&unit.faults));
        let is_final = count(&unit.attempts) > 1;
        let fell_back = unit.fell_back_in.as_deref() == Some(key.round.as_str());
        match body.verdict {
            VerdictKind::Accepted => {}
            VerdictKind::Retry if is_fault && faults > FAULTS_MAX => {
                return Err(format!("{row}: asked again after {faults} faults"));
            }
            VerdictKind::Retry if !is_fault && (unusable > 1 || is_final) => {
                return Err(format!(
                    "{row}: asked again after {unusable} unusable answers"
                ));
            }
            VerdictKind::Rejected if is_fault && faults <= FAULTS_MAX => {
                return Err(format!("{row}: given up after {faults} faults"));
            }
            VerdictKind::Rejected if !is_fault && unusable < 2 && !is_final && !fell_back => {
                return Err(format!("{row}: rejected after {unusable} unusable answers"));
            }
            VerdictKind::Retry | VerdictKind::Rejected => {}
        }
        let Some(wave) = self.waves.get_mut(&body.wave) else {
            return Err(format!("{row}: a second verdict"));
        };
        wave.is_bad |= body.verdict != VerdictKind::Accepted && !is_fault;
        wave.left -= 1;
        if wave.left == 0 {
            if wave.number == self.concurrency {
                self.concurrency = match wave.is_bad {
                    true => (self.concurrency / 2).max(1),
                    false => self.full,
                };
            }
            self.waves.remove(&body.wave);
        }
        Ok(())
    }
}

impl SeenUnit {
    /// What was counted of a role in the current round: answers that can't be used, faults, and failed attempts of its row.
    pub fn counts(&self, role: &Role) -> [Option<usize>; 3] {
        [&self.unusable, &self.faults, &self.attempts].map(|counts| counts.get(role).copied())
    }

    fn begin_round(&mut self, round: &str) {
        if self.round == round {
            return;
        }
        self.round = round.to_owned();
        self.unusable.clear();
        self.faults.clear();
        match round {
            "vote" => {
                self.votes.clear();
                self.votes_held += 1;
            }
            "synthesis" => self.patches.clear(),
            "reproduction" => self.tests.clear(),
            _ => {}
        }
    }
}

/// An event as it is read back from the ledger: as it was written.
pub fn read_back(setting: &Setting, event: &Event) -> Result<Arc<Event>, String> {
    let mut text = event.name().as_bytes().to_vec();
    let name = text.len();
    event.write_body(&mut text);
    if let Some(known) = setting.known_events.lock().expect("no panic").get(&text) {
        return Ok(Arc::clone(known));
    }
    let body = serde_json::from_slice(&text[name..]).map_err(|error| error.to_string())?;
    let read = Event::parse(event.name(), body).map_err(|error| error.to_string())?;
    if format!("{read:?}") != format!("{event:?}") {
        return Err(format!("written: {event:?}; read: {read:?}"));
    }
    let read = Arc::new(read);
    let mut known = setting.known_events.lock().expect("no panic");
    known.insert(text, Arc::clone(&read));
    Ok(read)
}
