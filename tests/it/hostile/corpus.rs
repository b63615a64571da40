//! The texts, each with a word by which it is found in an output: a word of its own for each input that carries it.

use super::CANARY;
use serde::Deserialize;

/// A text of `corpus.json`: Unicode, or bytes before the word, or the inside of a JSON string.
#[derive(Deserialize)]
struct Entry {
    kind: String,
    name: String,
    text: Option<String>,
    hex: Option<String>,
    json: Option<String>,
}

/// A text on its way through one input.
#[derive(Clone, Debug)]
pub struct Text {
    /// `kind: name`, for messages.
    pub name: String,
    /// The word in it: `Qcell07Q`.
    pub mark: String,
    /// The text.
    pub form: Form,
}

/// What a text is made of.
#[derive(Clone, Debug)]
pub enum Form {
    /// Unicode.
    Unicode(String),
    /// Bytes that are not UTF-8.
    Bytes(Vec<u8>),
    /// The inside of a JSON string that no Unicode text stands for, or that has an escape of its own.
    Json(String),
}

/// Every text, marked for `input`.
pub fn texts(input: &str) -> Vec<Text> {
    let entries: Vec<Entry> =
        serde_json::from_str(include_str!("corpus.json")).expect("the corpus is JSON");
    let texts = entries.into_iter().enumerate();
    texts.map(|(at, entry)| entry.marked(input, at)).collect()
}

/// Those that are Unicode without U+0000, which no argument, variable or file of the system can have.
pub fn words(input: &str) -> Vec<(Text, String)> {
    let all = unicode(input).into_iter();
    all.filter(|(_, text)| !text.contains('\0')).collect()
}

/// Those that are Unicode.
pub fn unicode(input: &str) -> Vec<(Text, String)> {
    let texts = texts(input).into_iter();
    let text = |text: Text| match text.form.clone() {
        Form::Unicode(unicode) => Some((text, unicode)),
        _ => None,
    };
    texts.filter_map(text).collect()
}

impl Entry {
    fn marked(self, input: &str, at: usize) -> Text {
        assert!(input.bytes().all(|byte| byte.is_ascii_lowercase()));
        let mark = format!("Q{input}{at:02}Q");
        let long = "x".repeat(5000);
        let fill = |text: String| {
            let text = text.replace("MARK", &mark).replace("LONG", &long);
            text.replace("CANARY", CANARY)
        };
        let form = match (self.text, self.hex, self.json) {
            (Some(text), None, None) => Form::Unicode(fill(text)),
            (None, Some(hex), None) => {
                let digits = |pair: &[u8]| std::str::from_utf8(pair).expect("ASCII").to_owned();
                let pairs = hex.as_bytes().chunks(2).map(digits);
                let bytes = pairs.map(|pair| u8::from_str_radix(&pair, 16).expect("a byte"));
                Form::Bytes(bytes.chain(mark.bytes()).collect())
            }
            (None, None, Some(json)) => Form::Json(fill(json)),
            _ => panic!("{}: needs one of text, hex and json", self.name),
        };
        let name = format!("{}: {}", self.kind, self.name);
        Text { name, mark, form }
    }
}

impl Text {
    /// As bytes that a program prints.
    pub fn bytes(&self) -> Vec<u8> {
        match &self.form {
            Form::Unicode(text) | Form::Json(text) => text.clone().into_bytes(),
            Form::Bytes(bytes) => bytes.clone(),
        }
    }

    /// As a JSON string, byte for byte.
    pub fn json(&self) -> Vec<u8> {
        let quoted = |inside: &[u8]| [b"\"", inside, b"\""].concat();
        match &self.form {
            Form::Unicode(text) => serde_json::to_vec(text).expect("JSON"),
            Form::Bytes(bytes) => quoted(bytes),
            Form::Json(inside) => quoted(inside.as_bytes()),
        }
    }

    /// The Unicode text, if it is one.
    pub fn unicode(&self) -> Option<&str> {
        match &self.form {
            Form::Unicode(text) => Some(text),
            _ => None,
        }
    }
}

#[test]
fn every_text_has_a_name_and_a_word_of_its_own() {
    let all = texts("x");
    let names: std::collections::BTreeSet<&str> = all.iter().map(|text| &*text.name).collect();
    assert_eq!(names.len(), all.len());
    for text in &all {
        let bytes = text.bytes();
        let mark = text.mark.as_bytes();
        assert!(
            bytes.windows(mark.len()).any(|part| part == mark),
            "{text:?}"
        );
    }
    for kind in [
        "shell",
        "formula",
        "terminal",
        "direction",
        "invisible",
        "markup",
        "Markdown",
        "template",
        "YAML",
        "JSON",
        "Unicode",
        "prompt",
        "path",
    ] {
        let of_kind = all.iter().filter(|text| text.name.starts_with(kind));
        assert!(of_kind.count() >= 2, "{kind}");
    }
}
