//! The configuration: which file, what it says, whether it may be believed, and what follows from it.
//!
//! Three stages, each with types of its own: the file as written ([`file`]), with every problem placed at its line
//! and key; expansion of `~` and `${VAR}`; and validated [`settings`], the only thing other rooms see.
//! May read files and the environment; never the network, never the state.

pub mod duration;
pub mod settings;
