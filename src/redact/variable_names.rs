//! Whether the name of an environment variable says that its value is a secret.

/// Whether one of the words in `name` marks a secret. `MAX_TOKENS` and `GIT_AUTHOR_NAME` have none.
pub(super) fn is_secret_name(name: &str) -> bool {
    const WORDS: &str =
        "KEYS APIKEYS PASS PWD PW CRED CREDS AUTHORIZATION PAT JWT COOKIE PRIVATE DSN PIN OTP";
    // `TOKENS` is not listed: such a variable holds a count.
    const SUFFIXES: &str =
        "KEY TOKEN SECRET PASSWORD PASSWD PASSPHRASE CREDENTIAL CREDENTIALS AUTH BEARER";
    const PREFIXES: &str = "SECRET PASSW CREDENTIAL";
    let any = |list: &'static str, is_match: &dyn Fn(&str) -> bool| list.split(' ').any(is_match);
    let name = name.to_ascii_uppercase();
    if ["PWD", "OLDPWD"].contains(&name.as_str()) {
        return false;
    }
    let words: Vec<&str> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()))
        .collect();
    words.iter().any(|word| {
        any(WORDS, &|secret| *word == secret)
            || any(SUFFIXES, &|suffix| word.ends_with(suffix))
            || any(PREFIXES, &|prefix| word.starts_with(prefix))
    })
}
