//! The loop of a plan run. Each turn judges the waves that have ended, advances the units until they need rows,
//! admits tasks, compiles and starts the next waves, and waits until one of them ends.
//!
//! In rolling dispatch each unit advances as soon as its own rows are judged; with a barrier nothing advances before all
//! waves have ended. A patch that is validated in a scratch tree is an integration in flight, beside the waves
//! ([`validate_beside`](super::validate_beside)). While a patch is applied, and while one is validated in the user's tree, no wave
//! starts; running rows are not affected. A joined run holds the repository only within a turn ([`turns`](super::turns)).

use super::begin::{COMPLETED, PlanRun};
use super::context::Context;
use super::phase::Phase;
use crate::job::{JobStatus, Journal, Stop, Urgency};
use crate::model::{BudgetReached, Event, RunFinished};
use crate::protocol::Action;
use crate::run::error::RunError;
use crate::run::settings::PlanOptions;
use crate::run::store::task_holds;
use crate::run::watcher::Watcher;
use crate::schedule::Dispatch;
use std::time::Duration;

/// The status of a run that stopped to await answers of an external runner; it keeps its tasks.
const WAITING: &str = "waiting";

/// The name of the wall-clock budget.
const WALL: &str = "max_wall_seconds";
/// How often it is looked at while only validations run.
const WALL_TICK: Duration = Duration::from_millis(200);

impl PlanRun {
    /// Drives the run until nothing is left to do or it is asked to stop, and records how it ended.
    pub fn drive(&mut self, watcher: &mut dyn Watcher, stop: &Stop) -> Result<JobStatus, RunError> {
        let ended = self.state().finished.as_ref();
        if ended.is_some_and(|ended| ended.status == COMPLETED) {
            // It may have been killed right after its last record.
            if !self.is_among_others() {
                self.leave()?;
                return Ok(JobStatus::Finished);
            }
            return self.with_context(watcher, stop, |run, context| {
                run.join_others(context)?;
                run.leave()?;
                run.leave_others()?;
                Ok(JobStatus::Finished)
            });
        }
        self.with_context(watcher, stop, |run, context| {
            run.join_others(context)?;
            run.roll_back(context)?;
            run.end_left_waves(context.watcher, stop)?;
            let end = run.run_turns(context);
            if end.is_err() {
                stop.end_now();
            }
            context.in_flight.drain(&mut run.recorder, context.watcher);
            // Validations that were ended have not looked at what they damaged.
            let repaired = run.watch.quiet().repair_stores();
            // The plan was sound when the run began.
            let end = end.map_err(|error| match error {
                RunError::Plan(error) => RunError::PlanLost(error),
                other => other,
            })?;
            repaired?;
            run.complete_in_turn(context)?;
            run.end(&end, context.watcher)?;
            run.leave_others()?;
            Ok(end)
        })
    }

    /// Records how the run ended. A finished run first appends its learning.
    pub(crate) fn end(
        &mut self,
        end: &JobStatus,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        // Of a run that keeps patches, a person has the last word.
        if *end == JobStatus::Finished && !self.keeps_patches() {
            self.learn_from_run(watcher)?;
        }
        self.write_results()?;
        let finished = self.run_finished(end);
        self.recorder.record(&[Event::from(finished)])?;
        self.leave()
    }

    /// Removes what only a running run needs.
    fn leave(&self) -> Result<(), RunError> {
        self.folder.remove_temporary_files();
        // A run that awaits answers keeps its tasks.
        if !self.awaits_answers() {
            task_holds::remove_run(&self.repo, &self.folder, &self.lock)?;
        }
        Ok(())
    }

    fn run_turns(&mut self, context: &mut Context<'_, '_>) -> Result<JobStatus, RunError> {
        let mut early = None;
        loop {
            self.begin_turn(context)?;
            self.forget_tree();
            self.note_plan();
            if context.in_flight.has_ended() {
                self.check_for_tampering(context)?;
            }
            for wave in context.in_flight.take_ended() {
                match wave.result? {
                    (JobStatus::Finished, _) => self.judge(wave.compiled.wave, context)?,
                    (ending, _) => {
                        context.stop.drain();
                        early.get_or_insert(ending);
                    }
                }
            }
            self.take_validated(context)?;
            self.advance(Phase::All, context)?;
            if !context.is_stopping() && !self.settings.is_external() {
                self.start_waves(context)?;
            }
            self.heed_follow(context)?;
            if let Some(reached) = self.heed_wall(context)? {
                early.get_or_insert(reached);
            }
            if context.is_idle() {
                if early.is_none() && self.wait_for_others(context)? {
                    continue;
                }
                let end = match (&early, context.stop.urgency()) {
                    (Some(early), _) => early.clone(),
                    (None, Urgency::None) => self.final_status(),
                    (None, _) => JobStatus::of(context.stop),
                };
                if end != JobStatus::Finished || !self.settings.options.follow {
                    return Ok(end);
                }
                self.wait_for_tasks(context)?;
                continue;
            }
            self.record_own_changes()?;
            self.end_turn(context)?;
            let has_wall = self.settings.options.max_wall_seconds.is_some();
            let wall_tick = (has_wall && context.only_validates()).then_some(WALL_TICK);
            let ticks = [wall_tick, self.follow_tick(), self.look_every()];
            let tick = ticks.into_iter().flatten().min();
            let in_flight = &mut context.in_flight;
            in_flight.wait(tick, &mut self.recorder, context.watcher);
        }
    }

    /// Stops the run if its wall-clock budget is used up while only validations run; waves look at it themselves. A hard one
    /// also ends the validations.
    fn heed_wall(&mut self, context: &mut Context<'_, '_>) -> Result<Option<JobStatus>, RunError> {
        let PlanOptions {
            max_wall_seconds,
            wall_hard,
            follow,
            ..
        } = self.settings.options;
        let Some(seconds) = max_wall_seconds.filter(|_| self.is_wall_over()) else {
            return Ok(None);
        };
        let only_waits = follow && context.is_idle();
        if context.is_stopping() || !(context.only_validates() || only_waits) {
            return Ok(None);
        }
        self.recorder.record(&[Event::from(BudgetReached {
            budget: WALL.to_owned(),
            limit: seconds.into(),
            unit: None,
        })])?;
        match wall_hard {
            true => context.stop.end_now(),
            false => context.stop.drain(),
        }
        Ok(Some(JobStatus::BudgetReached {
            budget: WALL.to_owned(),
            limit: seconds.into(),
            is_hard: wall_hard,
        }))
    }

    /// Advances the units through `phase`, admits tasks, and compiles the next waves; with a barrier only when no wave is
    /// open. The single steps do the same, in a process for each.
    pub(crate) fn advance(
        &mut self,
        phase: Phase,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RunError> {
        let is_rolling = self.settings.options.dispatch == Dispatch::Rolling;
        let is_waiting = !is_rolling && self.open_waves().next().is_some();
        if is_waiting || context.is_stopping() {
            return Ok(());
        }
        self.advance_units(phase, context)?;
        // In lock step the next wave begins when all patches are applied.
        if !is_rolling && !context.integrations.is_empty() {
            return Ok(());
        }
        self.fill_free_slots(phase, context)?;
        match context.is_stopping() {
            true => Ok(()),
            false => self.compile_waves(context),
        }
    }

    /// The end of a run with nothing left to do: it is finished, awaits answers, or a task could not continue.
    pub(crate) fn final_status(&self) -> JobStatus {
        let open: Vec<String> = self
            .open_waves()
            .map(|wave| wave.compiled.wave.to_string())
            .collect();
        match open.as_slice() {
            [] => match self.accounts.first_reached().cloned() {
                Some((budget, limit)) => JobStatus::BudgetReached {
                    budget,
                    limit,
                    is_hard: false,
                },
                None => self
                    .find_halt()
                    .map_or(JobStatus::Finished, JobStatus::Unanswered),
            },
            open => JobStatus::Halted(format!("awaiting answers for wave {}", open.join(", "))),
        }
    }

    /// Why a task in flight halted, if one did: a fault kept its workers from answering.
    fn find_halt(&self) -> Option<String> {
        let plan = self.store.current().ok()?;
        self.state().in_flight().find_map(|unit| {
            match self.task(&plan, &unit.id).ok()?.next(&unit.state) {
                Action::Halt(detail) => Some(format!("{}: {detail}", unit.id)),
                _ => None,
            }
        })
    }

    /// Whether the wall-clock budget is used up.
    pub(super) fn is_wall_over(&self) -> bool {
        let is_over = |seconds| self.run_limits.limits.elapsed() >= Duration::from_secs(seconds);
        self.settings.options.max_wall_seconds.is_some_and(is_over)
    }

    fn run_finished(&self, end: &JobStatus) -> RunFinished {
        let state = self.state();
        // A task that was begun early and still waits for its dependencies is not done either.
        let blocked = state.units.iter().any(|unit| {
            let ended = unit.ended.as_ref();
            ended.is_none_or(|ended| ended.reason.is_some() || ended.is_conflict)
        });
        let attempts = state.attempts();
        let unclean = attempts.spawned != attempts.closed || !state.violations.is_empty();
        let (status, exit_code) = match end.exit_code() {
            Some(code) if self.awaits_answers() && matches!(end, JobStatus::Halted(_)) => {
                (WAITING, code)
            }
            Some(code) => ("cancelled", code),
            None => (COMPLETED, u8::from(blocked || unclean)),
        };
        RunFinished {
            status: status.to_owned(),
            exit_code,
            detail: end.job_error(),
        }
    }
}
