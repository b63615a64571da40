//! How two lines differ, and whether a reader would see it.

use unicode_normalization::UnicodeNormalization;

/// The kind of difference between two lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// The texts are the same.
    Nothing,
    /// Only white space.
    WhiteSpace,
    /// Only characters that look alike; with the first pair.
    LookAlike(char, char),
    /// Visible text.
    Text,
}

impl Difference {
    pub fn between(ours: &[u8], theirs: &[u8]) -> Self {
        let without_space = |text: &[u8]| -> Vec<u8> {
            let text = text.iter().copied();
            text.filter(|byte| !byte.is_ascii_whitespace() && *byte != 0x0b)
                .collect()
        };
        if ours == theirs {
            return Difference::Nothing;
        }
        if without_space(ours) == without_space(theirs) {
            return Difference::WhiteSpace;
        }
        if skeleton(ours) != skeleton(theirs) {
            return Difference::Text;
        }
        let (ours, theirs) = (
            String::from_utf8_lossy(ours),
            String::from_utf8_lossy(theirs),
        );
        let is_told = |(ours, theirs): &(char, char)| {
            ours != theirs && !(ours.is_ascii() && theirs.is_ascii())
        };
        match ours.chars().zip(theirs.chars()).find(is_told) {
            Some((ours, theirs)) => Difference::LookAlike(ours, theirs),
            None => Difference::Text,
        }
    }
}

/// What a reader sees of a line: without white space, and with characters replaced by the ASCII ones that look like them.
pub(crate) fn skeleton(text: &[u8]) -> String {
    if text.is_ascii() {
        let text = text.iter().filter(|byte| !byte.is_ascii_whitespace());
        return text.map(|byte| plain(char::from(*byte))).collect();
    }
    let text = String::from_utf8_lossy(text);
    let seen = text
        .nfkc()
        .filter(|c| !c.is_whitespace() && !super::likeness::is_invisible(*c));
    seen.map(plain).collect()
}

/// The ASCII character that `c` looks like.
fn plain(c: char) -> char {
    match c {
        '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}' | '\u{2032}' | '\u{b4}' | '\u{2bc}' => {
            '\''
        }
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{201f}' | '\u{2033}' | '\u{ab}' | '\u{bb}' => '"',
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2043}' | '\u{fe58}' => '-',
        '\u{2044}' | '\u{2215}' => '/',
        '\u{2217}' | '\u{d7}' | '\u{204e}' => '*',
        '\u{2236}' | '\u{a789}' => ':',
        '\u{37e}' => ';',
        'а' | 'ɑ' | 'α' => 'a',
        'А' | 'Α' => 'A',
        'В' | 'Β' => 'B',
        'с' | 'ϲ' => 'c',
        'С' | 'Ϲ' => 'C',
        'ԁ' => 'd',
        'е' => 'e',
        'Е' | 'Ε' => 'E',
        'һ' => 'h',
        'Н' | 'Η' => 'H',
        'і' | 'ı' | 'ι' => 'i',
        'І' | 'Ι' => 'I',
        'ј' => 'j',
        'Ј' => 'J',
        'К' | 'Κ' => 'K',
        'М' | 'Μ' => 'M',
        'Ν' => 'N',
        'о' | 'ο' => 'o',
        'О' | 'Ο' => 'O',
        'р' | 'ρ' => 'p',
        'Р' | 'Ρ' => 'P',
        'ѕ' => 's',
        'Ѕ' => 'S',
        'Т' | 'Τ' => 'T',
        'ν' | 'ѵ' => 'v',
        'х' | 'χ' => 'x',
        'Х' | 'Χ' => 'X',
        'у' | 'γ' => 'y',
        'У' | 'Υ' => 'Y',
        'Ζ' => 'Z',
        other => other,
    }
}

/// Whether `c` is invisible or changes the direction of text.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_difference() {
        for (ours, theirs, difference) in [
            ("a b", "a b", Difference::Nothing),
            ("\ta", "    a", Difference::WhiteSpace),
            ("a(b)", "a( b ) ", Difference::WhiteSpace),
            ("it’s", "it's", Difference::LookAlike('’', '\'')),
            ("a – b", "a - b", Difference::LookAlike('–', '-')),
            ("pаss", "pass", Difference::LookAlike('а', 'a')),
            ("a\u{a0}b", "a b", Difference::LookAlike('\u{a0}', ' ')),
            ("a", "b", Difference::Text),
        ] {
            let found = Difference::between(ours.as_bytes(), theirs.as_bytes());
            assert_eq!(found, difference, "{ours} {theirs}");
        }
    }
}
