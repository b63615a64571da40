//! Whether the name of an environment variable says that its value is a secret.

/// Whether one of the words in `name` marks a secret. `MAX_TOKENS` and `GIT_AUTHOR_NAME` have none.
pub(super) fn is_secret_name(name: &str) -> bool {
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
    const SUFFIXES: [&str; 10] = [
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
    const PREFIXES: [&str; 3] = ["SECRET", "PASSW", "CREDENTIAL"];
    let name = name.to_ascii_uppercase();
    if ["PWD", "OLDPWD"].contains(&name.as_str()) {
        return false;
    }
    let words: Vec<&str> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()))
        .collect();
    // `TOKENS` is not listed: such a variable holds a count.
    words.iter().any(|word| {
        WORDS.contains(word)
            || SUFFIXES.iter().any(|suffix| word.ends_with(suffix))
            || PREFIXES.iter().any(|prefix| word.starts_with(prefix))
    })
}
