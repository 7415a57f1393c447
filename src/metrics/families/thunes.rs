//! `thunes_*`.

use super::Samples;
use crate::model::thunes::{ThunesFacts, ThunesMemory};

pub(super) fn add(_environment: &str, _facts: &ThunesFacts, _memory: &ThunesMemory, _samples: &mut Samples<'_>) {}
