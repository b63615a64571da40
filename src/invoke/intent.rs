//! Whether the author's own words command a run.
//!
//! A sentence is walked through word by word. Where a token is met counts ([`Stage`]), and what the sentence has said
//! before it ([`Said`]); what follows it may still take the command back. A line break does not end a sentence, so
//! that "please review" on the line above is not lost, but a token may open any line. An empty line or pasted text
//! ends a sentence, unless a colon announces what follows.
//!
//! Every word is looked at once, and what is looked ahead is bounded, so the time is linear.

use super::arguments::{Arguments, is_stray};
use super::invocation::{Invocation, InvokeError, SkipReason};
use super::vocabulary::{
    ANALYSIS, FOLLOW, FOLLOW_COMMAND, HEDGE, LEAD, LEAD_PHRASES, NEGATION, OBJECT, POLITE,
    QUESTION, RETRACTION, RUN, RUN_NOUNS,
};
use super::words;
use super::words::{Ends, TokenForm, Word};

/// Where in a sentence the next word stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// At the beginning of a line or sentence, if need be behind words of [`LEAD`]. A token is a command.
    #[default]
    Opening,
    /// Behind a comma. A token with arguments is a command; a verb may follow.
    Part,
    /// Behind a verb of [`RUN`] and words of [`OBJECT`]. A token is a command.
    Verb,
    /// Right behind a token that is a command unless the next word takes it back.
    Behind,
    /// Behind a token and a verb: `$mesh run the next task`. Only words of [`OBJECT`] may follow.
    VerbBehind,
    /// Further behind a token that is a command.
    Commanded,
    /// Anywhere else. A token is a mention.
    Elsewhere,
}

/// What the sentence has said so far.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
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
    /// Neither a verb nor arguments say that it is one, only its place.
    is_bare: bool,
    /// A task is named in its sentence.
    names_task: bool,
}

/// Reads the author's own lines, one after the other.
#[derive(Debug, Default)]
pub(super) struct Reader<'a> {
    stage: Stage,
    said: Said,
    /// The last line with a word ended in a colon.
    announced: bool,
    /// Since the beginning of the line or sentence: whether there was a token, and whether it opened as a question or
    /// a request for analysis.
    has_token: bool,
    opens_asking: bool,
    /// It has a word that negates, or opens with one that takes something back.
    negates: bool,
    command: Option<Command<'a>>,
    seen: Seen<'a>,
}

/// What all sentences together have said.
#[derive(Debug, Default)]
struct Seen<'a> {
    token: bool,
    /// A token is asked about, analysed or forbidden, or the skill's own file is named.
    meta: bool,
    /// A sentence without a token asks or requests an analysis: of what stands beside a bare token, perhaps.
    asks: bool,
    stray_argument: bool,
    first: Option<Command<'a>>,
    /// A later command has other arguments than the first one.
    differs: bool,
}

impl<'a> Reader<'a> {
    /// The next line of the author's.
    pub fn line(&mut self, line: &'a str) {
        let words: Vec<Word<'a>> = words::words(line).collect();
        let Some(last) = words.last() else {
            return self.gap();
        };
        self.announced = last.ends == Ends::Announcement;
        self.stage = Stage::Opening;
        let mut index = 0;
        while index < words.len() {
            index = self.step(line, &words, index);
        }
        self.end_stretch(Ends::Nothing);
    }

    /// Something that is not the author's, or an empty line.
    pub fn gap(&mut self) {
        if !self.announced {
            self.said = Said::default();
        }
    }

    /// What the message asks for; `None` when there is no token in it.
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
            Some(first.arguments.checked().map(Invocation::Run))
        }
    }

    /// Takes the word at `index`, and what belongs to it. Gives the index of the next one.
    fn step(&mut self, line: &'a str, words: &[Word<'a>], index: usize) -> usize {
        let word = words[index];
        if let Some(form) = word.token() {
            let (arguments, at, ends) = match form {
                TokenForm::Whole => Arguments::take(line, word.end, word.ends),
                TokenForm::Part => (Arguments::default(), word.end, word.ends),
            };
            self.token(form, arguments);
            self.punctuation(ends);
            let behind = &words[index + 1..];
            return index + 1 + behind.partition_point(|word| word.start < at);
        }
        let lead = match self.stage {
            Stage::Opening | Stage::Part => self.lead(&words[index..]),
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
        let said = self.said;
        self.seen.meta |= said.analysis || said.question || said.negation;
        let is_command = match self.stage {
            Stage::Opening | Stage::Verb | Stage::Commanded => true,
            Stage::Part => !arguments.is_empty(),
            Stage::Behind | Stage::VerbBehind | Stage::Elsewhere => false,
        };
        if form == TokenForm::Part || said.hedge || !is_command {
            self.take_back();
            return;
        }
        let is_bare = self.stage != Stage::Verb && arguments.is_empty();
        // A second command of one sentence: the first one stands.
        self.conclude();
        self.command = Some(Command {
            arguments,
            is_bare,
            names_task: false,
        });
        self.stage = Stage::Behind;
    }

    /// How many words from here on only lead to a command.
    fn lead(&mut self, words: &[Word<'a>]) -> usize {
        let opens = |phrase: &&[&str]| {
            words.len() >= phrase.len()
                && words
                    .iter()
                    .zip(*phrase)
                    .all(|(word, wanted)| word.is(&[wanted]))
        };
        if let Some(phrase) = POLITE.iter().find(|phrase| opens(phrase)) {
            self.said.polite = true;
            return phrase.len();
        }
        match LEAD_PHRASES.iter().find(|phrase| opens(phrase)) {
            Some(phrase) => phrase.len(),
            None => usize::from(words[0].is_ornament() || words[0].is(&LEAD)),
        }
    }

    fn word(&mut self, word: &Word<'a>) {
        self.listen(word);
        self.stage = match self.stage {
            Stage::Opening | Stage::Part if word.is(&RUN) => Stage::Verb,
            Stage::Verb if word.is(&OBJECT) => Stage::Verb,
            Stage::Behind => self.behind(word),
            Stage::VerbBehind if word.is(&OBJECT) => Stage::Commanded,
            Stage::VerbBehind => return self.take_back(),
            Stage::Commanded => Stage::Commanded,
            _ => Stage::Elsewhere,
        };
    }

    /// The first word behind a token.
    fn behind(&mut self, word: &Word<'a>) -> Stage {
        let is_bare = self.command.as_ref().is_none_or(|command| command.is_bare);
        if word.is_ornament() || (!is_bare && word.is(&RUN_NOUNS)) {
            Stage::Behind
        } else if word.is(&FOLLOW) || (!is_bare && (word.is(&FOLLOW_COMMAND) || word.is(&RUN))) {
            Stage::Commanded
        } else if word.is(&RUN) {
            Stage::VerbBehind
        } else {
            // "$mesh: explain yourself"
            self.seen.meta |= word.is(&ANALYSIS) || word.is(&QUESTION);
            self.take_back();
            Stage::Elsewhere
        }
    }

    /// What a word says about its sentence, wherever it stands.
    fn listen(&mut self, word: &Word<'a>) {
        let is_analysis = word.is(&ANALYSIS);
        if self.stage == Stage::Opening {
            let asks = word.is(&QUESTION);
            self.said.question |= asks;
            self.opens_asking |= asks || is_analysis;
        }
        let opens = self.stage == Stage::Opening;
        self.negates |= word.is(&NEGATION) || opens && word.is(&RETRACTION);
        self.said.analysis |= is_analysis;
        self.said.negation |= word.is(&NEGATION);
        self.said.hedge |= word.is(&HEDGE);
        self.seen.stray_argument |= is_stray(word.core);
        let file = word.core.rsplit('/').next().unwrap_or_default();
        self.seen.meta |= file.eq_ignore_ascii_case("SKILL.md");
        if let Some(command) = &mut self.command {
            command.names_task |= is_task(word.core);
        }
    }

    fn punctuation(&mut self, ends: Ends) {
        if ends.is_full_stop() {
            self.end_stretch(ends);
            self.said = Said::default();
            self.stage = Stage::Opening;
        } else if ends == Ends::Part && matches!(self.stage, Stage::Verb | Stage::Elsewhere) {
            self.stage = Stage::Part;
        }
    }

    /// The line or the sentence is over.
    fn end_stretch(&mut self, ends: Ends) {
        let is_question = ends == Ends::Question && !self.said.polite;
        match self.has_token {
            true => self.seen.meta |= is_question,
            false => self.seen.asks |= is_question || self.opens_asking,
        }
        // "$mesh ids=a. Actually, wait."
        self.seen.meta |= self.negates && !self.has_token && self.seen.first.is_some();
        self.conclude();
        self.has_token = false;
        self.opens_asking = false;
        self.negates = false;
    }

    /// The command under way, if there is one, is one.
    fn conclude(&mut self) {
        let Some(command) = self.command.take() else {
            return;
        };
        // "$mesh, explain yourself"
        self.seen.meta |= command.is_bare && self.said.analysis;
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

    /// What looked like a command is a mention.
    fn take_back(&mut self) {
        self.command = None;
        self.stage = Stage::Elsewhere;
    }
}

/// A task by its usual name: `st-003`.
fn is_task(word: &str) -> bool {
    word.strip_prefix("st-")
        .is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
}
