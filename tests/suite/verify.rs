//! `verify` against its judge: what it foretells is what a real node_exporter does.
//!
//! The node_exporter on PATH decides; further ones can be named in `LAB_PROBE_TEST_NODE_EXPORTERS`, with colons
//! between. Seen to agree with 1.5.0, 1.9.0 and 1.11.1.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lab_probe::clock::Deadline;
use lab_probe::exposition::{self, Family, Value};
use lab_probe::metrics::check::{Effect, Inspector, Report, Severity};
use lab_probe::sink::survey;
use tempfile::TempDir;

use crate::harness::Lab;
use crate::harness::daemon::{Daemon, open_to_all};

/// How long a scrape may take before it counts as hanging.
const HANGING: Duration = Duration::from_secs(3);
const ERRORS: &str = "promhttp_metric_handler_errors_total{cause=\"gathering\"}";

/// One directory and what the Debian 12 node_exporter (1.5) makes of it at worst.
type Case = (&'static str, &'static [(&'static str, &'static str)], Effect);

const CORPUS: &[Case] = &[
    ("nothing", &[], Effect::Served),
    ("an empty file", &[("a.prom", "")], Effect::Served),
    ("one good file", &[("a.prom", "# HELP a x\n# TYPE a gauge\na{x=\"1\"} 1\n")], Effect::Served),
    (
        "one family in two files",
        &[
            ("a.prom", "# HELP a x\n# TYPE a gauge\na{x=\"1\"} 1\n"),
            ("b.prom", "# HELP a x\n# TYPE a gauge\na{x=\"2\"} 1\n"),
        ],
        Effect::Served,
    ),
    ("no HELP in either file", &[("a.prom", "a{x=\"1\"} 1\n"), ("b.prom", "a{x=\"2\"} 1\n")], Effect::Served),
    (
        "odd characters",
        &[("a.prom", "# HELP a \\\\ \\n é\n# TYPE a gauge\na{x=\"\\\\\\\"\\n🦀\"} 1\n")],
        Effect::Served,
    ),
    ("a broken file without the suffix", &[("a.prom.tmp", "broken"), ("b.txt", "broken")], Effect::Served),
    ("a hidden broken file", &[(".a.prom", "broken")], Effect::FileDropped),
    ("no final line feed", &[("a.prom", "# TYPE a gauge\na 1")], Effect::FileDropped),
    ("a comment without line feed", &[("a.prom", "a 1\n# end")], Effect::FileDropped),
    ("a timestamp", &[("a.prom", "a 1\nb 1 1700000000000\n")], Effect::FileDropped),
    ("a sample without a name", &[("a.prom", "{x=\"1\"} 1\n")], Effect::FileDropped),
    ("a quoted name", &[("a.prom", "{\"a\",x=\"1\"} 1\n")], Effect::FileDropped),
    ("a quoted name with a blank", &[("a.prom", "{\"a b\",x=\"1\"} 1\n")], Effect::FileDropped),
    ("a quoted label", &[("a.prom", "a{\"x\"=\"1\"} 1\n")], Effect::FileDropped),
    ("a quote escaped in HELP", &[("a.prom", "# HELP a say \\\"x\\\"\na 1\n")], Effect::FileDropped),
    ("a blank after the value", &[("a.prom", "a 1 \n")], Effect::FileDropped),
    ("carriage returns", &[("a.prom", "a 1\r\n")], Effect::FileDropped),
    ("two HELP", &[("a.prom", "# HELP a x\n# HELP a x\na 1\n")], Effect::FileDropped),
    ("TYPE after a sample", &[("a.prom", "a 1\n# TYPE a gauge\n")], Effect::FileDropped),
    ("an unknown type", &[("a.prom", "# TYPE a info\na 1\n")], Effect::FileDropped),
    ("a gauge histogram", &[("a.prom", "# TYPE a gaugehistogram\na_bucket{le=\"1\"} 1\n")], Effect::FileDropped),
    (
        "an underlined gauge histogram",
        &[("a.prom", "# TYPE a gauge_histogram\na_bucket{le=\"1\"} 1\n")],
        Effect::Served,
    ),
    ("an overflow", &[("a.prom", "a 1e999\n")], Effect::FileDropped),
    ("one bad file of two", &[("a.prom", "a 1\n"), ("b.prom", "b one\n")], Effect::FileDropped),
    ("a duplicate", &[("a.prom", "a{x=\"1\"} 1\na{x=\"1\"} 1\n")], Effect::SeriesDropped),
    (
        "a duplicate in another order",
        &[("a.prom", "a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 1\n")],
        Effect::SeriesDropped,
    ),
    ("a duplicate by an empty label", &[("a.prom", "a 1\na{x=\"\"} 1\n")], Effect::SeriesDropped),
    ("a duplicate in another file", &[("a.prom", "a 1\n"), ("b.prom", "a 1\n")], Effect::SeriesDropped),
    ("an empty label in another file", &[("a.prom", "a 1\n"), ("b.prom", "a{x=\"\"} 1\n")], Effect::Served),
    (
        "two HELP texts",
        &[("a.prom", "# HELP a x\na{x=\"1\"} 1\n"), ("b.prom", "# HELP a y\na{x=\"2\"} 1\n")],
        Effect::SeriesDropped,
    ),
    (
        "two HELP texts and none",
        &[
            ("a.prom", "# HELP a x\na{x=\"1\"} 1\n"),
            ("b.prom", "# HELP a y\na{x=\"2\"} 1\n"),
            ("c.prom", "a{x=\"3\"} 1\n"),
        ],
        Effect::SeriesDropped,
    ),
    (
        "two HELP texts and the first again",
        &[
            ("a.prom", "# HELP a x\na{x=\"1\"} 1\n"),
            ("b.prom", "# HELP a y\na{x=\"2\"} 1\n"),
            ("c.prom", "# HELP a x\na{x=\"3\"} 1\n"),
        ],
        Effect::SeriesDropped,
    ),
    (
        "HELP in one of two",
        &[("a.prom", "# HELP a x\na{x=\"1\"} 1\n"), ("b.prom", "a{x=\"2\"} 1\n")],
        Effect::SeriesDropped,
    ),
    (
        "HELP in the other of two",
        &[("a.prom", "a{x=\"1\"} 1\n"), ("b.prom", "# HELP a x\na{x=\"2\"} 1\n")],
        Effect::SeriesDropped,
    ),
    (
        "HELP that nobody's samples follow",
        &[("a.prom", "# HELP a y\n"), ("b.prom", "# HELP a x\na 1\n")],
        Effect::Served,
    ),
    (
        "two TYPES",
        &[("a.prom", "# TYPE a gauge\na{x=\"1\"} 1\n"), ("b.prom", "# TYPE a counter\na{x=\"2\"} 1\n")],
        Effect::SeriesDropped,
    ),
    (
        "a histogram and its count",
        &[("a.prom", "h_count 1\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\n")],
        Effect::SeriesDropped,
    ),
    (
        "a summary and its sum in another file",
        &[("a.prom", "# TYPE s summary\ns_sum 1\ns_count 1\n"), ("b.prom", "s_sum 1\n")],
        Effect::SeriesDropped,
    ),
    ("a summary and a bucket", &[("a.prom", "# TYPE s summary\ns_sum 1\ns_count 1\ns_bucket 1\n")], Effect::Served),
    ("a name of node_exporter's own", &[("a.prom", "node_textfile_scrape_error 0\n")], Effect::SeriesDropped),
    ("a name of its runtime", &[("a.prom", "go_goroutines 1\n")], Effect::SeriesDropped),
    ("a reserved label", &[("a.prom", "a{__x=\"1\"} 1\n")], Effect::Crash),
    (
        "a whole histogram",
        &[(
            "a.prom",
            "# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n",
        )],
        Effect::Served,
    ),
    (
        "falling buckets",
        &[("a.prom", "# TYPE h histogram\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n")],
        Effect::Served,
    ),
    (
        "a negative bucket",
        &[("a.prom", "# TYPE h histogram\nh_bucket{le=\"1\"} -3\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n")],
        Effect::Served,
    ),
];

#[test]
fn a_corpus_of_directories_fares_with_node_exporter_as_foretold() {
    for mut judge in judges() {
        for (name, files, at_worst) in CORPUS {
            judge.lay(files);
            let report = judge.report();
            let worst = report.findings.iter().filter_map(|f| Some(f.effects?.on(5))).max();
            // What is not looked at is served as far as it goes.
            let worst = worst.unwrap_or(Effect::Served).max(Effect::Served);
            assert_eq!(worst, *at_worst, "{name}: {report:#?}");
            judge.compare(name, &report);
        }
    }
}

#[test]
fn strange_entries_fare_with_node_exporter_as_foretold() {
    let mode =
        |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    let all = rustix::fs::Mode::from_raw_mode(0o644);
    for mut judge in judges() {
        judge.lay(&[]);
        std::fs::create_dir(judge.at("a.prom")).expect("a directory");
        judge.compare("a directory", &judge.report());

        judge.lay(&[]);
        std::os::unix::fs::symlink("nowhere", judge.at("a.prom")).expect("a link");
        judge.compare("a dangling link", &judge.report());

        judge.lay(&[("target", "a 1\n")]);
        std::os::unix::fs::symlink("target", judge.at("a.prom")).expect("a link");
        judge.compare("a link", &judge.report());

        judge.lay(&[("b.prom", "b 1\n")]);
        std::fs::write(judge.at("a.prom"), b"a{x=\"\xff\"} 1\n").expect("written");
        judge.compare("a label that is no UTF-8", &judge.report());

        judge.lay(&[("a.prom", "a 1\n"), ("b.prom", "b 1\n")]);
        mode(&judge.at("a.prom"), 0o600);
        let report = judge.report();
        assert_eq!(report.count(Severity::Error), 1, "{report:#?}");
        // Only root can let node_exporter run as somebody else here.
        if rustix::process::geteuid().is_root() {
            judge.compare("a file for its owner only", &report);
        }

        judge.lay(&[]);
        rustix::fs::mkfifoat(rustix::fs::CWD, judge.at("a.prom"), all).expect("a fifo");
        let report = judge.report();
        assert_eq!(report.findings[0].effects.map(|e| e.on(5)), Some(Effect::Hang), "{report:#?}");
        judge.compare("a FIFO", &report);
    }
}

#[test]
fn directories_made_at_random_fare_with_node_exporter_as_foretold() {
    let rounds: u64 = std::env::var("LAB_PROBE_TEST_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(150);
    for mut judge in judges() {
        let mut seen = BTreeSet::new();
        for seed in 0..rounds {
            let mut random = fastrand::Rng::with_seed(seed);
            let files: Vec<(String, String)> =
                (0..random.usize(1..4)).map(|i| (format!("{i}.prom"), random_file(&mut random))).collect();
            let files: Vec<(&str, &str)> = files.iter().map(|(n, c)| (n.as_str(), c.as_str())).collect();
            judge.lay(&files);
            let report = judge.report();
            seen.extend(report.findings.iter().filter_map(|f| Some(f.effects?.on(judge.minor))));
            judge.compare(&format!("seed {seed}: {files:?}"), &report);
        }
        // A generator that only makes good or only makes broken files would prove nothing.
        assert!(seen.contains(&Effect::FileDropped) && seen.contains(&Effect::SeriesDropped), "{seen:?}");
    }
}

/// A file of a few lines, each mostly right.
fn random_file(random: &mut fastrand::Rng) -> String {
    let mut text = String::new();
    for _ in 0..random.usize(1..5) {
        let name = random.choice(["a", "a", "b", "a_count", "a_sum", "a_bucket"]).expect("one");
        if random.u8(0..4) > 0 {
            let help = random.choice(["x", "x", "x", "y", "say \\\\ \\n", "\\t"]).expect("one");
            text += &format!("# HELP {name} {help}\n");
        }
        if random.u8(0..4) > 0 {
            let kind = random.choice(["gauge", "gauge", "histogram", "histogram", "summary", "counter", "untyped"]);
            text += &format!("# TYPE {name} {}\n", kind.expect("one"));
        }
        for _ in 0..random.usize(0..4) {
            let suffix = random.choice(["", "", "", "_count", "_sum", "_bucket"]).expect("one");
            let labels = random
                .choice([
                    "", "{x=\"1\"}", "{x=\"2\"}", "{x=\"\"}", "{le=\"1\"}", "{le=\"+Inf\"}", "{quantile=\"0.5\"}",
                    "{x=\"1\",y=\"1\"}", "{y=\"1\", x=\"1\",}",
                ])
                .expect("one");
            let value = random.choice(["1", "1", "2", "3", "1.5", "+Inf", "NaN", "-1", "1e3"]).expect("one");
            let end = if random.u8(0..60) == 0 { " 5" } else { "" };
            text += &format!("{name}{suffix}{labels} {value}{end}\n");
        }
    }
    match random.u8(0..20) {
        0 => text.truncate(text.trim_end().len()),
        1 => text.insert_str(0, "# a comment\n\n"),
        2 => text = text.replacen(' ', "  ", 1),
        3 if !text.is_empty() => drop(text.remove(random.usize(0..text.len()))),
        _ => {}
    }
    text
}

#[test]
fn verify_says_what_is_wrong_and_exits_1() {
    let lab = Lab::new();
    open_to_all(lab.path());
    lab.write("good/a.prom", "# HELP a x\n# TYPE a gauge\na 1\n");
    lab.write("bad/a.prom", "# HELP a x\n# TYPE a gauge\na 1\n");
    lab.write("bad/b.prom", "# HELP a y\n# TYPE a gauge\na{x=\"1\"} 1\nb 2 3\n");
    let good = lab.run(["verify", "good"]).expect_code(0);
    assert_eq!(
        (good.stdout().as_str(), good.stderr().as_str()),
        ("1 textfile, 1 series: node_exporter takes them whole\n", "")
    );
    let bad = lab.run(["verify", "bad"]).expect_code(1).stdout();
    assert!(bad.contains("bad/b.prom:4: error: a sample has a timestamp; node_exporter drops the whole file"), "{bad}");
    // Together, files can be wrong that are right alone.
    lab.run(["verify", "good/a.prom"]).expect_code(0);
    let twice = lab.run(["verify", "good/a.prom", "bad/a.prom"]).expect_code(1).stdout();
    assert!(twice.contains("bad/a.prom:3: error: a is a duplicate of good/a.prom:3"), "{twice}");
    // However often and in whatever way one is named, it is one file; a link beside it is another.
    let named = lab.run(["verify", "good", "good/a.prom", "./good/../good/a.prom"]).expect_code(0).stdout();
    assert!(named.starts_with("1 textfile, 1 series"), "{named}");
    std::os::unix::fs::symlink("a.prom", lab.path().join("good/b.prom")).expect("a link");
    lab.run(["verify", "good"]).expect_code(1);
    lab.write("closed/a.prom", "# HELP a x\n# TYPE a gauge\na 1\n");
    std::fs::set_permissions(lab.path().join("closed"), std::fs::Permissions::from_mode(0o700)).expect("a mode");
    let mut here = lab.command(["verify", "a.prom"]);
    let here = String::from_utf8(here.current_dir(lab.path().join("closed")).output().expect("a run").stdout);
    assert!(here.is_ok_and(|here| here.contains("only its owner may read the directory")));
    lab.run(["verify", "none"]).expect_code(1);
    lab.run(["verify"]).expect_code(2);
    assert!(lab.run(["verify", "bad", "--color", "always"]).stdout().contains("\x1b[1;38;5;196mbad/b.prom"));
}

/// A real node_exporter with a directory of its own.
struct Judge {
    program: String,
    /// The Y of 1.Y.
    minor: u32,
    directory: TempDir,
    daemon: Daemon,
}

/// Every node_exporter there is to ask.
fn judges() -> Vec<Judge> {
    let more = std::env::var("LAB_PROBE_TEST_NODE_EXPORTERS").unwrap_or_default();
    let programs = std::iter::once("prometheus-node-exporter").chain(more.split(':').filter(|p| !p.is_empty()));
    programs.map(Judge::new).collect()
}

impl Judge {
    fn new(program: &str) -> Judge {
        let output = Command::new(program).arg("--version").output();
        let output = output.unwrap_or_else(|e| panic!("{program}: {e}; tests/deps.sh installs it"));
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let minor = text.split_once("version 1.").and_then(|(_, rest)| rest.split('.').next()?.parse().ok());
        let directory = tempfile::tempdir().expect("a directory");
        open_to_all(directory.path());
        let daemon = Judge::start(program, directory.path());
        Judge { program: program.to_owned(), minor: minor.expect("a version"), directory, daemon }
    }

    fn start(program: &str, directory: &Path) -> Daemon {
        let directory = format!("--collector.textfile.directory={}", directory.display());
        Daemon::start(program, &["--collector.disable-defaults", "--collector.textfile", &directory])
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes these the only files of the directory.
    fn lay(&self, files: &[(&str, &str)]) {
        for entry in std::fs::read_dir(self.directory.path()).expect("listed").flatten() {
            let path = entry.path();
            if path.is_dir() { std::fs::remove_dir(path) } else { std::fs::remove_file(path) }.expect("removed");
        }
        for (name, contents) in files {
            std::fs::write(self.at(name), contents).expect("written");
        }
    }

    fn report(&self) -> Report {
        inspect(self.directory.path(), &BTreeSet::new())
    }

    /// Scrapes, and holds what comes back against what was foretold.
    #[track_caller]
    fn compare(&mut self, name: &str, report: &Report) {
        let on_this = |report: &Report| -> Vec<(Effect, PathBuf)> {
            report.findings.iter().filter_map(|f| Some((f.effects?.on(self.minor), f.path.clone()))).collect()
        };
        let mut effects = on_this(report);
        effects.retain(|(effect, _)| *effect == Effect::FileDropped);
        let dropped: BTreeSet<PathBuf> = effects.iter().map(|(_, path)| path.clone()).collect();
        // With a file that this version drops, and others may not, nothing can clash.
        effects.extend(on_this(&inspect(self.directory.path(), &dropped)));
        let any = |effect: Effect| effects.iter().any(|(e, _)| *e == effect);
        let context = format!("node_exporter 1.{}: {name}: {report:#?}", self.minor);
        if any(Effect::Misplaced) {
            return;
        }
        if any(Effect::Hang) || any(Effect::Crash) {
            let patience = if any(Effect::Hang) { HANGING } else { Duration::from_secs(30) };
            assert!(self.daemon.get_within("/metrics", patience).is_err(), "it answers; {context}");
            // The connection can end before the last words have been read.
            let panicked = || self.daemon.log().contains("panic: ");
            let until = Deadline::after(Duration::from_secs(if any(Effect::Crash) { 20 } else { 0 }));
            while !panicked() && !until.passed() {
                std::thread::sleep(Duration::from_millis(20));
            }
            assert_eq!(any(Effect::Crash), panicked(), "{context}");
            self.daemon = Judge::start(&self.program, self.directory.path());
            return;
        }
        let text = self.scrape(&context);
        let families = exposition::parse(text.as_bytes()).expect("an exposition");
        let scrape_error = number(&families, "node_textfile_scrape_error", &[]);
        if !any(Effect::SeriesDropped) || scrape_error.is_some() {
            let foretold = any(Effect::FileDropped) || any(Effect::FamilySkipped);
            assert_eq!(scrape_error, Some(f64::from(u8::from(foretold))), "{context}\n{text}");
        }
        let all = survey::entries(self.directory.path()).expect("listed");
        for path in &all {
            let label = [("file", path.to_str().expect("a path"))];
            let taken = number(&families, "node_textfile_mtime_seconds", &label).is_some();
            assert_eq!(taken, !dropped.contains(path), "{}; {context}\n{text}", path.display());
        }
        let before = errors(&text);
        let after = errors(&self.scrape(&context));
        assert_eq!(after > before, any(Effect::SeriesDropped), "{context}\n{}", self.daemon.log());
        if report.is_clean() {
            assert_all_served(&all, &families, &context);
        }
    }

    #[track_caller]
    fn scrape(&self, context: &str) -> String {
        match self.daemon.get_within("/metrics", Duration::from_secs(30)) {
            Ok((200, body)) => String::from_utf8_lossy(&body).into_owned(),
            other => panic!("{other:?}; {context}\n{}", self.daemon.log()),
        }
    }
}

/// The judgement on a directory without some of its files.
fn inspect(directory: &Path, without: &BTreeSet<PathBuf>) -> Report {
    let mut inspector = Inspector::default();
    for entry in survey::entries(directory).expect("listed").into_iter().filter(|entry| !without.contains(entry)) {
        inspector.add(&survey::open(entry));
    }
    inspector.finish()
}

/// Every plain number of the files is among what was served, with its labels and its value.
#[track_caller]
fn assert_all_served(files: &[PathBuf], served: &[Family], context: &str) {
    for file in files {
        // A directory cannot be compared line by line.
        let Ok(Ok(own)) = std::fs::read(file).map(|bytes| exposition::parse(&bytes)) else { continue };
        for family in own {
            for series in family.series {
                let Value::Number(value) = series.value else { continue };
                let labels: Vec<(&str, &str)> = series.labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                let found = number(served, &family.name, &labels);
                let same = found.is_some_and(|found| found == value || (found.is_nan() && value.is_nan()));
                assert!(same, "{} {labels:?} {value} came back as {found:?}; {context}", family.name);
            }
        }
    }
}

/// The value of a series, empty labels not counted.
fn number(families: &[Family], name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let wanted: BTreeSet<(&str, &str)> = labels.iter().copied().filter(|(_, v)| !v.is_empty()).collect();
    let series = families.iter().filter(|f| f.name == name).flat_map(|f| &f.series).find(|series| {
        let own = series.labels.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        own.filter(|(_, v)| !v.is_empty()).collect::<BTreeSet<_>>() == wanted
    })?;
    match series.value {
        Value::Number(number) => Some(number),
        Value::Histogram(_) | Value::Summary(_) => None,
    }
}

fn errors(text: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(ERRORS));
    line.and_then(|n| n.trim().parse().ok()).expect("the counter of gathering errors")
}
