//! The table of costs in docs: made by the bench, true to itself.

use std::path::{Path, PathBuf};
use std::process::Command;

const BEGIN: &str = "<!-- bench -->\n";
const END: &str = "<!-- /bench -->";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn block(readme: &str) -> &str {
    let (_, rest) = readme.split_once(BEGIN).expect("the opening mark");
    rest.split_once(END).expect("the closing mark").0
}

/// The rows of a table: what, lab-probe, beside, ratio, target, met.
fn rows(table: &str) -> Vec<Vec<&str>> {
    let lines = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what "));
    lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// Whether the last cell says what ratio and target say.
fn says_the_truth(row: &[&str]) -> bool {
    let [_, _, _, ratio, target, met] = row else { return false };
    if target.is_empty() {
        return met.is_empty();
    }
    let (sign, bound) = target.split_once(' ').expect("a sign and a bound");
    let (ratio, bound): (f64, f64) =
        (ratio.replace(',', "").parse().expect("a ratio"), bound.parse().expect("a bound"));
    let holds = if sign == "≤" { ratio <= bound } else { ratio >= bound };
    *met == if holds { "yes" } else { "**no**" }
}

#[test]
fn the_table_of_costs_says_of_every_target_whether_it_is_met() {
    let readme = std::fs::read_to_string(root().join("docs/costs.md")).expect("docs/costs.md");
    let block = block(&readme);
    assert!(block.starts_with("Measured on 20") && block.contains(" cores of "), "date and machine come first");
    let rows = rows(block);
    assert!(rows.len() > 10, "{} rows", rows.len());
    for row in rows {
        assert!(says_the_truth(&row), "{row:?}");
    }
}

/// A package for another Debian brings no library that is not there: what every system with glibc and gcc's runtime has.
#[test]
#[cfg(target_env = "gnu")]
fn nothing_is_loaded_but_what_every_system_has() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab-probe"));
    // The loader's own way (ld.so(8)) of saying what it would load.
    let loaded = command.env("LD_TRACE_LOADED_OBJECTS", "1").output().expect("started").stdout;
    let loaded = String::from_utf8_lossy(&loaded);
    let libraries: Vec<&str> =
        loaded.lines().filter_map(|line| line.trim().split_once(" => ")).map(|(name, _)| name).collect();
    let is_base = |library: &&str| ["libc.so.6", "libm.so.6", "libgcc_s.so.1"].contains(library);
    assert!(!libraries.is_empty() && libraries.iter().all(is_base), "{loaded}");
}

#[test]
fn the_bench_joins_its_parts_and_puts_them_into_the_docs() {
    let directory = tempfile::tempdir().expect("a directory");
    let part = r#"{"rows": [
        {"what": "quick", "ours": 0.0021, "peer": 0.001, "peer_name": "hello", "unit": "s", "ratio": 2.1, "target": "≤ 3", "met": true, "note": ""},
        {"what": "slow", "ours": 1200, "peer": 1000, "peer_name": "a|b", "unit": "", "ratio": 1.2, "target": "≥ 2", "met": false, "note": "why"},
        {"what": "plain", "ours": 3145728, "peer": null, "peer_name": "", "unit": "B", "ratio": null, "target": "", "met": null, "note": ""}]}"#;
    std::fs::write(directory.path().join("tick.json"), part).expect("written");
    let readme = directory.path().join("README.md");
    std::fs::write(&readme, format!("before\n{BEGIN}old\n{END}\nafter\n")).expect("written");
    let table = |path: &Path| {
        let mut command = Command::new("python3");
        command.arg(root().join("benches/table.py")).arg("--publish");
        command.env("BENCH_OUT", directory.path()).env("BENCH_PAGE", path).output().expect("python3 runs")
    };
    let made = table(&readme);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let text = std::fs::read_to_string(&readme).expect("read");
    let written = std::fs::read_to_string(directory.path().join("table.md")).expect("the table");
    assert_eq!(block(&text), written);
    assert!(text.starts_with("before\n") && text.ends_with("\nafter\n"), "{text}");
    let expected = [
        "| quick | 2.10 ms | hello: 1 ms | 2.10 | ≤ 3 | yes |",
        "| slow (why) | 1,200 | a\\|b: 1,000 | 1.20 | ≥ 2 | **no** |",
        "| plain | 3 MiB |  |  |  |  |",
    ];
    assert_eq!(written.lines().filter(|line| line.starts_with("| ")).skip(1).collect::<Vec<_>>(), expected);
    assert!(rows(&written).iter().all(|row| says_the_truth(row)), "{written}");
    let faster = part.replace("\"ratio\": 2.1", "\"ratio\": 1.8").replace("\"ratio\": 1.2", "\"ratio\": 1.25");
    std::fs::write(directory.path().join("tick.json"), faster.replace("3145728", "4194304")).expect("written");
    let said = String::from_utf8(table(&readme).stdout).expect("text");
    let moved: Vec<&str> = said.lines().filter(|line| line.starts_with("moved: ")).collect();
    assert_eq!(moved, ["moved: plain: 3 → 4 MiB", "moved: quick ÷ hello: 2.10 → 1.80"], "a tenth or less is noise");
    std::fs::write(&readme, "no marks").expect("written");
    assert!(!table(&readme).status.success());
}
