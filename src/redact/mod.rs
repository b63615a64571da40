//! Takes secrets out of everything that is written or shown: worker output passes through a [`Redactor`] before it is kept.
//!
//! Each secret becomes `[redacted:NAME]`. There are two kinds: the values of worker variables whose names look like those
//! of keys, and texts in the format of a well-known token. This module knows nothing of jobs, files or variables; the owner
//! of a redactor passes it the values. What workers receive and what the user gave is never changed.
//!
//! Not found: values of fewer than six bytes, which occur in ordinary text, and other encodings of a value, such as Base64.
//!
//! ```text
//! variables -> variable_names -> escaping -> values ─┐
//!                              token_formats ────────┴> spans -> redactor -> clean text or JSON
//! ```

mod escaping;
mod redactor;
mod span;
mod token_formats;
mod values;
mod variable_names;

pub use redactor::{Redactor, marker};
pub use values::Cut;

#[cfg(test)]
mod tests;
