//! The formats of well-known tokens: their prefixes and a regular expression for each; and the places where any text is a
//! secret.

use super::span::Span;
use regex::bytes::Regex;
use std::sync::LazyLock;

/// The name of each kind of token, and its prefixes.
const PREFIXES: [(&str, &[&str]); 18] = [
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
    ("groq-key", &["gsk_"]),
    ("xai-key", &["xai-"]),
    ("age-key", &["AGE-SECRET-KEY-"]),
    ("jwt", &["eyJ"]),
    ("private-key", &[PEM]),
];

const PEM: &str = "-----BEGIN ";

/// A token with a short, common prefix must begin a word, so that `risk-…` is none; in JSON it may follow `\n`.
static TOKEN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let alone = r"(?:\\[nrtbf]|_|\b)(?:sk-[A-Za-z0-9_-]{16,}|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|A[KS]IA[0-9A-Z]{16}\b|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{36}|gsk_[A-Za-z0-9]{20,}|xai-[A-Za-z0-9]{20,})";
    let anywhere = r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|xox[abceoprs]-[A-Za-z0-9-]{10,}|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}|glpat-[A-Za-z0-9_-]{16,}|pypi-AgE[A-Za-z0-9_-]{16,}|AGE-SECRET-KEY-1[A-Z0-9]{20,}|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}|-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----";
    // Always compiles: the pattern is constant, and a test uses it.
    Regex::new(&format!("(?-u:{alone}|{anywhere})")).ok()
});

/// Places where any text is a secret, which is the group: `Authorization: Bearer …`, `aws_secret_access_key=…`,
/// `https://user:…@host`. Names of variables and placeholders in brackets do not match.
static PLACES: LazyLock<Vec<(&'static str, Regex)>> = LazyLock::new(|| {
    let quote = r#"(?:\\*["'])?"#;
    let places = [
        (
            "authorization",
            format!(
                r"(?i-u)\bauthorization{quote}\s*[:=]\s*{quote}(?:bearer|basic|token)\s+([a-z0-9._~+/=-]{{8,}})"
            ),
        ),
        (
            "aws-secret-key",
            format!(
                r"(?i-u)aws_?(?:secret_?access_?key|session_?token){quote}\s*[:=]\s*{quote}([a-z0-9/+=]{{20,}})"
            ),
        ),
        (
            "url-password",
            r#"(?i-u)\b(?:https?|git|ssh|ftps?)://[^\s/:@"'<>\\]{0,200}:([^\s/@"'<>{}$*\\]{1,200})@[a-z0-9\[]"#.to_owned(),
        ),
    ];
    // Always compile: the patterns are constant, and a test uses them.
    let compiled = places.map(|(name, pattern)| Some((name, Regex::new(&pattern).ok()?)));
    compiled.into_iter().flatten().collect()
});

/// The secrets that are known by their place.
fn find_by_place(text: &[u8], spans: &mut Vec<Span>) {
    for (name, place) in PLACES.iter() {
        let secrets = place.captures_iter(text).filter_map(|found| found.get(1));
        // `Bearer your-token-here` and `Bearer API_TOKEN` are examples.
        let is_example = |secret: &[u8]| {
            let is_word = |letter: fn(&u8) -> bool| {
                let mut bytes = secret.iter();
                bytes.all(|byte| letter(byte) || b"-_.".contains(byte))
            };
            *name == "authorization"
                && (is_word(u8::is_ascii_lowercase) || is_word(u8::is_ascii_uppercase))
        };
        let secrets = secrets.filter(|secret| !is_example(secret.as_bytes()));
        spans.extend(secrets.map(|secret| Span {
            begin: secret.start(),
            end: secret.end(),
            name: (*name).to_owned(),
            weight: 0,
        }));
    }
}

/// The secrets in `text` that are known without their value.
pub(super) fn find_tokens(text: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    find_by_place(text, &mut spans);
    let found = TOKEN.iter().flat_map(|token| token.find_iter(text));
    for found in found {
        let skipped = match found.as_bytes() {
            [b'\\', ..] => 2,
            [b'_', ..] => 1,
            _ => 0,
        };
        let (begin, token) = (found.start() + skipped, &found.as_bytes()[skipped..]);
        let begins = |prefix: &&str| token.starts_with(prefix.as_bytes());
        let known = PREFIXES
            .iter()
            .find(|(_, prefixes)| prefixes.iter().any(begins));
        let Some((name, _)) = known else { continue };
        // `sk-learn-compatible-estimators` is an ordinary name.
        if *name == "sk-key" && !token.iter().any(u8::is_ascii_digit) {
            continue;
        }
        let end = match *name {
            "private-key" => find_pem_end(text, found.end()),
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

/// The end of a private key whose first line ends at `begin`: the end of its `-----END` line, or without one, of the bytes
/// that can belong to a key.
fn find_pem_end(text: &[u8], begin: usize) -> usize {
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
