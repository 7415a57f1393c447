//! What is found only from the current directory has no memory: under its name something of another directory, or of an
//! earlier configuration, may be remembered.

use std::collections::BTreeMap;

use crate::model::observation::Remembered;
use crate::model::target::Target;
use crate::state::store::State;

/// Memories by `kind/name`, as they were before the pass.
pub(super) type SetAside = BTreeMap<String, Option<Remembered>>;

/// Takes from the state what is remembered under the names of these targets.
pub(super) fn set_aside(targets: &[Target], state: &mut State) -> SetAside {
    let here = targets.iter().filter(|target| target.only_here).map(|target| target.id().to_string());
    here.map(|id| (id.clone(), state.targets.remove(&id))).collect()
}

/// Undoes that, and with it whatever the pass has remembered of them.
pub(super) fn put_back(memories: SetAside, state: &mut State) {
    for (id, remembered) in memories {
        state.targets.remove(&id);
        state.targets.extend(remembered.map(|remembered| (id, remembered)));
    }
}
