use super::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn selection(rows: &str, sample: u64) -> Selection {
    Selection {
        rows: (!rows.is_empty()).then(|| rows.parse().expect("rows")),
        sample: NonZeroU64::new(sample),
    }
}

fn picked(selection: &Selection, total: u64) -> Vec<u64> {
    (0..total + 3)
        .filter(|index| selection.picks(*index, total))
        .collect()
}

#[test]
fn rows_are_sorted_and_merged() {
    for (text, merged) in [
        ("1-10,15,40-", "1-10,15,40-"),
        ("7", "7"),
        ("1-", "1-"),
        ("5,3,4", "3-5"),
        ("8-9, 1-3 ,2-5", "1-5,8-9"),
        ("3-4,3-4,3", "3-4"),
        ("40-,1-50,60", "1-"),
        (
            "18446744073709551614,18446744073709551613-",
            "18446744073709551613-",
        ),
    ] {
        let rows: Rows = text.parse().expect(text);
        assert_eq!(rows.to_string(), merged);
        assert_eq!(merged.parse::<Rows>().expect(merged), rows);
    }
}

#[test]
fn errors_name_the_invalid_part() {
    for (text, message) in [
        ("", "a row number is missing; for example: 1-10,15,40-"),
        ("1,,3", "a row number is missing; for example: 1-10,15,40-"),
        ("1,", "a row number is missing; for example: 1-10,15,40-"),
        ("1,0", "`0`: rows count from 1"),
        ("0-4", "`0-4`: rows count from 1"),
        ("1,5-3", "`5-3` runs backwards; write 3-5"),
        ("-5", "`-5` has no first row; write 1-5"),
        (
            "a",
            "`a` is neither a row number nor a range; for example: 1-10,15,40-",
        ),
        (
            "1-2-3",
            "`1-2-3` is neither a row number nor a range; for example: 1-10,15,40-",
        ),
        (
            "1,+3",
            "`+3` is neither a row number nor a range; for example: 1-10,15,40-",
        ),
        (
            "18446744073709551615",
            "`18446744073709551615`: no input has so many rows",
        ),
        (
            "1-99999999999999999999",
            "`1-99999999999999999999`: no input has so many rows",
        ),
    ] {
        let error = text.parse::<Rows>().expect_err(text);
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn the_sample_is_taken_from_the_picked_rows() {
    for (rows, sample, total, indexes) in [
        ("", 0, 3, vec![0, 1, 2]),
        ("", 3, 10, vec![0, 3, 6]),
        ("", 4, 10, vec![0, 2, 5, 7]),
        ("", 1, 10, vec![0]),
        ("", 10, 10, (0..10).collect()),
        ("", 99, 3, vec![0, 1, 2]),
        ("2-3,9-", 0, 10, vec![1, 2, 8, 9]),
        ("2-3,9-", 2, 10, vec![1, 8]),
        ("2-3,9-", 3, 10, vec![1, 2, 8]),
        ("4-", 0, 3, vec![]),
        ("", 5, 0, vec![]),
    ] {
        let selection = selection(rows, sample);
        assert_eq!(
            picked(&selection, total),
            indexes,
            "{rows} {sample} {total}"
        );
        assert_eq!(selection.count(total), indexes.len() as u64);
    }
}

#[test]
fn numbers_near_the_end_do_not_overflow() {
    let all = selection("1-", 3);
    assert_eq!(all.count(u64::MAX), 3);
    assert!(all.picks(0, u64::MAX) && all.picks(u64::MAX / 3, u64::MAX));
    assert!(!all.picks(u64::MAX - 1, u64::MAX) && !all.picks(u64::MAX, u64::MAX));
    assert_eq!(selection("1-4,18446744073709551614", 0).count(u64::MAX), 5);
}

#[test]
fn rows_out_of_range_are_found() {
    for (rows, total, missing) in [
        ("", 0, None),
        ("1-10,12", 12, None),
        ("1-10,15", 12, Some(15)),
        ("5-20", 12, Some(13)),
        ("13-20,30", 12, Some(13)),
        ("12-", 12, None),
        ("13-", 12, Some(13)),
        ("40-,2", 12, Some(40)),
        ("1", 0, Some(1)),
        ("1-", u64::MAX, None),
    ] {
        assert_eq!(selection(rows, 2).beyond(total), missing, "{rows} {total}");
    }
}

#[test]
fn json_is_strict() {
    let json = r#"{"rows":"1-3,7-","sample":2}"#;
    let read: Selection = serde_json::from_str(json).expect("a selection");
    assert_eq!(read, selection("7-,1-3", 2));
    assert_eq!(serde_json::to_string(&read).expect("JSON"), json);
    for bad in [
        r#"{"rows":"0"}"#,
        r#"{"sample":0}"#,
        r#"{"rows":null,"every":2}"#,
    ] {
        assert!(serde_json::from_str::<Selection>(bad).is_err(), "{bad}");
    }
}

/// `(first, None)` is open, `(first, Some(more))` ends at `first + more`.
fn pieces() -> impl Strategy<Value = Vec<(u64, Option<u64>)>> {
    vec((1..40u64, option::weighted(0.9, 0..12u64)), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn picks_and_count_agree_with_enumeration(
        pieces in option::of(pieces()),
        sample in option::of(1..60u64),
        total in 0..50u64,
    ) {
        let named = |row: u64| pieces.as_ref().is_none_or(|pieces| {
            pieces.iter().any(|(first, more)| row >= *first && more.is_none_or(|more| row <= first + more))
        });
        let mut expected: Vec<u64> = (0..total).filter(|index| named(index + 1)).collect();
        if let Some(size) = sample.filter(|size| *size < expected.len() as u64) {
            let count = expected.len() as u64;
            expected = (0..size).map(|i| expected[(i * count / size) as usize]).collect();
        }
        let text: Vec<String> = pieces.iter().flatten().map(|(first, more)| match more {
            Some(0) => first.to_string(),
            Some(more) => format!("{first}-{}", first + more),
            None => format!("{first}-"),
        }).collect();
        let selection = selection(&text.join(","), sample.unwrap_or(0));
        prop_assert_eq!(picked(&selection, total), &expected[..]);
        prop_assert_eq!(selection.count(total), expected.len() as u64);
    }
}
