//! What `make deps` finds missing, on machines that are not this one.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::harness::{Lab, Run};

/// Runs `tests/deps.sh build` for a user who may install nothing, with these commands on PATH beside bash.
fn deps(lab: &Lab, commands: &[(&str, &str)]) -> Run {
    let path = lab.path().join("bin");
    let id = ("id", "echo 1000");
    for (name, script) in commands.iter().chain([&id]) {
        let file = lab.write(path.join(name), format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o755)).expect("executable");
    }
    for name in ["bash", "dirname"] {
        let real = ["/bin", "/usr/bin"].map(|directory| Path::new(directory).join(name));
        symlink(real.iter().find(|path| path.exists()).expect("installed"), path.join(name)).expect("linked");
    }
    let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deps.sh"))
        .arg("build")
        .env("PATH", &path)
        .output()
        .expect("the script starts");
    Run(output)
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
