//! A wave with all that its rows need, as one file for hosts that share no folder.
//!
//! ```text
//! job.json, wave, workspace, mesh ─► draft (walk, sizes) ─► manifest (hashes) ─► FILE
//! FILE ─► unpack (manifest first: limits, names; then each member in its order) ─► a private folder
//! ```
//!
//! Members are `mesh-bundle/…`; the first one is `mesh-bundle/manifest.json`: `{v, mesh_version, members: [{path, kind, bytes, sha256,
//! mtime}]}`. Folders are listed only; a link is a regular file whose content is its target, and links are made last, so that nothing
//! is written through one. The hashes tell damage; they don't tell who made the bundle, which starts a command and so has to come from a
//! place that its user trusts.

mod draft;
mod manifest;
mod program;
mod unpack;

pub use draft::Draft;
pub use manifest::{BundleManifest, BundleMember, Kind};
pub use program::{Linkage, linkage};
pub use unpack::unpack_bundle;

/// The first part of all names.
const ROOT: &str = "mesh-bundle";
