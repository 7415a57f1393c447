//! A process told by its command line.
//!
//! The pattern is a sequence of words that must stand in the command line as they are, beginning with the program or,
//! where an interpreter or a launcher runs it, with any later word. A path is known by its last part unless the pattern
//! has a slash too. So `run_scheduler.py` finds `python3 /srv/thunes/run_scheduler.py --paper`, but neither
//! `vim run_scheduler.py` nor `tail -f run_scheduler.py.log`, which a search for a piece of text would find.

use std::path::Path;

use super::Found;
use crate::model::reason::{Failure, Reason};

/// A command line is looked at this far: words that far behind name nothing any more.
const MOST_COMMAND_BYTES: u64 = 64 << 10;

/// No line of descent is longer, unless processes came and went while it was followed.
const MOST_GENERATIONS: usize = 64;

/// Programs whose own name says nothing about what they run. Version suffixes (`python3.11`) are taken off first.
const LAUNCHERS: &[&str] = &[
    "bash", "bun", "dash", "deno", "env", "java", "nice", "node", "nohup", "npm", "npx", "perl", "pipx", "poetry",
    "pypy", "python", "ruby", "setsid", "sh", "stdbuf", "sudo", "timeout", "uv", "uvx", "zsh",
];

pub(super) fn check(pattern: &str, proc_root: &Path) -> Found {
    let wanted: Vec<&str> = pattern.split_whitespace().collect();
    let listed = std::fs::read_dir(proc_root).map_err(|e| {
        Failure::new(Reason::SpawnFailed, format!("the processes of this machine cannot be listed: {e}"))
            .with_hint("let lab-probe read /proc (for the timer: ProtectProc= and ProcSubset= of the unit)")
    })?;
    let own = std::process::id();
    let pids = listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let found = |&pid: &u32| runs(&proc_root.join(pid.to_string()), &wanted) && !belongs_to(proc_root, pid, own);
    let count = pids.filter(found).count();
    match count {
        0 => Err(Failure::new(Reason::Exited, format!("no process runs {pattern:?}")).with_hint(
            "start it, or compare the pattern with `ps -eo args`: whole words count, from the program or script on",
        )),
        1 => Ok("1 process".into()),
        more => Ok(format!("{more} processes")),
    }
}

/// Whether the process in this directory of /proc (proc_pid_cmdline(5)) runs what is wanted. A zombie has no command
/// line left; neither has one that has just ended, or that another user hides.
fn runs(directory: &Path, wanted: &[&str]) -> bool {
    let Ok(command) = read_command(directory) else { return false };
    matches(&words(&command), wanted)
}

/// Whether a process is `ancestor` or comes from it. What the pass itself has started (a server that it checks, and that the
/// service may also be) does not show that the service runs.
fn belongs_to(proc_root: &Path, mut pid: u32, ancestor: u32) -> bool {
    for _ in 0..MOST_GENERATIONS {
        if pid == ancestor {
            return true;
        }
        match parent(&proc_root.join(pid.to_string())) {
            Some(parent) if parent > 1 => pid = parent,
            _ => return false,
        }
    }
    false
}

/// The fourth field of proc_pid_stat(5); the second one, the name, may hold blanks and parentheses itself.
fn parent(directory: &Path) -> Option<u32> {
    let stat = crate::fs::read_capped(&directory.join("stat"), MOST_COMMAND_BYTES).ok()?;
    let stat = String::from_utf8_lossy(&stat).into_owned();
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn read_command(directory: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut command = Vec::new();
    std::fs::File::open(directory.join("cmdline"))?.take(MOST_COMMAND_BYTES).read_to_end(&mut command)?;
    Ok(command)
}

/// The words of a command line. A program that has rewritten its title (`nginx: master process`) leaves one word with
/// spaces, which is split.
fn words(command: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(command);
    let words: Vec<&str> = text.trim_end_matches('\0').split('\0').collect();
    match words.as_slice() {
        [title] => title.split_whitespace().map(str::to_owned).collect(),
        words => words.iter().map(|&word| word.to_owned()).collect(),
    }
}

fn matches(words: &[String], wanted: &[&str]) -> bool {
    let Some(program) = words.first() else { return false };
    let starts = if is_launcher(program) { words.len() } else { 1 };
    (0..starts).any(|start| {
        let here = words.get(start..start + wanted.len());
        here.is_some_and(|here| here.iter().zip(wanted).all(|(word, wanted)| is_word(word, wanted)))
    })
}

fn is_word(word: &str, wanted: &str) -> bool {
    word == wanted || (!wanted.contains('/') && last_part(word) == wanted)
}

fn is_launcher(program: &str) -> bool {
    let name = last_part(program).trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    LAUNCHERS.contains(&name)
}

fn last_part(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(command: &str, pattern: &str) -> bool {
        matches(&words(command.replace(' ', "\0").as_bytes()), &pattern.split_whitespace().collect::<Vec<_>>())
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
        let title = words(b"nginx: master process /usr/sbin/nginx\0\0\0");
        assert!(matches(&title, &["nginx:", "master"]));
    }

    #[test]
    fn living_processes_are_found_and_others_not() {
        let root = tempfile::tempdir().expect("a directory");
        for (pid, command) in [("10", "python3\0app.py\0"), ("11", "app.py\0"), ("12", ""), ("self", "app.py\0")] {
            std::fs::create_dir(root.path().join(pid)).expect("a directory");
            std::fs::write(root.path().join(pid).join("cmdline"), command).expect("written");
        }
        assert_eq!(check("app.py", root.path()).as_deref(), Ok("2 processes"));
        // What this process has started, and what that has: no sign of the service.
        for (pid, parent) in [(12, std::process::id()), (13, 12), (14, 1)] {
            let directory = root.path().join(pid.to_string());
            std::fs::create_dir_all(&directory).expect("a directory");
            std::fs::write(directory.join("cmdline"), "app.py\0").expect("written");
            std::fs::write(directory.join("stat"), format!("{pid} (a) b) S {parent} 1 1")).expect("written");
        }
        assert_eq!(check("app.py", root.path()).as_deref(), Ok("3 processes"));
        assert_eq!(check("other.py", root.path()).map_err(|f| f.reason), Err(Reason::Exited));
    }
}
