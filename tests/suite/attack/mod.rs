//! Attacks on a pass and on the commands that write: killed at every system call, refused by the operating system, the
//! clock moved.
//!
//! The suite takes samples. `make attack` (or `LAB_PROBE_ATTACK=full`) takes everything and says how much that was.

pub(crate) mod clocks;
mod commands;
mod injection;
mod kills;
mod readers;
mod refusals;
pub(crate) mod scene;

use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether everything is tried instead of a sample.
fn full() -> bool {
    std::env::var_os("LAB_PROBE_ATTACK").is_some_and(|form| form == "full")
}

/// Compiles a C file of this directory, with `options`, and returns the result's path.
fn compiled(source: &str, options: &[&str]) -> PathBuf {
    let source = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/attack")).join(source);
    let stem = source.file_stem().expect("a name").to_string_lossy().into_owned();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Tests may compile the same at the same time: each its own, the last one wins.
    let own = directory.join(format!("{stem}.{}.{}", std::process::id(), fastrand::u32(..)));
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-Wall", "-Wextra", "-Werror"]).args(options).arg("-o").arg(&own).arg(&source);
    assert!(cc.status().expect("cc is installed").success(), "{} does not compile", source.display());
    let result = directory.join(stem);
    std::fs::rename(&own, &result).expect("renamed");
    result
}

/// Says what a test has tried, where it is asked for all of it.
#[expect(clippy::print_stderr, reason = "figures for whoever ran `make attack`")]
fn report(what: &str) {
    if full() {
        eprintln!("attack: {what}");
    }
}
