//! Many passes in a row over a LAB in which something breaks at random before each: the verdicts stay right, and neither
//! memory, descriptors, processes, files nor time grow. `LAB_PROBE_SOAK=2000` (`make soak`) makes it long,
//! `LAB_PROBE_SOAK_SEED` repeats one.

#![expect(clippy::print_stderr, reason = "whoever runs the long form reads its figures")]

mod lab;
mod watch;

use std::time::Duration;

use lab::Broken;
use watch::Seen;

/// One figure of a pass.
type Figure = fn(&Seen) -> u64;

/// Passes in `make test`.
const SHORT: usize = 60;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn pass_after_pass_the_verdicts_are_right_and_nothing_grows() {
    let passes = number("LAB_PROBE_SOAK").map_or(SHORT, |passes| usize::try_from(passes).expect("a count")).max(3);
    let seed = number("LAB_PROBE_SOAK_SEED").unwrap_or_else(|| fastrand::u64(..));
    eprintln!("seed {seed}");
    let mut lab = Broken::new(fastrand::Rng::with_seed(seed));
    let mut seen = Vec::new();
    for pass in 0..passes {
        let expected = lab.break_something();
        let (run, measured) = watch::run(lab.command());
        let wrong = lab.judge(&expected, &run);
        let left = lab.processes_left();
        assert!(
            wrong.is_empty() && left.is_empty(),
            "pass {pass} of seed {seed}, {expected:?}:\n{}\n{left:?}\n{}",
            wrong.join("\n"),
            run.stderr()
        );
        if pass % 100 == 99 {
            eprintln!("{} passes right", pass + 1);
        }
        seen.push(Seen { waited: expected.waits, files: lab.files(), state_bytes: lab.state_bytes(), ..measured });
    }
    report(&seen);
}

/// The figures of the first and of the last third: what grows shows between them.
fn report(seen: &[Seen]) {
    let third = seen.len() / 3;
    let (first, last) = (&seen[..third], &seen[seen.len() - third..]);
    let most = |part: &[Seen], of: Figure| part.iter().map(of).max().unwrap_or(0);
    let median = |part: &[Seen]| {
        let mut times: Vec<Duration> = part.iter().filter(|seen| !seen.waited).map(|seen| seen.took).collect();
        times.sort();
        times[times.len() / 2]
    };
    let figures: [(&str, Figure); 5] = [
        ("peak resident KiB", |seen| seen.peak_kib),
        ("open descriptors", |seen| seen.descriptors),
        ("threads", |seen| seen.threads),
        ("state bytes", |seen| seen.state_bytes),
        ("files left", |seen| seen.files),
    ];
    eprintln!("{} passes; median of those that wait for nothing: {:?}, {:?}", seen.len(), median(first), median(last));
    for (name, of) in figures {
        let (before, after) = (most(first, of), most(last, of));
        eprintln!("most {name}, first and last third: {before}, {after}");
        // A quarter and a little: what is random in a pass is about that much, what leaks over a thousand is more.
        assert!(after <= before + before / 4 + 8, "{name} grew from {before} to {after}");
    }
    assert!(median(last) < median(first) * 4 + Duration::from_millis(500), "passes have become slow");
}
