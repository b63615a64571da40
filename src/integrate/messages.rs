//! Sentences about a patch that reach its voters.

pub(super) fn does_not_apply(detail: &str) -> String {
    format!("- it does not apply any more: {detail}")
}

pub(super) fn edited_meanwhile(detail: &str) -> String {
    format!("a file of the patch was edited while it was validated: {detail}")
}
