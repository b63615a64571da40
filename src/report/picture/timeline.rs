//! The rows of a run over slots and time, with load, retries, integrations and other marks.

use super::packing::{Attempted, Bar, Lane, Outcome, Packing};
use super::svg::{Label, Paint, Svg, number, words};
use crate::ledger;
use crate::model::{RowKey, counted, one_line};
use crate::report::view::{RunView, ViewError};

/// The width of the picture, and where its bars begin.
const WIDTH: f64 = 1000.0;
const GUTTER: f64 = 110.0;
/// Heights of the heading with the axis, of a lane of marks, of a load, and of the legend.
const HEAD: f64 = 62.0;
const LANE: f64 = 18.0;
const LOAD: f64 = 34.0;
const LEGEND: f64 = 30.0;
const GAP: f64 = 6.0;
/// More bars than these are drawn without tooltips, one path for each outcome.
const TITLED_MAX: usize = 2000;

const OUTCOMES: [Outcome; 5] = [
    Outcome::Completed,
    Outcome::Stopped,
    Outcome::Running,
    Outcome::Retried,
    Outcome::Failed,
];

/// The timeline of `run`, as SVG.
pub fn timeline(run: &RunView) -> Result<Vec<u8>, ViewError> {
    let mut packing = Packing::new(run.span_ms(), WIDTH - GUTTER - 2.0);
    ledger::scan(&run.folder().ledger(), |record, _| packing.apply(&record))?;
    packing.close();
    Ok(draw(run, &packing))
}

fn draw(run: &RunView, packing: &Packing) -> Vec<u8> {
    let slot_height = match packing.slots.len() {
        0..=24 => 20.0,
        25..=60 => 12.0,
        61..=200 => 6.0,
        _ => 3.0,
    };
    let loads_top = HEAD + packing.lanes.len() as f64 * LANE;
    let slots_top = loads_top + 2.0 * (LOAD + GAP);
    let slots_end = slots_top + packing.slots.len().max(1) as f64 * slot_height;
    let (start, end) = run.span_ms();
    let what = format!(
        "{} in {} over {}",
        counted(packing.attempts, "attempt"),
        counted(packing.slots.len() as u64, "slot"),
        duration(end - start)
    );
    let id = run.folder().id();
    let mut svg = Svg::new(
        WIDTH,
        slots_end + LEGEND,
        &format!("Timeline of run {id}"),
        &what,
    );
    let status = run.status();
    heading(&mut svg, &format!("{id} {status}"), &what);
    axis(&mut svg, end - start, slots_end);
    for (at, lane) in packing.lanes.iter().enumerate() {
        draw_lane(&mut svg, lane, HEAD + at as f64 * LANE);
    }
    draw_loads(&mut svg, packing, loads_top);
    draw_slots(&mut svg, packing, slots_top, slot_height, start);
    legend(&mut svg, slots_end + 19.0);
    svg.finish()
}

fn heading(svg: &mut Svg, name: &str, what: &str) {
    svg.label(Label {
        x: 4.0,
        y: 18.0,
        width: 480.0,
        colour: "text",
        bold: true,
        text: name,
    });
    svg.label(Label {
        x: 500.0,
        y: 18.0,
        width: WIDTH - 504.0,
        colour: "muted",
        bold: false,
        text: what,
    });
}

fn axis(svg: &mut Svg, span_ms: i64, bottom: f64) {
    let unit = tick(span_ms.max(1) as f64 / 8.0);
    let mut at = 0;
    while at <= span_ms {
        let x = GUTTER + at as f64 / span_ms.max(1) as f64 * (WIDTH - GUTTER - 2.0);
        svg.rect(
            x,
            HEAD - 16.0,
            1.0,
            bottom - HEAD + 16.0,
            Paint::Fill("line"),
        );
        let text = if at == 0 {
            "0".to_owned()
        } else {
            duration(at)
        };
        if x < WIDTH - 40.0 {
            svg.label(Label {
                x: x - 2.0,
                y: HEAD - 22.0,
                width: 70.0,
                colour: "muted",
                bold: false,
                text: &text,
            });
        }
        at += unit;
    }
}

/// The next round number of milliseconds.
fn tick(rough: f64) -> i64 {
    let minutes = [1, 2, 5, 10, 30, 60, 120, 360, 1440].map(|minutes| minutes * 60_000);
    let decimal = 10_i64.pow(rough.max(1.0).log10().floor() as u32);
    let small = [1, 2, 5, 10].map(|factor| factor * decimal);
    let units: &[i64] = if rough > 30_000.0 { &minutes } else { &small };
    let day = minutes[8] as f64;
    units
        .iter()
        .copied()
        .find(|unit| *unit as f64 >= rough)
        .unwrap_or_else(|| ((rough / day).ceil() * day) as i64)
}

fn draw_lane(svg: &mut Svg, lane: &Lane, top: f64) {
    gutter(svg, &words(lane.kind), top + 13.0);
    let colour = match lane.kind {
        "integration" => "accent",
        "violation" | "cancelled" => "bad",
        "resumed" => "muted",
        _ => "warn",
    };
    let is_titled = lane.marks.len() <= TITLED_MAX;
    for mark in &lane.marks {
        if is_titled {
            svg.begin_group(&several(&mark.what, mark.count));
        }
        let (x, width) = (GUTTER + mark.from, mark.to - mark.from);
        match width > 3.0 {
            true => svg.rect(x, top + 4.0, width, LANE - 8.0, Paint::Fill(colour)),
            false => {
                let (middle, low) = (number(top + LANE / 2.0), number(top + LANE - 4.0));
                let x = |by: f64| number(x + by);
                let data = format!(
                    "M{} {}L{} {middle}L{} {low}L{} {middle}z",
                    x(0.0),
                    number(top + 4.0),
                    x(5.0),
                    x(0.0),
                    x(-5.0)
                );
                svg.path(data, Paint::Fill(colour));
            }
        }
        if is_titled {
            svg.end_group();
        }
    }
}

/// Running rows (filled) below the limit (dashes), and waiting rows (a line), each to its own scale.
fn draw_loads(svg: &mut Svg, packing: &Packing, top: f64) {
    let running = packing.running.iter().copied().fold(0.0, f64::max);
    let most = running.max(packing.limit.peak() as f64);
    let bottom = top + LOAD;
    gutter(svg, &format!("running, {}", running.ceil()), bottom - 12.0);
    let edge = outline(packing.running.iter().copied(), bottom, most);
    let (left, right) = (number(GUTTER), number(WIDTH - 2.0));
    let area = format!("M{left} {0}{edge}L{right} {0}z", number(bottom));
    svg.path(area, Paint::Fill("load"));
    let edge = outline(packing.limit.most(), bottom, most);
    svg.path(format!("M{}", &edge[1..]), Paint::Dashes("muted", 1.0));
    let waiting = packing.waiting.peak();
    let bottom = bottom + GAP + LOAD;
    gutter(svg, &format!("waiting, {waiting}"), bottom - 12.0);
    let edge = outline(packing.waiting.most(), bottom, waiting as f64);
    svg.path(format!("M{}", &edge[1..]), Paint::Line("warn", 1.0));
}

/// `L110 40H130V20…`: steps from left to right, one for each pixel.
fn outline(steps: impl Iterator<Item = f64>, bottom: f64, most: f64) -> String {
    let level = |n: f64| number(bottom - n / most.max(1.0) * (LOAD - 4.0));
    let mut now = String::new();
    let mut data = String::new();
    for (at, n) in steps.enumerate() {
        let next = level(n);
        if at == 0 {
            data = format!("L{} {next}", number(GUTTER));
        } else if next != now {
            data += &format!("H{}V{next}", number(GUTTER + at as f64));
        }
        now = next;
    }
    data + &format!("H{}", number(WIDTH - 2.0))
}

fn draw_slots(svg: &mut Svg, packing: &Packing, top: f64, height: f64, start_ms: i64) {
    let every = (14.0 / height).ceil() as usize;
    for slot in 0..packing.slots.len() {
        let y = top + slot as f64 * height;
        if slot % every == 0 {
            gutter(
                svg,
                &format!("slot {}", slot + 1),
                y + height.min(14.0) / 2.0 + 5.0,
            );
        }
        if height >= 12.0 {
            svg.rect(
                GUTTER,
                y + height - 1.0,
                WIDTH - GUTTER - 2.0,
                1.0,
                Paint::Fill("line"),
            );
        }
    }
    let pad = if height >= 12.0 {
        2.0
    } else if height >= 6.0 {
        1.0
    } else {
        0.0
    };
    let inner = height - 2.0 * pad;
    let bars = packing.slots.iter().enumerate().flat_map(|(slot, bars)| {
        let y = top + slot as f64 * height + pad;
        bars.iter().map(move |bar| (y, bar))
    });
    if packing.slots.iter().map(Vec::len).sum::<usize>() > TITLED_MAX {
        return draw_many(svg, bars, inner);
    }
    for (y, bar) in bars {
        draw_bar(svg, bar, y, inner, start_ms);
    }
}

/// Without tooltips: one path for each outcome, the worst on top.
fn draw_many<'p>(
    svg: &mut Svg,
    bars: impl Iterator<Item = (f64, &'p Bar<Attempted>)>,
    height: f64,
) {
    let mut paths = OUTCOMES.map(|_| String::new());
    for (y, bar) in bars {
        let width = number((bar.to - bar.from).max(1.0));
        let (x, y, height) = (number(GUTTER + bar.from), number(y), number(height));
        paths[bar.what.outcome as usize] += &format!("M{x} {y}h{width}v{height}h-{width}z");
    }
    for (outcome, path) in OUTCOMES.into_iter().zip(paths) {
        if !path.is_empty() {
            svg.path(path, Paint::Fill(colours(outcome).0));
        }
    }
}

/// With a tooltip, and a text where there is room. Beside its colour, what failed has a thick foot, what was tried again a thick
/// end, and what runs an open outline.
fn draw_bar(svg: &mut Svg, bar: &Bar<Attempted>, y: f64, height: f64, start_ms: i64) {
    let (x, width) = (GUTTER + bar.from, (bar.to - bar.from).max(1.2));
    let (fill, strong) = colours(bar.what.outcome);
    svg.begin_group(&several(&describe(&bar.what, start_ms), bar.count));
    svg.rect(x, y, width, height, Paint::Fill(fill));
    let sign = match bar.what.outcome {
        Outcome::Failed => {
            let foot = (height / 4.0).max(2.0);
            svg.rect(x, y + height - foot, width, foot, Paint::Fill(strong));
            "✗ "
        }
        Outcome::Retried => {
            let end = width.min(3.0);
            svg.rect(x + width - end, y, end, height, Paint::Fill(strong));
            "↻ "
        }
        Outcome::Running => {
            svg.rect(x, y, width, height, Paint::Dashes(strong, 1.0));
            ""
        }
        Outcome::Stopped | Outcome::Completed => "",
    };
    if height >= 13.0 && width > 40.0 && bar.count == 1 {
        svg.label(Label {
            x: x + 4.0,
            y: y + height / 2.0 + 4.0,
            width: width - 8.0,
            colour: "text",
            bold: false,
            text: &format!("{sign}{}", short_name(&bar.what)),
        });
    }
    svg.end_group();
}

fn short_name(bar: &Attempted) -> String {
    let attempt = &bar.attempt;
    let name = match RowKey::parse(&attempt.row) {
        Some(key) => format!("{} {}", key.unit, key.role),
        None => attempt.row.to_string(),
    };
    match attempt.number {
        1 => name,
        number => format!("{name} ({number})"),
    }
}

/// `st-001.vote.a.1: attempt 2: failed, 3.2 s from 10.0 s: timeout: …`
fn describe(bar: &Attempted, start_ms: i64) -> String {
    let attempt = &bar.attempt;
    let began = attempt.worked_from_ms();
    let (state, took, error) = match &attempt.end {
        Some((at, body)) => (words(body.end), at - began, body.error.as_deref()),
        None => match attempt.lost_ms {
            Some(at) => ("lost".to_owned(), at - began, None),
            None => ("running".to_owned(), 0, None),
        },
    };
    let from = duration(began - start_ms);
    let error = error.map_or(String::new(), |error| format!(": {error}"));
    format!(
        "{}: attempt {}: {state}, {} from {from}{error}",
        one_line(attempt.row.as_str()),
        attempt.number,
        duration(took)
    )
}

fn several(text: &str, count: u64) -> String {
    match count {
        1 => text.to_owned(),
        _ => format!("{count}, among them {text}"),
    }
}

/// The colours of a bar, and of what marks it.
fn colours(outcome: Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Completed => ("bar", "good"),
        Outcome::Stopped => ("idle-bar", "idle"),
        Outcome::Running => ("busy-bar", "busy"),
        Outcome::Retried => ("warn-bar", "warn"),
        Outcome::Failed => ("bad-bar", "bad"),
    }
}

fn legend(svg: &mut Svg, y: f64) {
    let mut x = GUTTER;
    for (outcome, name) in OUTCOMES.into_iter().zip([
        "completed",
        "stopped",
        "running",
        "↻ tried again",
        "✗ failed",
    ]) {
        svg.rect(x, y - 9.0, 14.0, 10.0, Paint::Fill(colours(outcome).0));
        svg.label(Label {
            x: x + 19.0,
            y,
            width: 90.0,
            colour: "muted",
            bold: false,
            text: name,
        });
        x += 105.0;
    }
    svg.path(
        format!("M{} {}h14", number(x), number(y - 4.0)),
        Paint::Line("warn", 1.0),
    );
    svg.path(
        format!("M{} {}h14", number(x + 90.0), number(y - 4.0)),
        Paint::Dashes("muted", 1.0),
    );
    for (x, text) in [(x, "waiting"), (x + 90.0, "concurrency")] {
        svg.label(Label {
            x: x + 19.0,
            y,
            width: 90.0,
            colour: "muted",
            bold: false,
            text,
        });
    }
}

fn gutter(svg: &mut Svg, text: &str, y: f64) {
    svg.label(Label {
        x: 4.0,
        y,
        width: GUTTER - 8.0,
        colour: "muted",
        bold: false,
        text,
    });
}

/// `850 ms`, `4.2 s`, `3 min 07 s`, `2 h 05 min`; without a remainder of zero.
fn duration(ms: i64) -> String {
    let seconds = (ms + 500) / 1000;
    match ms {
        ..1000 => format!("{ms} ms"),
        1000..59_950 if ms % 1000 == 0 => format!("{} s", ms / 1000),
        1000..59_950 => format!("{:.1} s", ms as f64 / 1000.0),
        _ if seconds < 3600 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        _ if seconds < 3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ if seconds % 3600 < 60 => format!("{} h", seconds / 3600),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        for span in [
            1,
            9,
            999,
            1000,
            45_000,
            200_000,
            7_200_000,
            864_000_000,
            31_536_000_000_i64,
        ] {
            let unit = tick(span as f64 / 8.0);
            assert!((1..=10).contains(&(span / unit + 1)), "{span}: {unit}");
        }
        assert_eq!(tick(1250.0), 2000);
        assert_eq!(tick(100_000.0), 120_000);
    }

    #[test]
    fn durations_have_units() {
        let all = [850, 4000, 4230, 180_000, 187_000, 7_200_000, 7_500_000].map(duration);
        assert_eq!(
            all,
            [
                "850 ms",
                "4 s",
                "4.2 s",
                "3 min",
                "3 min 07 s",
                "2 h",
                "2 h 05 min"
            ]
        );
    }
}
