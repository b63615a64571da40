use super::*;

const SLOT: Change = Change::Begin(Wait::Slot);
const END: Change = Change::End(None);

/// The receipt of a run with 2 slots from 0 on.
fn receipt(changes: &[(i64, Change)], end_ms: i64) -> FanOut {
    let begin = [(0, Change::Slots(2)), (0, Change::Drive(true))];
    sweep(begin.iter().chain(changes).copied().collect(), end_ms)
}

fn idle(receipt: &FanOut) -> Vec<(&'static str, u64)> {
    let idle = receipt.idle_ms.iter();
    idle.map(|(cause, ms)| (cause.as_str(), *ms)).collect()
}

#[test]
fn busy_and_idle_slots_add_up_to_all_slots() {
    // Three rows of 100 ms on two slots; each process takes 10 ms to start.
    let changes = [
        (0, Change::Wait(Wait::Slot, 3)),
        (10, SLOT),
        (10, SLOT),
        (110, END),
        (110, END),
        (120, SLOT),
        (220, END),
    ];
    let receipt = receipt(&changes, 230);
    assert_eq!((receipt.asked, receipt.attempts), (2, 3));
    assert_eq!((receipt.span_ms, receipt.busy_ms), (230, 300));
    // Until the last row runs: both slots for 10 ms, then one of them while the other has no row.
    assert_eq!(
        idle(&receipt),
        [("start", 20 + 10), ("no_rows", 10 + 100 + 20)]
    );
    assert_eq!(receipt.busy_ms + receipt.idle(), 2 * 230);
    // Rows are ready for 120 ms, in which two run for 100 ms.
    assert_eq!((receipt.ready_ms, receipt.ready_busy_ms), (120, 200));
    assert_eq!(receipt.share().map(rounded), Some(0.8333));
    assert_eq!(receipt.reached().map(rounded), Some(1.6667));
}

#[test]
fn the_first_cause_that_explains_a_slot_has_it() {
    let waits = |wait, rows| (0, Change::Wait(wait, rows));
    let held = (0, Change::Held([1, 0, 5]));
    let at = |changes: &[(i64, Change)]| idle(&receipt(changes, 10));
    assert_eq!(
        at(&[waits(Wait::Limit, 1), held]),
        [("limits", 10), ("scopes", 10)]
    );
    assert_eq!(
        at(&[(0, Change::Tasks(1)), held]),
        [("scopes", 10), ("dependencies", 10)]
    );
    assert_eq!(
        at(&[waits(Wait::Slot, 9), (0, Change::Pressure(1))]),
        [("backpressure", 10), ("start", 10)]
    );
    assert_eq!(
        at(&[waits(Wait::Slot, 9), (0, Change::Places(1))]),
        [("limits", 10), ("start", 10)]
    );
    assert_eq!(
        at(&[waits(Wait::Slot, 9), (0, Change::Quota(true))]),
        [("limits", 20)]
    );
    assert_eq!(
        at(&[waits(Wait::Slot, 9), (0, Change::Apply(1))]),
        [("integration", 20)]
    );
    assert_eq!(
        at(&[(0, Change::Tasks(2)), (0, Change::Integrate(1))]),
        [("integration", 10), ("rounds", 10)]
    );
    assert_eq!(
        at(&[waits(Wait::Slot, 9), (0, Change::Stop)]),
        [("stopping", 20)]
    );
    assert_eq!(
        at(&[waits(Wait::Retry, 1)]),
        [("retries", 10), ("no_rows", 10)]
    );
}

#[test]
fn time_in_which_nothing_drives_the_run_does_not_count() {
    let changes = [
        (0, Change::Wait(Wait::Slot, 2)),
        (0, SLOT),
        (50, Change::End(Some(Wait::Slot))),
        (50, Change::Drive(false)),
        (1000, Change::Drive(true)),
        (1000, SLOT),
        (1000, SLOT),
        (1050, END),
        (1050, END),
    ];
    let receipt = receipt(&changes, 1050);
    assert_eq!((receipt.span_ms, receipt.busy_ms), (100, 150));
    assert_eq!(idle(&receipt), [("start", 50)]);
}

#[test]
fn more_rows_than_slots_for_a_moment_count_as_all_slots() {
    let changes = [
        (0, Change::Wait(Wait::Slot, 4)),
        (0, SLOT),
        (0, SLOT),
        (0, SLOT),
    ];
    let receipt = receipt(&changes, 10);
    assert_eq!((receipt.busy_ms, receipt.idle()), (20, 0));
    assert_eq!(receipt.json()["reached_share"], 1.0);
}
