//! XML and HTML: texts are texts, and nothing but ours is markup.

use mesh::report::page;
use quick_xml::XmlVersion;
use quick_xml::events::Event;
use serde_json::Value;

/// Well-formed XML of elements and attributes that JUnit or a picture has, with nothing to be executed or loaded.
pub fn xml_is_well_formed(bytes: &[u8]) -> Result<Vec<String>, String> {
    const ELEMENTS: &str = " testsuites testsuite testcase properties property failure error skipped system-out system-err \
        svg title desc style rect path g text ";
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let is_char = |c: char| matches!(c, '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    if let Some(c) = text.chars().find(|c| !is_char(*c)) {
        return Err(format!("{c:?} is no character of XML"));
    }
    let mut reader = quick_xml::Reader::from_str(text);
    let mut texts = Vec::new();
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Eof => return Ok(texts),
            Event::Start(tag) | Event::Empty(tag) => {
                let name = String::from_utf8_lossy(tag.name().as_ref()).into_owned();
                if !ELEMENTS.contains(&format!(" {name} ")) {
                    return Err(format!("an element {name}"));
                }
                for attribute in tag.attributes() {
                    let attribute = attribute.map_err(|error| error.to_string())?;
                    let name = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
                    if name.starts_with("on") || name.ends_with("href") || name == "src" {
                        return Err(format!("an attribute {name}"));
                    }
                    let value = attribute.normalized_value(XmlVersion::Implicit1_0);
                    texts.push(value.map_err(|error| error.to_string())?.into_owned());
                }
            }
            Event::Text(text) => {
                let text = text.xml_content(XmlVersion::Implicit1_0);
                texts.push(text.map_err(|error| error.to_string())?.into_owned());
            }
            Event::End(_) | Event::Decl(_) | Event::GeneralRef(_) => {}
            other => return Err(format!("neither an element nor text: {other:?}")),
        }
    }
}

/// A part of a page as a browser reads it.
#[derive(Debug, PartialEq)]
enum Part {
    /// `<`, everything up to `>`.
    Tag(String),
    Text(String),
}

/// The page of a run: its markup is that of a page without data, and the data is JSON within its element.
pub fn html_has_no_foreign_element(bytes: &[u8]) -> Result<Vec<String>, String> {
    let (own, empty) = (parts(bytes)?, parts(&page::html(&Value::Null))?);
    let is_tag = |part: &&Part| matches!(part, Part::Tag(_));
    if own.iter().filter(is_tag).ne(empty.iter().filter(is_tag)) {
        return Err("it has other elements than a page without data".to_owned());
    }
    let element = own
        .iter()
        .position(|part| matches!(part, Part::Tag(tag) if tag.contains("mesh-data")));
    let Some(Part::Text(data)) = element.and_then(|at| own.get(at + 1)) else {
        return Err("no data".to_owned());
    };
    if data.contains('<') {
        return Err("the data could begin a comment or an end tag".to_owned());
    }
    super::json_is_valid(data.as_bytes())
}

/// The list of runs: only its own elements, and links to runs.
pub fn list_has_no_foreign_element(bytes: &[u8]) -> Result<Vec<String>, String> {
    const ELEMENTS: &str = " !doctype html meta title style main h1 h2 ul li a small ";
    let mut texts = Vec::new();
    for part in parts(bytes)? {
        match part {
            Part::Text(text) => texts.push(text),
            Part::Tag(tag) => {
                let name = tag
                    .trim_start_matches('/')
                    .split(' ')
                    .next()
                    .unwrap_or_default();
                let is_link = |rest: &str| {
                    rest.trim_end_matches("/\"")
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric())
                };
                let is_ours = match tag.strip_prefix("a ") {
                    Some(link) => link.strip_prefix("href=\"run/").is_some_and(is_link),
                    None => ELEMENTS.contains(&format!(" {name} ")),
                };
                if !is_ours {
                    return Err(format!("an element <{tag}>"));
                }
            }
        }
    }
    Ok(texts)
}

/// Splits a page. Style and script are text up to their end tag.
fn parts(bytes: &[u8]) -> Result<Vec<Part>, String> {
    let mut rest = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let mut parts = Vec::new();
    let mut raw: Option<&str> = None;
    loop {
        let end = match raw.take() {
            Some(end) => rest.find(end),
            None => rest.find('<'),
        };
        let text = &rest[..end.unwrap_or(rest.len())];
        if !text.trim().is_empty() {
            parts.push(Part::Text(text.to_owned()));
        }
        let Some(begin) = end else { return Ok(parts) };
        let tag = &rest[begin + 1..];
        let length = tag_length(tag).ok_or_else(|| format!("a tag without an end: {tag:.60}"))?;
        let tag = &tag[..length];
        raw = match tag.split(' ').next() {
            Some("script") => Some("</script"),
            Some("style") => Some("</style"),
            _ => None,
        };
        parts.push(Part::Tag(tag.to_owned()));
        rest = &rest[begin + 1 + length + 1..];
    }
}

/// Up to the `>` that is not in quotes.
fn tag_length(tag: &str) -> Option<usize> {
    let mut quote = None;
    tag.char_indices().find_map(|(at, c)| {
        match (quote, c) {
            (None, '>') => return Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
        None
    })
}
