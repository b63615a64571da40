//! The spellings of a value in JSON and in URLs.

use serde_json::Value;

/// A value as it is, in JSON (also in JSON within JSON), and in URLs.
pub(super) fn spell_value(value: &str) -> Vec<Vec<u8>> {
    let mut spellings = Vec::new();
    for plain in [value, value.trim()] {
        let escaped = escape(plain, Escape::Least);
        spellings.push(plain.to_owned());
        spellings.push(escape(&escaped, Escape::Least));
        spellings.push(escaped.replace('/', "\\/"));
        spellings.push(escaped);
        for how in [Escape::Ascii, Escape::Html, Escape::All] {
            let escaped = escape(plain, how);
            spellings.push(upper_case_escapes(&escaped));
            spellings.push(escaped);
        }
        spellings.push(percent_encode(plain));
    }
    spellings.into_iter().map(String::into_bytes).collect()
}

#[derive(Clone, Copy)]
pub(super) enum Escape {
    /// Only what JSON requires.
    Least,
    /// Also all characters outside ASCII.
    Ascii,
    /// Also the markup characters of HTML.
    Html,
    /// Every character.
    All,
}

pub(super) fn escape(text: &str, how: Escape) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        let by_number = match how {
            Escape::Least => false,
            Escape::Ascii => !c.is_ascii(),
            Escape::Html => "<>&'".contains(c),
            Escape::All => true,
        };
        if by_number {
            for unit in c.encode_utf16(&mut [0; 2]) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            let quoted = Value::from(c.to_string()).to_string();
            escaped.push_str(&quoted[1..quoted.len() - 1]);
        }
    }
    escaped
}

/// The same with upper-case digits in escapes such as `\u00e9`.
fn upper_case_escapes(escaped: &str) -> String {
    let mut parts = escaped.split("\\u");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (digits, rest) = part.split_at_checked(4).unwrap_or((part, ""));
        format!("{text}\\u{}{rest}", digits.to_ascii_uppercase())
    })
}

fn percent_encode(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let bytes = text.bytes().map(|byte| match is_plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    bytes.collect()
}
