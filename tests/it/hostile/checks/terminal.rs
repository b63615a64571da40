//! What is printed, for a person to read.

/// Whether a terminal acts on a character instead of showing it, or shows others in another order.
fn acts(c: char) -> bool {
    let is_direction = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_separator = matches!(c, '\u{2028}' | '\u{2029}');
    (c.is_control() && c != '\n' && c != '\t') || is_direction || is_separator
}

/// Text without a character that a terminal acts on, but tabs and line ends.
pub fn terminal_is_tame(bytes: &[u8]) -> Result<Vec<String>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    match text.char_indices().find(|(_, c)| acts(*c)) {
        None => Ok(vec![text.to_owned()]),
        Some((at, c)) => {
            let begin = text[..at]
                .char_indices()
                .rev()
                .nth(60)
                .map_or(0, |(at, _)| at);
            Err(format!("{c:?} after {:?}", &text[begin..at]))
        }
    }
}

/// The same for a terminal that shows colours and a bar: our colours, and what a bar is drawn with, may be there.
pub fn printed_on_a_terminal_is_tame(bytes: &[u8]) -> Result<Vec<String>, String> {
    /// Colours; erase the line or what follows; to the first line or column; up a line; show or hide the cursor.
    const OURS: [&str; 10] = [
        "\x1b[0m",
        "\x1b[1;31m",
        "\x1b[32m",
        "\x1b[1;36m",
        "\x1b[2K",
        "\x1b[1A",
        "\x1b[H\x1b[J",
        "\x1b[?25l",
        "\x1b[?25h",
        "\x1b[J",
    ];
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let mut text = text.replace("\r\n", "\n");
    for sequence in OURS {
        // A carriage return begins a bar again, and so stands before one of these.
        text = text
            .replace(&format!("\r{sequence}"), "\n")
            .replace(sequence, "");
    }
    terminal_is_tame(text.trim_start_matches('\r').as_bytes())
}
