//! The nouns every room speaks in: plain data in memory. Nothing here touches files, clocks, processes or networks.

/// An enum whose values are words of labels, files and tables.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),* }

        impl $name {
            pub const ALL: &[$name] = &[$($name::$variant),*];

            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }

            /// Compared exactly.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }
    };
}
pub(crate) use words;

pub mod cardinality;
pub mod checkup;
pub mod delivery;
pub mod digest;
pub mod history;
pub mod hung;
pub mod listing;
pub mod mcp;
pub mod observation;
pub mod reason;
pub mod seconds;
pub mod service;
pub mod snapshot;
pub mod target;
pub mod thunes;
pub mod unusual;
pub mod worktree;
