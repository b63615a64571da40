//! The validation commands of a patch: those of the task, and those that a worker proposed and the allow-list covers.
//!
//! Commands of the task run without further checks. A proposed command, in a plan or with a patch, is accepted only if it
//! begins with an entry of the allow-list and contains no character that is special to a shell.

/// The default allow-list: how commands of test runners begin.
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

/// One validation command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The command line, for the shell.
    pub text: String,
    /// Whether a worker proposed it.
    pub proposed: bool,
}

/// The validation commands of one patch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// The commands to run: those of the task, then the proposed ones.
    pub run: Vec<Command>,
    /// Proposed commands that are not allowed.
    pub left_out: Vec<String>,
}

impl Commands {
    /// All commands of the task (`own`), then those `proposed` ones that are allowed. A proposal never replaces a command of
    /// the task, and adds nothing to a task that has none.
    pub fn new(own: &[String], proposed: &[String], is_allowed: impl Fn(&str) -> bool) -> Self {
        let command = |proposed| {
            move |text: &String| Command {
                text: text.clone(),
                proposed,
            }
        };
        let mut commands = Self {
            run: own.iter().map(command(false)).collect(),
            left_out: Vec::new(),
        };
        let new = proposed.iter().filter(|text| !own.contains(text));
        for text in new.filter(|text| !text.trim().is_empty() && !own.is_empty()) {
            if !is_allowed(text) {
                commands.left_out.push(text.clone());
            } else if !commands.run.iter().any(|known| known.text == *text) {
                commands.run.push(command(true)(text));
            }
        }
        commands
    }
}

/// Whether `command` is an entry of `allowed`, optionally with further plain words.
pub fn is_allowed(command: &str, allowed: &[String]) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+, ".contains(c);
    command.chars().all(is_plain)
        && allowed.iter().any(|prefix| {
            let rest = command.strip_prefix(prefix.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposed_commands_are_added_to_those_of_the_task() {
        let texts = |texts: &[&str]| -> Vec<String> {
            texts.iter().map(|text| (*text).to_owned()).collect()
        };
        let proposed = texts(&["make", "cargo test", "rm x", "cargo test", " "]);
        let is_allowed = |text: &str| text.starts_with("cargo");
        let commands = Commands::new(&texts(&["make"]), &proposed, is_allowed);
        let run: Vec<_> = commands
            .run
            .iter()
            .map(|command| (command.text.as_str(), command.proposed))
            .collect();
        assert_eq!(run, [("make", false), ("cargo test", true)]);
        assert_eq!(commands.left_out, ["rm x"]);
        assert_eq!(
            Commands::new(&[], &proposed, is_allowed),
            Commands::default()
        );
    }

    #[test]
    fn test_runners_are_allowed_and_shell_syntax_is_not() {
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
