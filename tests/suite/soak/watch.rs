//! One pass, measured from outside while it runs.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::harness::Run;

/// What a pass needed and left.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) took: Duration,
    pub(super) peak_kib: u64,
    pub(super) descriptors: u64,
    pub(super) threads: u64,
    pub(super) state_bytes: u64,
    pub(super) files: u64,
    /// Whether a server hung in it, so that its time says nothing.
    pub(super) waited: bool,
}

/// Runs a pass and looks at it every few milliseconds.
pub(super) fn run(mut command: Command) -> (Run, Seen) {
    let begun = lab_probe::clock::instant();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a pass");
    let pid = child.id();
    let (out, err) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let mut seen = Seen::default();
    let status = loop {
        look(pid, &mut seen);
        if let Some(status) = child.try_wait().expect("a status") {
            break status;
        }
        if begun.elapsed() > Duration::from_secs(60) {
            let _ = child.kill();
            panic!("a pass hangs");
        }
        std::thread::sleep(Duration::from_millis(4));
    };
    seen.took = begun.elapsed();
    let output = Output { status, stdout: out.join().expect("read"), stderr: err.join().expect("read") };
    (Run(output), seen)
}

fn reader(from: Option<impl std::io::Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.expect("piped").read_to_end(&mut bytes);
        bytes
    })
}

fn look(pid: u32, seen: &mut Seen) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let value = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0)
    };
    seen.peak_kib = seen.peak_kib.max(value("VmHWM:"));
    seen.threads = seen.threads.max(value("Threads:"));
    // Until exec has closed them a child still has its parent's descriptors; what has threads is the probe itself.
    if value("Threads:") < 2 {
        return;
    }
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |entries| entries.count() as u64);
    seen.descriptors = seen.descriptors.max(descriptors);
}
