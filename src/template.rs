//! Prompt rendering: `{name}` placeholders, filled in one pass.
//!
//! A value is never expanded again, so `{name}` in a cell or in a worker's answer stays as it is. `{{` and `}}` are literal braces
//! and take precedence over placeholders: `{{path}}` gives `{path}`, `{{{path}}}` gives `{{path}}`. A placeholder without a value
//! stays as it is. Knows neither files nor the meaning of values.

/// Whether doubled braces stand for single ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Braces {
    /// `{{` and `}}` are literal braces: instructions and prompt templates.
    Escaped,
    /// Only `{name}` is special: elements of a command line, which are full of braces of their own.
    Plain,
}

/// A template, parsed once and rendered many times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(String),
}

impl Template {
    /// Parses `source`. Every text is a template; there are no syntax errors.
    pub fn parse(source: &str, braces: Braces) -> Self {
        let mut template = Self { parts: Vec::new() };
        let mut rest = source;
        while let Some(at) = rest.find(['{', '}']) {
            template.text(&rest[..at]);
            rest = &rest[at..];
            let (part, length) = next_part(rest, braces);
            match part {
                Part::Text(text) => template.text(&text),
                name => template.parts.push(name),
            }
            rest = &rest[length..];
        }
        template.text(rest);
        template
    }

    /// Fills in the values; a name without a value stays as `{name}`.
    pub fn render<'v>(&self, value: impl Fn(&str) -> Option<&'v str>) -> String {
        let mut rendered = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => rendered.push_str(text),
                Part::Name(name) => match value(name) {
                    Some(text) => rendered.push_str(text),
                    None => {
                        rendered.push('{');
                        rendered.push_str(name);
                        rendered.push('}');
                    }
                },
            }
        }
        rendered
    }

    /// The placeholder names, each once, in order of appearance.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for part in &self.parts {
            if let Part::Name(name) = part
                && !names.contains(&name.as_str())
            {
                names.push(name.as_str());
            }
        }
        names
    }

    fn text(&mut self, text: &str) {
        match self.parts.last_mut() {
            _ if text.is_empty() => {}
            Some(Part::Text(last)) => last.push_str(text),
            _ => self.parts.push(Part::Text(text.to_owned())),
        }
    }
}

/// The part that begins with the brace at the start of `rest`, and its length in bytes.
fn next_part(rest: &str, braces: Braces) -> (Part, usize) {
    if braces == Braces::Escaped && (rest.starts_with("{{") || rest.starts_with("}}")) {
        return (Part::Text(rest[..1].to_owned()), 2);
    }
    match name_length(rest, braces) {
        Some(length) => (Part::Name(rest[1..=length].to_owned()), length + 2),
        None => (Part::Text(rest[..1].to_owned()), 1),
    }
}

/// The length of the name in `{name}` at the start of `rest`, if there is one.
fn name_length(rest: &str, braces: Braces) -> Option<usize> {
    let inner = rest.strip_prefix('{')?;
    let end = inner.find(['{', '}', '\n'])?;
    let closes = inner[end..].starts_with('}');
    let is_escape = braces == Braces::Escaped && inner[end..].starts_with("}}");
    (end > 0 && closes && !is_escape).then_some(end)
}

/// A fence that is longer than every run of back-ticks in `content`, so that no content can end it.
pub fn fence_for(content: &str) -> String {
    let longest = content.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str) -> String {
        Template::parse(source, Braces::Escaped).render(|name| match name {
            "path" => Some("src/{other}.rs"),
            "other" => Some("EXPANDED"),
            "two words" => Some("2"),
            _ => None,
        })
    }

    #[test]
    fn the_recorded_cases_of_the_original_tool() {
        assert_eq!(render("{missing}"), "{missing}");
        assert_eq!(render("{{path}}"), "{path}");
        assert_eq!(render("{{{path}}}"), "{{path}}");
        assert_eq!(render("{ path }"), "{ path }");
        assert_eq!(render("a {two words} b"), "a 2 b");
    }

    #[test]
    fn text_from_a_cell_is_never_expanded_again() {
        assert_eq!(render("read {path}!"), "read src/{other}.rs!");
    }

    #[test]
    fn odd_braces_are_text() {
        assert_eq!(render("{"), "{");
        assert_eq!(render("}{}"), "}{}");
        assert_eq!(render("{a\n{path}"), "{a\nsrc/{other}.rs");
        assert_eq!(render("é{{ü}}"), "é{ü}");
    }

    #[test]
    fn command_arguments_keep_their_own_braces() {
        let template = Template::parse("BEGIN{if(x){print {path}}}", Braces::Plain);
        assert_eq!(
            template.render(|name| (name == "path").then_some("P")),
            "BEGIN{if(x){print P}}"
        );
    }

    #[test]
    fn names_are_listed_once() {
        let template = Template::parse("{b} {a} {b}", Braces::Escaped);
        assert_eq!(template.names(), ["b", "a"]);
    }
}
