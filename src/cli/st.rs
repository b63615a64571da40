//! `mesh st`: the plan store on the command line, compatible with the `$st` programs flag for flag.
//!
//! The caller of [`run`] prints its errors, with exit code 2.

use crate::model::one_line;
use crate::plan::{
    Comment, Conflict, Dep, InitOutcome, ItemId, MutateOptions, NewItem, OnConflict, Origin,
    PLAN_FILE_DEFAULT, Plan, PlanError, Status, Store, mirror, snapshot, view,
};
use crate::platform::clock;
use clap::{Args, Subcommand, ValueEnum};
use std::io;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Read and change the $st plan
///
/// The plan is a JSON Lines file of tasks with statuses and dependencies. Every change is made under a lock, checked as a
/// whole (no unknown dependencies, no cycles, no task ahead of its dependencies) and written atomically. Do not edit the file
/// by hand.
#[derive(Debug, Args)]
pub struct StArgs {
    /// The plan file
    #[arg(long, global = true, value_name = "FILE", default_value = PLAN_FILE_DEFAULT)]
    file: PathBuf,
    #[command(subcommand)]
    command: StCommand,
}

/// The commands of `mesh st`.
#[derive(Debug, Subcommand)]
enum StCommand {
    /// Create the plan file, unless it exists
    ///
    /// In a git repository, git must ignore the lock file of the plan; if it does not, the error message has the command.
    Init {
        /// Clear an existing plan
        #[arg(long)]
        replace: bool,
    },
    /// Add an item, or change an existing one
    ///
    /// For an existing id, status and dependencies change only if they are given; notes, comments and all other fields are
    /// kept.
    Add {
        /// Id [default: st-NNN, one more than the largest]
        #[arg(long)]
        id: Option<String>,
        /// What to do
        #[arg(long)]
        step: String,
        /// Status: pending, in_progress, completed, blocked, deferred or canceled [default: pending]
        #[arg(long)]
        status: Option<String>,
        /// Dependencies: comma-separated ids, each with an optional `:type`
        #[arg(long)]
        deps: Option<String>,
        #[command(flatten)]
        policy: Policy,
    },
    /// Set the status of an item
    SetStatus {
        /// Id of the item
        #[arg(long)]
        id: String,
        /// Status: pending, in_progress, completed, blocked, deferred or canceled, or an alias such as open, doing, done, closed
        #[arg(long)]
        status: String,
        #[command(flatten)]
        policy: Policy,
    },
    /// Replace the dependencies of an item
    SetDeps {
        /// Id of the item
        #[arg(long)]
        id: String,
        /// Dependencies: comma-separated ids, each with an optional `:type`
        #[arg(long)]
        deps: String,
        #[command(flatten)]
        policy: Policy,
    },
    /// Replace the notes of an item
    ///
    /// The notes contain the `mesh` block with the metadata of the task.
    SetNotes {
        /// Id of the item
        #[arg(long)]
        id: String,
        /// The notes, may be empty
        #[arg(long, allow_hyphen_values = true)]
        notes: String,
        #[command(flatten)]
        policy: Policy,
    },
    /// Add a comment to an item
    AddComment {
        /// Id of the item
        #[arg(long)]
        id: String,
        /// Text of the comment
        #[arg(long, allow_hyphen_values = true)]
        text: String,
        /// Author [default: $ST_COMMENT_AUTHOR, $USER or $LOGNAME]
        #[arg(long)]
        author: Option<String>,
        #[command(flatten)]
        policy: Policy,
    },
    /// Remove an item from the plan
    ///
    /// Refused if another item depends on it.
    Remove {
        /// Id of the item
        #[arg(long)]
        id: String,
        #[command(flatten)]
        policy: Policy,
    },
    /// Show the whole plan
    Show(ViewArgs),
    /// Show the pending items whose dependencies are completed
    Ready(ViewArgs),
    /// Show the blocked items and those that wait for dependencies
    Blocked(ViewArgs),
    /// Print the argument of an `update_plan` call for a planning panel
    EmitUpdatePlan {
        #[command(flatten)]
        policy: Policy,
    },
    /// Print the plan for the planning panels of several agents
    EmitPlanSync,
    /// Export the items as JSON
    Export {
        /// Output file [default: standard output]
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        policy: Policy,
    },
    /// Import items from JSON: a list, or an object with `items`
    ///
    /// Existing items are changed and new ones added; with --replace, the imported items replace the whole plan.
    ImportPlan {
        /// Input file
        #[arg(long, value_name = "FILE")]
        input: PathBuf,
        /// Replace the whole plan
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        policy: Policy,
    },
    /// Check the sequence numbers of the file, and repair a plan merged by git
    ///
    /// A file that git merged line by line (`merge=union`, or with conflict markers removed by hand) contains the changes of
    /// both branches, but its last checkpoint hides those of one. --repair-seq keeps the items, statuses, comments, notes,
    /// dependencies and other fields of both. If the repository has the commits of both branches, their common ancestor shows
    /// which branch changed or removed what.
    ///
    /// Values that both branches set differently are conflicts: all of them are listed and nothing is written. With --force,
    /// the value that was written last is kept, and the other one becomes a comment of its item; of two different items with
    /// one id, the later one gets a new id; an item that one branch removed is kept; a completed item whose dependencies are
    /// open becomes pending; a cycle is broken. Each of these is listed.
    Doctor {
        /// Repair the file by rewriting it with a new checkpoint
        #[arg(long)]
        repair_seq: bool,
        /// Resolve conflicts between merged branches by the rules above
        #[arg(long, requires = "repair_seq")]
        force: bool,
        #[command(flatten)]
        policy: Policy,
    },
}

/// How many items may be in progress.
#[derive(Clone, Copy, Debug, Args)]
struct Policy {
    /// Allow more than one item in progress
    #[arg(long)]
    allow_multiple_in_progress: bool,
}

#[derive(Debug, Args)]
struct ViewArgs {
    /// Output format [default: markdown; json with --json]
    #[arg(long, value_enum)]
    format: Option<FormatArg>,
    #[command(flatten)]
    policy: Policy,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatArg {
    Markdown,
    Table,
    Json,
}

/// Runs one command and writes data to `out`. Relative paths start at `root`. With `json`, views without a `--format` are
/// JSON. A closed pipe is a quiet success.
///
/// # Errors
/// Everything in [`PlanError`].
pub fn run(args: &StArgs, root: &Path, json: bool, out: &mut dyn Write) -> Result<(), PlanError> {
    match dispatch(args, root, json, out) {
        Err(PlanError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

fn dispatch(args: &StArgs, root: &Path, json: bool, out: &mut dyn Write) -> Result<(), PlanError> {
    let session = Session {
        store: Store::at(root.join(&args.file)),
        name: args.file.display().to_string(),
        root,
        json,
    };
    match &args.command {
        StCommand::Init { replace } => session.init(*replace, out),
        StCommand::Add {
            id,
            step,
            status,
            deps,
            policy,
        } => {
            let new = NewItem {
                id: id.as_deref().map(item_id).transpose()?,
                step: step.clone(),
                status: status.as_deref().map(str::parse).transpose()?,
                deps: deps.as_deref().map(Dep::parse_list).transpose()?,
            };
            session.add(new, *policy, out)
        }
        StCommand::SetStatus { id, status, policy } => {
            let (id, status) = (item_id(id)?, status.parse::<Status>()?);
            let message = format!("updated {id} -> {status}");
            session.change(*policy, &message, out, |plan| plan.set_status(&id, status))
        }
        StCommand::SetDeps { id, deps, policy } => {
            session.set_deps(&item_id(id)?, Dep::parse_list(deps)?, *policy, out)
        }
        StCommand::SetNotes { id, notes, policy } => {
            let id = item_id(id)?;
            session.change(*policy, &format!("updated {id} notes"), out, |plan| {
                plan.set_notes(&id, notes)
            })
        }
        StCommand::AddComment {
            id,
            text,
            author,
            policy,
        } => {
            let id = item_id(id)?;
            let author = author.clone().unwrap_or_else(crate::plan::comment_author);
            let comment = Comment::new(clock::now(), &author, text)?;
            session.change(*policy, &format!("added comment to {id}"), out, |plan| {
                plan.add_comment(&id, comment)
            })
        }
        StCommand::Remove { id, policy } => {
            let id = item_id(id)?;
            session.change(*policy, &format!("removed {id}"), out, |plan| {
                // A record may remove an unknown id; on the command line it is a typing error.
                if plan.get(&id).is_none() {
                    return Err(PlanError::UnknownId { id });
                }
                plan.remove(&id);
                Ok(())
            })
        }
        StCommand::Show(view) => session.view(view::Selection::All, view, out),
        StCommand::Ready(view) => session.view(view::Selection::Ready, view, out),
        StCommand::Blocked(view) => session.view(view::Selection::Blocked, view, out),
        StCommand::EmitUpdatePlan { policy } => {
            say(out, &mirror::update_plan(&session.read(*policy)?))
        }
        StCommand::EmitPlanSync => say(out, &mirror::plan_sync(&session.store.read()?)),
        StCommand::Export { output, policy } => session.export(output.as_deref(), *policy, out),
        StCommand::ImportPlan {
            input,
            replace,
            policy,
        } => session.import(input, *replace, *policy, out),
        StCommand::Doctor {
            repair_seq: false, ..
        } => session.doctor(out),
        StCommand::Doctor {
            repair_seq: true,
            force,
            policy,
        } => {
            let on_conflict = match force {
                true => OnConflict::Decide,
                false => OnConflict::Refuse,
            };
            session.repair(*policy, on_conflict, out)
        }
    }
}

/// A plan file, and its name as given.
struct Session<'a> {
    store: Store,
    name: String,
    root: &'a Path,
    json: bool,
}

impl Session<'_> {
    fn init(&self, replace: bool, out: &mut dyn Write) -> Result<(), PlanError> {
        match self.store.init(replace)? {
            InitOutcome::Created => say(out, &format!("initialized {}", self.name))?,
            InitOutcome::AlreadyThere => say(out, &format!("already initialized: {}", self.name))?,
        }
        if replace {
            say(out, &format!("cleared plan in {}", self.name))
        } else {
            Ok(())
        }
    }

    fn add(&self, new: NewItem, policy: Policy, out: &mut dyn Write) -> Result<(), PlanError> {
        let mut added = None;
        let plan = self.store.mutate(policy.options(), |plan| {
            added = Some(plan.add(new)?);
            Ok(())
        })?;
        let id = added.map_or_else(String::new, |id| id.to_string());
        say_changed(out, &format!("upserted {id}"), &plan)
    }

    fn set_deps(
        &self,
        id: &ItemId,
        deps: Vec<Dep>,
        policy: Policy,
        out: &mut dyn Write,
    ) -> Result<(), PlanError> {
        let plan = self
            .store
            .mutate(policy.options(), |plan| plan.set_deps(id, deps))?;
        // From the plan, not from the arguments, which may repeat a dependency.
        let text = match plan.get(id).map(|item| view::deps_text(item.deps())) {
            Some(text) if !text.is_empty() => text,
            _ => "(none)".to_owned(),
        };
        say_changed(out, &format!("updated {id} deps -> {text}"), &plan)
    }

    fn change(
        &self,
        policy: Policy,
        message: &str,
        out: &mut dyn Write,
        change: impl FnOnce(&mut Plan) -> Result<(), PlanError>,
    ) -> Result<(), PlanError> {
        say_changed(out, message, &self.store.mutate(policy.options(), change)?)
    }

    fn view(
        &self,
        selection: view::Selection,
        args: &ViewArgs,
        out: &mut dyn Write,
    ) -> Result<(), PlanError> {
        let format = match args.format {
            Some(FormatArg::Table) => view::Format::Table,
            Some(FormatArg::Json) => view::Format::Json,
            None if self.json => view::Format::Json,
            Some(FormatArg::Markdown) | None => view::Format::Markdown,
        };
        print(
            out,
            &view::render(&self.read(args.policy)?, selection, format),
        )
    }

    fn export(
        &self,
        output: Option<&Path>,
        policy: Policy,
        out: &mut dyn Write,
    ) -> Result<(), PlanError> {
        let text = snapshot::render(&self.read(policy)?);
        match output {
            None => print(out, &text),
            Some(file) => {
                snapshot::save(&self.root.join(file), &text)?;
                say(out, &format!("wrote {}", file.display()))
            }
        }
    }

    fn import(
        &self,
        input: &Path,
        replace: bool,
        policy: Policy,
        out: &mut dyn Write,
    ) -> Result<(), PlanError> {
        let items = snapshot::load(&self.root.join(input))?;
        let message = if replace {
            format!("replaced plan from {}", input.display())
        } else {
            format!("imported {} item(s) from {}", items.len(), input.display())
        };
        self.change(policy, &message, out, |plan| {
            if replace {
                return plan.replace(items);
            }
            items.into_iter().for_each(|item| plan.merge(item));
            Ok(())
        })
    }

    fn doctor(&self, out: &mut dyn Write) -> Result<(), PlanError> {
        let found = self.store.diagnose()?;
        let file = || self.store.file().to_owned();
        if found.violations.is_empty() && found.sides.is_empty() {
            return say(out, &format!("seq contract ok: {}", self.name));
        }
        if !found.violations.is_empty() {
            say(out, &format!("seq contract invalid: {}", self.name))?;
        }
        for violation in &found.violations {
            say(out, &format!("- {violation}"))?;
        }
        self.say_merged(
            "merged line by line",
            &found.sides,
            &found.decisions,
            &found.conflicts,
            out,
        )?;
        if !found.conflicts.is_empty() {
            return Err(PlanError::Conflicts {
                file: file(),
                sides: found.sides,
                conflicts: found.conflicts,
            });
        }
        if !found.sides.is_empty() {
            return Err(PlanError::SeveralHistories {
                file: file(),
                sides: found.sides,
            });
        }
        Err(PlanError::SeqContract {
            file: file(),
            violations: found.violations,
        })
    }

    fn repair(
        &self,
        policy: Policy,
        on_conflict: OnConflict,
        out: &mut dyn Write,
    ) -> Result<(), PlanError> {
        let done = self.store.repair_seq(policy.options(), on_conflict)?;
        let Some(seq) = done.seq else {
            return say(out, &format!("seq contract ok: {}", self.name));
        };
        self.say_merged("merged", &done.sides, &done.decisions, &done.conflicts, out)?;
        say_changed(
            out,
            &format!("repaired seq contract via checkpoint seq {seq}"),
            &done.plan,
        )
    }

    /// Lists the differences of several histories, one per line.
    fn say_merged(
        &self,
        how: &str,
        sides: &[Origin],
        decisions: &[String],
        conflicts: &[Conflict],
        out: &mut dyn Write,
    ) -> Result<(), PlanError> {
        if sides.is_empty() {
            return Ok(());
        }
        let shown: Vec<String> = sides.iter().map(Origin::in_full).collect();
        let count = sides.len();
        let shown = shown.join(" and ");
        say(
            out,
            &format!("{how}: {} has {count} histories, {shown}", self.name),
        )?;
        for line in decisions {
            say(out, &format!("- {}", one_line(line)))?;
        }
        for Conflict { what, rule } in conflicts {
            say(
                out,
                &format!("- conflict: {}; {}", one_line(what), one_line(rule)),
            )?;
        }
        Ok(())
    }

    fn read(&self, policy: Policy) -> Result<Plan, PlanError> {
        let plan = self.store.read()?;
        if !policy.allow_multiple_in_progress {
            plan.check_single_in_progress()?;
        }
        Ok(plan)
    }
}

impl Policy {
    fn options(self) -> MutateOptions {
        MutateOptions {
            allow_multiple_in_progress: self.allow_multiple_in_progress,
            ..MutateOptions::default()
        }
    }
}

fn item_id(text: &str) -> Result<ItemId, PlanError> {
    text.parse()
        .map_err(|_| PlanError::EmptyOption { option: "--id" })
}

/// Prints what was changed, and the plan for a planning panel.
fn say_changed(out: &mut dyn Write, message: &str, plan: &Plan) -> Result<(), PlanError> {
    say(out, message)?;
    say(out, &format!("update_plan: {}", mirror::update_plan(plan)))
}

fn say(out: &mut dyn Write, line: &str) -> Result<(), PlanError> {
    writeln!(out, "{line}").map_err(PlanError::Output)
}

fn print(out: &mut dyn Write, text: &str) -> Result<(), PlanError> {
    out.write_all(text.as_bytes()).map_err(PlanError::Output)
}
