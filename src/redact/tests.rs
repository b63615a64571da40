use super::escaping::{Escape, escape};
use super::variable_names::is_secret_name;
use super::*;
use serde_json::{Value, json};
use std::borrow::Cow;

fn redactor(variables: &[(&str, &str)]) -> Redactor {
    let pairs = variables.iter();
    Redactor::new(pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn redacted(redactor: &Redactor, text: &str) -> String {
    redactor.redact_text(text).into_owned()
}

#[test]
fn secret_names_are_recognised() {
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
        assert!(is_secret_name(name), "{name}");
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
        assert!(!is_secret_name(name), "{name}");
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
        redacted(&both, "hunter22 in Amsterdam: 12345, xhunter22x"),
        "[redacted:API_KEY] in Amsterdam: 12345, x[redacted:API_KEY]x"
    );
    let clean = both.redact_text("nothing here");
    assert!(matches!(clean, Cow::Borrowed(_)), "nothing is copied");
}

#[test]
fn nested_and_overlapping_values_leave_no_part() {
    let nested = redactor(&[
        ("A_KEY", "abcdef"),
        ("B_KEY", "abcdef-long"),
        ("C_KEY", "longer-one"),
    ]);
    assert_eq!(
        redacted(&nested, "abcdef abcdef-long"),
        "[redacted:A_KEY] [redacted:B_KEY]"
    );
    assert_eq!(
        redacted(&nested, "<abcdef-longer-one>"),
        "<[redacted:B_KEY]>"
    );
    let shaped = redactor(&[("GH_TOKEN", "ghp_0123456789abcdefghij0123456789abcdef")]);
    assert_eq!(
        redacted(&shaped, "ghp_0123456789abcdefghij0123456789abcdef"),
        "[redacted:GH_TOKEN]"
    );
}

#[test]
fn values_are_found_in_every_json_spelling() {
    let value = "pa\"ss\\w/\u{e9}<\n1";
    let odd = redactor(&[("PASSWORD", value)]);
    let json = json!({ "a": value }).to_string();
    for text in [
        json.clone(),
        json!({ "a": json }).to_string(),
        json.replace('/', "\\/"),
        "pa\\\"ss\\\\w/\\u00e9<\\n1".to_owned(),
        "pa\\\"ss\\\\w/\\u00E9<\\n1".to_owned(),
        escape(value, Escape::All),
        "x=pa%22ss%5Cw%2F%C3%A9%3C%0A1".to_owned(),
    ] {
        let clean = redacted(&odd, &text);
        assert!(
            clean.contains("[redacted:PASSWORD]") && !clean.contains("ss"),
            "{text} -> {clean}"
        );
    }
    let clean = redacted(&odd, &json);
    assert_eq!(
        serde_json::from_str::<Value>(&clean).expect("JSON"),
        json!({"a": "[redacted:PASSWORD]"})
    );
}

#[test]
fn a_redacted_answer_keeps_all_its_fields() {
    let key = redactor(&[("API_KEY", "hunter22"), ("PIN", "123456")]);
    let mut value = json!({"hunter22": 123456, "xhunter22": ["is hunter22", 1.5, null], "[redacted:API_KEY]": true});
    let found = key.redact_json(&mut value);
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["API_KEY", "PIN"]);
    assert_eq!(
        value.to_string(),
        r#"{"[redacted:API_KEY]":"[redacted:PIN]","x[redacted:API_KEY]":["is [redacted:API_KEY]",1.5,null],"[redacted:API_KEY]-2":true}"#
    );
}

#[test]
fn a_cut_value_is_redacted() {
    let key = redactor(&[("API_KEY", "0123456789")]);
    assert_eq!(
        redacted(&key, "it was 0123456…"),
        "it was [redacted:API_KEY]…"
    );
    assert_eq!(redacted(&key, "it was 01234…"), "it was 01234…");
    let cut = |text: &str, head, tail| {
        String::from_utf8(
            key.redact_bytes(text.as_bytes(), Cut { head, tail })
                .into_owned(),
        )
        .expect("text")
    };
    assert_eq!(
        cut("456789 and 012345", true, true),
        "[redacted:API_KEY] and [redacted:API_KEY]"
    );
    assert_eq!(cut("456789 and 012345", false, false), "456789 and 012345");
}

#[test]
fn well_known_tokens_are_redacted() {
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
        (format!("gsk_{long}"), "groq-key"),
        (format!("xai-{long}"), "xai-key"),
        (
            format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{long}"),
            "jwt",
        ),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----".to_owned(),
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
        assert_eq!(redacted(&none, &text), marker(name), "{text}");
        let within = format!("{{\"a\":\"x\\n{text}\"}}");
        assert_eq!(
            redacted(&none, &within),
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
        assert_eq!(redacted(&none, text), text);
    }
}

#[test]
fn secrets_are_known_by_their_place() {
    let none = Redactor::default();
    for (text, clean) in [
        (
            "Authorization: Bearer abc.def-1234",
            "Authorization: Bearer [redacted:authorization]",
        ),
        (
            r#"-H "authorization: basic dXNlcjpwYXNzMQ==" x"#,
            r#"-H "authorization: basic [redacted:authorization]" x"#,
        ),
        (
            r#"{\"Authorization\": \"Bearer 0123456789\"}"#,
            r#"{\"Authorization\": \"Bearer [redacted:authorization]\"}"#,
        ),
        (
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n",
            "aws_secret_access_key = [redacted:aws-secret-key]\n",
        ),
        (
            r#""AWS_SECRET_ACCESS_KEY":"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY""#,
            r#""AWS_SECRET_ACCESS_KEY":"[redacted:aws-secret-key]""#,
        ),
        (
            "clone https://user:hunter2@host.example/x.git",
            "clone https://user:[redacted:url-password]@host.example/x.git",
        ),
    ] {
        assert_eq!(redacted(&none, text), clean, "{text}");
    }
    for text in [
        "Authorization: Bearer $TOKEN",
        "Authorization: Bearer your-token-here",
        "Authorization: Bearer YOUR_API_TOKEN",
        "'Authorization': 'Bearer ' + token",
        "aws_secret_access_key = os.environ['AWS_SECRET_ACCESS_KEY']",
        "https://host:8080/@x",
        "https://user:${PASSWORD}@host",
        "https://user:<password>@host",
        "see https://a.example: mail me@b.example",
    ] {
        assert_eq!(redacted(&none, text), text);
    }
    let header = format!(
        "Authorization: Bearer {}",
        "sk-ant-api03-0123456789abcdef0123"
    );
    assert!(!redacted(&none, &header).contains("0123"));
}

#[test]
fn many_unclosed_keys_are_redacted_in_linear_time() {
    let text = "-----BEGIN PRIVATE KEY-----".repeat(20_000);
    let clean = redacted(&Redactor::default(), &text);
    assert!(!clean.contains("BEGIN"));
}
