//! The LAB that `make run` makes, and what the README's pictures show of it.

use std::path::Path;

use regex_lite::Regex;

use crate::harness::{Lab, Run};

/// The lines of a picture: its pieces of text, those at the same height joined.
fn lines(picture: &str) -> String {
    let piece = Regex::new(r#"<text[^>]* y="([0-9.]+)"[^>]*>([^<]*)</text>"#).expect("a pattern");
    let mut height = String::new();
    let mut shown = String::new();
    for found in piece.captures_iter(picture) {
        shown.push(if found[1] == *height { ' ' } else { '\n' });
        height = found[1].to_owned();
        shown.push_str(&found[2].replace("&#160;", " ").replace("&quot;", "\"").replace("&#x27;", "'"));
    }
    shown
}

/// Mark, verdict, name and the first words of each target, with every digit as 0: times differ.
fn targets(screen: &str) -> Vec<String> {
    let is_target = |line: &&str| ["✗", "–", "✓"].iter().any(|mark| line.trim_start().starts_with(mark));
    let first_words = |line: &str| line.split_whitespace().take(7).collect::<Vec<_>>().join(" ");
    let without_digits = |words: String| words.replace(|c: char| c.is_ascii_digit(), "0");
    screen.lines().filter(is_target).map(first_words).map(without_digits).collect()
}

#[test]
fn the_pictures_show_what_the_example_shows() {
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
    let shown = targets(&shown);
    assert_eq!(shown.len(), 8, "{shown:#?}");
    for scheme in ["dark", "light"] {
        let picture = root.join(format!("docs/images/terminal-{scheme}.svg"));
        let picture = std::fs::read_to_string(picture).expect("a picture");
        assert_eq!(shown, targets(&lines(&picture)), "run `make pictures`");
    }
}
