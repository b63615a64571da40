//! A run as one web page that loads nothing: the page of `web/`, with the run's data in it.
//!
//! ```text
//! ledger ─► timeline (attempts, marks) ─┐
//! view   ─► rows, totals               ─┼─► data (one JSON object) ─► html
//! stats  ─► fan-out receipt            ─┤
//! report ─► tasks (votes, critiques)   ─┘
//!           run_page: all of it, kept and brought up to date
//! ```
//!
//! `page.html` is built from `web/` by `web/build.mjs` and checked in. The data is JSON in a script element that the page reads as
//! text: nothing in it is ever markup or script. `web/src/model.ts` has its shape.

mod data;
mod run_page;
mod tasks;
mod text;
mod timeline;

pub use data::{PlanTasks, read_tasks};
pub use run_page::RunPage;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};
use std::io;
use std::io::Write;

/// A browser keeps up with this many rows; of a longer run, the page has those that failed, and the first others.
pub const ROWS_MAX: u64 = 50_000;
const PAGE: &str = include_str!("page.html");
/// Where the data goes.
const PLACEHOLDER: &str = "/*MESH_DATA*/null";

/// Writes the page with `data` in it.
pub fn write(data: &Value, out: &mut dyn Write) -> io::Result<()> {
    let (before, after) = PAGE.split_once(PLACEHOLDER).unwrap_or((PAGE, ""));
    out.write_all(before.as_bytes())?;
    data.serialize(&mut Serializer::with_formatter(&mut *out, Inert))?;
    out.write_all(after.as_bytes())
}

/// [`write`] to memory.
pub fn html(data: &Value) -> Vec<u8> {
    let mut page = Vec::new();
    write(data, &mut page).expect("memory can be written");
    page
}

/// JSON in which no end tag and no comment of HTML can begin.
struct Inert;

impl Formatter for Inert {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let is_special = |c| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
        let mut done = 0;
        for (at, special) in fragment.match_indices(is_special) {
            CompactFormatter.write_string_fragment(out, &fragment[done..at])?;
            for c in special.chars() {
                write!(out, "\\u{:04x}", u32::from(c))?;
            }
            done = at + special.len();
        }
        CompactFormatter.write_string_fragment(out, &fragment[done..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn data_can_not_end_the_element_that_it_is_in() {
        let evil = json!({"a": "</script><!--<script>&\u{2028}", "b": PLACEHOLDER});
        let page = String::from_utf8(html(&evil)).expect("text");
        let begin = page.find("id=\"mesh-data\"").expect("the element");
        let begin = begin + page[begin..].find('>').expect("its end") + 1;
        let end = begin + page[begin..].find("</script>").expect("its end tag");
        let data: Value = serde_json::from_str(page[begin..end].trim()).expect("JSON");
        assert_eq!(data, evil);
        assert_eq!(
            page.matches(PLACEHOLDER).count(),
            1,
            "only the one in the data"
        );
    }
}
