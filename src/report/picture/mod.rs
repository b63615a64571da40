//! A run as a picture: one SVG 1.1 file without script, fonts or links, for browsers, README views and office programs.
//!
//! ```text
//! ledger ─► view::History ─► packing (bars in slots, load, lanes) ─► timeline ─┐
//! page::read_tasks ─► layers (layer and place of each task) ─► graph          ─┼─► svg
//! ```
//!
//! The same run gives the same bytes. Colours are light, and dark where the reader prefers that. Texts of workers and plans are
//! data: cut, without control characters, and never markup.

mod graph;
mod layers;
mod packing;
mod svg;
mod timeline;

pub use graph::{GraphError, graph};
pub use timeline::timeline;
