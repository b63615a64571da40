//! A run as one web page that loads nothing: the page of `web/`, with the run's data in it.
//!
//! ```text
//! ledger ─► timeline (attempts, marks) ─┐
//! view   ─► rows, totals               ─┼─► data (one JSON object) ─► html
//! report ─► tasks (votes, critiques)   ─┘
//! ```
//!
//! `page.html` is built from `web/` by `web/build.mjs` and checked in. The data is JSON in a script element that the page reads as
//! text: nothing in it is ever markup or script. `web/src/model.ts` has its shape.

mod data;
mod tasks;
mod text;
mod timeline;

pub use data::{PlanTasks, read, read_tasks};

use serde_json::Value;

const PAGE: &str = include_str!("page.html");
/// Where the data goes.
const PLACEHOLDER: &str = "/*MESH_DATA*/null";

/// The page with `data` in it.
pub fn html(data: &Value) -> String {
    let escape = |c: char| match c {
        // No end tag and no comment of HTML can begin in the data.
        '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    let json = data.to_string();
    let mut escaped = String::with_capacity(json.len());
    for part in json.split_inclusive(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        match part.char_indices().next_back() {
            Some((at, c)) => {
                escaped.push_str(&part[..at]);
                escaped.push_str(&escape(c));
            }
            None => escaped.push_str(part),
        }
    }
    PAGE.replacen(PLACEHOLDER, &escaped, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn data_can_not_end_the_element_that_it_is_in() {
        let evil = json!({"a": "</script><!--<script>&\u{2028}", "b": PLACEHOLDER});
        let page = html(&evil);
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
