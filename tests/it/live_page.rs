//! The page of a run that is brought up to date shows what a new reading would show.

use crate::fixture::*;
use mesh::model::{RowId, RunId, UnitId, WaveNo};
use mesh::report::page::RunPage;
use mesh::run::RunFolder;
use std::fs::OpenOptions;
use std::io::Write;

fn open(runs: &std::path::Path) -> RunPage {
    let home = runs.parent().expect("a home");
    let folder = RunFolder::find(home, &RunId::new("R")).expect("a run");
    RunPage::read(folder).expect("a page")
}

/// Cuts the ledger after its first records, reads the page, and brings it up to date record by record.
#[test]
fn a_page_that_is_brought_up_to_date_is_the_same_as_a_new_one() {
    let tasks = [Task::new("a"), Task::new("b").after(&["a"])];
    let bench = Bench::new(&tasks);
    bench.run("max_tasks=2").exits(0);
    let runs = bench.run_folder();
    let runs = runs.parent().expect("runs");
    let ledger = bench.run_folder().join("ledger.jsonl");
    let text = std::fs::read_to_string(&ledger).expect("a ledger");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    std::fs::write(&ledger, lines[..2].concat()).expect("cut");
    let mut page = open(runs);
    let mut version = page.version();
    for chunk in lines[2..].chunks(7) {
        let mut file = OpenOptions::new()
            .append(true)
            .open(&ledger)
            .expect("a ledger");
        file.write_all(chunk.concat().as_bytes()).expect("appended");
        page.refresh().expect("read");
        assert!(page.version() > version);
        version = page.version();
        let (kept, new) = (page.data().expect("data"), open(runs).data().expect("data"));
        for (name, value) in new.as_object().expect("an object") {
            assert_eq!(&kept[name], value, "{name}");
        }
    }
    page.refresh().expect("read");
    assert_eq!(page.version(), version, "nothing was recorded");

    // A row and a task by themselves are those of the page, unless their texts were cut there.
    let data = page.data().expect("data");
    for row in data["rows"].as_array().expect("rows") {
        let wave = WaveNo(row["wave"].as_u64().expect("a wave") as u32);
        let id = RowId::new(row["id"].as_str().expect("an id"));
        assert_eq!(page.row(wave, &id).expect("read").as_ref(), Some(row));
        let other = page.row(WaveNo(wave.0 + 1000), &id).expect("read");
        assert_eq!(other, None);
    }
    for task in data["tasks"].as_array().expect("tasks") {
        let id = UnitId::new(task["id"].as_str().expect("an id"));
        assert_eq!(page.task(&id).expect("read").as_ref(), Some(task));
    }
}
