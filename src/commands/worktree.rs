//! `worktree show` and `worktree set`: the `.worktree` file, in which people and scripts declare a status.

use std::path::{Path, PathBuf};

use crate::check::worktree::declared::{self, EditError};
use crate::cli::{WorktreeArgs, WorktreeCommand};
use crate::exit::{Exit, UsageError};
use crate::log;
use crate::plan::worktrees;

/// Runs `worktree …`.
///
/// # Errors
/// No worktree there, a file that cannot be read or written, a declaration that is not possible ([`UsageError`]).
pub(super) fn run(args: &WorktreeArgs) -> anyhow::Result<Exit> {
    match &args.command {
        WorktreeCommand::Show { directory } => show(&root(directory.as_deref())?),
        WorktreeCommand::Set { directory, declarations } => {
            declared::set(&root(directory.as_deref())?, declarations).map_err(|error| match error {
                EditError::Invalid(sentence) => UsageError(sentence).into(),
                error @ EditError::File(..) => anyhow::Error::new(error),
            })?;
            Ok(Exit::Done)
        }
    }
}

fn root(directory: Option<&Path>) -> anyhow::Result<PathBuf> {
    let directory = directory.unwrap_or(Path::new("."));
    Ok(worktrees::containing(directory).map_err(UsageError)?.path)
}

/// Prints the file as it stands; what a pass would ignore in it is said beside.
fn show(root: &Path) -> anyhow::Result<Exit> {
    let text = declared::text(root)?;
    let printed = super::print(&text);
    for note in declared::read(root).notes {
        log::warn(note);
    }
    if text.is_empty() {
        log::info(format!("{} declares nothing", root.join(declared::FILE_NAME).display()));
    }
    Ok(if printed { Exit::Done } else { Exit::Trouble })
}
