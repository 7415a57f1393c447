//! `worktree show` and `worktree set`: the `.worktree` file, in which people and scripts declare a status.

use std::path::{Path, PathBuf};

use crate::check::worktree::declared::{self, EditError};
use crate::cli::WorktreeCommand;
use crate::exit::{self, Exit};
use crate::log;
use crate::plan::worktrees;

pub(super) fn run(command: &WorktreeCommand) -> anyhow::Result<Exit> {
    match command {
        WorktreeCommand::Show { directory } => show(&root(directory.as_deref())?),
        WorktreeCommand::Set { directory, declarations } => {
            let root = root(directory.as_deref())?;
            declared::set(&root, declarations).map_err(not_edited)?;
            Ok(Exit::Done)
        }
    }
}

fn root(directory: Option<&Path>) -> anyhow::Result<PathBuf> {
    let place = worktrees::containing(directory.unwrap_or(Path::new(".")));
    Ok(place.map_err(|why| exit::usage(format!("{why:#}"), "run it in a git worktree, or name one with -C DIR"))?.path)
}

fn not_edited(error: EditError) -> anyhow::Error {
    match error {
        EditError::Invalid(sentence) => {
            exit::usage(sentence, "for example: lab-probe worktree set status=blocked test_status=failing note=\"why\"")
        }
        EditError::File(path, error) => exit::refused("cannot read or edit", &path, error),
        EditError::NotText(..) => {
            exit::trouble(error.to_string(), "have it written as UTF-8 (iconv -t UTF-8), or take that line out")
        }
    }
}

/// Prints the file as it stands; what a pass would ignore in it is said beside.
fn show(root: &Path) -> anyhow::Result<Exit> {
    let text = declared::text(root).map_err(not_edited)?;
    let printed = super::print(&text)?;
    for note in declared::declared_in(&text).notes {
        log::warn(note);
    }
    if text.is_empty() {
        log::info(format!("{} declares nothing", root.join(declared::FILE_NAME).display()));
    }
    Ok(printed)
}
