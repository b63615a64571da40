//! The `command` adapter: any program, named after `--` or in `mesh.yaml`.

use super::agent::last_lines;
use super::config::{AdapterConfig, PromptBy, ResultBy, UsagePointers};
use super::price::Price;
use crate::job;
use crate::job::{AgentFailure, AgentProtocol, Call, Invocation, Printed, Reading};
use crate::model::Usage;
use crate::verdict::{PickRules, extract};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The protocol of a command; recorded in the ledger.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommandSpec {
    #[serde(default)]
    pub prompt: PromptBy,
    #[serde(default)]
    pub result: ResultBy,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsagePointers>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rate_limit_patterns: Vec<String>,
}

impl CommandSpec {
    pub(crate) fn from_config(config: &AdapterConfig, price: Option<Price>) -> Self {
        Self {
            prompt: config.prompt,
            result: config.result,
            usage: config.usage.clone(),
            price: price.filter(|_| config.usage.is_some()),
            rate_limit_patterns: config.rate_limit_patterns.clone(),
        }
    }

    /// Whether it differs from the default protocol.
    pub(crate) fn is_special(&self) -> bool {
        *self != Self::default()
    }
}

impl AgentProtocol for CommandSpec {
    fn call(&self, _: &Call<'_>) -> Invocation {
        Invocation {
            prompt: match self.prompt {
                PromptBy::Stdin => job::PromptBy::Stdin,
                PromptBy::File => job::PromptBy::File,
            },
            ..Invocation::default()
        }
    }

    fn read<'o>(&self, printed: &Printed<'o>) -> Reading<'o> {
        let is_answer = matches!(self.result, ResultBy::Any | ResultBy::Stdout);
        Reading {
            text: if is_answer { printed.stdout } else { b"" }.into(),
            usage: self.usage(printed.stdout),
            session: None,
            failure: self.failure(printed),
        }
    }

    fn result_instructions(&self) -> Option<&str> {
        match self.result {
            ResultBy::Any => None,
            ResultBy::Stdout => Some(
                "Print it at the end of standard output: the object and nothing else. Then stop.",
            ),
            ResultBy::File => Some("Write it to the file named by MESH_RESULT_FILE. Then stop."),
            ResultBy::Report => Some(
                "Return it once with `mesh report-result --result JSON` (or `--result -` to read it from standard \
                 input). Then stop.",
            ),
        }
    }

    fn has_service(&self) -> bool {
        !self.rate_limit_patterns.is_empty()
    }
}

impl CommandSpec {
    fn usage(&self, stdout: &[u8]) -> Option<Usage> {
        let pointers = self.usage.as_ref()?;
        let counts = [
            &pointers.input_tokens,
            &pointers.output_tokens,
            &pointers.cost_usd,
        ];
        let has_usage = |value: &Value| {
            let mut pointers = counts.into_iter().flatten();
            pointers.any(|pointer| value.pointer(pointer).is_some())
        };
        let wanted = PickRules {
            fits: &has_usage,
            prose: None,
        };
        let printed = Value::Object(extract::pick(stdout, &wanted).ok()?.object);
        let at = |pointer: &Option<String>| printed.pointer(pointer.as_deref()?);
        let count = |pointer| at(pointer).and_then(Value::as_u64);
        let usage = Usage {
            input_tokens: count(&pointers.input_tokens).unwrap_or_default(),
            cached_input_tokens: count(&pointers.cached_input_tokens).unwrap_or_default(),
            output_tokens: count(&pointers.output_tokens).unwrap_or_default(),
            cost_usd: at(&pointers.cost_usd).and_then(Value::as_f64),
        };
        let usage = self.price.map_or(usage, |price| price.applied(usage));
        (!usage.is_none()).then_some(usage)
    }

    /// A rate limit, by the user's patterns or those of services; any other failure is left to `job`.
    fn failure(&self, printed: &Printed<'_>) -> Option<AgentFailure> {
        if printed.is_success {
            return None;
        }
        let streams = [printed.stderr, printed.stdout];
        streams.into_iter().find_map(|bytes| {
            let end = last_lines(bytes).join("\n");
            let failure = AgentFailure::of(&end, &self.rate_limit_patterns);
            matches!(failure, AgentFailure::Unavailable(..)).then_some(failure)
        })
    }
}
