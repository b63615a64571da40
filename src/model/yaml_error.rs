//! What the YAML parser says of a text, with a place that is in it.

/// Line and column, from 1. What is missing at the end, such as a closing bracket, is missed behind the last character; the parser names
/// the line after it.
pub fn place(error: &serde_yaml::Error, text: &str) -> Option<(usize, usize)> {
    let at = error.location()?.index();
    let mut end = at.min(text.trim_end().len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = &text[..end];
    let line = before.rfind('\n').map_or(0, |at| at + 1);
    let lines = before.bytes().filter(|byte| *byte == b'\n').count();
    Some((lines + 1, before[line..].chars().count() + 1))
}

/// The message without its place. A bracket or quote that is not closed is named with its line, because it can be far above;
/// `first_line` is the line of the text in its file.
pub fn message(error: &serde_yaml::Error, first_line: usize) -> String {
    let text = error.to_string();
    let Some(place) = error.location() else {
        return text;
    };
    let position = format!(" at line {} column {}", place.line(), place.column());
    let (message, context) = text.split_once(&position).unwrap_or((&text, ""));
    let opening = context.split_once(" at line ").and_then(|(doing, place)| {
        let (line, _) = place.split_once(' ')?;
        Some((doing, line.parse::<usize>().ok()?))
    });
    match opening {
        Some((doing, line)) => format!("{message}{doing} from line {}", first_line + line - 1),
        None => format!("{message}{context}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_in_the_text_and_the_message_has_none() {
        for (text, at, said) in [
            (
                "a: b\nc: [d\n",
                (2, 6),
                "did not find expected ',' or ']', while parsing a flow sequence from line 2",
            ),
            (
                "a: {\n\n\n",
                (1, 5),
                "did not find expected node content, while parsing a flow node",
            ),
            (
                "é: \"b",
                (1, 6),
                "found unexpected end of stream, while scanning a quoted scalar from line 1",
            ),
            (
                "a: b\n  c: d\n",
                (2, 4),
                "mapping values are not allowed in this context",
            ),
        ] {
            let error = serde_yaml::from_str::<serde_yaml::Value>(text).expect_err(text);
            assert_eq!(place(&error, text), Some(at), "{text}");
            assert_eq!(message(&error, 1), said, "{text}");
        }
    }
}
