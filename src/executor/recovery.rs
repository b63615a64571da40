//! The first events of a job, on every executor, and those that end what a kill left open of it.

use crate::job::{Failure, JobError, Row, Settings, State, Survey};
use crate::model::{AttemptEnd, AttemptFinished, AttemptKey, Event, WaveStarted};
use crate::platform::clock;

/// The start of the job, and an end for every attempt that a kill left open: a durable result counts, every other row is
/// pending again.
pub(super) fn first_events(
    settings: &Settings,
    state: &mut State,
    survey: &Survey,
) -> Result<Vec<Event>, JobError> {
    state.expect(survey.total());
    let mut events = vec![Event::from(WaveStarted {
        wave: settings.wave,
        job_id: settings.job_id.clone(),
        items: survey.total(),
        max_concurrency: settings.bounds.max_concurrency,
    })];
    state.forget_stop_request();
    events.extend(close_left(settings, state, survey)?);
    Ok(events)
}

/// An end for every attempt that a kill left open.
pub(super) fn close_left(
    settings: &Settings,
    state: &State,
    survey: &Survey,
) -> Result<Vec<Event>, JobError> {
    let mut events = Vec::new();
    let mut open = state.left_open();
    let mut input = survey.rows(settings)?;
    while !open.is_empty()
        && let Some(row) = input.next_row()?
    {
        if let Some(has_result) = open.remove(&row.index) {
            let end = match has_result {
                true => AttemptEnd::Completed,
                false => AttemptEnd::Interrupted,
            };
            events.push(Event::from(close_orphaned(settings, state, row, end)));
        }
    }
    Ok(events)
}

fn close_orphaned(
    settings: &Settings,
    state: &State,
    row: Row,
    end: AttemptEnd,
) -> AttemptFinished {
    let attempts = state.item(row.index).map_or(1, |item| item.attempts);
    let key = AttemptKey {
        wave: settings.wave,
        item_id: row.id,
        row_index: row.index,
        attempt: u32::from(attempts),
    };
    let mut finished = key.finished(end, clock::csv_time(clock::now()));
    if end == AttemptEnd::Interrupted {
        let text = format!("{}: mesh was ended while it ran", Failure::Cancelled);
        finished.error = Some(text);
    }
    finished
}
