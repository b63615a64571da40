//! Markdown, for the page of a service.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// What services add to Markdown.
const EXTENSIONS: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_TASKLISTS)
    .union(Options::ENABLE_FOOTNOTES)
    .union(Options::ENABLE_MATH)
    .union(Options::ENABLE_GFM);

/// Headings, paragraphs, one table and lists of ours; no link, picture, HTML or other structure.
pub fn markdown_has_only_our_markup(bytes: &[u8]) -> Result<Vec<String>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let mut texts = vec![String::new()];
    let (mut cells, mut width, mut depth) = (0, None, 0);
    for event in Parser::new_ext(text, EXTENSIONS) {
        match event {
            Event::Code(text) if !text.starts_with("mesh_run_id=") => {
                return Err(format!("code: {text}"));
            }
            Event::Text(text) | Event::Code(text) => texts.last_mut().expect("one").push_str(&text),
            Event::Start(Tag::TableCell) => cells += 1,
            Event::End(TagEnd::TableHead) => width = Some(std::mem::take(&mut cells)),
            Event::End(TagEnd::TableRow) if width != Some(std::mem::take(&mut cells)) => {
                return Err("a row of another length".to_owned());
            }
            Event::Start(Tag::List(None)) => depth += 1,
            Event::End(TagEnd::List(false)) => depth -= 1,
            Event::InlineHtml(html) if ["<br>", "<code>", "</code>"].contains(&&*html) => {}
            Event::Start(
                Tag::Paragraph
                | Tag::Table(_)
                | Tag::TableHead
                | Tag::TableRow
                | Tag::Item
                | Tag::Heading { .. },
            )
            | Event::SoftBreak => {}
            Event::End(TagEnd::Heading(_)) => texts.push(String::new()),
            Event::End(_) => {}
            other => return Err(format!("{other:?} after {:?}", texts.last())),
        }
        if depth > 1 {
            return Err(format!("a list in a list after {:?}", texts.last()));
        }
    }
    // A service makes a link of a bare address, unless a backslash is in it.
    for begin in ["http://", "https://", "www."] {
        if let Some(at) = text.find(begin) {
            return Err(format!("a bare address: {:.60}", &text[at..]));
        }
    }
    Ok(texts)
}
