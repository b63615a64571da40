//! The placeholders of prompt templates.

use crate::template::{Braces, Template};

/// Every placeholder that has a value; a template with another one is refused.
pub const PLACEHOLDERS: [&str; 16] = [
    "task_id",
    "objective",
    "mesh_meta",
    "files",
    "step",
    "role",
    "attempt",
    "proposal",
    "critiques",
    "synthesis",
    "patch",
    "checks",
    "dissent",
    "feedback",
    "candidates",
    "test",
];

/// The first unknown placeholder of a prompt, with its line. Braces around anything but a name are text, because templates
/// quote JSON.
pub(super) fn find_unknown(prompt: &str) -> Option<(usize, String)> {
    let is_unknown = |name: &&str| {
        let is_part = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        let word = name.trim();
        let is_word =
            word.starts_with(|c: char| c.is_alphabetic() || c == '_') && word.chars().all(is_part);
        let is_name = is_word || PLACEHOLDERS.contains(&normalize(name).as_str());
        is_name && !PLACEHOLDERS.contains(name)
    };
    // A placeholder never contains a line end.
    prompt.lines().enumerate().find_map(|(index, line)| {
        let template = Template::parse(line, Braces::Escaped);
        let name = template.names().into_iter().find(is_unknown)?.to_owned();
        Some((index + 1, name))
    })
}

/// A name in the spelling of the known ones.
fn normalize(name: &str) -> String {
    name.trim().to_lowercase().replace(['-', ' ', '.'], "_")
}

/// The known names similar to `name`, at most three, best first.
pub(super) fn find_similar(name: &str) -> Vec<&'static str> {
    const SIMILARITY_MIN: f64 = 0.75;
    let name = normalize(name);
    let mut similar: Vec<(f64, &str)> = PLACEHOLDERS
        .into_iter()
        .map(|known| (strsim::jaro_winkler(known, &name), known))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .collect();
    similar.sort_by(|a, b| b.0.total_cmp(&a.0));
    similar
        .into_iter()
        .take(3)
        .map(|(_, known)| known)
        .collect()
}
