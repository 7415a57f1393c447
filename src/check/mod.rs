//! The checks: each takes a validated target, what was remembered of it and a deadline, and gives back what it found and
//! what it wants remembered. A check touches its own target's files, processes and URLs; never the state, standard
//! output, the settings or another target.

pub mod mcp;
