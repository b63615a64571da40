//! Keeping secrets out of what is written and shown: what a worker said goes through a [`Redactor`] before anything keeps it.
//!
//! Two things are replaced by `[redacted:NAME]`: the values of variables that workers were handed and whose names look like
//! those of keys, and texts that have the shape of a well-known token. It knows nothing of jobs, files or variables; whoever
//! holds a redactor gives it the values. What is handed to a worker, and what the user gave, is never changed.
//!
//! Not found: values of fewer than six bytes, which would be found everywhere, and values in another coding, such as Base64.

use aho_corasick::AhoCorasick;
use regex::bytes::Regex;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// A shorter value is no secret, or one that would be found in every other word.
const VALUE_BYTES_MIN: usize = 6;

/// Texts are shortened at their end, and a few of them are put together to a message: so many are looked at.
const ELLIPSES_MAX: usize = 8;

/// Knows what must not be kept. The default one knows the shapes of tokens alone.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    values: Option<Values>,
}

/// The values of variables, in every form in which they may be written.
#[derive(Clone, Debug)]
struct Values {
    finder: AhoCorasick,
    /// By pattern of the finder.
    forms: Vec<Form>,
}

#[derive(Clone, Debug)]
struct Form {
    name: String,
    text: Vec<u8>,
}

/// A place in a text, and what stands there.
struct Span {
    begin: usize,
    end: usize,
    name: String,
    /// How much it says about the name: a value of a variable more than a shape, a long value more than a short one.
    weight: usize,
}

/// Where a text was cut before it came here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Its beginning is missing.
    pub head: bool,
    /// Its end is missing.
    pub tail: bool,
}

impl Redactor {
    /// One that also knows the values of variables, as `(name, value)`; those whose name does not look like that of a key
    /// are passed over.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut forms: Vec<Form> = Vec::new();
        for (name, value) in variables {
            if !names_a_key(&name) {
                continue;
            }
            for text in forms_of(&value) {
                if text.len() >= VALUE_BYTES_MIN && !forms.iter().any(|form| form.text == text) {
                    let name = name.clone();
                    forms.push(Form { name, text });
                }
            }
        }
        let patterns = forms.iter().map(|form| &form.text);
        // It fails only beyond four billion states; then there is nothing that could be found.
        let finder = AhoCorasick::new(patterns).ok();
        let finder = finder.filter(|_| !forms.is_empty());
        Self {
            values: finder.map(|finder| Values { finder, forms }),
        }
    }

    /// What a program printed, perhaps cut by who read it. The same bytes when there is nothing to hide.
    pub fn bytes<'t>(&self, text: &'t [u8], cut: Cut) -> Cow<'t, [u8]> {
        self.replaced(text, cut, &mut |_| {})
    }

    /// A text; one that was shortened has `…` where something is missing.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.text_noting(text, &mut |_| {})
    }

    /// Takes secrets out of an answer: out of its strings, its keys, and numbers that are a value. Gives the names of what
    /// was found.
    pub fn value(&self, value: &mut Value) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.walk(value, &mut |name| {
            found.insert(name.to_owned());
        });
        found
    }

    fn walk(&self, value: &mut Value, note: &mut dyn FnMut(&str)) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(clean) = self.text_noting(text, note) {
                    *text = clean;
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.walk(value, note)),
            Value::Object(fields) => {
                fields.values_mut().for_each(|value| self.walk(value, note));
                self.walk_keys(fields, note);
            }
            Value::Number(number) if self.values.is_some() => {
                let digits = number.to_string();
                if let Cow::Owned(clean) = self.text_noting(&digits, note) {
                    *value = Value::String(clean);
                }
            }
            Value::Number(_) | Value::Null | Value::Bool(_) => {}
        }
    }

    fn walk_keys(&self, fields: &mut Map<String, Value>, note: &mut dyn FnMut(&str)) {
        if fields
            .keys()
            .all(|key| matches!(self.text(key), Cow::Borrowed(_)))
        {
            return;
        }
        for (key, value) in std::mem::take(fields) {
            let clean = self.text_noting(&key, note).into_owned();
            let numbered = (2..).map(|number| format!("{clean}-{number}"));
            let mut names = std::iter::once(clean.clone()).chain(numbered);
            let free = names.find(|name| !fields.contains_key(name));
            fields.insert(free.unwrap_or(clean), value);
        }
    }

    fn text_noting<'t>(&self, text: &'t str, note: &mut dyn FnMut(&str)) -> Cow<'t, str> {
        match self.replaced(text.as_bytes(), Cut::default(), note) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // Whole characters were replaced, so this is UTF-8.
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    fn replaced<'t>(&self, text: &'t [u8], cut: Cut, note: &mut dyn FnMut(&str)) -> Cow<'t, [u8]> {
        let mut spans = shapes(text);
        if let Some(values) = &self.values {
            values.find(text, &mut spans);
            values.find_cut(text, cut, &mut spans);
        }
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut clean = Vec::with_capacity(text.len());
        let mut copied = 0;
        for span in merged(spans) {
            note(&span.name);
            clean.extend_from_slice(&text[copied..span.begin]);
            clean.extend_from_slice(marker(&span.name).as_bytes());
            copied = span.end;
        }
        clean.extend_from_slice(&text[copied..]);
        Cow::Owned(clean)
    }
}

/// What stands in place of a secret.
pub fn marker(name: &str) -> String {
    format!("[redacted:{name}]")
}

/// Spans that overlap as one, so that no part of either is left.
fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|span| (span.begin, span.end));
    let mut merged: Vec<Span> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.begin < last.end => {
                last.end = last.end.max(span.end);
                if span.weight > last.weight {
                    (last.name, last.weight) = (span.name, span.weight);
                }
            }
            _ => merged.push(span),
        }
    }
    merged
}

impl Values {
    fn find(&self, text: &[u8], spans: &mut Vec<Span>) {
        // Most texts hold none: the search for the first one is the fastest.
        let Some(first) = self.finder.find(text) else {
            return;
        };
        // An earlier begin can't be behind the first end.
        let before = first.start().saturating_sub(self.longest());
        for found in self.finder.find_overlapping_iter(&text[before..]) {
            let form = &self.forms[found.pattern().as_usize()];
            spans.push(form.span(before + found.start(), before + found.end()));
        }
    }

    /// Parts of values: where the text was cut, and before each `…`.
    fn find_cut(&self, text: &[u8], cut: Cut, spans: &mut Vec<Span>) {
        const ELLIPSIS: &[u8] = "…".as_bytes();
        let mut ends: Vec<usize> = Vec::new();
        if cut.tail {
            ends.push(text.len());
        }
        let marks = (0..text.len()).rev().filter(|at| text[*at] == ELLIPSIS[0]);
        let marks = marks.filter(|at| text[*at..].starts_with(ELLIPSIS));
        ends.extend(marks.take(ELLIPSES_MAX));
        for form in &self.forms {
            for end in &ends {
                if let Some(length) =
                    form.part(|length| text[..*end].ends_with(&form.text[..length]))
                {
                    spans.push(form.span(end - length, *end));
                }
            }
            let is_rest = |length: usize| text.starts_with(&form.text[form.text.len() - length..]);
            if cut.head
                && let Some(length) = form.part(is_rest)
            {
                spans.push(form.span(0, length));
            }
        }
    }

    fn longest(&self) -> usize {
        let lengths = self.forms.iter().map(|form| form.text.len());
        lengths.max().unwrap_or_default()
    }
}

impl Form {
    fn span(&self, begin: usize, end: usize) -> Span {
        Span {
            begin,
            end,
            name: self.name.clone(),
            weight: self.text.len(),
        }
    }

    /// The longest part of the text, not all of it, for which something holds.
    fn part(&self, holds: impl Fn(usize) -> bool) -> Option<usize> {
        (VALUE_BYTES_MIN..self.text.len())
            .rev()
            .find(|length| holds(*length))
    }
}

/// Whether a variable of this name holds a secret: one of its words says so. `MAX_TOKENS` and `GIT_AUTHOR_NAME` do not.
pub fn names_a_key(name: &str) -> bool {
    const WORDS: [&str; 28] = [
        "KEY",
        "KEYS",
        "APIKEYS",
        "TOKEN",
        "SECRET",
        "SECRETS",
        "PASSWORD",
        "PASSWORDS",
        "PASSWD",
        "PASSPHRASE",
        "PASS",
        "PWD",
        "PW",
        "CREDENTIAL",
        "CREDENTIALS",
        "CRED",
        "CREDS",
        "AUTH",
        "AUTHORIZATION",
        "OAUTH",
        "BEARER",
        "PAT",
        "JWT",
        "COOKIE",
        "PRIVATE",
        "DSN",
        "PIN",
        "OTP",
    ];
    const ENDS: [&str; 10] = [
        "KEY",
        "TOKEN",
        "SECRET",
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "CREDENTIAL",
        "CREDENTIALS",
        "AUTH",
        "BEARER",
    ];
    const BEGINS: [&str; 3] = ["SECRET", "PASSW", "CREDENTIAL"];
    let name = name.to_ascii_uppercase();
    if ["PWD", "OLDPWD"].contains(&name.as_str()) {
        return false;
    }
    let words: Vec<&str> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()))
        .collect();
    // No `TOKENS`: that is a number of them.
    words.iter().any(|word| {
        WORDS.contains(word)
            || ENDS.iter().any(|end| word.ends_with(end))
            || BEGINS.iter().any(|begin| word.starts_with(begin))
    })
}

/// A value as it stands, and as programs write it into JSON (also into JSON within JSON) and into addresses.
fn forms_of(value: &str) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for plain in [value, value.trim()] {
        let escaped = escaped(plain, Escape::Least);
        forms.push(plain.to_owned());
        forms.push(self::escaped(&escaped, Escape::Least));
        forms.push(escaped.replace('/', "\\/"));
        forms.push(escaped);
        for how in [Escape::Ascii, Escape::Html, Escape::All] {
            let escaped = self::escaped(plain, how);
            forms.push(upper_hex(&escaped));
            forms.push(escaped);
        }
        forms.push(percent(plain));
    }
    forms.into_iter().map(String::into_bytes).collect()
}

#[derive(Clone, Copy)]
enum Escape {
    /// What JSON asks for.
    Least,
    /// Also everything beyond ASCII.
    Ascii,
    /// Also what HTML takes for markup.
    Html,
    /// Every character.
    All,
}

fn escaped(text: &str, how: Escape) -> String {
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

/// The same with capital letters in `\u00e9`.
fn upper_hex(escaped: &str) -> String {
    let mut parts = escaped.split("\\u");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (digits, rest) = part.split_at_checked(4).unwrap_or((part, ""));
        format!("{text}\\u{}{rest}", digits.to_ascii_uppercase())
    })
}

fn percent(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let bytes = text.bytes().map(|byte| match is_plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    bytes.collect()
}

/// How well-known tokens begin, after how they are called.
const SHAPES: [(&str, &[&str]); 16] = [
    ("anthropic-key", &["sk-ant-"]),
    ("sk-key", &["sk-"]),
    ("stripe-key", &["sk_", "rk_"]),
    (
        "github-token",
        &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
    ),
    ("aws-key", &["AKIA", "ASIA"]),
    ("slack-token", &["xox"]),
    ("google-key", &["AIza"]),
    ("google-token", &["ya29."]),
    ("gitlab-token", &["glpat-"]),
    ("npm-token", &["npm_"]),
    ("pypi-token", &["pypi-"]),
    ("hugging-face-token", &["hf_"]),
    ("sendgrid-key", &["SG."]),
    ("age-key", &["AGE-SECRET-KEY-"]),
    ("jwt", &["eyJ"]),
    ("private-key", &[PEM]),
];

const PEM: &str = "-----BEGIN ";

/// What begins with a short, common word must not be part of another one (`risk-…`); it may stand behind `\n` in JSON.
static SHAPE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let alone = r"(?:\\[nrtbf]|_|\b)(?:sk-[A-Za-z0-9_-]{16,}|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|A[KS]IA[0-9A-Z]{16}\b|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{36})";
    let anywhere = r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|xox[abceoprs]-[A-Za-z0-9-]{10,}|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}|glpat-[A-Za-z0-9_-]{16,}|pypi-AgE[A-Za-z0-9_-]{16,}|AGE-SECRET-KEY-1[A-Z0-9]{20,}|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}|-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----";
    // A constant, which a test compiles.
    Regex::new(&format!("(?-u:{alone}|{anywhere})")).ok()
});

fn shapes(text: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    let found = SHAPE.iter().flat_map(|shape| shape.find_iter(text));
    for found in found {
        let behind = match found.as_bytes() {
            [b'\\', ..] => 2,
            [b'_', ..] => 1,
            _ => 0,
        };
        let (begin, token) = (found.start() + behind, &found.as_bytes()[behind..]);
        let begins = |prefix: &&str| token.starts_with(prefix.as_bytes());
        let known = SHAPES
            .iter()
            .find(|(_, prefixes)| prefixes.iter().any(begins));
        let Some((name, _)) = known else { continue };
        // `sk-learn-compatible-estimators` is a name.
        if *name == "sk-key" && !token.iter().any(u8::is_ascii_digit) {
            continue;
        }
        let end = match *name {
            "private-key" => end_of_pem(text, found.end()),
            _ => found.end(),
        };
        spans.push(Span {
            begin,
            end,
            name: (*name).to_owned(),
            weight: 0,
        });
    }
    spans
}

/// Where a private key ends whose first line ends at `begin`: behind its last line, or where that is missing, behind what
/// can be a part of it.
fn end_of_pem(text: &[u8], begin: usize) -> usize {
    const DASHES: &[u8] = b"-----";
    let rest = &text[begin..];
    let find = |text: &[u8], from: usize| {
        let at = text[from..]
            .windows(DASHES.len())
            .position(|five| five == DASHES)?;
        Some(from + at)
    };
    let last_line = find(rest, 0).filter(|at| rest[*at..].starts_with(b"-----END "));
    match last_line.and_then(|at| find(rest, at + DASHES.len())) {
        Some(end) => begin + end + DASHES.len(),
        None => {
            let is_part =
                |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=\\ \r\n\t".contains(byte);
            begin + rest.iter().take_while(|byte| is_part(byte)).count()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn redactor(variables: &[(&str, &str)]) -> Redactor {
        let pairs = variables.iter();
        Redactor::new(pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    fn said(redactor: &Redactor, text: &str) -> String {
        redactor.text(text).into_owned()
    }

    #[test]
    fn a_name_says_whether_its_value_is_a_secret() {
        for name in [
            "API_KEY",
            "apiKey",
            "OPENAI_APIKEY",
            "GITHUB_TOKEN",
            "token",
            "TOKEN2",
            "PGPASSWORD",
            "DB_PASS",
            "MYSQL_PWD",
            "AWS_SECRET_ACCESS_KEY",
            "SECRETVALUE",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "NPM_AUTH",
            "X-Authorization",
        ] {
            assert!(names_a_key(name), "{name}");
        }
        for name in [
            "PATH",
            "HOME",
            "GIT_AUTHOR_NAME",
            "MAX_TOKENS",
            "PWD",
            "OLDPWD",
            "KEYBOARD",
            "PATTERN",
            "BYPASS_ALL",
        ] {
            assert!(!names_a_key(name), "{name}");
        }
    }

    #[test]
    fn values_of_keys_are_replaced_and_others_are_not() {
        let both = redactor(&[
            ("API_KEY", "hunter22"),
            ("CITY", "Amsterdam"),
            ("PIN", "12345"),
        ]);
        assert_eq!(
            said(&both, "hunter22 in Amsterdam: 12345, xhunter22x"),
            "[redacted:API_KEY] in Amsterdam: 12345, x[redacted:API_KEY]x"
        );
        let clean = both.text("nothing here");
        assert!(matches!(clean, Cow::Borrowed(_)), "nothing is copied");
    }

    #[test]
    fn values_within_values_and_beside_them_leave_nothing() {
        let nested = redactor(&[
            ("A_KEY", "abcdef"),
            ("B_KEY", "abcdef-long"),
            ("C_KEY", "longer-one"),
        ]);
        assert_eq!(
            said(&nested, "abcdef abcdef-long"),
            "[redacted:A_KEY] [redacted:B_KEY]"
        );
        assert_eq!(said(&nested, "<abcdef-longer-one>"), "<[redacted:B_KEY]>");
        let shaped = redactor(&[("GH_TOKEN", "ghp_0123456789abcdefghij0123456789abcdef")]);
        assert_eq!(
            said(&shaped, "ghp_0123456789abcdefghij0123456789abcdef"),
            "[redacted:GH_TOKEN]"
        );
    }

    #[test]
    fn values_are_found_however_json_writes_them() {
        let value = "pa\"ss\\w/\u{e9}<\n1";
        let odd = redactor(&[("PASSWORD", value)]);
        let json = json!({ "a": value }).to_string();
        for text in [
            json.clone(),
            json!({ "a": json }).to_string(),
            json.replace('/', "\\/"),
            "pa\\\"ss\\\\w/\\u00e9<\\n1".to_owned(),
            "pa\\\"ss\\\\w/\\u00E9<\\n1".to_owned(),
            escaped(value, Escape::All),
            "x=pa%22ss%5Cw%2F%C3%A9%3C%0A1".to_owned(),
        ] {
            let clean = said(&odd, &text);
            assert!(
                clean.contains("[redacted:PASSWORD]") && !clean.contains("ss"),
                "{text} -> {clean}"
            );
        }
        let clean = said(&odd, &json);
        assert_eq!(
            serde_json::from_str::<Value>(&clean).expect("JSON"),
            json!({"a": "[redacted:PASSWORD]"})
        );
    }

    #[test]
    fn answers_stay_json_with_every_field() {
        let key = redactor(&[("API_KEY", "hunter22"), ("PIN", "123456")]);
        let mut value = json!({"hunter22": 123456, "xhunter22": ["is hunter22", 1.5, null], "[redacted:API_KEY]": true});
        let found = key.value(&mut value);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["API_KEY", "PIN"]);
        assert_eq!(
            value.to_string(),
            r#"{"[redacted:API_KEY]":"[redacted:PIN]","x[redacted:API_KEY]":["is [redacted:API_KEY]",1.5,null],"[redacted:API_KEY]-2":true}"#
        );
    }

    #[test]
    fn a_value_that_was_cut_is_still_one() {
        let key = redactor(&[("API_KEY", "0123456789")]);
        assert_eq!(said(&key, "it was 0123456…"), "it was [redacted:API_KEY]…");
        assert_eq!(said(&key, "it was 01234…"), "it was 01234…");
        let cut = |text: &str, head, tail| {
            String::from_utf8(key.bytes(text.as_bytes(), Cut { head, tail }).into_owned())
                .expect("text")
        };
        assert_eq!(
            cut("456789 and 012345", true, true),
            "[redacted:API_KEY] and [redacted:API_KEY]"
        );
        assert_eq!(cut("456789 and 012345", false, false), "456789 and 012345");
    }

    #[test]
    fn the_shapes_of_tokens_are_known() {
        let none = Redactor::default();
        let long = "0123456789abcdefABCDEF0123456789abcdef";
        for (text, name) in [
            (format!("sk-ant-api03-{long}"), "anthropic-key"),
            (format!("sk-proj-{long}"), "sk-key"),
            (format!("sk_live_{long}"), "stripe-key"),
            (format!("ghp_{long}"), "github-token"),
            (format!("gho_{long}"), "github-token"),
            (format!("github_pat_11AA_{long}"), "github-token"),
            ("AKIAIOSFODNN7EXAMPLE".to_owned(), "aws-key"),
            (format!("xoxb-12-{long}"), "slack-token"),
            (format!("AIza{long}"), "google-key"),
            (format!("glpat-{long}"), "gitlab-token"),
            (
                format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{long}"),
                "jwt",
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----"
                    .to_owned(),
                "private-key",
            ),
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----\\nb3Blbn\\n-----END OPENSSH PRIVATE KEY-----"
                    .to_owned(),
                "private-key",
            ),
            (
                "-----BEGIN PRIVATE KEY-----\nMIIEabc".to_owned(),
                "private-key",
            ),
        ] {
            assert_eq!(said(&none, &text), marker(name), "{text}");
            let within = format!("{{\"a\":\"x\\n{text}\"}}");
            assert_eq!(
                said(&none, &within),
                format!("{{\"a\":\"x\\n{}\"}}", marker(name))
            );
        }
        for text in [
            "a risk-assessment-of-2025-and-later-years",
            "sk-learn-compatible-estimators-are-fine",
            "AKIA and sk- and ghp_",
            "xAKIAIOSFODNN7EXAMPLE",
            "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----",
            "eyJhbGciOiJ.only.two",
        ] {
            assert_eq!(said(&none, text), text);
        }
    }

    #[test]
    fn a_flood_of_beginnings_is_no_trouble() {
        let text = "-----BEGIN PRIVATE KEY-----".repeat(20_000);
        let clean = said(&Redactor::default(), &text);
        assert!(!clean.contains("BEGIN"));
    }
}
