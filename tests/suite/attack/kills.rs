//! SIGKILL at every system call of a pass, and at random moments.
//!
//! What must hold afterwards: textfile and state are whole, old or new; the next pass is normal, its counters exact;
//! and no process is left. The supervisors see to the last: each holds a socket that closes when the probe dies, and ends
//! what it keeps. Neither the next pass nor a control group is needed for it here.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use lab_probe::clock::instant;

use super::commands::{self, Case};
use super::scene::Scene;
use super::{compiled, full};

/// How a program under `kill_at_call` went.
struct Traced {
    /// System calls of all its threads.
    calls: u64,
    /// The number of the last one.
    last: u64,
    killed: bool,
}

fn pass_killed_at(scene: &Scene, tool: &Path, call: u64) -> Traced {
    killed_at(&scene.command(["--once", "--quiet"]), tool, call)
}

fn killed_at(program: &Command, tool: &Path, call: u64) -> Traced {
    let mut traced = Command::new(tool);
    traced.arg(call.to_string()).arg(program.get_program()).args(program.get_args());
    traced.current_dir(program.get_current_dir().expect("a directory"));
    traced.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = traced.stdin(Stdio::null()).output().expect("the tool starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut words = said.lines().last().unwrap_or_default().split_whitespace().skip(1).map(str::parse);
    let mut word = || words.next().and_then(Result::ok).unwrap_or_else(|| panic!("call {call}: {said}"));
    let (calls, last) = (word(), word());
    let killed = output.status.code() == Some(128 + 9);
    assert!(killed || output.status.success(), "call {call}: {said}");
    Traced { calls, last, killed }
}

/// Kills a pass at every system call, or every so many, and returns how many that were by the number of the call.
fn kill_everywhere(scene: &mut Scene, first_pass: bool, samples: u64) -> BTreeMap<u64, u64> {
    let tool = compiled("kill_at_call.c", &[]);
    let begin = |scene: &mut Scene| {
        scene.append();
        if first_pass {
            scene.forget();
        }
    };
    // Threads take turns as they like: each run has its own number of calls.
    let undisturbed = (0..3).map(|_| {
        begin(scene);
        pass_killed_at(scene, &tool, 0).calls
    });
    let most = undisturbed.max().expect("three runs");
    assert!(most > 500, "{most} system calls");
    let step = if full() { 1 } else { most.div_ceil(samples) };
    let mut at = fastrand::u64(1..=step);
    let mut kills = BTreeMap::new();
    let mut escaped = 0;
    while at <= most {
        begin(scene);
        let traced = pass_killed_at(scene, &tool, at);
        let when = format!("killed at system call {at} of {most}, number {}", traced.last);
        if traced.killed {
            *kills.entry(traced.last).or_default() += 1;
        } else {
            escaped += 1;
        }
        if first_pass {
            scene.assert_whole_or_absent(&when)
        } else {
            scene.assert_whole(&when)
        }
        scene.assert_nobody_is_left(&when);
        scene.assert_next_pass_is_normal(&when);
        at += step;
    }
    // How many calls a pass takes depends on how busy the machine is.
    assert!(escaped * 3 <= most / step, "{escaped} of {} passes ended before they could be killed", most / step);
    kills
}

fn report_kills(kills: &BTreeMap<u64, u64>, what: &str) {
    super::report(&format!(
        "{} kills at {} different system calls of {what}",
        kills.values().sum::<u64>(),
        kills.len()
    ));
}

#[test]
fn a_pass_killed_at_any_system_call_leaves_everything_whole() {
    let kills = kill_everywhere(&mut Scene::new(), false, 30);
    report_kills(&kills, "a pass");
}

#[test]
fn the_first_pass_killed_at_any_system_call_leaves_everything_whole() {
    let kills = kill_everywhere(&mut Scene::new(), true, 12);
    report_kills(&kills, "a first pass");
}

#[test]
fn a_command_killed_at_any_system_call_leaves_its_file_old_or_new() {
    for case in [commands::record(0), commands::trust(), commands::worktree_set(), commands::report_html()] {
        kill_command_everywhere(&case);
    }
}

/// Kills a command at every system call, or every so many.
fn kill_command_everywhere(case: &Case) {
    let tool = compiled("kill_at_call.c", &[]);
    let before = case.prepared();
    let most = killed_at(&case.command(), &tool, 0).calls;
    let after = case.changed("");
    assert!(most > 50 && before != after, "{}: {most} system calls, {before}", case.name);
    let step = if full() { 1 } else { most.div_ceil(12) };
    let mut at = fastrand::u64(1..=step);
    let mut kills = BTreeMap::new();
    while at <= most {
        case.prepared();
        let traced = killed_at(&case.command(), &tool, at);
        let when = format!("{} killed at system call {at} of {most}, number {}", case.name, traced.last);
        if traced.killed {
            *kills.entry(traced.last).or_default() += 1;
        }
        let found = case.changed("");
        assert!(found == before || found == after, "{when}: {found}");
        case.assert_next_run_is_normal(&after, &when);
        at += step;
    }
    assert!(!kills.is_empty(), "{}", case.name);
    report_kills(&kills, &format!("`{}`", case.name));
}

#[test]
fn a_pass_killed_at_random_moments_leaves_everything_whole() {
    let mut scene = Scene::new();
    let begun = instant();
    scene.assert_next_pass_is_normal("to see how long it takes");
    let whole = begun.elapsed();
    let wanted = if full() { 1000 } else { 30 };
    let (mut kills, mut escaped) = (0, 0);
    while kills < wanted {
        scene.append();
        let mut pass = scene.command(["--once", "--quiet"]);
        let mut pass = pass.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a pass");
        let after = whole.mul_f64(fastrand::f64() * 1.1);
        std::thread::sleep(after);
        if pass.try_wait().expect("waited for").is_none() {
            pass.kill().expect("killed");
            kills += 1;
        } else {
            escaped += 1;
            assert!(escaped < wanted + 100, "only {kills} kills, {escaped} passes had ended before");
        }
        pass.wait().expect("reaped");
        let when = format!("killed after {after:?} of {whole:?}");
        scene.assert_whole(&when);
        scene.assert_nobody_is_left(&when);
        // Several killed passes in a row, too.
        if fastrand::bool() || full() && kills % 3 == 0 {
            scene.assert_next_pass_is_normal(&when);
        }
    }
    scene.assert_next_pass_is_normal("at the end");
    super::report(&format!("{kills} kills at random moments within {:?}, {escaped} passes escaped", whole * 11 / 10));
    assert!(whole < Duration::from_secs(20));
}
