//! The integration crate: everything through the real binary, each test in a world of its own.

mod env;
mod examples;
mod st;
