//! The tasks of a run as a graph: layers by dependencies, coloured by state.

use super::layers::{Place, place};
use super::svg::{Label, Paint, Svg, number, words};
use crate::model::counted;
use crate::report::page::{PlanTasks, read_tasks};
use crate::report::view::{RunView, ViewError};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use unicode_width::UnicodeWidthStr;

/// A run without a graph.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// The run can't be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A spawned CSV.
    #[error("run `{0}` is a CSV job; it has no tasks, and so no graph")]
    NoTasks(String),
}

/// The height of the heading, and the margin.
const HEAD: f64 = 32.0;
const MARGIN: f64 = 8.0;

/// The sizes of nodes, by how many there are.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    width: f64,
    height: f64,
    gap: f64,
    /// Between layers.
    space: f64,
}

/// With id, state and title.
const CARDS: Sizes = Sizes {
    width: 236.0,
    height: 44.0,
    gap: 12.0,
    space: 46.0,
};
/// With the id.
const NAMES: Sizes = Sizes {
    width: 92.0,
    height: 18.0,
    gap: 5.0,
    space: 30.0,
};
/// Without text; a tooltip has it.
const DOTS: Sizes = Sizes {
    width: 8.0,
    height: 8.0,
    gap: 3.0,
    space: 22.0,
};

/// The graph of the tasks of `run`, as SVG.
pub fn graph(run: &RunView) -> Result<Vec<u8>, GraphError> {
    if run.job().is_some() {
        return Err(GraphError::NoTasks(run.folder().id().to_string()));
    }
    Ok(draw(run, &read_tasks(run)?))
}

fn draw(run: &RunView, plan: &PlanTasks) -> Vec<u8> {
    let tasks = &plan.tasks;
    let sizes = match tasks.len() {
        0..=120 => CARDS,
        121..=1000 => NAMES,
        _ => DOTS,
    };
    let edges = edges(tasks);
    let layers = place(tasks.len(), &edges);
    let tallest = layers.sizes.iter().copied().max().unwrap_or(0);
    let pitch = sizes.height + sizes.gap;
    let height = HEAD + tallest as f64 * pitch + MARGIN;
    let width = MARGIN * 2.0 + layers.sizes.len() as f64 * (sizes.width + sizes.space);
    let spot = |at: &Place| {
        let above = (tallest - layers.sizes[at.layer]) as f64 / 2.0;
        let x = MARGIN + at.layer as f64 * (sizes.width + sizes.space);
        (x, HEAD + (above + at.place as f64) * pitch)
    };
    let id = run.folder().id();
    let what = summary(tasks);
    let title = format!("Tasks of run {id} by their dependencies");
    let mut svg = Svg::new(width.max(360.0), height, &title, &what);
    svg.label(label(
        MARGIN,
        18.0,
        width.max(360.0) - 2.0 * MARGIN,
        "text",
        &format!("{id}: {what}"),
    ));
    let longest = longest_steps(plan);
    for is_longest in [false, true] {
        for (edge, passed) in edges.iter().zip(&layers.edges) {
            if longest.contains(edge) == is_longest {
                let points: Vec<(f64, f64)> = passed.iter().map(spot).collect();
                let paint = match is_longest {
                    true => Paint::Line("accent", 2.0),
                    false => Paint::Line("idle", 1.0),
                };
                svg.path(curve(&points, sizes), paint);
            }
        }
    }
    for (task, at) in tasks.iter().zip(&layers.nodes) {
        draw_task(&mut svg, task, spot(at), sizes);
    }
    svg.finish()
}

/// From each dependency in the run to the task.
fn edges(tasks: &[Value]) -> Vec<(usize, usize)> {
    let ids = tasks.iter().enumerate();
    let numbers: HashMap<&str, usize> = ids.map(|(at, task)| (text(task, "id"), at)).collect();
    let mut edges = Vec::new();
    for (to, task) in tasks.iter().enumerate() {
        let deps = task["deps"].as_array().into_iter().flatten();
        let from = deps.filter_map(|dep| numbers.get(dep.as_str()?).copied());
        edges.extend(from.filter(|from| *from != to).map(|from| (from, to)));
    }
    edges
}

/// The edges of the longest path.
fn longest_steps(plan: &PlanTasks) -> HashSet<(usize, usize)> {
    let path = plan.longest_path.as_ref().map(|path| &path["tasks"]);
    let ids: Vec<&str> = path
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let number = |id: &str| plan.tasks.iter().position(|task| text(task, "id") == id);
    let steps = ids.windows(2);
    let steps = steps.filter_map(|pair| Some((number(pair[0])?, number(pair[1])?)));
    steps.collect()
}

/// `6 tasks: 5 completed, 1 blocked`.
fn summary(tasks: &[Value]) -> String {
    let mut counts: Vec<(&str, u64)> = Vec::new();
    for task in tasks {
        let state = text(task, "state");
        match counts.iter_mut().find(|(name, _)| *name == state) {
            Some((_, count)) => *count += 1,
            None => counts.push((state, 1)),
        }
    }
    let parts = counts
        .iter()
        .map(|(state, count)| format!("{count} {}", words(state)));
    let parts: Vec<String> = parts.collect();
    match tasks.len() {
        0 => "no tasks".to_owned(),
        all => format!("{}: {}", counted(all as u64, "task"), parts.join(", ")),
    }
}

/// A smooth line through the middle of each place, from the right side of the first to the left side of the last.
fn curve(points: &[(f64, f64)], sizes: Sizes) -> String {
    let middle = sizes.height / 2.0;
    let (first, last) = (points[0], points[points.len() - 1]);
    let mut from = (first.0 + sizes.width, first.1 + middle);
    let mut data = format!("M{} {}", number(from.0), number(from.1));
    let mut bend = |x: f64, y: f64| {
        let half = number((from.0 + x) / 2.0);
        data += &format!(
            "C{half} {} {half} {} {} {}",
            number(from.1),
            number(y),
            number(x),
            number(y)
        );
        from = (x, y);
    };
    for (x, y) in &points[1..points.len() - 1] {
        bend(*x, y + middle);
        bend(x + sizes.width, y + middle);
    }
    bend(last.0, last.1 + middle);
    data
}

fn draw_task(svg: &mut Svg, task: &Value, (x, y): (f64, f64), sizes: Sizes) {
    let (id, title) = (text(task, "id"), text(task, "title"));
    let state = words(text(task, "state"));
    let (sign, colour, fill) = look(text(task, "state"));
    let reason = match text(task, "reason") {
        "" => String::new(),
        reason => format!(" ({})", words(reason)),
    };
    svg.begin_group(&format!("{id}: {state}{reason}. {title}"));
    let is_dot = sizes.height < CHARS;
    let ground = if is_dot { colour } else { fill };
    svg.rect(x, y, sizes.width, sizes.height, Paint::Fill(ground));
    if !is_dot {
        svg.rect(x, y, 3.0, sizes.height, Paint::Fill(colour));
        let name = Label {
            bold: true,
            ..label(x + 9.0, y + 13.0, sizes.width - 12.0, "text", "")
        };
        if sizes.height < CARDS.height {
            svg.label(Label {
                text: &format!("{sign} {id}"),
                ..name
            });
        } else {
            svg.label(Label {
                y: y + 17.0,
                width: 110.0,
                text: id,
                ..name
            });
            let state = format!("{sign} {state}{reason}");
            let used = 22.0 + (id.width() as f64 * 6.6).min(110.0);
            let space = sizes.width - used - 3.0;
            svg.label(label(x + used, y + 17.0, space, colour, &state));
            svg.label(label(x + 9.0, y + 34.0, sizes.width - 14.0, "text", title));
        }
    }
    svg.end_group();
}

/// Smaller nodes have no text.
const CHARS: f64 = 12.0;

/// The sign of a state, its colour, and that of its ground.
fn look(state: &str) -> (&'static str, &'static str, &'static str) {
    match state {
        "completed" | "accepted" => ("✓", "good", "card"),
        "blocked" | "rejected" | "plan_conflict" => ("✗", "bad", "card"),
        "in_progress" | "running" => ("▸", "busy", "card"),
        _ => ("·", "idle", "card"),
    }
}

fn label<'t>(x: f64, y: f64, width: f64, colour: &'static str, text: &'t str) -> Label<'t> {
    Label {
        x,
        y,
        width,
        colour,
        bold: false,
        text,
    }
}

fn text<'t>(task: &'t Value, name: &str) -> &'t str {
    task[name].as_str().unwrap_or_default()
}
