//! From a snapshot to exposition text, in memory only.
//!
//! [`catalogue`] declares every family once, with what to do about it; the files of [`families`], one a kind, set samples
//! of declared families in [`vectors`]; [`text`] encodes them and reads the text back before it leaves;
//! [`check`] judges textfiles together, by node_exporter's rules.

mod cardinality;
pub mod catalogue;
pub mod check;
pub mod families;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod text;
pub mod vectors;
