//! One row as every report shows it.

use crate::model::{VerdictKind, VerdictRecord};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A row of a wave, an output or a run. Parts that were not asked for are empty.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ViewRow {
    /// Its id.
    pub item: String,
    /// Its wave; none for an output.
    pub wave: Option<u32>,
    /// Its number in the wave or the input, from 1.
    pub number: u64,
    /// The task, for rows of a plan.
    pub unit: String,
    /// The round.
    pub round: String,
    /// The role.
    pub role: String,
    /// The adapter; empty if the source does not say.
    pub adapter: String,
    /// `pending`, `running`, `completed` or `failed`; empty for a wave that was not run.
    pub status: String,
    /// Started attempts that count.
    pub attempts: u64,
    /// The time of its workers.
    pub seconds: Option<f64>,
    /// Tokens, if reported.
    pub tokens: Option<u64>,
    /// Dollars, if reported.
    pub cost_usd: Option<f64>,
    /// The first start and the last end, in milliseconds since 1970; 0 if there is none.
    pub span_ms: (i64, i64),
    /// `code: text` of the last failure; empty if it completed.
    pub error: String,
    /// The verdict on its answer, for rows of a plan.
    pub verdict: Option<VerdictRecord>,
    /// The result, as reported.
    pub result: Option<Value>,
    /// The cells of its input, in the order of the header of its source.
    pub fields: Vec<String>,
}

/// What to say about a row in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Headline {
    /// It failed, or its answer was refused.
    Failure(String),
    /// It has a result: the first property.
    Answer(String),
    /// There is nothing yet.
    Nothing,
}

impl ViewRow {
    /// Whether it failed, or its answer was refused.
    pub fn has_failed(&self) -> bool {
        self.status == "failed" || self.refusal().is_some()
    }

    /// The failure code, or that of the refusal.
    pub fn code(&self) -> &str {
        let refused = self.refusal().and_then(|verdict| verdict.code.as_deref());
        let own = self.error.split(':').next().unwrap_or_default();
        match own {
            "" => refused.unwrap_or_default(),
            own => own,
        }
    }

    /// What failed, or the first property of the result.
    pub fn headline(&self) -> Headline {
        if !self.error.is_empty() {
            return Headline::Failure(self.error.clone());
        }
        if let Some(verdict) = self.refusal() {
            let detail = verdict.detail.as_deref().unwrap_or_default();
            let code = verdict.code.as_deref().unwrap_or("refused");
            return Headline::Failure(crate::model::with_code(code, detail));
        }
        let object = self.result.as_ref().and_then(Value::as_object);
        match object.and_then(|object| object.iter().next()) {
            Some((name, value)) => Headline::Answer(format!("{name}: {}", plain(value))),
            None => Headline::Nothing,
        }
    }

    fn refusal(&self) -> Option<&VerdictRecord> {
        let verdict = self.verdict.as_ref();
        verdict.filter(|verdict| verdict.verdict != VerdictKind::Accepted)
    }
}

/// A string as its text, any other value as JSON.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
