//! What stays private: who may read a run's files, which values are written nowhere, what never reaches a terminal raw.

mod modes;
mod redaction;
mod terminal;
