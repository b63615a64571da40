//! A spawned CSV as a run: started, resumed, and results taken over from an earlier one.

mod changes;
mod resume;
mod reuse;
mod spawn;

pub use changes::Difference;
pub use resume::InputChanged;
pub use reuse::EarlierRun;
pub use spawn::{SpawnRun, SpawnSettings, spool};
