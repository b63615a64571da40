//! The words that matter, by their effect on a token. Only these forms count: `fix $mesh` asks for a change,
//! "fixed the tests, run $mesh" does not.

/// A full stop after one of these does not end a sentence.
pub(super) const ABBREVIATIONS: [&str; 5] = ["e.g", "i.e", "etc", "vs", "cf"];

/// Words before a command that mean nothing themselves.
pub(super) const LEAD: [&str; 42] = [
    "please",
    "pls",
    "kindly",
    "ok",
    "okay",
    "yes",
    "yep",
    "yeah",
    "yup",
    "sure",
    "great",
    "good",
    "nice",
    "cool",
    "perfect",
    "fine",
    "thanks",
    "alright",
    "right",
    "well",
    "now",
    "then",
    "next",
    "and",
    "so",
    "also",
    "just",
    "hey",
    "hi",
    "hello",
    "lgtm",
    "done",
    "approved",
    "agreed",
    "go",
    "let's",
    "let’s",
    "lets",
    "awesome",
    "excellent",
    "absolutely",
    "finally",
];

/// The same, with several words; longer ones first.
pub(super) const LEAD_PHRASES: [&[&str]; 12] = [
    &["i", "want", "you", "to"],
    &["i'd", "like", "you", "to"],
    &["i’d", "like", "you", "to"],
    &["go", "ahead", "and"],
    &["go", "ahead"],
    &["let", "us"],
    &["thank", "you"],
    &["looks", "good"],
    &["sounds", "good"],
    &["all", "good"],
    &["ship", "it"],
    &["of", "course"],
];

/// Questions that are polite commands.
pub(super) const POLITE: [&[&str]; 4] = [
    &["can", "you"],
    &["could", "you"],
    &["would", "you"],
    &["will", "you"],
];

/// Verbs that command a run.
pub(super) const RUN: [&str; 16] = [
    "run", "rerun", "re-run", "start", "restart", "use", "invoke", "execute", "launch", "trigger",
    "do", "continue", "proceed", "kick", "begin", "try",
];

/// Words between such a verb and the token: `run the next task with $mesh`.
pub(super) const OBJECT: [&str; 29] = [
    "the",
    "a",
    "an",
    "another",
    "one",
    "it",
    "this",
    "that",
    "them",
    "again",
    "now",
    "next",
    "all",
    "ready",
    "task",
    "tasks",
    "item",
    "items",
    "plan",
    "rest",
    "remaining",
    "everything",
    "off",
    "with",
    "via",
    "using",
    "through",
    "by",
    "please",
];

/// Nouns for a run: `start a $mesh run`, `use the $mesh skill`.
pub(super) const RUN_NOUNS: [&str; 4] = ["run", "skill", "swarm", "wave"];

/// Words that may follow the token in any case.
pub(super) const FOLLOW: [&str; 13] = [
    "now", "please", "pls", "again", "go", "thanks", "thank", "asap", "then", "here", "yes", "ok",
    "today",
];

/// Words that may follow it as well if a verb or arguments make it a command.
pub(super) const FOLLOW_COMMAND: [&str; 15] = [
    "and", "to", "for", "on", "over", "with", "until", "but", "so", "once", "without", "while",
    "next", "first", "too",
];

/// What is done to a text or a program under discussion, as an imperative or a noun.
pub(super) const ANALYSIS: [&str; 64] = [
    "review",
    "analyze",
    "analyse",
    "analysis",
    "refine",
    "improve",
    "improvement",
    "improvements",
    "update",
    "upgrade",
    "edit",
    "explain",
    "explanation",
    "document",
    "documentation",
    "describe",
    "description",
    "audit",
    "fix",
    "rename",
    "compare",
    "comparison",
    "discuss",
    "summarize",
    "summarise",
    "summary",
    "refactor",
    "rewrite",
    "debug",
    "critique",
    "evaluate",
    "assess",
    "translate",
    "change",
    "modify",
    "extend",
    "clarify",
    "simplify",
    "optimize",
    "optimise",
    "polish",
    "tweak",
    "investigate",
    "understand",
    "inspect",
    "study",
    "teach",
    "tell",
    "show",
    "define",
    "reviewing",
    "analyzing",
    "analysing",
    "refining",
    "improving",
    "updating",
    "editing",
    "explaining",
    "documenting",
    "describing",
    "auditing",
    "fixing",
    "comparing",
    "debugging",
];

/// Words that open a question, with or without its mark.
pub(super) const QUESTION: [&str; 12] = [
    "what", "what's", "what’s", "whats", "how", "how's", "how’s", "why", "which", "who", "where",
    "whether",
];

/// Words that open a sentence which retracts the previous one.
pub(super) const RETRACTION: [&str; 8] = [
    "actually",
    "cancel",
    "forget",
    "nevermind",
    "no",
    "scratch",
    "stop",
    "wait",
];

/// Words that forbid.
pub(super) const NEGATION: [&str; 33] = [
    "not",
    "never",
    "don't",
    "don’t",
    "dont",
    "doesn't",
    "doesn’t",
    "didn't",
    "didn’t",
    "won't",
    "won’t",
    "can't",
    "can’t",
    "cannot",
    "shouldn't",
    "shouldn’t",
    "mustn't",
    "mustn’t",
    "isn't",
    "isn’t",
    "needn't",
    "needn’t",
    "stop",
    "cancel",
    "abort",
    "avoid",
    "skip",
    "without",
    "instead",
    "disable",
    "refuse",
    "forbid",
    "nor",
];

/// Words that mark another time, a quotation or an example.
pub(super) const HEDGE: [&str; 34] = [
    "if", "when", "whenever", "once", "unless", "until", "after", "before", "while", "would",
    "could", "should", "might", "may", "maybe", "perhaps", "later", "tomorrow", "tried", "said",
    "says", "wrote", "told", "example", "examples", "e.g", "i.e", "eg", "usage", "syntax", "forms",
    "means", "suppose", "imagine",
];
