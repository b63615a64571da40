//! Tests over all messages: every suggested command exists, with every option that the text gives it, and is completed with
//! the location options of the call (`-C`, `--artifacts`) before it is printed.
//!
//! The messages are the string literals of the sources (without their unit tests) and the help texts in `cli/`, so a new hint
//! is covered when it is written. What counts as a command line, and how much of it is checked:
//!
//! | where | checked |
//! | --- | --- |
//! | `` `mesh …` ``, `run: mesh …` | subcommands, options, number of arguments |
//! | a text or line that begins with `mesh …` and a subcommand | all subcommands and options |
//! | `mesh …` anywhere else, when a subcommand follows | the subcommand and the options up to the end of the clause |
//! | `--option` without a command | the commands that print it have it ([`PRINTED_BY`]); else some command has it |

use super::args::Cli;
use clap::{Command, CommandFactory};
use std::path::{Path, PathBuf};

/// Options of other programs that texts mention.
const FOREIGN_OPTIONS: [&str; 23] = [
    // git, and what it writes at the head of a diff
    "--git",
    "--cc",
    "--combined",
    "--binary",
    "--no-verify",
    "--git-common-dir",
    // validation commands, Slurm, programs that are asked for their version
    "--check",
    "--time",
    "--array",
    "--job-name",
    "--account",
    "--dependency",
    "--cpus-per-task",
    "--requeue",
    "--open-mode",
    "--output",
    "--export",
    // GNU parallel, HyperQueue
    "--sshlogin",
    "--name",
    "--cpus",
    "--stdout",
    "--stderr",
    "--cwd",
];

/// The commands that print the texts of a file or folder; the first entry counts.
const PRINTED_BY: [(&str, &[&str]); 5] = [
    ("run/csv_run/request.rs", &["spawn"]),
    ("run/csv_run/", &["spawn", "resume"]),
    ("cli/resume_csv.rs", &["spawn", "resume"]),
    ("cli/spawn", &["spawn"]),
    (
        "cli/single_steps.rs",
        &["wave next", "collect", "integrate"],
    ),
];

/// A string literal or a help text.
struct Text {
    file: String,
    line: usize,
    text: String,
    /// The source before it in its statement.
    statement: String,
}

/// How a text mentions a command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Marked as a command line.
    Typed,
    /// A text or line that begins with the program's name: a command line, if a subcommand follows.
    Line,
    /// A mention in a sentence; words that follow may be prose.
    Mention,
}

#[test]
fn every_suggested_command_and_option_exists() {
    let texts = texts();
    let mut command = Cli::command();
    command.build();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for text in &texts {
        let of_command = complaints(&text.text, &command, &mut seen);
        let of_printer = PRINTED_BY
            .iter()
            .find(|(file, _)| text.file.starts_with(file));
        let printers = of_printer.map_or([].as_slice(), |(_, printers)| *printers);
        let of_printer = printers
            .iter()
            .flat_map(|name| lacking_options(&text.text, name, &command));
        for complaint in of_command.into_iter().chain(of_printer) {
            wrong.push(format!("{}:{}: {complaint}", text.file, text.line));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Without texts there would be no complaints.
    assert!(seen > 100, "only {seen} command lines found");
    let hints = texts
        .iter()
        .filter(|text| text.text.contains("mesh st doctor --repair-seq"));
    assert!(hints.count() >= 2);
}

#[test]
fn unknown_commands_and_options_are_found() {
    let mut command = Cli::command();
    command.build();
    for text in [
        "run: mesh st doctor --mend",
        "run: mesh st mend --file {}",
        "see it with `mesh runs lsit`",
        "`mesh frobnicate`",
        "go on with mesh resume {run} --retry-faild, or leave it",
        "mesh runs list --al",
        "`mesh runs list one two`",
        "pass --allow-multiple",
        "give -q, or `mesh wave lint -z x.csv`",
        "Example:\n  mesh st remove --ids st-003",
    ] {
        assert_eq!(complaints(text, &command, &mut 0).len(), 1, "{text}");
    }
    for text in [
        "run: mesh st doctor --repair-seq --file {}",
        "see it with `mesh runs list`, or `mesh runs show RUN --junit mesh.xml`",
        "mesh keeps what it has, and mesh itself is fine",
        "go on with mesh resume {run} --retry-failed, or leave it",
        "mesh run max_tasks=2 -- my-agent --any-option -x",
        "mesh st add-comment --id {id} --text '…'",
        "pass --allow-multiple-in-progress",
    ] {
        assert_eq!(complaints(text, &command, &mut 0), [""; 0], "{text}");
    }
}

#[test]
fn a_text_offers_only_options_of_the_command_that_prints_it() {
    let mut command = Cli::command();
    command.build();
    let hint = "continue with --resume, or replace it with --force";
    assert_eq!(lacking_options(hint, "spawn", &command), [""; 0]);
    assert_eq!(
        lacking_options(hint, "resume", &command),
        ["`resume` has no option `--resume`"]
    );
    let of_other = "continue it: mesh spawn in.csv --resume";
    assert_eq!(lacking_options(of_other, "resume", &command), [""; 0]);
}

/// Files whose commands are not for the location of the call.
const FOR_OTHER_LOCATIONS: [&str; 2] = [
    // The demo names its own repository, and then the reader's.
    "cli/demo.rs",
    // The commands are for a person's message.
    "cli/invoke.rs",
];

#[test]
fn suggested_commands_are_completed_where_they_are_printed() {
    let mut command = Cli::command();
    command.build();
    let mut wrong = Vec::new();
    for text in texts() {
        let mut seen = 0;
        complaints(&text.text, &command, &mut seen);
        let is_printed_unchanged = [".talk(", ".data(", ".warn(", ".error(", ".detail("]
            .iter()
            .any(|print| text.statement.contains(print));
        let is_completed = text.statement.contains("pasteable(");
        if seen > 0
            && is_printed_unchanged
            && !is_completed
            && text.file.starts_with("cli/")
            && !FOR_OTHER_LOCATIONS.contains(&text.file.as_str())
        {
            wrong.push(format!("{}:{}: {}", text.file, text.line, text.text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The options that a text offers without a command, although the command `name`, which prints it, lacks them.
fn lacking_options(text: &str, name: &str, root: &Command) -> Vec<String> {
    let mut command = root;
    for word in name.split(' ') {
        command = command.find_subcommand(word).expect("a command");
    }
    let (rest, _) = without_commands(text, root, &mut 0);
    let words = bare_options(&rest).filter(|word| !FOREIGN_OPTIONS.contains(word));
    let lacks = words.filter(|word| !has_option(command, word));
    lacks
        .map(|word| format!("`{name}` has no option `{word}`"))
        .collect()
}

/// What is wrong with the commands and options in a text.
fn complaints(text: &str, root: &Command, seen: &mut usize) -> Vec<String> {
    let (rest, mut complaints) = without_commands(text, root, seen);
    for name in bare_options(&rest) {
        if !is_known_anywhere(name, root) && !FOREIGN_OPTIONS.contains(&name) {
            complaints.push(format!("no command has the option `{name}`"));
        }
    }
    complaints
}

/// The options in a text without commands. A literal of one word is an argument for another program.
fn bare_options(rest: &str) -> impl Iterator<Item = &str> {
    let words = rest.split(|c: char| c.is_whitespace() || "`'\"(),;:=/|[]{}<>".contains(c));
    let is_sentence = rest.contains(' ');
    let options =
        words.filter(move |word| is_sentence && word.starts_with("--") && is_option(word));
    options.map(|word| word.trim_end_matches(['.', '!', '?']))
}

/// A text without the commands that it mentions, and what is wrong with them.
fn without_commands(text: &str, root: &Command, seen: &mut usize) -> (String, Vec<String>) {
    let text = &text.replace("\\\n", " ");
    let mut complaints = Vec::new();
    let mut rest = String::new();
    let mut from = 0;
    for (at, _) in text.match_indices("mesh ") {
        let before = text[..at].chars().next_back();
        let is_word = |c: char| c.is_alphanumeric() || "-_/.$\\".contains(c);
        // A fence begins the metadata of a task.
        let is_fence = text[..at].ends_with("``");
        if at < from || is_fence || before.is_some_and(is_word) {
            continue;
        }
        let (kind, end) = extent(text, at);
        let line = &text[at..end];
        match check(line, kind, root) {
            Ok(is_command) => *seen += usize::from(is_command),
            Err(complaint) => complaints.push(format!("`{line}`: {complaint}")),
        }
        rest.push_str(&text[from..at]);
        from = end;
    }
    rest.push_str(&text[from..]);
    (rest, complaints)
}

/// What kind of mention begins at `at`, and where it ends.
fn extent(text: &str, at: usize) -> (Kind, usize) {
    let (before, after) = (&text[..at], &text[at..]);
    let stop = |marks: &[&str]| {
        let ends = marks.iter().filter_map(|mark| after.find(mark));
        at + ends.min().unwrap_or(after.len())
    };
    let is_whole =
        before.trim_start_matches(' ').is_empty() || before.trim_end_matches(' ').ends_with('\n');
    if before.ends_with('`') {
        return (Kind::Typed, stop(&["`", "\n"]));
    }
    if before.ends_with("run: ") {
        return (Kind::Typed, stop(&["\n", " with a ", "; "]));
    }
    // An example: the command, perhaps followed by blanks and a remark, or a sentence.
    let end = stop(&["\n", "   ", "  |", " | ", " && ", "; ", ". ", ", ", " ("]);
    let is_sentence = [
        "shows", "names", "needs", "works", "prints", "says", "begins", "takes", "has",
    ]
    .iter()
    .any(|verb| text[at..end].split(' ').any(|word| word == *verb));
    match is_whole && !is_sentence {
        true => (Kind::Line, end),
        false => (Kind::Mention, end),
    }
}

/// Replaces a value that is filled in.
const FILLED_IN: &str = "x";

/// Whether `line` is a command, and what is wrong with it.
fn check(line: &str, kind: Kind, root: &Command) -> Result<bool, String> {
    let words = words(line);
    let mut command = root;
    let mut at = 1;
    while let Some(word) = words.get(at) {
        let Some(next) = command.find_subcommand(word) else {
            break;
        };
        command = next;
        at += 1;
    }
    let is_name = |word: &String| {
        word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.is_empty()
    };
    let next_is_name = words
        .get(at)
        .is_some_and(|word| is_name(word) && !word.starts_with('-') && word != FILLED_IN);
    let is_marked = kind == Kind::Typed || (kind == Kind::Line && at > 1);
    if is_marked && command.has_subcommands() && next_is_name {
        return Err(format!(
            "`{}` has no subcommand `{}`",
            command.get_name(),
            words[at]
        ));
    }
    if at == 1 {
        return Ok(false);
    }
    for word in words[at..].iter().take_while(|word| *word != "--") {
        if is_option(word) && !has_option(command, word) {
            return Err(format!(
                "`{}` has no option `{word}`",
                words[1..at].join(" ")
            ));
        }
    }
    if kind == Kind::Typed
        && let Err(error) = root.clone().try_get_matches_from(&words)
        && matches!(
            error.kind(),
            clap::error::ErrorKind::UnknownArgument | clap::error::ErrorKind::InvalidSubcommand
        )
    {
        return Err(error
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned());
    }
    Ok(true)
}

/// The words of a command line without quotes, with `x` for values that are filled in.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quote, mut depth) = (None, 0);
    for c in line.chars() {
        match (c, quote) {
            ('{', None) => depth += 1,
            ('}', None) => {
                depth -= 1;
                word.push_str(FILLED_IN);
            }
            _ if depth > 0 => {}
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(c);
                word.push_str(FILLED_IN);
            }
            (' ', None) => words.push(std::mem::take(&mut word)),
            // Text that goes on, or an optional argument.
            ('…' | '[' | ']', None) => {}
            (c, _) => word.push(c),
        }
    }
    words.push(word);
    let trimmed = words
        .iter()
        .map(|word| word.trim_end_matches(['.', ',', ';', ':', ')', '?']));
    trimmed
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn is_option(word: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic();
    match word.strip_prefix("--") {
        Some(long) => long.starts_with(is_letter),
        None => word.len() == 2 && word.starts_with('-') && word.ends_with(is_letter),
    }
}

/// Whether `command` takes the option `word`, perhaps with `=` and a value.
fn has_option(command: &Command, word: &str) -> bool {
    let name = word.split('=').next().unwrap_or(word);
    command
        .get_arguments()
        .any(|arg| match name.strip_prefix("--") {
            Some(long) => {
                arg.get_long() == Some(long)
                    || arg.get_all_aliases().is_some_and(|all| all.contains(&long))
            }
            None => arg
                .get_short()
                .is_some_and(|short| name == format!("-{short}")),
        })
}

fn is_known_anywhere(name: &str, command: &Command) -> bool {
    has_option(command, name)
        || command
            .get_subcommands()
            .any(|sub| is_known_anywhere(name, sub))
}

/// All string literals of the sources, and the help texts in `cli/`.
fn texts() -> Vec<Text> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut texts = Vec::new();
    for path in sources(&root) {
        let file = path
            .strip_prefix(&root)
            .expect("below")
            .display()
            .to_string();
        let source = std::fs::read_to_string(&path).expect("text");
        let source = source
            .split("\n#[cfg(test)]\nmod tests")
            .next()
            .unwrap_or_default();
        let is_help = file.starts_with("cli/");
        texts.extend(literals(source, is_help).into_iter().map(|(at, text)| {
            let before = &source[..at];
            let begin = before.rfind([';', '{', '}']).map_or(0, |end| end + 1);
            Text {
                file: file.clone(),
                line: 1 + before.matches('\n').count(),
                text,
                statement: before[begin..].to_owned(),
            }
        }));
    }
    texts
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => files.extend(sources(&path)),
            false
                if [
                    "tests.rs",
                    "properties.rs",
                    "merge_properties.rs",
                    "hints.rs",
                ]
                .iter()
                .any(|name| path.ends_with(name)) => {}
            false if path.extension().is_some_and(|ending| ending == "rs") => files.push(path),
            // The sources of the page.
            false => {}
        }
    }
    files.sort();
    files
}

/// The string literals of a Rust source as the program sees them, with their offsets; with `docs`, also the comments that
/// become help texts.
fn literals(source: &str, docs: bool) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut rest = source;
    let offset_of = |rest: &str| source.len() - rest.len();
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("//") {
            let end = rest.find('\n').unwrap_or(rest.len());
            if docs && let Some(text) = rest[..end].strip_prefix("/// ") {
                found.push((offset_of(rest), text.to_owned()));
            }
            rest = &rest[end..];
        } else if let Some((hashes, body)) = raw_string(rest) {
            let close = format!("\"{}", "#".repeat(hashes));
            let end = body.find(&close).unwrap_or(body.len());
            found.push((offset_of(rest), body[..end].to_owned()));
            rest = &body[(end + close.len()).min(body.len())..];
        } else if c == '"' {
            let (text, length) = unescaped(&rest[1..]);
            found.push((offset_of(rest), text));
            rest = &rest[1 + length..];
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") {
            rest = &rest[rest[1..].find('\'').map_or(1, |at| at + 2)..];
        } else {
            rest = &rest[c.len_utf8()..];
        }
    }
    found
}

/// Of `r"…"` and `r#"…"#`, also of bytes: the number of hashes, and what follows the quote.
fn raw_string(rest: &str) -> Option<(usize, &str)> {
    let body = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    Some((hashes, body[hashes..].strip_prefix('"')?))
}

/// The text up to the closing quote, and how long it is in the source with that quote.
fn unescaped(body: &str) -> (String, usize) {
    let mut text = String::new();
    let mut chars = body.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (text, at + 1),
            '\\' => match chars.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((at, '\n')) => {
                    let blanks = body[at + 1..].len() - body[at + 1..].trim_start().len();
                    let skipped = body[at + 1..at + 1 + blanks].chars().count();
                    chars.by_ref().take(skipped).for_each(drop);
                }
                Some((_, c)) => text.push(c),
                None => {}
            },
            c => text.push(c),
        }
    }
    (text, body.len())
}
