//! A glob as a small automaton over the bytes of a path, and whether two of them accept a common path.
//!
//! It is built from the regular expression that `globset` itself matches with, so that overlap and matching always agree. Rejected: a parser of our own (its braces, `**` and empty alternatives have
//! corners that are easy to miss) and comparing segment by segment (`[!a]` and `[+-9]` match a `/`).

use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

/// The bytes that a step accepts: one bit per ASCII byte, in lower case. NUL is in no path; its bit represents all bytes
/// beyond ASCII.
type Bytes = u128;

const BEYOND_ASCII: Bytes = 1;
const UPPER: Bytes = ((1 << 26) - 1) << b'A';
const NO_SLASH: Bytes = !(1 << b'/') & !UPPER;
/// The most pairs of steps to search: those of two globs of 256 steps each.
const PAIRS_MAX: usize = 1 << 16;

/// One step, followed by the next one except at a fork or the end.
#[derive(Clone, Debug)]
enum Step {
    /// Accepts one byte.
    Byte(Bytes),
    /// Accepts any number of bytes.
    Loop(Bytes),
    /// Continues at one of these.
    Fork(Vec<usize>),
    /// The path is accepted.
    End,
}

/// The steps of one glob.
#[derive(Clone, Debug)]
pub struct Program {
    steps: Vec<Step>,
}

impl Program {
    /// The steps of a glob's regular expression; `None` if it has an unsupported part.
    pub fn new(regex: &str) -> Option<Self> {
        let mut parser = regex_syntax::ParserBuilder::new();
        let parser = parser.utf8(false).dot_matches_new_line(true);
        let hir = parser.build().parse(regex).ok()?;
        let mut program = Self { steps: Vec::new() };
        program.add(&hir)?;
        program.steps.push(Step::End);
        Some(program)
    }

    /// Whether both accept a common path: a search over the pairs of steps that one path can reach.
    pub fn may_meet(&self, other: &Program) -> bool {
        let width = other.steps.len();
        if self.steps.len().saturating_mul(width) > PAIRS_MAX {
            return true;
        }
        let mut seen = vec![false; self.steps.len() * width];
        let mut open = vec![(0, 0)];
        while let Some((i, j)) = open.pop() {
            if std::mem::replace(&mut seen[i * width + j], true) {
                continue;
            }
            match (&self.steps[i], &other.steps[j]) {
                (Step::End, Step::End) => return true,
                (Step::Fork(to), _) => open.extend(to.iter().map(|&to| (to, j))),
                (_, Step::Fork(to)) => open.extend(to.iter().map(|&to| (i, to))),
                (left, right) => {
                    open.extend(left.is_loop().then_some((i + 1, j)));
                    open.extend(right.is_loop().then_some((i, j + 1)));
                    if left.takes() & right.takes() != 0 {
                        let after = |step: &Step, at: usize| at + usize::from(!step.is_loop());
                        open.push((after(left, i), after(right, j)));
                    }
                }
            }
        }
        false
    }

    fn add(&mut self, hir: &Hir) -> Option<()> {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => self.steps.extend(literal.0.iter().map(|&b| step_of(b))),
            HirKind::Class(class) => self.steps.push(step_of_class(class)),
            HirKind::Repetition(repetition) => self.add_repetition(repetition)?,
            HirKind::Capture(group) => self.add(&group.sub)?,
            HirKind::Concat(parts) => parts.iter().try_for_each(|part| self.add(part))?,
            HirKind::Alternation(choices) => self.add_choices(choices)?,
        }
        Some(())
    }

    fn add_repetition(&mut self, repetition: &Repetition) -> Option<()> {
        match (repetition.min, repetition.max, repetition.sub.kind()) {
            (0, None, HirKind::Class(class)) => {
                self.steps.push(Step::Loop(step_of_class(class).takes()));
            }
            (0, Some(1), _) => self.add_choices(&[Hir::empty(), (*repetition.sub).clone()])?,
            _ => return None,
        }
        Some(())
    }

    fn add_choices(&mut self, choices: &[Hir]) -> Option<()> {
        let fork = self.hole();
        let mut begins = Vec::new();
        let mut ends = Vec::new();
        for choice in choices {
            begins.push(self.steps.len());
            self.add(choice)?;
            ends.push(self.hole());
        }
        self.steps[fork] = Step::Fork(begins);
        for end in ends {
            self.steps[end] = Step::Fork(vec![self.steps.len()]);
        }
        Some(())
    }

    /// A step that is filled in later.
    fn hole(&mut self) -> usize {
        self.steps.push(Step::Fork(Vec::new()));
        self.steps.len() - 1
    }
}

impl Step {
    fn is_loop(&self) -> bool {
        matches!(self, Step::Loop(_))
    }

    fn takes(&self) -> Bytes {
        match self {
            Step::Byte(bytes) | Step::Loop(bytes) => *bytes,
            Step::Fork(_) | Step::End => 0,
        }
    }
}

/// A byte of a literal. Letters beyond ASCII have several spellings (case, composed or not) that some file systems
/// take for one: they count as any text.
fn step_of(byte: u8) -> Step {
    match byte.is_ascii() {
        true => Step::Byte(1 << byte.to_ascii_lowercase()),
        false => Step::Loop(NO_SLASH),
    }
}

/// One of a class. The parser makes a class of bytes from `[ab]` and one of characters from `{a,b}`.
fn step_of_class(class: &Class) -> Step {
    match class {
        Class::Bytes(class) => {
            let ranges = class.ranges().iter();
            Step::Byte(folded(
                ranges.map(|range| bytes(range.start(), range.end())),
            ))
        }
        Class::Unicode(class) => {
            let byte = |c: char| u8::try_from(c).unwrap_or(u8::MAX);
            let ranges = class.ranges().iter();
            let all = folded(ranges.map(|range| bytes(byte(range.start()), byte(range.end()))));
            match all & BEYOND_ASCII {
                0 => Step::Byte(all),
                _ => Step::Loop(all | NO_SLASH),
            }
        }
    }
}

fn folded(ranges: impl Iterator<Item = Bytes>) -> Bytes {
    let all = ranges.fold(0, |all, range| all | range);
    (all & !UPPER) | ((all & UPPER) << (b'a' - b'A'))
}

fn bytes(first: u8, last: u8) -> Bytes {
    let up_to = |byte: u8| Bytes::MAX >> (127 - byte);
    let beyond = if last.is_ascii() { 0 } else { BEYOND_ASCII };
    match first.is_ascii() {
        true => (up_to(last.min(127)) & !(up_to(first) >> 1)) | beyond,
        false => beyond,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meet(a: &str, b: &str) -> bool {
        let program = |regex| Program::new(regex).expect("understood");
        program(a).may_meet(&program(b))
    }

    #[test]
    fn common_paths_are_found() {
        assert!(meet("(?-u)^[^/]*\\.rs$", "(?-u)^(?:a|b)\\.rs$"));
        assert!(!meet("(?-u)^[^/]*\\.rs$", "(?-u)^(?:a|b)/x\\.rs$"));
        assert!(meet("(?-u)^(?:/?|.*/)x$", "(?-u)^x$"));
        assert!(meet("(?-u)^[A-Z]$", "(?-u)^q$"));
        assert!(!meet("(?-u)^[^aA]$", "(?-u)^a$"));
        assert!(meet("(?-u)^(?:\\xc3\\xa9|a)$", "(?-u)^\\xc3\\xb6$"));
        assert!(meet("(?-u)^[\\x00-\\xff]$", "(?-u)^\\xe4$"));
    }

    #[test]
    fn unsupported_expressions_are_refused() {
        assert!(Program::new("(?-u)^a{3}$").is_none());
        assert!(Program::new("(?-u)^(").is_none());
    }
}
