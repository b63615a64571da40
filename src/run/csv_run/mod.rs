//! A spawned CSV as a run: begun, resumed, and results reused from an earlier run.

mod changes;
mod input;
mod request;
mod resume;
mod reuse;
mod spawn;

pub use changes::Difference;
pub use input::InputFile;
pub use request::SpawnRequest;
pub use resume::InputChanged;
pub use reuse::EarlierRun;
pub use spawn::SpawnRun;
