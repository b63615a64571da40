//! The writer of SVG: elements, texts that fit, and colours.

use crate::model::one_line;
use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};
use serde::Serialize;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The width of a character of the smallest text, in pixels; a little more than that of most system fonts.
const CHAR_PX: f64 = 5.8;
/// The most characters of a tooltip.
const TITLE_MAX: usize = 160;

/// The colours by class: in light, and in dark. Those of the page, `page/web/src/style.css`.
const COLOURS: [(&str, &str, &str); 17] = [
    ("ground", "#ffffff", "#14171b"),
    ("card", "#f6f7f9", "#1c2025"),
    ("line", "#dfe3e8", "#2f353d"),
    ("text", "#1c2127", "#e4e8ed"),
    ("muted", "#57606a", "#9aa4b0"),
    ("accent", "#0a58ca", "#7db1ff"),
    ("load", "#dbe4f0", "#2a3747"),
    ("good", "#1a6b33", "#6fd08c"),
    ("bad", "#b3261e", "#ff9189"),
    ("warn", "#8a5300", "#e8b65a"),
    ("busy", "#0a58ca", "#7db1ff"),
    ("idle", "#57606a", "#9aa4b0"),
    ("bar", "#b9cbe2", "#33506f"),
    ("bad-bar", "#f0b4af", "#6b2f2b"),
    ("warn-bar", "#efd29b", "#5f4719"),
    ("busy-bar", "#cfe0fa", "#1f3b63"),
    ("idle-bar", "#d5dae0", "#3a424c"),
];

/// A picture being written. Lengths are pixels.
pub struct Svg {
    xml: Writer<Vec<u8>>,
}

/// How a shape is painted; both name a colour.
#[derive(Clone, Copy, Debug)]
pub enum Paint {
    /// Its inside.
    Fill(&'static str),
    /// Its outline, with a width.
    Line(&'static str, f64),
    /// Its outline in dashes.
    Dashes(&'static str, f64),
}

/// Where a text goes.
#[derive(Clone, Copy, Debug)]
pub struct Label<'t> {
    /// Its left end.
    pub x: f64,
    /// Its base line.
    pub y: f64,
    /// The space that it has; more is cut.
    pub width: f64,
    /// Its colour.
    pub colour: &'static str,
    /// Whether it is bold.
    pub bold: bool,
    /// The text.
    pub text: &'t str,
}

impl Svg {
    /// Begins a picture of this size, with a title and a description for those who can't see it.
    pub fn new(width: f64, height: f64, title: &str, description: &str) -> Self {
        let mut svg = Self {
            xml: Writer::new(Vec::new()),
        };
        let (width, height) = (width.ceil(), height.ceil());
        svg.begin(
            "svg",
            &[
                ("xmlns", "http://www.w3.org/2000/svg"),
                ("version", "1.1"),
                ("width", &number(width)),
                ("height", &number(height)),
                ("viewBox", &format!("0 0 {width} {height}")),
                ("role", "img"),
                ("font-family", "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', 'Liberation Sans', Arial, sans-serif"),
                ("font-size", "11"),
            ],
        );
        svg.newline();
        svg.element("title", title);
        svg.element("desc", description);
        svg.write(Event::Start(BytesStart::new("style")));
        svg.write(Event::Text(BytesText::from_escaped(styles())));
        svg.write(Event::End(BytesEnd::new("style")));
        svg.newline();
        svg.rect(0.0, 0.0, width, height, Paint::Fill("ground"));
        svg
    }

    /// Begins a group whose tooltip is `title`.
    pub fn begin_group(&mut self, title: &str) {
        self.begin("g", &[]);
        self.element("title", &shortened(title, TITLE_MAX));
    }

    /// Ends the group.
    pub fn end_group(&mut self) {
        self.write(Event::End(BytesEnd::new("g")));
        self.newline();
    }

    /// A rectangle.
    pub fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, paint: Paint) {
        let place = [
            ("x", number(x)),
            ("y", number(y)),
            ("width", number(width)),
            ("height", number(height)),
        ];
        self.shape("rect", place, paint);
    }

    /// A path.
    pub fn path(&mut self, data: String, paint: Paint) {
        self.shape("path", [("d", data)], paint);
    }

    /// A text.
    pub fn label(&mut self, label: Label<'_>) {
        let text = fit(label.text, label.width);
        if text.is_empty() {
            return;
        }
        let mut tag = BytesStart::new("text");
        tag.push_attribute(("x", number(label.x).as_str()));
        tag.push_attribute(("y", number(label.y).as_str()));
        fill(&mut tag, "fill", label.colour);
        if label.bold {
            tag.push_attribute(("font-weight", "600"));
        }
        self.write(Event::Start(tag));
        self.write(Event::Text(BytesText::new(&text)));
        self.write(Event::End(BytesEnd::new("text")));
        self.newline();
    }

    /// The file.
    pub fn finish(mut self) -> Vec<u8> {
        self.write(Event::End(BytesEnd::new("svg")));
        self.newline();
        self.xml.into_inner()
    }

    fn shape<const N: usize>(&mut self, name: &str, place: [(&str, String); N], paint: Paint) {
        let mut tag = BytesStart::new(name);
        for (name, value) in &place {
            tag.push_attribute((*name, value.as_str()));
        }
        match paint {
            Paint::Fill(colour) => fill(&mut tag, "fill", colour),
            Paint::Line(colour, width) | Paint::Dashes(colour, width) => {
                tag.push_attribute(("fill", "none"));
                fill(&mut tag, "stroke", colour);
                tag.push_attribute(("stroke-width", number(width).as_str()));
            }
        }
        if let Paint::Dashes(..) = paint {
            tag.push_attribute(("stroke-dasharray", "4 3"));
        }
        self.write(Event::Empty(tag));
        self.newline();
    }

    fn begin(&mut self, name: &str, attributes: &[(&str, &str)]) {
        let mut tag = BytesStart::new(name);
        for attribute in attributes {
            tag.push_attribute(*attribute);
        }
        self.write(Event::Start(tag));
    }

    fn element(&mut self, name: &str, text: &str) {
        self.write(Event::Start(BytesStart::new(name)));
        self.write(Event::Text(BytesText::new(text)));
        self.write(Event::End(BytesEnd::new(name)));
        self.newline();
    }

    fn newline(&mut self) {
        self.write(Event::Text(BytesText::from_escaped("\n")));
    }

    fn write(&mut self, event: Event<'_>) {
        let written = self.xml.write_event(event);
        written.expect("memory can be written");
    }
}

/// The colour in light as an attribute, for readers without style sheets, and its class for dark.
fn fill(tag: &mut BytesStart<'_>, attribute: &str, class: &str) {
    let colour = COLOURS.iter().find(|(name, ..)| *name == class);
    let (_, light, _) = colour.expect("every class has a colour");
    let prefix = if attribute == "stroke" { "s-" } else { "" };
    tag.push_attribute((attribute, *light));
    tag.push_attribute(("class", format!("{prefix}{class}").as_str()));
}

/// One block for each class: office programs that know no `@media` skip up to the first `}}`, and with it the only rule.
fn styles() -> String {
    let rules = COLOURS.iter().map(|(class, _, dark)| {
        format!(
            "@media (prefers-color-scheme: dark) {{.{class} {{fill: {dark}}}}}\n@media (prefers-color-scheme: dark) {{.s-{class} {{stroke: {dark}}}}}\n"
        )
    });
    format!("\n{}", rules.collect::<String>())
}

/// A length with at most one digit after the point.
pub fn number(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    // No negative zero.
    format!("{}", rounded + 0.0)
}

/// `rate limited` for the name `rate_limited`.
pub fn words(name: impl Serialize) -> String {
    let json = serde_json::to_value(name).unwrap_or_default();
    json.as_str().unwrap_or_default().replace('_', " ")
}

/// `text` on one line, cut to `width` pixels.
pub fn fit(text: &str, width: f64) -> String {
    shortened(text, (width / CHAR_PX).max(0.0) as usize)
}

/// `text` on one line, cut to as many columns of a terminal; XML can't have what is replaced.
fn shortened(text: &str, columns: usize) -> String {
    let text: String = one_line(text)
        .chars()
        .map(|c| match c {
            '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
            c => c,
        })
        .collect();
    if text.width() <= columns {
        return text;
    }
    let (mut cut, mut used) = (String::new(), 1);
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > columns {
            break;
        }
        cut.push(c);
    }
    match cut.is_empty() {
        true => cut,
        false => cut + "…",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_data_and_fit() {
        let mut svg = Svg::new(10.0, 10.0, "a <b> & \"c\"", "");
        svg.begin_group("</title><script>x</script>\u{1b}[31m\u{202e}\u{ffff}");
        svg.label(Label {
            x: 0.0,
            y: 1.25,
            width: 100.0,
            colour: "text",
            bold: true,
            text: "]]><image href='x'/>\n\u{0}",
        });
        svg.end_group();
        let text = String::from_utf8(svg.finish()).expect("UTF-8");
        assert!(
            !text.contains("<script") && !text.contains("<image"),
            "{text}"
        );
        assert!(text.contains("a &lt;b&gt; &amp; "), "{text}");
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{ffff}', '\0']));
        let mut reader = quick_xml::Reader::from_str(&text);
        loop {
            match reader.read_event().expect("well-formed XML") {
                Event::Eof => break,
                Event::Text(text) => drop(
                    text.xml_content(quick_xml::XmlVersion::Implicit1_0)
                        .expect("no odd entities"),
                ),
                _ => {}
            }
        }
    }

    #[test]
    fn texts_are_cut_to_columns() {
        assert_eq!(fit("abcdef", CHAR_PX * 6.0), "abcdef");
        assert_eq!(fit("abcdef", CHAR_PX * 5.0), "abcd…");
        assert_eq!(fit("漢字漢字", CHAR_PX * 5.0), "漢字…");
        assert_eq!(fit("abc", 3.0), "");
        assert_eq!(number(-0.01), "0");
        assert_eq!(number(12.34), "12.3");
    }
}
