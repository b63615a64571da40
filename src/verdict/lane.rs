//! What a row's lane allows in its answer (CONTRACT, section 3, `lane`).

use super::extract::Object;
use crate::model::Lane;
use serde_json::Value;

/// Checks that a `read_only` row returned no patch and a `patch` row returned one.
pub fn check(lane: Lane, result: &Object) -> Result<(), String> {
    let patch = result.get("patch");
    match (lane, patch) {
        (Lane::ReadOnly, Some(patch)) if !is_blank(patch) => {
            Err("this lane is read_only: the answer must not contain a `patch`".to_owned())
        }
        (Lane::Patch, None) => Err("this lane needs a unified diff in `patch`".to_owned()),
        (Lane::Patch, Some(patch)) if is_blank(patch) => {
            Err("the `patch` is empty; this lane needs a unified diff".to_owned())
        }
        _ => Ok(()),
    }
}

fn is_blank(patch: &Value) -> bool {
    match patch {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(lane: Lane, json: &str) -> bool {
        let object = crate::verdict::extract::object(json.as_bytes()).expect("an object");
        check(lane, &object).is_ok()
    }

    #[test]
    fn only_the_patch_lane_returns_patches() {
        assert!(verdict(Lane::ReadOnly, "{}"));
        assert!(verdict(Lane::ReadOnly, r#"{"patch":""}"#));
        assert!(!verdict(Lane::ReadOnly, r#"{"patch":"--- a\n+++ b\n"}"#));
        assert!(verdict(Lane::Patch, r#"{"patch":"--- a\n+++ b\n"}"#));
        assert!(!verdict(Lane::Patch, r#"{"patch":" "}"#));
        assert!(!verdict(Lane::Patch, "{}"));
    }
}
