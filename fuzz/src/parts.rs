//! An input of several parts.

use std::borrow::Cow;

/// The parts between the bytes 0xFF; missing ones are empty.
pub fn split<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut parts = data.splitn(N, |byte| *byte == 0xFF);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// A part as text.
pub fn text(part: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(part)
}

/// The number of lines that an editor would show, at least 1.
pub fn lines(text: &str) -> usize {
    text.split('\n').count()
}
