//! Checks a result, however it was returned: its size, the schema, and the cells it would become.

use super::cells::{FormulaCells, ResultColumns};
use super::failure::Failure;
use crate::job::agent_protocol::ReadText;
use crate::job::error::JobError;
use crate::job::settings::Settings;
use crate::model::one_line;
use crate::verdict::{NoAnswer, Object, PickRules, Picked, Schema, VIOLATIONS_MAX, extract};
use serde_json::Value;

/// The check of a job's results.
#[derive(Clone)]
pub struct ResultCheck {
    schema: Option<Schema>,
    result_bytes_max: usize,
    /// Columns that may not contain formulas.
    guarded: Option<ResultColumns>,
}

impl ResultCheck {
    /// Whether a result of another run would be accepted in this job.
    pub fn fits(&self, result: &Value) -> bool {
        let object = result.as_object().cloned();
        object.is_some_and(|object| self.check(object).is_ok())
    }

    /// The check of a job.
    pub fn of(settings: &Settings) -> Result<Self, JobError> {
        let schema = match &settings.output_schema {
            Some(source) => Some(Schema::compile("output_schema", source.clone())?),
            None => None,
        };
        let columns = settings.result_columns()?;
        Ok(Self {
            schema,
            result_bytes_max: settings.result_bytes_max,
            guarded: columns.filter(|_| settings.formula_cells == FormulaCells::Reject),
        })
    }

    /// Whether results have a schema.
    pub(crate) fn has_schema(&self) -> bool {
        self.schema.is_some()
    }

    /// The largest result, in bytes of compact JSON.
    pub fn bytes_max(&self) -> usize {
        self.result_bytes_max
    }

    /// Finds the result in a worker's output: the last object that fits the schema, else the last one.
    pub fn pick(&self, bytes: &[u8], prose: Option<ReadText>) -> Result<Picked, (Failure, String)> {
        let fits = |value: &Value| {
            let schema = self.schema.as_ref();
            schema.is_none_or(|schema| schema.is_valid(value))
        };
        let wanted = PickRules { fits: &fits, prose };
        extract::pick(bytes, &wanted).map_err(|error| {
            let failure = match error {
                NoAnswer::Nothing { .. } => Failure::NoResponse,
                NoAnswer::Near(_) | NoAnswer::NotUtf8(_) => Failure::InvalidOutputSchema,
            };
            (failure, error.to_string())
        })
    }

    /// Checks a picked object. The error also names a malformed candidate after it.
    pub fn check_picked(&self, picked: Picked) -> Result<Object, (Failure, String)> {
        let near = picked.near;
        self.check(picked.object)
            .map_err(|(failure, text)| match near {
                Some(near) if failure == Failure::InvalidOutputSchema => {
                    let text = format!("{near}; the object before it does not fit: {text}");
                    (failure, text)
                }
                _ => (failure, text),
            })
    }

    /// Checks a result. The error lists every violation.
    pub fn check(&self, result: Object) -> Result<Object, (Failure, String)> {
        let value = Value::Object(result);
        let bytes = value.to_string().len();
        if bytes > self.result_bytes_max {
            let text = format!(
                "the result has {bytes} bytes; at most {} are allowed",
                self.result_bytes_max
            );
            return Err((Failure::OutputTooLarge, text));
        }
        if let Some(Err(violations)) = self.schema.as_ref().map(|schema| schema.check(&value)) {
            return Err((Failure::InvalidOutputSchema, violations));
        }
        let Value::Object(result) = value else {
            return Err((Failure::InvalidOutputSchema, "not an object".to_owned()));
        };
        match self.formulas(&result) {
            text if text.is_empty() => Ok(result),
            text => Err((Failure::InvalidOutputSchema, text)),
        }
    }

    fn formulas(&self, result: &Object) -> String {
        let found = self
            .guarded
            .as_ref()
            .map(|columns| columns.formulas(result));
        let found = found.unwrap_or_default();
        let lines = found.iter().take(VIOLATIONS_MAX);
        let lines: Vec<String> = lines
            .map(|formula| one_line(&formula.to_string()))
            .collect();
        lines.join("; ")
    }
}

#[cfg(test)]
impl ResultCheck {
    /// A check of a schema and a size only.
    pub fn by(schema: &str, result_bytes_max: usize) -> Self {
        Self {
            schema: Some(Schema::parse("s", schema).expect("a schema")),
            result_bytes_max,
            guarded: None,
        }
    }
}
