//! Long texts, cut to what a page can hold.

/// How much of each text a page has.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a prompt, an answer, a cell or a patch.
    pub text: usize,
    /// Bytes of the end of a log.
    pub log: u64,
}

impl Limits {
    /// The limits of a page with this many rows: a page of 10,000 rows stays below some 30 MB.
    pub fn of(rows: u64) -> Self {
        match rows {
            0..=500 => Self {
                text: 64 * 1024,
                log: 8 * 1024,
            },
            501..=2000 => Self {
                text: 8 * 1024,
                log: 2 * 1024,
            },
            _ => Self {
                text: 1024,
                log: 512,
            },
        }
    }
}

/// The beginning of a text, and whether that is not all of it.
pub fn cut(text: &str, bytes: usize) -> (String, bool) {
    if text.len() <= bytes {
        return (text.to_owned(), false);
    }
    let end = (0..=bytes).rev().find(|end| text.is_char_boundary(*end));
    (format!("{}…", &text[..end.unwrap_or(0)]), true)
}
