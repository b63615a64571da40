use super::*;

fn used(tokens: u64, usd: f64) -> Option<Usage> {
    Some(Usage {
        input_tokens: tokens,
        cached_input_tokens: 0,
        output_tokens: 0,
        cost_usd: Some(usd),
    })
}

fn tracker_of(budget: Budget) -> BudgetTracker {
    BudgetTracker::new(budget, Spent::default())
}

fn yes(room: Room) -> Reserve {
    match room {
        Room::Yes(reserve) => reserve,
        no => panic!("{no:?}"),
    }
}

fn reached(room: Room) -> String {
    match room {
        Room::Reached(name, limit) => format!("{name}={limit}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_budget_always_has_room() {
    let mut tracker = tracker_of(Budget::default());
    for _ in 0..1000 {
        yes(tracker.reserve(true));
    }
}

#[test]
fn a_row_counts_once_however_often_it_is_retried() {
    let mut tracker = tracker_of(Budget {
        max_rows: Some(2),
        ..Budget::default()
    });
    let first = yes(tracker.reserve(true));
    let second = yes(tracker.reserve(true));
    assert_eq!(tracker.reserve(true), Room::Wait);
    tracker.charge(first, None, true);
    let again = yes(tracker.reserve(false));
    tracker.charge(second, None, false);
    let third = yes(tracker.reserve(true));
    tracker.charge(again, None, true);
    tracker.charge(third, None, true);
    assert_eq!(reached(tracker.reserve(true)), "max_rows=2");
}

#[test]
fn the_first_rows_reserve_a_default_and_later_ones_the_mean() {
    let mut tracker = tracker_of(Budget {
        max_tokens: Some(50_000),
        ..Budget::default()
    });
    let (one, two) = (yes(tracker.reserve(true)), yes(tracker.reserve(true)));
    assert_eq!(tracker.reserve(true), Room::Wait, "three times 20,000");
    tracker.charge(one, used(1_000, 0.0), true);
    tracker.charge(two, used(3_000, 0.0), true);
    let open: Vec<Reserve> = (0..23).map(|_| yes(tracker.reserve(true))).collect();
    assert_eq!(
        tracker.reserve(true),
        Room::Wait,
        "4,000 and 23 times 2,000"
    );
    for reserve in open {
        tracker.charge(reserve, used(2_000, 0.0), true);
    }
    assert_eq!(reached(tracker.reserve(true)), "max_tokens=50000");
}

#[test]
fn a_round_fits_as_a_whole_or_not_at_all() {
    let budget = Budget {
        max_tokens: Some(10_000),
        max_rows: Some(9),
        ..Budget::default()
    };
    let mut tracker = tracker_of(budget);
    assert_eq!(tracker.lacking(1), None, "one row may find out");
    let first = yes(tracker.reserve(true));
    tracker.charge(first, used(2_000, 0.0), true);
    assert_eq!(tracker.lacking(4), None);
    let lacking = |rows| tracker.lacking(rows).map(|(name, _)| name);
    assert_eq!(lacking(5), Some("max_tokens"));
    assert_eq!(lacking(9), Some("max_rows"));
}

#[test]
fn a_used_up_budget_is_reached_while_other_rows_run() {
    let mut tracker = tracker_of(Budget {
        max_cost_usd: Some(0.25),
        ..Budget::default()
    });
    let (one, two) = (yes(tracker.reserve(true)), yes(tracker.reserve(true)));
    assert_eq!(tracker.reserve(true), Room::Wait);
    tracker.charge(one, used(10, 0.3), true);
    assert_eq!(reached(tracker.reserve(true)), "max_cost_usd=0.25");
    tracker.charge(two, None, true);
    assert_eq!(tracker.spent().cost_usd, Some(0.3));
}

#[test]
fn a_budget_below_the_estimate_admits_one_row_and_earlier_usage_counts() {
    let budget = Budget {
        max_cost_usd: Some(0.05),
        ..Budget::default()
    };
    let mut small = tracker_of(budget);
    let first = yes(small.reserve(true));
    assert_eq!(small.reserve(true), Room::Wait);
    small.charge(first, used(10, 0.03), true);
    assert_eq!(reached(small.reserve(true)), "max_cost_usd=0.05");
    let spent = Spent {
        usage: used(100, 0.02).expect("some"),
        attempts: 2,
        rows: 2,
    };
    let mut tracker = BudgetTracker::new(budget, spent);
    for _ in 0..3 {
        let reserve = yes(tracker.reserve(true));
        tracker.charge(reserve, used(50, 0.01), true);
    }
    assert_eq!(reached(tracker.reserve(true)), "max_cost_usd=0.05");
}

#[test]
fn no_reservation_remains_after_all_rows_end() {
    let mut tracker = tracker_of(Budget::default());
    let open: Vec<Reserve> = (0..7).map(|_| yes(tracker.reserve(true))).collect();
    for reserve in open {
        tracker.charge(reserve, used(3, 0.1), true);
    }
    assert_eq!(tracker.open, 0);
}

#[test]
fn running_rows_are_estimated_anew_by_what_others_used() {
    let mut tracker = tracker_of(Budget {
        max_cost_usd: Some(2.25),
        ..Budget::default()
    });
    let slow = yes(tracker.reserve(true));
    for _ in 0..3 {
        let reserve = yes(tracker.reserve(true));
        tracker.charge(reserve, used(10, 0.5), true);
    }
    assert_eq!(
        tracker.reserve(true),
        Room::Wait,
        "1.50, 0.50 of the slow one, and 0.50"
    );
    tracker.charge(slow, used(10, 0.5), true);
    assert_eq!(reached(tracker.reserve(true)), "max_cost_usd=2.25");
}

#[test]
fn three_rows_of_ten_cents_fit_into_thirty() {
    let mut tracker = tracker_of(Budget {
        max_cost_usd: Some(0.3),
        ..Budget::default()
    });
    for _ in 0..3 {
        let reserve = yes(tracker.reserve(true));
        tracker.charge(reserve, used(10, 0.1), true);
    }
    assert_eq!(reached(tracker.reserve(true)), "max_cost_usd=0.3");
}
