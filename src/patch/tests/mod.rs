//! Tests of the whole of `patch`, through [`Patch::parse`](super::parsed::Patch::parse) and `fit`.

mod fixture;
mod misfits;
mod parsing;
mod placement;
mod placement_property;
mod placing;
mod properties;
mod refusals;
mod reversal;
