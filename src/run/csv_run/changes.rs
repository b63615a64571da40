//! The settings of a spawned CSV that must not change on resume: all rows of a run get the same prompt.

use crate::adapter;
use crate::job::{FormulaCells, Settings, Worker};
use crate::model::one_line;

/// The most lines shown of a difference.
const LINES_MAX: usize = 12;

/// A setting that affects the prompt of a row, with its two values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The option.
    pub option: &'static str,
    /// `was: …` and `now: …`, or the lines that differ.
    pub shown: String,
}

/// The first setting that affects the prompt of a row and differs.
pub fn find_difference(old: &Settings, new: &Settings) -> Option<Difference> {
    let differs = |option, old: String, new: String| {
        (old != new).then(|| Difference {
            option,
            shown: format!("was: {}\n  now: {}", one_line(&old), one_line(&new)),
        })
    };
    let rows = |it: &Settings| {
        it.selection
            .rows
            .as_ref()
            .map_or("all".to_owned(), |it| it.to_string())
    };
    let sample = |it: &Settings| {
        it.selection
            .sample
            .map_or("all".to_owned(), |it| it.to_string())
    };
    let rename = |it: &Settings| {
        it.rename
            .iter()
            .map(|(old, new)| format!("{old}={new}"))
            .reduce(|all, next| format!("{all} {next}"))
            .unwrap_or_else(|| "none".to_owned())
    };
    let delimiter = |it: &Settings| it.delimiter.unwrap_or(',').to_string();
    let sheet = |it: &Settings| it.sheet.clone().unwrap_or_else(|| "none".to_owned());
    let encoding = |it: &Settings| it.encoding.clone().unwrap_or_else(|| "utf-8".to_owned());
    let id_column = |it: &Settings| it.id_column.clone().unwrap_or_else(|| "none".to_owned());
    // Only `reject` affects whether an answer is accepted; the others affect how it is written.
    let formula_cells = |it: &Settings| match it.formula_cells {
        FormulaCells::Reject => "reject".to_owned(),
        FormulaCells::Keep | FormulaCells::Quote => "keep or quote".to_owned(),
    };
    compare_instruction(old, new)
        .or_else(|| compare_schema(old, new))
        .or_else(|| {
            differs(
                "COMMAND",
                command_text(&old.worker),
                command_text(&new.worker),
            )
        })
        .or_else(|| differs("--id-column", id_column(old), id_column(new)))
        .or_else(|| differs("--rows", rows(old), rows(new)))
        .or_else(|| differs("--sample", sample(old), sample(new)))
        .or_else(|| differs("--sheet", sheet(old), sheet(new)))
        .or_else(|| differs("--delimiter", delimiter(old), delimiter(new)))
        .or_else(|| differs("--encoding", encoding(old), encoding(new)))
        .or_else(|| differs("--rename", rename(old), rename(new)))
        .or_else(|| differs("--formula-cells", formula_cells(old), formula_cells(new)))
}

fn compare_instruction(old: &Settings, new: &Settings) -> Option<Difference> {
    (old.instruction != new.instruction).then(|| Difference {
        option: "--instruction",
        shown: diff_lines(&old.instruction, &new.instruction),
    })
}

fn compare_schema(old: &Settings, new: &Settings) -> Option<Difference> {
    let text = |it: &Settings| {
        let schema = it.output_schema.as_ref();
        schema.map_or("none".to_owned(), |schema| format!("{schema:#}"))
    };
    (old.output_schema != new.output_schema).then(|| Difference {
        option: "--output-schema",
        shown: diff_lines(&text(old), &text(new)),
    })
}

/// The adapter with its program, arguments and prompt settings.
fn command_text(worker: &Worker) -> String {
    let mut words = vec![worker.program.display().to_string()];
    words.extend(worker.fixed_args.iter().chain(&worker.args).cloned());
    let prompt_settings = match adapter::answer_settings(worker) {
        serde_json::Value::Null => String::new(),
        settings => format!(" {settings}"),
    };
    format!("{}: {}{prompt_settings}", worker.adapter, words.join(" "))
}

/// The lines between the common first and last lines of two texts, with the number of the first.
fn diff_lines(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let common = |pairs: &mut dyn Iterator<Item = (&&str, &&str)>| {
        pairs.take_while(|(old, new)| old == new).count()
    };
    let begin = common(&mut old.iter().zip(&new));
    let shorter = old.len().min(new.len()) - begin;
    let end = common(&mut old.iter().rev().zip(new.iter().rev())).min(shorter);
    let (old, new) = (&old[begin..old.len() - end], &new[begin..new.len() - end]);
    let mut shown = vec![format!("from line {}:", begin + 1)];
    for (sign, lines) in [("-", old), ("+", new)] {
        let some = lines.iter().take(LINES_MAX / 2);
        shown.extend(some.map(|line| format!("{sign} {}", one_line(line))));
        if lines.len() > LINES_MAX / 2 {
            shown.push(format!("{sign} … ({} lines)", lines.len()));
        }
    }
    if old.is_empty() && new.is_empty() {
        shown.push("only line ends differ".to_owned());
    }
    shown.join("\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_differ_between_their_common_beginning_and_end() {
        assert_eq!(
            diff_lines("a\nb\nc", "a\nx\ny\nc"),
            "from line 2:\n  - b\n  + x\n  + y"
        );
        assert_eq!(diff_lines("a", "a\na"), "from line 2:\n  + a");
        assert_eq!(diff_lines("a\na", "a"), "from line 2:\n  - a");
        assert_eq!(
            diff_lines("a", "a\n"),
            "from line 2:\n  only line ends differ"
        );
        assert_eq!(
            diff_lines("", "new\u{1b}[2J"),
            "from line 1:\n  + new\u{fffd}[2J"
        );
    }

    #[test]
    fn a_long_difference_is_cut() {
        let long = |text: &str| vec![text; 100].join("\n");
        let shown = diff_lines(&long("a"), &long("b"));
        assert_eq!(shown.lines().count(), 1 + 2 * (LINES_MAX / 2 + 1));
        assert!(shown.contains("- … (100 lines)"), "{shown}");
    }
}
