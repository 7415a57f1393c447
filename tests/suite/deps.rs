//! What `make deps` finds missing, on machines that are not this one.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Lab, Run};

/// Runs `tests/deps.sh build` for a user who may install nothing, with these commands on PATH beside bash.
fn deps(lab: &Lab, commands: &[(&str, &str)]) -> Run {
    script(lab, "tests/deps.sh", &["build"], commands)
}

/// Runs a script for a user who may install nothing, with these commands on PATH beside bash.
fn script(lab: &Lab, name: &str, arguments: &[&str], commands: &[(&str, &str)]) -> Run {
    let path = lab.path().join("bin");
    let id = ("id", "echo 1000");
    for (name, script) in commands.iter().chain([&id]) {
        lab.install(path.join(name), &format!("#!/bin/sh\n{script}\n"));
    }
    for name in ["bash", "dirname"] {
        let real = ["/bin", "/usr/bin"].map(|directory| Path::new(directory).join(name));
        symlink(real.iter().find(|path| path.exists()).expect("installed"), path.join(name)).expect("linked");
    }
    let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join(name))
        .args(arguments)
        .env_remove("CI")
        .env("PATH", &path)
        .output()
        .expect("the script starts");
    Run(output)
}

#[test]
fn the_fuzz_targets_are_locked_to_what_the_program_depends_on() {
    let read = |name: &str| -> Value {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name);
        toml::from_str(&text).expect("TOML")
    };
    let (manifest, lock) = (read("Cargo.toml"), read("fuzz/Cargo.lock"));
    let wanted: BTreeSet<&str> =
        manifest["dependencies"].as_object().expect("a table").keys().map(String::as_str).collect();
    let program = lock["package"].as_array().expect("packages").iter().find(|package| package["name"] == "lab-probe");
    let locked = program.expect("the program")["dependencies"].as_array().expect("names").iter();
    let locked = locked.filter_map(|name| name.as_str()?.split(' ').next());
    assert_eq!(locked.collect::<BTreeSet<_>>(), wanted, "run `cargo update --workspace` in fuzz/");
}

#[test]
fn building_needs_a_compiler_that_links_git_and_cargo_alone() {
    let lab = Lab::new();
    deps(&lab, &[("cc", ""), ("git", ""), ("cargo", "")]).expect_code(0);
}

#[test]
fn a_compiler_without_the_c_library_is_not_enough() {
    let lab = Lab::new();
    let run = deps(&lab, &[("cc", "exit 1"), ("git", ""), ("cargo", "")]).expect_code(1);
    assert_eq!(run.stderr(), "install these packages first: libc6-dev\n");
}

#[test]
fn without_rust_the_place_to_get_it_is_told() {
    let lab = Lab::new();
    let run = deps(&lab, &[("cc", ""), ("git", "")]).expect_code(1);
    assert_eq!(run.stderr(), "install Rust first: https://rustup.rs\n");
}

#[test]
fn without_root_and_tools_the_tests_that_can_run_do_and_the_others_are_named() {
    let lab = Lab::new();
    let cargo = ("cargo", "echo cargo \"$@\"; exit 3");
    let run = script(&lab, "tests/run.sh", &["--quiet"], &[("cc", ""), ("git", ""), ("strace", ""), cargo]);
    let run = run.expect_code(3);
    let (ran, said) = (run.stdout(), run.stderr());
    let suite = "cargo test --locked --lib --bins -- --quiet\ncargo test --locked --test suite -- --skip ";
    assert!(ran.starts_with(suite) && ran.ends_with(" --quiet\n"), "{ran}");
    assert!(ran.contains("--skip systemd::") && !ran.contains("attack::") && !ran.contains("pass::"), "{ran}");
    assert!(
        said.contains("  summary::a_real_browser* (chromium is missing)\n") && said.contains("install these packages"),
        "{said}"
    );
}
