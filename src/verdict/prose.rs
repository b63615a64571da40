//! Reads an answer in prose, as the seed's prompts request it, as the object of the result schemas.
//!
//! Without JSON, these forms are read anywhere in the text:
//!
//! | text | becomes |
//! | --- | --- |
//! | `vote: agree` and `reason: …` lines | `vote`, `reason` |
//! | the one fenced block with the info string `diff` or `patch` | `patch` |
//! | a fenced block with the info string `mesh`, which is YAML | `mesh` |
//! | a heading such as `1) Plan`, `## Findings` or `Must-fix items:` and the list below it | `plan`, `findings`, `must_fix`, … |
//! | `Risk: low`, `Residual risk: high` | `risk`, `residual_risk` |
//!
//! The object is checked against the schema like any other answer.

use super::extract::Object;
use super::fence;
use super::fence::Block;
use serde_json::{Value, json};

/// Headings, in lower case, and the property that their content becomes. The first that matches the start of a line
/// counts.
const HEADINGS: [(&str, Property); 13] = [
    ("plan", Property::List("plan")),
    ("assumptions", Property::List("assumptions")),
    ("risk register", Property::Risks),
    ("risks", Property::Risks),
    ("risk", Property::Level("risk")),
    ("findings", Property::List("findings")),
    ("must-fix", Property::List("must_fix")),
    ("vote-flip conditions", Property::List("flip_conditions")),
    ("flip conditions", Property::List("flip_conditions")),
    ("decision log", Property::Decisions),
    ("patch", Property::Other),
    ("validation", Property::List("validation")),
    ("residual risk", Property::Level("residual_risk")),
];

/// Properties that are empty lists by default, in an answer with the first of them.
const EMPTY_WITHOUT_WORD: [(&str, &[&str]); 3] = [
    ("plan", &["assumptions", "risks"]),
    ("findings", &["must_fix", "flip_conditions"]),
    ("patch", &["decision_log", "validation"]),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Property {
    /// A list of texts.
    List(&'static str),
    /// `low`, `medium` or `high`.
    Level(&'static str),
    /// A level after the heading and a list below it.
    Risks,
    /// A list of `{point, action, reason}`.
    Decisions,
    /// Not a list.
    Other,
}

/// Reads `text`; `None` if it has none of these forms, or contradicts itself.
pub fn read(text: &str) -> Option<Object> {
    let (prose, blocks) = split_blocks(text);
    let mut object = sections(&prose);
    vote(&prose, &mut object)?;
    let of_kind = |kinds: &[&str]| -> Vec<&str> {
        let is_it = |block: &&Block<'_>| {
            kinds
                .iter()
                .any(|kind| block.info.eq_ignore_ascii_case(kind))
        };
        blocks
            .iter()
            .filter(is_it)
            .map(|block| &text[block.body.clone()])
            .collect()
    };
    match of_kind(&["diff", "patch"]).as_slice() {
        [] => {}
        [patch] => {
            object.insert("patch".to_owned(), (*patch).into());
        }
        // One of them may be the rejected one.
        _ => return None,
    }
    if let [.., block] = of_kind(&["mesh"]).as_slice() {
        object.insert("mesh".to_owned(), serde_yaml::from_str(block).ok()?);
    }
    for (property, companions) in EMPTY_WITHOUT_WORD {
        if object.contains_key(property) {
            for companion in companions {
                object.entry(*companion).or_insert_with(|| json!([]));
            }
        }
    }
    let is_an_answer = ["vote", "patch", "mesh", "plan", "findings"];
    let is_one = is_an_answer
        .iter()
        .any(|property| object.contains_key(*property));
    is_one.then_some(object)
}

/// Splits a text into the lines outside fenced blocks and the closed blocks. Text after an unclosed fence is neither:
/// it may have been cut off.
fn split_blocks(text: &str) -> (Vec<&str>, Vec<Block<'_>>) {
    let mut blocks = fence::blocks(text);
    let mut prose = Vec::new();
    let mut from = 0;
    for block in &blocks {
        prose.extend(text[from..block.span.start].lines().map(str::trim));
        from = block.span.end;
    }
    prose.extend(text[from..].lines().map(str::trim));
    blocks.retain(|block| block.is_closed);
    (prose, blocks)
}

/// Reads `vote` and `reason`; `None` if there are votes for and against.
fn vote(prose: &[&str], object: &mut Object) -> Option<()> {
    let mut vote = None;
    for line in prose {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let value = strip_marks(value);
        match strip_marks(name).to_ascii_lowercase().as_str() {
            "vote" => {
                let word = value.trim_matches(|c: char| !c.is_alphanumeric());
                let word = word.to_ascii_lowercase();
                let choice = ["agree", "disagree"]
                    .into_iter()
                    .find(|known| *known == word)?;
                if vote.is_some_and(|before| before != choice) {
                    return None;
                }
                vote = Some(choice);
            }
            "reason" if !value.is_empty() => {
                object.insert("reason".to_owned(), value.into());
            }
            _ => {}
        }
    }
    if let Some(vote) = vote {
        object.insert("vote".to_owned(), vote.into());
    }
    Some(())
}

/// Reads headings with the text after and below them.
fn sections(prose: &[&str]) -> Object {
    let mut object = Object::new();
    let mut section: Option<Property> = None;
    for line in prose {
        if let Some((property, rest)) = heading(line) {
            section = Some(property);
            begin(property, rest, &mut object);
        } else if let Some(property) = section
            && let Some(item) = list_item(line)
        {
            add(property, item, &mut object);
        }
    }
    object
}

/// The property of a heading line, and the text after the heading.
fn heading(line: &str) -> Option<(Property, &str)> {
    let bare = line.trim_start_matches('#').trim_start();
    let bare = numbered(bare)
        .unwrap_or(bare)
        .trim_start_matches(['*', '_', ' ']);
    let (_, property, name) = HEADINGS
        .into_iter()
        .filter_map(|(name, property)| {
            let begins = bare.get(..name.len())?.eq_ignore_ascii_case(name);
            let goes_on = bare[name.len()..].starts_with(char::is_alphanumeric);
            (begins && !goes_on).then_some((name.len(), property, name))
        })
        .max_by_key(|(length, ..)| *length)?;
    let rest = &bare[name.len()..];
    let is_heading =
        line.starts_with('#') || numbered(line.trim()).is_some() || line.starts_with("**");
    // `Must-fix items (if any):`, but not a sentence that starts with the word.
    let (words, value) = rest.split_once(':').unwrap_or((rest, ""));
    let is_marked = rest.contains(':') && words.len() <= 24;
    let is_whole =
        rest.trim_end_matches(['*', '_', ' ']).is_empty() || words.trim_start().starts_with('(');
    (is_marked || is_heading && (is_whole || words.len() <= 24))
        .then_some((property, strip_marks(value)))
}

fn begin(property: Property, rest: &str, object: &mut Object) {
    match property {
        Property::List(name) => {
            object.entry(name).or_insert_with(|| json!([]));
            if !rest.is_empty() && !is_none_word(rest) {
                add(property, rest, object);
            }
        }
        Property::Level(name) => {
            if let Some(level) = level(rest) {
                object.insert(name.to_owned(), level.into());
            }
        }
        Property::Risks => {
            object.entry("risks").or_insert_with(|| json!([]));
            if let Some(level) = level(rest) {
                object.insert("risk".to_owned(), level.into());
            }
        }
        Property::Decisions => {
            object.entry("decision_log").or_insert_with(|| json!([]));
        }
        Property::Other => {}
    }
}

fn add(property: Property, item: &str, object: &mut Object) {
    if item.is_empty() || is_none_word(item) {
        return;
    }
    let (name, value) = match property {
        Property::List("validation") => ("validation", Value::from(item.trim_matches('`'))),
        Property::List(name) => (name, Value::from(item)),
        Property::Risks => ("risks", Value::from(item)),
        Property::Decisions => ("decision_log", decision(item)),
        Property::Other => return,
        Property::Level(name) => {
            if let Some(level) = level(item) {
                object.entry(name).or_insert_with(|| level.into());
            }
            return;
        }
    };
    if let Some(Value::Array(list)) = object.get_mut(name) {
        list.push(value);
    }
}

/// Reads `point -> accepted: reason`, with any punctuation.
fn decision(item: &str) -> Value {
    let lower = item.to_ascii_lowercase();
    let found = ["accepted", "rejected"]
        .into_iter()
        .filter_map(|word| Some((lower.find(word)?, word)));
    // With neither word the point was only noted, which counts as rejected.
    let (at, action) = found.min().unwrap_or((item.len(), "rejected"));
    let is_joint = |c: char| !c.is_alphanumeric() && !"`'\")]}".contains(c);
    let point = item[..at].trim_end_matches(is_joint);
    let reason = item
        .get(at + action.len()..)
        .unwrap_or_default()
        .trim_start_matches(|c: char| !c.is_alphanumeric() && !"`'\"".contains(c));
    json!({
        "point": if point.is_empty() { item } else { point },
        "action": action,
        "reason": if reason.is_empty() { item } else { reason.trim_end_matches(')') },
    })
}

/// The text of `- item`, `* item`, `• item` or `1. item`.
fn list_item(line: &str) -> Option<&str> {
    let marked = ["- ", "* ", "• "]
        .iter()
        .find_map(|mark| line.strip_prefix(mark));
    marked.or_else(|| numbered(line)).map(str::trim)
}

/// The text after `1)` or `1.`.
fn numbered(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_number = rest.len() < line.len();
    rest.strip_prefix(['.', ')'])
        .filter(|rest| is_number && rest.starts_with(' '))
        .map(str::trim_start)
}

/// Strips list marks, emphasis and code marks.
fn strip_marks(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || "*_`-".contains(c))
}

fn level(text: &str) -> Option<&'static str> {
    let word = text
        .split(|c: char| !c.is_alphabetic())
        .find(|word| !word.is_empty())?;
    ["low", "medium", "high"]
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(word))
}

fn is_none_word(text: &str) -> bool {
    let word = text.trim_matches(|c: char| !c.is_alphanumeric());
    ["none", "n/a", "nothing"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_json(text: &str) -> Value {
        read(text).map_or(Value::Null, Value::Object)
    }

    #[test]
    fn votes_are_read_in_every_form() {
        let agree = json!({"vote": "agree", "reason": "does what it says"});
        for text in [
            "vote: agree\nreason: does what it says",
            "I looked at it.\n\n**Vote:** agree\n**Reason:** does what it says\n",
            "- vote: `agree`.\r\n- reason: does what it says\r\n",
            "VOTE: Agree\n* reason: does what it says",
        ] {
            let mut said = as_json(text);
            if let Some(object) = said.as_object_mut() {
                object.sort_keys();
            }
            let mut wanted = agree.clone();
            wanted.as_object_mut().expect("an object").sort_keys();
            assert_eq!(said, wanted, "{text}");
        }
        assert_eq!(as_json("vote: disagree")["vote"], "disagree");
    }

    #[test]
    fn an_unclear_vote_is_no_vote() {
        for text in [
            "vote: agree\nvote: disagree",
            "vote: agree|disagree",
            "vote: maybe",
            "I agree with this vote.",
            "",
            "```\nvote: agree\n```",
            "> vote: agree",
            "```diff\n-vote: agree\n",
        ] {
            assert_eq!(as_json(text), Value::Null, "{text}");
        }
    }

    #[test]
    fn a_proposal_in_the_format_of_the_seed_is_read() {
        let text = "1) Plan\n- first, `a.rs`\n- second\n\n2) Assumptions\n* none\n\n3) Risks: medium\n1. one\n2. two\n";
        assert_eq!(
            as_json(text),
            json!({"plan": ["first, `a.rs`", "second"], "assumptions": [], "risks": ["one", "two"], "risk": "medium"})
        );
    }

    #[test]
    fn a_critique_under_headings_is_read() {
        let text = "## Findings (max 8 bullets)\n\n- risk: the cache goes stale\n- b\n\n## Must-fix items (if any)\n\n- c\n\n\
            ## Vote-flip conditions: what would make me agree\n- d\n\n## Risk level (low|medium|high)\n- high\n";
        assert_eq!(
            as_json(text),
            json!({"findings": ["risk: the cache goes stale", "b"], "must_fix": ["c"], "flip_conditions": ["what would make me agree", "d"], "risk": "high"})
        );
        assert_eq!(
            as_json("**Findings**\n- a\nRisk: low"),
            json!({"findings": ["a"], "risk": "low", "must_fix": [], "flip_conditions": []})
        );
    }

    #[test]
    fn a_synthesis_with_a_fenced_diff_is_read() {
        let text = "1) Decision log\n- critic_a: no test -> accepted: added one\n- skeptic: rename (rejected, out of scope)\n\n\
            2) Patch\n```diff\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-vote: no\n+# Plan\n```\n\n\
            3) Validation\n- `make test`\n\n4) Residual risk: Low.\n";
        assert_eq!(
            as_json(text),
            json!({
                "decision_log": [
                    {"point": "critic_a: no test", "action": "accepted", "reason": "added one"},
                    {"point": "skeptic: rename", "action": "rejected", "reason": "out of scope"},
                ],
                "validation": ["make test"],
                "residual_risk": "low",
                "patch": "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-vote: no\n+# Plan\n",
            })
        );
    }

    #[test]
    fn a_fence_inside_a_diff_belongs_to_it_and_two_diffs_are_refused() {
        let diff = "--- a/README.md\n+++ b/README.md\n@@ -1,3 +1,3 @@\n ```\n-old\n+new\n ```\n";
        let text = format!("Here it is.\n\n```diff\n{diff}```\n");
        assert_eq!(as_json(&text)["patch"], diff);
        assert_eq!(as_json(&format!("{text}\n{text}")), Value::Null);
    }

    #[test]
    fn a_mesh_block_is_read_as_yaml() {
        let text = "1) Plan\n- x\n3) Risks: low\n\n~~~mesh\nscope: [\"a.rs\"]\nacceptance:\n  - b\nvalidation: []\n~~~\n";
        assert_eq!(
            as_json(text)["mesh"],
            json!({"scope": ["a.rs"], "acceptance": ["b"], "validation": []})
        );
        assert_eq!(as_json("```mesh\nscope: [\n```"), Value::Null);
    }

    #[test]
    fn plain_prose_is_no_answer() {
        for text in [
            "The plan is to wait.",
            "Risk: low",
            "Planning: done",
            "```diff\nnever closed",
            "# Title\n- a",
        ] {
            assert_eq!(as_json(text), Value::Null, "{text}");
        }
    }
}
