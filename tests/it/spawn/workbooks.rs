//! A workbook as the input: the rows of a sheet are those of a CSV, for every command behind `spawn`.

use super::*;
use rust_xlsxwriter::{Workbook, Worksheet};

/// A workbook of the sheets `Data`, with these rows, and `Notes`.
fn save(sandbox: &Sandbox, name: &str, rows: &[[&str; 2]]) {
    let mut workbook = Workbook::new();
    let mut add = |name: &str, rows: &[[&str; 2]]| {
        let sheet: &mut Worksheet = workbook.add_worksheet();
        sheet.set_name(name).expect("a name");
        for (row, cells) in (0..).zip(rows) {
            for (column, text) in (0..).zip(cells) {
                sheet.write_string(row, column, *text).expect("written");
            }
        }
    };
    add("Data", rows);
    add("Notes", &[["note", "by"], ["read me", "Ada"]]);
    workbook.save(sandbox.path(name)).expect("saved");
}

const ROWS: [[&str; 2]; 3] = [["id", "city"], ["o", "Oslo"], ["l", "Lima"]];

fn spawn_workbook(sandbox: &Sandbox, more: &[&str]) -> Said {
    let args = Args::from("spawn rows.xlsx --id-column id --instruction").and(&["see {city}"]);
    sandbox.mesh(args.and(more).and("-- echo {}"))
}

#[test]
fn the_rows_of_a_sheet_are_run_and_the_output_is_a_csv_beside_the_workbook() {
    let sandbox = Sandbox::new();
    save(&sandbox, "rows.xlsx", &ROWS);
    let said = spawn_workbook(&sandbox, &[]).exits(0);
    said.err_has("reading sheet `Data`; others: Notes\n");
    let output = Path::new(said.out.trim());
    let name = output.file_name().expect("a name").to_string_lossy();
    assert!(
        name.starts_with("rows.agent-job-") && name.ends_with(".csv"),
        "{name}"
    );
    let text = read_file(output);
    assert_starts_with(&text, "id,city,job_id,item_id,");
    assert_contains(&text, "\nl,Lima,");
    let dry = Args::from("spawn rows.xlsx --sheet Notes --dry-run --instruction")
        .and(&["see {note}"])
        .and("-- true");
    let said = sandbox.mesh(dry).exits(0);
    said.out_has("see read me");
    said.err_lacks("reading sheet");
}

#[test]
fn a_resume_compares_the_rows_of_the_sheet_and_not_the_bytes_of_the_workbook() {
    let sandbox = Sandbox::new();
    save(&sandbox, "rows.xlsx", &ROWS);
    spawn_workbook(&sandbox, &["--run-id", "R", "--rows", "1", "-o", "out.csv"]).exits(0);
    // The same rows in other bytes.
    let before = std::fs::read(sandbox.path("rows.xlsx")).expect("bytes");
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet().set_name("Data").expect("a name");
    for (row, cells) in (1..).zip(&ROWS) {
        for (column, text) in (1..).zip(cells) {
            sheet.write_string(row, column, *text).expect("written");
        }
    }
    workbook.save(sandbox.path("rows.xlsx")).expect("saved");
    assert_ne!(
        before,
        std::fs::read(sandbox.path("rows.xlsx")).expect("bytes")
    );
    sandbox.mesh("resume R").exits(0);
    let again = [
        "--rows", "1", "-o", "out.csv", "--resume", "--sheet", "Data",
    ];
    spawn_workbook(&sandbox, &again).exits(0);
    let other = [
        "--rows", "1", "-o", "out.csv", "--resume", "--sheet", "Notes",
    ];
    let said = spawn_workbook(&sandbox, &other).exits(2);
    said.err_has("`--sheet` can't be changed: run `R` has another one");
    save(&sandbox, "rows.xlsx", &[["id", "city"], ["o", "Rome"]]);
    sandbox
        .mesh("resume R")
        .exits(2)
        .err_has("rows.xlsx` has changed since run `R` began");
    let said = sandbox.mesh("resume R --input-changed ignore").exits(0);
    said.err_has("resuming with the copy that the run keeps");
    std::fs::remove_file(sandbox.path("rows.xlsx")).expect("removed");
    sandbox
        .mesh("resume R")
        .exits(0)
        .err_has("no longer exists");
}

#[test]
fn a_damaged_copy_is_restored_from_the_sheet() {
    let sandbox = Sandbox::new();
    save(&sandbox, "rows.xlsx", &ROWS);
    spawn_workbook(&sandbox, &["--run-id", "R", "-o", "out.csv"]).exits(0);
    let copy = sandbox.only_run().join("input.csv");
    std::fs::write(&copy, "id\n").expect("written");
    let said = sandbox.mesh("resume R").exits(0);
    said.err_has("has been restored");
    assert_eq!(read_file(&copy), "id,city\no,Oslo\nl,Lima\n");
}

#[test]
fn options_of_the_other_kind_of_input_are_refused() {
    let sandbox = Sandbox::new();
    save(&sandbox, "rows.xlsx", &ROWS);
    sandbox.write("in.csv", "id\n1\n");
    for (option, value) in [("--delimiter", ";"), ("--encoding", "utf-8")] {
        let said = spawn_workbook(&sandbox, &[option, value]).exits(2);
        said.err_has(&format!("error: `{option}` is for a CSV; `"));
    }
    // A default for CSVs does not concern a workbook.
    sandbox.write("mesh.yaml", "delimiter: ';'\n");
    spawn_workbook(&sandbox, &["--dry-run"]).exits(0);
    let said = sandbox
        .mesh("spawn in.csv --sheet Data --instruction x -- echo {}")
        .exits(2);
    said.err_has("in.csv` is not a workbook, and only a workbook has sheets");
    assert!(
        !sandbox.mesh_home().join("runs").exists(),
        "a run was begun"
    );
}

#[test]
fn a_workbook_that_mesh_wrote_is_an_input() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "id,text\nr1,\"=1+1\"\nr2,\"a,\n\"\"b\"\"\"\n");
    let command = &["printf", r#"{"n": 2.50, "ok": true, "day": "2026-02-13"}"#];
    let args = Args::from("spawn in.csv --id-column id -o out.csv --xlsx out.xlsx --instruction x");
    sandbox.mesh(args.and("--").and(command)).exits(0);
    let args =
        Args::from("spawn out.xlsx --sheet Results --id-column item -o again.csv --instruction x");
    sandbox.mesh(args.and("-- echo {}")).exits(0);
    let again = read_file(sandbox.path("again.csv"));
    assert_starts_with(&again, "item,id,text,");
    assert_contains(&again, "\nr1,r1,=1+1,");
    assert_contains(&again, "\nr2,r2,\"a,\n\"\"b\"\"\",");
    assert_contains(&again, ",2.5,true,2026-02-13,");
}

#[test]
fn other_formats_are_known_by_their_content() {
    let sandbox = Sandbox::new();
    let write =
        |name: &str, bytes: &[u8]| std::fs::write(sandbox.path(name), bytes).expect("written");
    write(
        "cities.csv",
        include_bytes!("../cases/workbooks/cities.ods"),
    );
    let args =
        Args::from("spawn cities.csv --dry-run --instruction").and(&["{city} {founded} {people}"]);
    sandbox
        .mesh(args.and("-- true"))
        .exits(0)
        .out_has("\nOslo 1040-01-01 717710\n");
    write(
        "locked.xlsx",
        include_bytes!("../cases/workbooks/locked.xlsx"),
    );
    write(
        "broken.xls",
        &include_bytes!("../cases/workbooks/locked.xlsx")[..700],
    );
    save(&sandbox, "cut.xlsx", &ROWS);
    let whole = std::fs::read(sandbox.path("cut.xlsx")).expect("bytes");
    write("cut.xlsx", &whole[..whole.len() / 2]);
    for (name, why) in [
        ("locked.xlsx", "locked.xlsx` is protected by a password"),
        ("broken.xls", "broken.xls` is damaged"),
        ("cut.xlsx", "cut.xlsx` is damaged"),
    ] {
        let args = Args::from(&["spawn", name, "--instruction", "x", "--", "true"]);
        sandbox.mesh(args).exits(2).err_has(why);
    }
}
