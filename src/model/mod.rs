//! The nouns every room speaks in: plain data in memory. Nothing here touches files, clocks, processes or networks.

pub mod checkup;
pub mod delivery;
pub mod digest;
pub mod history;
pub mod listing;
pub mod mcp;
pub mod observation;
pub mod reason;
pub mod seconds;
pub mod service;
pub mod snapshot;
pub mod target;
pub mod textfile;
pub mod thunes;
pub mod unusual;
pub mod worktree;
