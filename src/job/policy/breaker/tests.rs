use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
}

fn breaker() -> Breaker {
    Breaker::new(Duration::from_secs(3600))
}

#[test]
fn nothing_starts_until_the_reset_and_then_one_row_probes() {
    let mut breaker = breaker();
    assert_eq!(breaker.admit(at(0)), Admission::Free);
    breaker.met(at(1), Some(at(100)), false, "x");
    for second in [1, 50, 99] {
        assert_eq!(breaker.admit(at(second)), Admission::Refused);
    }
    assert!(!breaker.may_begin(false));
    assert_eq!(breaker.admit(at(100)), Admission::Probe);
    assert!(breaker.may_begin(true));
    assert_eq!(breaker.admit(at(500)), Admission::Refused, "one at a time");
    breaker.withdraw();
    assert_eq!(breaker.admit(at(501)), Admission::Probe);
    breaker.answered();
    assert_eq!(breaker.admit(at(502)), Admission::Free);
    assert_eq!(breaker.until(), None);
}

#[test]
fn running_rows_change_only_the_time() {
    let mut breaker = breaker();
    breaker.met(at(0), None, false, "x");
    for second in 1..16 {
        breaker.met(at(second), None, false, "x");
    }
    assert_eq!(breaker.until(), Some(at(15)));
    breaker.met(at(16), Some(at(90)), false, "x");
    breaker.met(at(17), Some(at(80)), false, "x");
    assert_eq!(breaker.until(), Some(at(90)));
}

#[test]
fn without_a_time_the_waits_double_up_to_fifteen_minutes() {
    let mut breaker = Breaker::new(Duration::from_secs(1 << 30));
    let mut now = at(0);
    breaker.met(now, None, false, "x");
    let mut waits = Vec::new();
    for _ in 0..9 {
        let until = breaker.until().expect("open");
        waits.push(until.duration_since(now).as_secs());
        now = until;
        assert_eq!(breaker.admit(now), Admission::Probe);
        breaker.met(now, None, true, "x");
    }
    assert_eq!(waits, [15, 30, 60, 120, 240, 480, 900, 900, 900]);
}

#[test]
fn a_wrong_reset_time_does_not_spin() {
    let mut breaker = breaker();
    breaker.met(at(0), Some(at(1)), false, "x");
    let mut now = at(1);
    let mut waits = Vec::new();
    for _ in 0..4 {
        breaker.admit(now);
        breaker.met(now, Some(at(0)), true, "past");
        let until = breaker.until().expect("open");
        waits.push(until.duration_since(now).as_secs());
        now = until;
        breaker.admit(now);
        breaker.met(now, Some(after(now, LEAST)), true, "soon");
        now = breaker.until().expect("open");
    }
    assert!(waits.windows(2).all(|pair| pair[0] < pair[1]), "{waits:?}");
}

#[test]
fn a_reset_that_is_too_far_shuts_the_breaker() {
    let shut = |breaker: &Breaker| breaker.shut().cloned();
    let mut far = breaker();
    far.met(at(0), Some(at(3600)), false, "x");
    assert_eq!(shut(&far), None);
    far.met(at(1), Some(at(3602)), false, "x");
    let until = Some(at(3602));
    let text = "x".to_owned();
    assert_eq!(shut(&far), Some(Shut::TooLong { until, text }));
    assert_eq!(far.admit(at(9999)), Admission::Refused);

    let mut never = Breaker::new(Duration::ZERO);
    never.met(at(0), None, false, "x");
    assert!(shut(&never).is_some());

    let mut long = breaker();
    let mut now = at(0);
    long.met(now, None, false, "x");
    while let Some(until) = long.waits_until() {
        now = until;
        long.admit(now);
        long.met(now, None, true, "x");
    }
    let waited = now.duration_since(at(0)).as_secs();
    assert!((2000..3600).contains(&waited), "{waited}");
}

#[test]
fn without_a_log_in_nothing_starts_whatever_follows() {
    let mut breaker = breaker();
    breaker.lock_out("401", "log in");
    breaker.met(at(0), None, false, "x");
    breaker.answered();
    assert_eq!(breaker.admit(at(9999)), Admission::Refused);
    assert!(matches!(breaker.shut(), Some(Shut::LogIn { .. })));
}

#[test]
fn without_credit_nothing_starts() {
    let mut breaker = breaker();
    breaker.lack_credit("credit balance is too low");
    breaker.met(at(0), Some(at(5)), true, "x");
    breaker.answered();
    assert_eq!(breaker.admit(at(9999)), Admission::Refused);
    assert_eq!(breaker.waits_until(), None);
    let text = "credit balance is too low".to_owned();
    assert_eq!(breaker.shut(), Some(&Shut::Credit { text }));
}

#[test]
fn a_clock_that_is_set_back_does_not_extend_the_wait() {
    let mut breaker = breaker();
    breaker.met(at(0), Some(at(3000)), false, "x");
    assert_eq!(breaker.admit(at(-500)), Admission::Refused);
    assert_eq!(breaker.admit(at(-86_400)), Admission::Probe);
    breaker.met(at(-86_399), Some(at(-86_000)), true, "x");
    assert_eq!(breaker.admit(at(-86_100)), Admission::Refused);
    assert_eq!(breaker.admit(at(-86_000)), Admission::Probe);
}

#[test]
fn a_limit_of_an_earlier_run_holds() {
    let mut breaker = breaker();
    breaker.remember(at(0), at(-5));
    assert_eq!(
        breaker.admit(at(0)),
        Admission::Free,
        "a past limit is over"
    );
    let mut breaker = Breaker::new(Duration::from_secs(60));
    breaker.remember(at(0), at(30));
    assert_eq!(breaker.admit(at(29)), Admission::Refused);
    assert_eq!(breaker.admit(at(30)), Admission::Probe);
}
