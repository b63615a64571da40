//! Which validation commands are run: the task's own, and those that a worker may propose.
//!
//! What stands in the plan is run without another question, so a proposed command gets there only when it begins like one of
//! a list and holds nothing that a shell would read otherwise. The same holds for commands that come with a patch.

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

/// One validation command, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// For the shell.
    pub text: String,
    /// A worker proposed it.
    pub proposed: bool,
}

/// The validation commands of one patch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// What is run: the task's own, then proposed ones.
    pub run: Vec<Command>,
    /// Proposed ones that nobody vouches for.
    pub left_out: Vec<String>,
}

impl Commands {
    /// All of the task's `own`, and after them those of the `proposed` that `is_vouched` lets through. A proposal adds; it never
    /// takes the place of what the task says, and where the task says nothing it adds nothing.
    pub fn new(own: &[String], proposed: &[String], is_vouched: impl Fn(&str) -> bool) -> Self {
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
            if !is_vouched(text) {
                commands.left_out.push(text.clone());
            } else if !commands.run.iter().any(|known| known.text == *text) {
                commands.run.push(command(true)(text));
            }
        }
        commands
    }
}

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
    fn proposed_commands_are_added_to_those_of_the_task() {
        let texts = |texts: &[&str]| -> Vec<String> {
            texts.iter().map(|text| (*text).to_owned()).collect()
        };
        let proposed = texts(&["make", "cargo test", "rm x", "cargo test", " "]);
        let is_vouched = |text: &str| text.starts_with("cargo");
        let commands = Commands::new(&texts(&["make"]), &proposed, is_vouched);
        let run: Vec<_> = commands
            .run
            .iter()
            .map(|command| (command.text.as_str(), command.proposed))
            .collect();
        assert_eq!(run, [("make", false), ("cargo test", true)]);
        assert_eq!(commands.left_out, ["rm x"]);
        assert_eq!(
            Commands::new(&[], &proposed, is_vouched),
            Commands::default()
        );
    }

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
