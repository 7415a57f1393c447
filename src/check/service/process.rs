//! A process told by its command line.
//!
//! The pattern is a sequence of words that must stand in the command line as they are, beginning with the program or,
//! where an interpreter or a launcher runs it, with any later word. A path is known by its last part unless the pattern
//! has a slash too. So `run_scheduler.py` finds `python3 /srv/thunes/run_scheduler.py --paper`, but neither
//! `vim run_scheduler.py` nor `tail -f run_scheduler.py.log`, which a search for a piece of text would find.

use super::Found;
use crate::check::command_line::{INTERPRETERS, LAUNCHERS, base_name, program_name};
use crate::model::reason::{Failure, Reason};
use crate::proc::ProcessTable;

pub(super) fn check(pattern: &str, processes: &ProcessTable) -> Found {
    let wanted: Vec<&str> = pattern.split_whitespace().collect();
    let listed = processes.all().map_err(|e| {
        Failure::new(Reason::SpawnFailed, format!("the processes of this machine cannot be listed: {e}"))
            .with_hint("let lab-probe read /proc (for the timer: ProtectProc= and ProcSubset= of the unit)")
            .if_shortage(crate::fs::is_shortage(e))
    })?;
    // What the pass itself has started does not show that the service runs.
    match listed.filter(|process| matches(&process.arguments, &wanted) && !processes.is_own(process)).count() {
        0 => Err(Failure::new(Reason::Exited, format!("no process runs {pattern:?}")).with_hint(
            "start it, or compare the pattern with `ps -eo args`: whole words count, from the program or script on",
        )),
        1 => Ok("1 process".into()),
        more => Ok(format!("{more} processes")),
    }
}

fn matches(words: &[String], wanted: &[&str]) -> bool {
    let Some(program) = words.first().map(|first| program_name(first)) else { return false };
    let runs_another = INTERPRETERS.contains(&program) || LAUNCHERS.contains(&program);
    let starts = if runs_another { words.len() } else { 1 };
    (0..starts).any(|start| {
        let here = words.get(start..start + wanted.len());
        here.is_some_and(|here| here.iter().zip(wanted).all(|(word, wanted)| is_word(word, wanted)))
    })
}

fn is_word(word: &str, wanted: &str) -> bool {
    word == wanted || (!wanted.contains('/') && base_name(word) == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::processes::tests::add_process;

    fn found(command: &str, pattern: &str) -> bool {
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        matches(&words, &pattern.split_whitespace().collect::<Vec<_>>())
    }

    #[test]
    fn whole_words_count_from_the_program_or_the_script_on() {
        for (command, pattern) in [
            ("python3 /srv/thunes/run_scheduler.py --paper", "run_scheduler.py"),
            ("/usr/bin/python3.11 -u run_scheduler.py", "run_scheduler.py"),
            ("/srv/thunes/run_scheduler.py", "run_scheduler.py"),
            ("/srv/thunes/run_scheduler.py", "/srv/thunes/run_scheduler.py"),
            ("uv run python run_scheduler.py", "run_scheduler.py"),
            ("python3 -m thunes.scheduler --env testnet", "-m thunes.scheduler"),
            ("python3 run.py --env testnet", "run.py --env testnet"),
            ("/usr/bin/prometheus --config.file=x", "prometheus"),
        ] {
            assert!(found(command, pattern), "{pattern} in {command}");
        }
        for (command, pattern) in [
            ("vim run_scheduler.py", "run_scheduler.py"),
            ("tail -f run_scheduler.py", "run_scheduler.py"),
            ("python3 run_scheduler.py.bak", "run_scheduler.py"),
            ("python3 old_run_scheduler.py", "run_scheduler.py"),
            ("python3 run.py --env mainnet", "run.py --env testnet"),
            ("/opt/other/run_scheduler.py", "/srv/thunes/run_scheduler.py"),
            ("prometheus-node-exporter", "prometheus"),
            ("", "prometheus"),
        ] {
            assert!(!found(command, pattern), "{pattern} in {command}");
        }
    }

    #[test]
    fn living_processes_are_found_and_others_not() {
        let root = tempfile::tempdir().expect("a directory");
        let own = std::process::id().cast_signed();
        let add = |pid, parent, command| add_process(root.path(), pid, parent, command, None);
        add(10, 1, "python3\0app.py\0");
        add(11, 1, "app.py\0");
        add(12, 1, "");
        add(13, 1, "app.py: worker process\0");
        // What this process has started, and what that has: no sign of the service.
        add(own, 1, "lab-probe\0");
        add(2_000_012, own, "app.py\0");
        add(2_000_013, 2_000_012, "app.py\0");
        let found = |pattern: &str| check(pattern, &ProcessTable::of(root.path()));
        assert_eq!(found("app.py").as_deref(), Ok("2 processes"));
        assert_eq!(found("app.py: worker").as_deref(), Ok("1 process"));
        assert_eq!(found("other.py").map_err(|f| f.reason), Err(Reason::Exited));
    }
}
