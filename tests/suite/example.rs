//! The LAB that `make run` makes, and what the README shows of it.

use std::path::Path;

use crate::harness::{Lab, Run};

/// Mark, verdict, name and the first words of each target, with every digit as 0: times differ.
fn targets(screen: &str) -> Vec<String> {
    let is_target = |line: &&str| ["  ✗ ", "  – ", "  ✓ "].iter().any(|mark| line.starts_with(mark));
    let first_words = |line: &str| line.split_whitespace().take(7).collect::<Vec<_>>().join(" ");
    let without_digits = |words: String| words.replace(|c: char| c.is_ascii_digit(), "0");
    screen.lines().filter(is_target).map(first_words).map(without_digits).collect()
}

#[test]
fn the_readme_shows_what_the_example_shows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lab = Lab::new();
    let place = lab.path().join("example");
    let made = lab
        .program("bash")
        .arg(root.join("examples/lab.sh"))
        .arg(&place)
        .arg(env!("CARGO_BIN_EXE_lab-probe"))
        .output()
        .expect("bash is installed");
    Run(made).expect_code(0);
    let config = place.join("lab-probe.toml");
    let pass = lab
        .program(env!("CARGO_BIN_EXE_lab-probe"))
        .arg("--config")
        .arg(config)
        .args(["--once", "--format", "table"])
        .output();
    let shown = Run(pass.expect("it starts")).expect_code(0).stdout();
    let readme = std::fs::read_to_string(root.join("README.md")).expect("the README");
    let (_, screen) = readme.split_once("<!-- screen -->").expect("a screen");
    let (screen, _) = screen.split_once("<!-- /screen -->").expect("its end");
    let shown = targets(&shown);
    assert_eq!(shown.len(), 8, "{shown:#?}");
    assert_eq!(shown, targets(screen));
}
