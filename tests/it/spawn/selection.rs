//! `--rows` and `--sample`: part of the input.

use super::*;

const COLUMNS: [&str; 3] = ["row_index", "item_id", "status"];

/// What is said to options that are refused before anything starts.
fn refused(input: &str, options: impl Into<Args>) -> String {
    let sandbox = with_rows(input);
    let said = spawn(&sandbox, options, "touch started").exits(2);
    let names: Vec<_> = sandbox.tree().into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, [Path::new("in.csv")], "{said}");
    assert!(!sandbox.mesh_home().exists(), "{said}");
    said.err
}

#[test]
fn only_the_selected_rows_run_and_keep_their_ids() {
    let sandbox = with_rows("id\nx\nx\nx\n\" \"\nz\nz\n");
    let options = "--id-column id --rows '4-,2, 2-3'";
    spawn_agent(&sandbox, options, "--log log --good").exits(0);
    assert_snapshot!(redacted(&sandbox.read("out.csv")), @r#"
    id,job_id,item_id,row_index,source_id,status,attempt_count,last_error,result_json,reported_at,completed_at
    x,JOB,x-2,1,x,completed,1,,"{""answer"":""x-2"",""n"":1}",TIME,TIME
    x,JOB,x-3,2,x,completed,1,,"{""answer"":""x-3"",""n"":1}",TIME,TIME
     ,JOB,row-4,3,,completed,1,,"{""answer"":""row-4"",""n"":1}",TIME,TIME
    z,JOB,z,4,z,completed,1,,"{""answer"":""z"",""n"":1}",TIME,TIME
    z,JOB,z-2,5,z,completed,1,,"{""answer"":""z-2"",""n"":1}",TIME,TIME
    "#);
    assert_eq!(sandbox.read("log").lines().count(), 5);
}

#[test]
fn a_sample_is_spread_over_the_input_and_over_the_named_rows() {
    for (options, picked) in [
        (&["--sample", "3"][..], "0 3 6"),
        (&["--sample", "1"], "0"),
        (&["--sample", "100"], "0 1 2 3 4 5 6 7 8"),
        (&["--sample", "18446744073709551615"], "0 1 2 3 4 5 6 7 8"),
        (&["--rows", "3-8", "--sample", "2"], "2 5"),
        (&["--rows", "9", "--sample", "2"], "8"),
    ] {
        let sandbox = with_rows("id\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
        let said = spawn_agent(&sandbox, options, "--good");
        assert_eq!(said.code, 0, "{options:?}: {}", said.err);
        let found = table(&sandbox, "row_index").replace('\n', " ");
        assert_eq!(found, picked, "{options:?}");
    }
}

#[test]
fn rows_that_are_not_there_are_refused() {
    let input = "id\n1\n2\n\n3\n4\n";
    for list in ["9", "3-9", "9-", "1,2-5"] {
        let row = if list == "3-9" || list == "1,2-5" {
            5
        } else {
            9
        };
        assert_eq!(
            refused(input, &["--rows", list]),
            format!("error: row {row} is out of range; the input has 4 rows\n"),
            "{list}"
        );
    }
    assert_eq!(
        refused("id\n1\n", "--rows 2"),
        "error: row 2 is out of range; the input has 1 row\n"
    );
    assert_eq!(
        refused("id\n", "--rows 1"),
        "error: row 1 is out of range; the input has 0 rows\n"
    );
}

#[test]
fn an_invalid_row_list_is_refused() {
    for (list, why) in [
        ("", "a row number is missing"),
        ("1,,2", "a row number is missing"),
        ("0", "`0`: rows count from 1"),
        ("0-3", "`0-3`: rows count from 1"),
        ("5-3", "`5-3` runs backwards; write 3-5"),
        ("two", "`two` is neither a row number nor a range"),
        ("1-2-3", "`1-2-3` is neither a row number nor a range"),
        ("99999999999999999999", "no input has so many rows"),
    ] {
        let said = refused("id\n1\n", &[&format!("--rows={list}")]);
        assert!(said.contains(why), "{list}: {said}");
    }
    assert!(refused("id\n1\n", "--rows=-5").contains("write 1-5"));
    for sample in ["0", "-1", "some"] {
        let said = refused("id\n1\n", &[&format!("--sample={sample}")]);
        assert!(said.contains("--sample"), "{said}");
    }
}

#[test]
fn a_malformed_row_is_refused_even_when_it_is_not_selected() {
    let said = refused("id,m\n1,a\n2\n", "--rows 1");
    assert!(said.contains("line 3, column 2: row 2"), "{said}");
}

#[test]
fn a_sample_of_an_empty_input_completes_immediately() {
    let sandbox = with_rows("id\n");
    spawn(&sandbox, "--sample 5", "touch started").exits(0);
    assert!(!sandbox.path("started").exists());
    assert_eq!(sandbox.read("out.csv").lines().count(), 1);
}

#[test]
fn a_dry_run_shows_the_first_picked_row() {
    let sandbox = with_rows("id\none\ntwo\nthree\nfour\n");
    let options = "--dry-run --json --rows 3- --instruction <{id}>";
    let said = spawn(&sandbox, options, "true");
    let object: Value = serde_json::from_str(&said.out).expect("one object");
    assert_eq!(object["total_items"], 2);
    let prompt = object["first_prompt"].as_str().expect("a prompt");
    assert!(prompt.contains("<three>"), "{prompt}");
    assert!(prompt.contains("Item: row-3\n"), "{prompt}");
}

#[test]
fn the_summary_counts_picked_rows() {
    let sandbox = with_rows("id,mock\n1,good\n2,never\n3,good\n");
    let options = "--json --retries 0 --rows 2-";
    let said = spawn_agent(&sandbox, options, "--as {mock}").exits(1);
    let last = said.out.lines().last().expect("a line");
    let summary: Value = serde_json::from_str(last).expect("an object");
    let counts = ["total_items", "completed_items", "failed_items"].map(|key| &summary[key]);
    assert_eq!(counts, [2, 1, 1]);
    assert_eq!(summary["failed_item_errors"][0]["item_id"], "row-2");
    let list = sandbox.mesh("runs list --json");
    list.out_has(r#""work":"1 ok, 1 failed""#);
}

#[test]
fn a_resumed_job_keeps_its_row_selection() {
    let sandbox = with_rows("id,mock\n1,good\n2,stop\n3,good\n4,good\n5,good\n");
    let options = "-j 1 --rows 2-5 --sample 2";
    spawn_agent(&sandbox, options, "--as {mock}").exits(4);
    assert_eq!(
        table(&sandbox, &COLUMNS),
        "1 | row-2 | completed\n3 | row-4 | pending"
    );
    resume(&sandbox).exits(0);
    assert_eq!(
        table(&sandbox, &COLUMNS),
        "1 | row-2 | completed\n3 | row-4 | completed"
    );
    for item in ["row-1", "row-3", "row-5"] {
        assert_eq!(occurred(&sandbox, "attempt_started", item), 0, "{item}");
    }
}

#[test]
fn the_environment_and_the_file_can_select() {
    let sandbox = with_rows("id\n1\n2\n3\n4\n");
    sandbox.write("mesh.yaml", "sample: 1\n");
    sandbox
        .command(arguments("", "echo {}"))
        .env("MESH_ROWS", "3-4")
        .run_to_end()
        .exits(0);
    assert_eq!(table(&sandbox, &COLUMNS), "2 | row-3 | completed");
}
