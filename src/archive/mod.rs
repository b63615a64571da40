//! A run as one file for elsewhere: a tar archive, compressed with zstd, from which secrets are redacted.
//!
//! ```text
//! folder of a run ─► members (in order) ─► redaction ─► pack   ─► FILE.tar.zst
//! FILE.tar.zst ─► unpack (limits, names, hashes) ─► a private temporary folder ─► inspect, audit
//! ```
//!
//! Members are `RUN/…`, in the order of their names, without times, owners and modes of their own: the same run gives the same bytes.
//! The last one is `RUN/manifest.json`: `{v, mesh_version, run_id, members: [{path, bytes, sha256, redacted}]}`. What a reader finds
//! is nothing but regular files of the manifest, with the size and hash that it names. A whole run never has to fit into memory.
//! A wave for hosts without a shared folder is an archive of the same kind: see `bundle`.

mod bundle;
mod entries;
mod error;
mod manifest;
mod members;
mod pack;
mod redaction;
mod unpack;

pub use bundle::{BundleManifest, BundleMember, Draft, Kind, Linkage, linkage, unpack_bundle};
pub use entries::{Limits, is_archive};
pub use error::ArchiveError;
pub use manifest::{Manifest, Member};
pub use pack::export;
pub use unpack::{Unpacked, unpack};
