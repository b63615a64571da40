//! Decides whether the author's own words command a run.
//!
//! Reads a sentence word by word. A token is a command depending on its position ([`Position`]) and on the words before it
//! ([`Context`]); words after it may retract the command. A line break does not end a sentence, so that "please review" on
//! the line above still counts, but a token may open any line. An empty line or pasted text ends a sentence, unless a colon
//! announces what follows.
//!
//! Every word is read once and the lookahead is bounded, so the time is linear.

use super::arguments::{Arguments, is_stray};
use super::invocation::{Invocation, InvokeError, SkipReason};
use super::vocabulary::{
    ANALYSIS, FOLLOW, FOLLOW_COMMAND, HEDGE, LEAD, LEAD_PHRASES, NEGATION, OBJECT, POLITE,
    QUESTION, RETRACTION, RUN, RUN_NOUNS,
};
use super::words;
use super::words::{Ends, TokenForm, Word};

/// The position of the next word in its sentence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Position {
    /// At the beginning of a line or sentence, perhaps after words of [`LEAD`]. A token is a command.
    #[default]
    Opening,
    /// After a comma. A token with arguments is a command; a verb may follow.
    AfterComma,
    /// After a verb of [`RUN`] and words of [`OBJECT`]. A token is a command.
    AfterVerb,
    /// Directly after a token that is a command unless the next word retracts it.
    AfterToken,
    /// After a token and a verb: `$mesh run the next task`. Only words of [`OBJECT`] may follow.
    AfterTokenAndVerb,
    /// Later after a token that is a command.
    AfterCommand,
    /// Anywhere else. A token is a mention.
    Elsewhere,
}

/// The words of the sentence so far.
#[derive(Clone, Copy, Debug, Default)]
struct Context {
    analysis: bool,
    question: bool,
    negation: bool,
    hedge: bool,
    /// The question is a polite command.
    polite: bool,
}

/// A token that is a command, until its sentence or line ends.
#[derive(Debug)]
struct Command<'a> {
    arguments: Arguments<'a>,
    /// It has neither a verb nor arguments; only its position makes it a command.
    is_bare: bool,
    /// Its sentence names a task.
    names_task: bool,
}

/// Reads the author's own lines in order.
#[derive(Debug, Default)]
pub(super) struct Reader<'a> {
    position: Position,
    context: Context,
    /// The last line with a word ends in a colon.
    announced: bool,
    /// The line or sentence has a token,
    has_token: bool,
    /// opens as a question or a request for analysis,
    opens_asking: bool,
    /// or contains a negation, or opens with a retraction.
    negates: bool,
    command: Option<Command<'a>>,
    seen: Seen<'a>,
}

/// The findings in all sentences so far.
#[derive(Debug, Default)]
struct Seen<'a> {
    token: bool,
    /// A sentence asks about a token, analyses or forbids it, or names the skill's own file.
    meta: bool,
    /// A sentence without a token asks a question or requests an analysis, perhaps of the text next to a bare token.
    asks: bool,
    stray_argument: bool,
    first: Option<Command<'a>>,
    /// A later command has different arguments.
    differs: bool,
}

impl<'a> Reader<'a> {
    /// Reads the next line of the author.
    pub fn line(&mut self, line: &'a str) {
        let words: Vec<Word<'a>> = words::words(line).collect();
        let Some(last) = words.last() else {
            return self.gap();
        };
        self.announced = last.ends == Ends::Announcement;
        self.position = Position::Opening;
        let mut index = 0;
        while index < words.len() {
            index = self.step(line, &words, index);
        }
        self.end_segment(Ends::Nothing);
    }

    /// Skips pasted text or an empty line.
    pub fn gap(&mut self) {
        if !self.announced {
            self.context = Context::default();
        }
    }

    /// The meaning of the message; `None` if it has no token.
    pub fn end(self) -> Option<Result<Invocation, InvokeError>> {
        let seen = self.seen;
        if !seen.token {
            return None;
        }
        let skipped = |reason| Some(Ok(Invocation::Skipped(reason)));
        let first = match seen.first {
            _ if seen.meta => return skipped(SkipReason::MetaRequest),
            None => return skipped(SkipReason::NoInstruction),
            Some(first) => first,
        };
        if first.is_bare && seen.asks {
            skipped(SkipReason::MetaRequest)
        } else if seen.differs {
            skipped(SkipReason::SeveralInvocations)
        } else if seen.stray_argument || first.names_task {
            skipped(SkipReason::MisplacedArgument)
        } else {
            Some(first.arguments.check().map(Invocation::Run))
        }
    }

    /// Reads the word at `index` with its arguments. Returns the index of the next one.
    fn step(&mut self, line: &'a str, words: &[Word<'a>], index: usize) -> usize {
        let word = words[index];
        if let Some(form) = word.token() {
            let (arguments, at, ends) = match form {
                TokenForm::Whole => Arguments::parse(line, word.end, word.ends),
                TokenForm::Part => (Arguments::default(), word.end, word.ends),
            };
            self.token(form, arguments);
            self.punctuation(ends);
            let rest = &words[index + 1..];
            return index + 1 + rest.partition_point(|word| word.start < at);
        }
        let lead = match self.position {
            Position::Opening | Position::AfterComma => self.lead_len(&words[index..]),
            _ => 0,
        };
        if lead > 0 {
            self.punctuation(words[index + lead - 1].ends);
            return index + lead;
        }
        self.word(&word);
        self.punctuation(word.ends);
        index + 1
    }

    fn token(&mut self, form: TokenForm, arguments: Arguments<'a>) {
        self.seen.token = true;
        self.has_token = true;
        let context = self.context;
        self.seen.meta |= context.analysis || context.question || context.negation;
        let is_command = match self.position {
            Position::Opening | Position::AfterVerb | Position::AfterCommand => true,
            Position::AfterComma => !arguments.is_empty(),
            Position::AfterToken | Position::AfterTokenAndVerb | Position::Elsewhere => false,
        };
        if form == TokenForm::Part || context.hedge || !is_command {
            self.retract();
            return;
        }
        let is_bare = self.position != Position::AfterVerb && arguments.is_empty();
        // A second command does not retract the first one of its sentence.
        self.finish_command();
        self.command = Some(Command {
            arguments,
            is_bare,
            names_task: false,
        });
        self.position = Position::AfterToken;
    }

    /// The number of words from here on that only lead to a command.
    fn lead_len(&mut self, words: &[Word<'a>]) -> usize {
        let opens = |phrase: &&[&str]| {
            words.len() >= phrase.len()
                && words
                    .iter()
                    .zip(*phrase)
                    .all(|(word, expected)| word.is(&[expected]))
        };
        if let Some(phrase) = POLITE.iter().find(|phrase| opens(phrase)) {
            self.context.polite = true;
            return phrase.len();
        }
        match LEAD_PHRASES.iter().find(|phrase| opens(phrase)) {
            Some(phrase) => phrase.len(),
            None => usize::from(words[0].is_ornament() || words[0].is(&LEAD)),
        }
    }

    fn word(&mut self, word: &Word<'a>) {
        self.note_word(word);
        self.position = match self.position {
            Position::Opening | Position::AfterComma if word.is(&RUN) => Position::AfterVerb,
            Position::AfterVerb if word.is(&OBJECT) => Position::AfterVerb,
            Position::AfterToken => self.word_after_token(word),
            Position::AfterTokenAndVerb if word.is(&OBJECT) => Position::AfterCommand,
            Position::AfterTokenAndVerb => return self.retract(),
            Position::AfterCommand => Position::AfterCommand,
            _ => Position::Elsewhere,
        };
    }

    /// The first word after a token.
    fn word_after_token(&mut self, word: &Word<'a>) -> Position {
        let is_bare = self.command.as_ref().is_none_or(|command| command.is_bare);
        if word.is_ornament() || (!is_bare && word.is(&RUN_NOUNS)) {
            Position::AfterToken
        } else if word.is(&FOLLOW) || (!is_bare && (word.is(&FOLLOW_COMMAND) || word.is(&RUN))) {
            Position::AfterCommand
        } else if word.is(&RUN) {
            Position::AfterTokenAndVerb
        } else {
            // "$mesh: explain yourself"
            self.seen.meta |= word.is(&ANALYSIS) || word.is(&QUESTION);
            self.retract();
            Position::Elsewhere
        }
    }

    /// Notes what a word means for its sentence, in any position.
    fn note_word(&mut self, word: &Word<'a>) {
        let is_analysis = word.is(&ANALYSIS);
        if self.position == Position::Opening {
            let asks = word.is(&QUESTION);
            self.context.question |= asks;
            self.opens_asking |= asks || is_analysis;
        }
        let opens = self.position == Position::Opening;
        self.negates |= word.is(&NEGATION) || opens && word.is(&RETRACTION);
        self.context.analysis |= is_analysis;
        self.context.negation |= word.is(&NEGATION);
        self.context.hedge |= word.is(&HEDGE);
        self.seen.stray_argument |= is_stray(word.core);
        let file = word.core.rsplit('/').next().unwrap_or_default();
        self.seen.meta |= file.eq_ignore_ascii_case("SKILL.md");
        if let Some(command) = &mut self.command {
            command.names_task |= is_task(word.core);
        }
    }

    fn punctuation(&mut self, ends: Ends) {
        if ends.is_full_stop() {
            self.end_segment(ends);
            self.context = Context::default();
            self.position = Position::Opening;
        } else if ends == Ends::Part
            && matches!(self.position, Position::AfterVerb | Position::Elsewhere)
        {
            self.position = Position::AfterComma;
        }
    }

    /// Ends a line or a sentence.
    fn end_segment(&mut self, ends: Ends) {
        let is_question = ends == Ends::Question && !self.context.polite;
        match self.has_token {
            true => self.seen.meta |= is_question,
            false => self.seen.asks |= is_question || self.opens_asking,
        }
        // "$mesh ids=a. Actually, wait."
        self.seen.meta |= self.negates && !self.has_token && self.seen.first.is_some();
        self.finish_command();
        self.has_token = false;
        self.opens_asking = false;
        self.negates = false;
    }

    /// Accepts the current command, if there is one.
    fn finish_command(&mut self) {
        let Some(command) = self.command.take() else {
            return;
        };
        // "$mesh, explain yourself"
        self.seen.meta |= command.is_bare && self.context.analysis;
        match &mut self.seen.first {
            None => self.seen.first = Some(command),
            Some(first) => {
                self.seen.differs |= first.arguments.pairs != command.arguments.pairs;
                first.is_bare &= command.is_bare;
                first.names_task |= command.names_task;
                first.arguments.open_quote =
                    first.arguments.open_quote.or(command.arguments.open_quote);
            }
        }
    }

    /// Turns the current command into a mention.
    fn retract(&mut self) {
        self.command = None;
        self.position = Position::Elsewhere;
    }
}

/// A task by its usual name: `st-003`.
fn is_task(word: &str) -> bool {
    word.strip_prefix("st-")
        .is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
}
