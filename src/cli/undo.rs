//! `mesh undo`: takes the patches of a run back from the work tree.

use super::args::UndoArgs;
use super::context::Context;
use super::error::{CliError, or_kept};
use super::terminal::Terminal;
use crate::ledger;
use crate::model::{RunId, UnitId, counted, one_line, shell_word};
use crate::platform::machine_fault;
use crate::run::{RunFolder, Undo, UndoConflict, UndoRun, Undone};
use serde_json::json;
use std::path::Path;

/// Undoes tasks of a run, or prints what would happen.
pub fn execute(args: &UndoArgs, context: &Context) -> Result<u8, CliError> {
    let folder = args.run.find(context)?;
    let terminal = &context.terminal;
    let units: Vec<UnitId> = args.task.iter().map(UnitId::new).collect();
    if !ledger::is_in_use(&folder.ledger())? {
        let undo = Undo::read(&folder, &units);
        if let Some(undo) = undo.as_ref().ok().filter(|undo| !undo.commits().is_empty()) {
            return show_commits(undo, folder.id(), terminal);
        }
        if args.dry_run {
            let undo = undo?;
            let conflicts = undo.check(&folder)?;
            return show_check(&undo, &conflicts, folder.id(), terminal);
        }
    }
    let mut run = UndoRun::open(folder.clone())?;
    let mut done = recover(&mut run, terminal)?;
    let is_completed = |unit: &UnitId| done.iter().any(|one| one.unit == *unit);
    let is_over = !done.is_empty() && units.iter().all(is_completed);
    let undo = match machine_fault::apart(run.select(&units))? {
        // What was left to complete was all there was.
        Err(_) if is_over => return show_done(&done, None, folder.id(), terminal),
        undo => undo?,
    };
    let conflicts = run.check(&undo)?;
    if !conflicts.is_empty() {
        return show_check(&undo, &conflicts, folder.id(), terminal);
    }
    for task in &undo.tasks {
        match run.undo(&task.unit)? {
            Ok(undone) => done.push(undone),
            Err(detail) => {
                let refused = (&task.unit, detail.as_str());
                return show_done(&done, Some(refused), folder.id(), terminal);
            }
        }
    }
    show_done(&done, None, folder.id(), terminal)
}

/// Completes or rolls back what an undo that was killed left, or leaves it as it is, for `mesh resume`; `None` if there is nothing of
/// that kind.
pub fn complete(
    folder: &RunFolder,
    is_abandoned: bool,
    terminal: &Terminal,
) -> Result<Option<u8>, CliError> {
    if ledger::is_in_use(&folder.ledger())? || !Undo::is_interrupted(folder)? {
        return Ok(None);
    }
    let mut run = UndoRun::open(folder.clone())?;
    if is_abandoned {
        for (unit, detail) in run.abandon()? {
            terminal.warn(&format!("{unit}: {detail}"));
        }
        return Ok(Some(1));
    }
    let done = recover(&mut run, terminal)?;
    show_done(&done, None, folder.id(), terminal).map(Some)
}

fn recover(run: &mut UndoRun, terminal: &Terminal) -> Result<Vec<Undone>, CliError> {
    let (completed, rolled_back) = run.recover()?;
    for unit in rolled_back {
        terminal.talk(&format!(
            "{unit}: an interrupted undo was rolled back; its patch is in the tree as before"
        ));
    }
    Ok(completed)
}

/// Commits are never rewritten: the commands for that are printed.
fn show_commits(undo: &Undo, id: &RunId, terminal: &Terminal) -> Result<u8, CliError> {
    let commits = undo.commits();
    let ids: Vec<&str> = commits.iter().map(|commit| commit.id.as_str()).collect();
    let branch = commits.first().map_or("", |commit| commit.branch.as_str());
    let revert = format!("git revert {}", ids.join(" "));
    let is_own = branch == format!("mesh/{id}");
    let command = match (is_own, undo.is_whole) {
        (true, true) => format!("git branch -D {}", shell_word(branch)),
        (true, false) => format!("git switch {} && {revert}", shell_word(branch)),
        (false, _) => revert.clone(),
    };
    if terminal.json {
        let object = json!({"mesh_run_id": id, "undone": [], "branch": branch, "commits": ids, "command": command});
        terminal.data(&object.to_string())?;
        return Ok(0);
    }
    terminal.data(&command)?;
    let count = counted(ids.len() as u64, "commit");
    terminal.talk(&format!(
        "run {id} delivered {count} on {branch}; mesh rewrites no history, so nothing was changed"
    ));
    if is_own && undo.is_whole {
        terminal.advise(&format!("if the branch was merged: {revert}"));
    }
    terminal.advise("make a task pending again with: mesh st set-status --id ID --status pending");
    Ok(0)
}

fn show_check(
    undo: &Undo,
    conflicts: &[UndoConflict],
    id: &RunId,
    terminal: &Terminal,
) -> Result<u8, CliError> {
    let code = u8::from(!conflicts.is_empty());
    if terminal.json {
        let conflict =
            |one: &UndoConflict| json!({"id": one.unit, "detail": one.detail, "later": one.later});
        let task = |task: &crate::run::UndoTask| {
            let paths = task.paths.iter().map(|path| path.to_string_lossy());
            json!({"id": task.unit, "paths": paths.collect::<Vec<_>>()})
        };
        let object = json!({
            "mesh_run_id": id, "undone": [],
            "to_undo": undo.tasks.iter().map(task).collect::<Vec<_>>(),
            "conflicts": conflicts.iter().map(conflict).collect::<Vec<_>>(),
        });
        terminal.data(&object.to_string())?;
        return Ok(code);
    }
    for task in &undo.tasks {
        let paths = task.paths.iter().map(|path| shown(path));
        let paths = paths.collect::<Vec<_>>().join(", ");
        let is_free = !conflicts.iter().any(|one| one.unit == task.unit);
        let what = if is_free { "can be undone" } else { "conflict" };
        terminal.data(&format!("{:<10} {what}: {paths}", task.unit.as_str()))?;
    }
    for conflict in conflicts {
        terminal.error(&format!(
            "task `{}` can't be undone: {}",
            conflict.unit, conflict.detail
        ));
        if !conflict.later.is_empty() {
            let later = conflict.later.iter().map(|unit| format!("--task {unit}"));
            let later = later.collect::<Vec<_>>().join(" ");
            terminal.advise(&format!(
                "tasks that were integrated later changed the same files; undo them too: {later}"
            ));
        }
    }
    if !conflicts.is_empty() {
        terminal.advise("nothing was changed");
    }
    Ok(code)
}

fn show_done(
    done: &[Undone],
    refused: Option<(&UnitId, &str)>,
    id: &RunId,
    terminal: &Terminal,
) -> Result<u8, CliError> {
    let shown = print_done(done, refused, id, terminal);
    or_kept(shown.map_err(CliError::from), || {
        format!("the tasks are undone; mesh runs show {id} prints the report")
    })?;
    for undone in done {
        if let Some(found) = &undone.found {
            terminal.warn(&format!(
                "{}: the plan says `{}`, which this run did not write; left unchanged",
                undone.unit,
                one_line(found)
            ));
        }
    }
    if let Some((unit, detail)) = refused {
        terminal.error(&format!("task `{unit}` can't be undone: {detail}"));
    }
    Ok(u8::from(refused.is_some()))
}

fn print_done(
    done: &[Undone],
    refused: Option<(&UnitId, &str)>,
    id: &RunId,
    terminal: &Terminal,
) -> Result<(), super::terminal::NotPrinted> {
    if terminal.json {
        let undone: Vec<&UnitId> = done.iter().map(|one| &one.unit).collect();
        let refused =
            refused.map(|(unit, detail)| json!({"id": unit, "detail": detail, "later": []}));
        let conflicts: Vec<_> = refused.into_iter().collect();
        let object = json!({"mesh_run_id": id, "undone": undone, "conflicts": conflicts});
        return terminal.data(&object.to_string());
    }
    for undone in done {
        let status = match &undone.found {
            None => "; pending in the plan",
            Some(_) => "",
        };
        terminal.data(&format!("{:<10} undone{status}", undone.unit.as_str()))?;
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    one_line(&path.to_string_lossy())
}
