//! Which texts came out where.

use super::Text;
use super::corpus::texts;
use std::collections::BTreeSet;

/// Checks an output of one format, and gives its texts as a reader of the format gets them; an error says what is wrong.
pub type Check = fn(&[u8]) -> Result<Vec<String>, String>;

/// The inputs of one carrier, and what was found in each output.
#[derive(Default)]
pub struct Matrix {
    inputs: Vec<&'static str>,
    /// Output, and how many texts of each input are in it.
    found: Vec<(String, Vec<usize>)>,
}

impl Matrix {
    /// The texts for an input that is carried from now on.
    pub fn carry(&mut self, input: &'static str) -> Vec<Text> {
        assert!(!self.inputs.contains(&input), "{input} twice");
        self.inputs.push(input);
        texts(input)
    }

    /// Checks an output, and notes whose texts are in it.
    #[track_caller]
    pub fn look(&mut self, output: &str, check: Check, bytes: &[u8]) -> Vec<String> {
        let texts = check(bytes).unwrap_or_else(|wrong| panic!("{output}: {wrong}"));
        let mut marks = BTreeSet::new();
        for text in &texts {
            find_marks(text, &mut marks);
        }
        let count = |input: &&str| {
            let of_input = |mark: &&&str| mark.trim_end_matches(is_digit) == *input;
            marks.iter().filter(of_input).count()
        };
        let counts = self.inputs.iter().map(count).collect();
        self.found.push((output.to_owned(), counts));
        texts
    }

    /// What was found is as in `found/NAME.snap`.
    #[track_caller]
    pub fn assert_is_as_before(&self, name: &str) {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("found");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(name, self.table()));
    }

    /// A line for each output: the inputs that came out there, with all of their texts or with some. Outputs of a bounded size have
    /// some, since how many fit depends on paths and times.
    fn table(&self) -> String {
        let is_bounded = |output: &str| {
            ["terminal", "mcp", "inspect R --svg"]
                .iter()
                .any(|name| output.starts_with(name))
        };
        let line = |(output, counts): &(String, Vec<usize>)| {
            let found = self
                .inputs
                .iter()
                .zip(counts)
                .filter(|(_, count)| **count > 0);
            let found: Vec<String> = found
                .map(
                    |(input, count)| match *count >= ALL_MIN && !is_bounded(output) {
                        true => format!("{input} all"),
                        false => format!("{input} some"),
                    },
                )
                .collect();
            match found.is_empty() {
                true => format!("{output}: nothing"),
                false => format!("{output}: {}", found.join(", ")),
            }
        };
        self.found.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// So many texts are all that an input can have: some inputs take no U+0000, or only Unicode.
const ALL_MIN: usize = 70;

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// The marks in a text, without their two `Q`.
pub fn find_marks<'t>(text: &'t str, marks: &mut BTreeSet<&'t str>) {
    for part in text.split('Q') {
        let letters = part.trim_end_matches(is_digit);
        let is_mark = part.len() == letters.len() + 2
            && !letters.is_empty()
            && letters.bytes().all(|byte| byte.is_ascii_lowercase());
        if is_mark {
            marks.insert(part);
        }
    }
}

/// Every one of `whole` that is Unicode and came out is in `texts` as it was.
#[track_caller]
pub fn assert_whole(output: &str, whole: &[Text], texts: &[String]) {
    for text in whole {
        let Some(unicode) = text.unicode() else {
            continue;
        };
        let mut found = texts
            .iter()
            .filter(|read| read.contains(&text.mark))
            .peekable();
        let is_whole = found.peek().is_none() || found.any(|read| read.contains(unicode));
        assert!(is_whole, "{output}: {text:?} is not there as it was");
    }
}
