//! Which validation commands a worker may propose.
//!
//! What stands in the plan is run without another question, so a proposed command gets there only when it begins like one of
//! a list and holds nothing that a shell would read otherwise.

/// Test runners, by what their commands begin with.
pub const VALIDATION_ALLOW: [&str; 36] = [
    "bazel test",
    "bun test",
    "bundle exec rake test",
    "bundle exec rspec",
    "cargo build",
    "cargo check",
    "cargo clippy",
    "cargo fmt --check",
    "cargo nextest run",
    "cargo test",
    "composer test",
    "ctest",
    "deno test",
    "dotnet test",
    "go build",
    "go test",
    "go vet",
    "gradle test",
    "./gradlew test",
    "just test",
    "make check",
    "make test",
    "meson test",
    "mix test",
    "mvn test",
    "npm run test",
    "npm test",
    "pnpm test",
    "pytest",
    "python -m pytest",
    "python -m unittest",
    "python3 -m pytest",
    "python3 -m unittest",
    "swift test",
    "uv run pytest",
    "yarn test",
];

/// Whether `command` is one of `allowed`, perhaps with further plain words.
pub fn is_allowed(command: &str, allowed: &[String]) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+, ".contains(c);
    command.chars().all(is_plain)
        && allowed.iter().any(|beginning| {
            let rest = command.strip_prefix(beginning.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_runners_pass_and_what_a_shell_would_read_does_not() {
        let allowed = VALIDATION_ALLOW.map(str::to_owned);
        for command in [
            "cargo test",
            "cargo test -p a --lib",
            "pytest tests/a.py::b",
            "make check",
        ] {
            assert!(is_allowed(command, &allowed), "{command}");
        }
        for command in [
            "cargo",
            "cargo tester",
            "cargo test; rm -rf x",
            "cargo test && x",
            "make test $(x)",
            "pytest | tee x",
            "pytest > x",
            "pytest\nx",
            "sh -c pytest",
            " pytest",
            "A=b pytest",
            "pytest 'a'",
            "pytest *",
            "pytest\t`x`",
        ] {
            assert!(!is_allowed(command, &allowed), "{command}");
        }
    }
}
