//! What a role of a protocol is bound to: an adapter, a model, an effort.

use super::id::Role;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What works the rows of a role. What is not given is that of the run.
///
/// As text `ADAPTER[:MODEL[:EFFORT]]`, with empty parts for what is not given; a model whose name has a colon can be given in a
/// file only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoleBinding {
    /// The name of the adapter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// The model of the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The effort, in the agent's own terms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
}

/// Bindings by role.
pub type RoleBindings = BTreeMap<Role, RoleBinding>;

impl RoleBinding {
    /// Reads `ROLE=ADAPTER[:MODEL[:EFFORT]]`.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<(Role, Self), String> {
        const FORM: &str = "expected ROLE=ADAPTER[:MODEL[:EFFORT]]";
        let (role, parts) = text.split_once('=').ok_or(FORM)?;
        let parts: Vec<&str> = parts.split(':').collect();
        let (&[adapter] | &[adapter, _] | &[adapter, _, _]) = parts.as_slice() else {
            return Err(format!(
                "{FORM}; a model whose name has a colon is set in mesh.yaml"
            ));
        };
        let given = |part: &str| (!part.is_empty()).then(|| part.to_owned());
        let binding = Self {
            adapter: given(adapter),
            model: parts.get(1).copied().and_then(given),
            effort: parts.get(2).copied().and_then(given),
        };
        match role.is_empty() || binding == Self::default() {
            true => Err(FORM.to_owned()),
            false => Ok((Role::new(role), binding)),
        }
    }
}

impl fmt::Display for RoleBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.adapter, &self.model, &self.effort];
        let parts = parts.map(|part| part.as_deref().unwrap_or_default());
        f.write_str(parts.join(":").trim_end_matches(':'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_is_read_and_shown_as_text() {
        for text in [
            "codex",
            "codex:gpt-5",
            "codex:gpt-5:high",
            "codex::high",
            ":opus",
        ] {
            let (role, binding) = RoleBinding::parse(&format!("skeptic={text}")).expect(text);
            assert_eq!(
                (role.as_str(), binding.to_string().as_str()),
                ("skeptic", text)
            );
        }
        for text in ["skeptic", "skeptic=", "=codex", "skeptic=::", "a=b:c:d:e"] {
            RoleBinding::parse(text).expect_err(text);
        }
    }
}
