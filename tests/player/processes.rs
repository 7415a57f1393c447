//! Acts about processes: children, daemons, wrappers, signals.

use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, getpid, getppid, kill_process, setsid};

use crate::server::{legacy, serve, sleep, write_line};

/// Every act of this file.
pub(crate) const ACTS: &[(&str, fn())] = &[
    ("ignores-everything", || {
        ignore_signals();
        serve(legacy);
        sleep(600_000)
    }),
    ("lives-on", || {
        serve(legacy);
        sleep(600_000)
    }),
    ("ends-late", || {
        serve(legacy);
        sleep(300)
    }),
    ("daemonizes-a-helper", || {
        helper("daemonize", false);
        serve(legacy)
    }),
    ("leaves-a-helper", || {
        helper("sit", false);
        serve(legacy)
    }),
    ("daemonizes-itself", || {
        helper("daemonize-and-serve", true);
    }),
    ("wrapper", || {
        let _ = start("legacy", true).wait();
    }),
    ("wrapper-that-leaves", || {
        start("legacy", true);
    }),
    ("wrapper-that-fails", || {
        start("sit", true);
        sleep(100);
        std::process::exit(5)
    }),
    ("many-children", many_children),
    ("forks-and-forks", || {
        start("bomb-6", false);
        serve(legacy)
    }),
    ("zombies", || {
        (0..20).for_each(|_| {
            start("exits-at-once", false);
        });
        serve(legacy)
    }),
    ("becomes-root", || {
        // With the set-user-ID bit of root on its file.
        let root = rustix::process::Uid::ROOT;
        rustix::thread::set_thread_res_uid(root, root, root).expect("root");
        ignore_signals();
        sleep(600_000)
    }),
    ("stops-itself", || {
        let _ = kill_process(getpid(), Signal::STOP);
    }),
    ("kills-its-parent", kills_its_parent),
    ("stops-its-parent", || {
        signal_parent(Signal::STOP);
        serve(legacy)
    }),
    ("kills-its-group", || {
        let _ = rustix::process::kill_current_process_group(Signal::KILL);
    }),
    ("tells-its-environment", tells_its_environment),
    // Parts of the acts above.
    ("sit", || {
        ignore_signals();
        sleep(600_000)
    }),
    ("sit-in-a-session", || {
        let _ = setsid();
        ignore_signals();
        sleep(600_000)
    }),
    ("daemonize", || {
        let _ = setsid();
        start("sit-in-a-session", false);
    }),
    ("daemonize-and-serve", || {
        let _ = setsid();
        start("legacy", true);
    }),
    ("bomb-6", || bomb("bomb-5")),
    ("bomb-5", || bomb("bomb-4")),
    ("bomb-4", || bomb("bomb-3")),
    ("bomb-3", || bomb("bomb-2")),
    ("bomb-2", || bomb("bomb-1")),
    ("bomb-1", || sleep(600_000)),
];

/// Starts another act of this player, with or without our standard streams.
fn start(act: &str, with_streams: bool) -> Child {
    let stdio = || if with_streams { Stdio::inherit() } else { Stdio::null() };
    let player = std::env::current_exe().expect("the player's own file");
    Command::new(player).arg(act).stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().expect("another act")
}

/// Starts an act that goes its own way: one that daemonizes ends soon, one that sits does not.
fn helper(act: &str, with_streams: bool) {
    let mut child = start(act, with_streams);
    for _ in 0..20 {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        sleep(10);
    }
}

/// Two of the next kind each: sixty-three processes in the end.
fn bomb(next: &str) {
    start(next, false);
    start(next, false);
    sleep(600_000);
}

fn many_children() {
    for _ in 0..30 {
        start("sit", false);
    }
    serve(legacy);
}

fn ignore_signals() {
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT, signal_hook::consts::SIGHUP] {
        let flag = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        signal_hook::flag::register(signal, flag).expect("a handler");
    }
}

fn signal_parent(signal: Signal) {
    // What the probe calls its supervisor; never the probe itself, and never whoever runs a test by hand.
    let parent: Option<Pid> = getppid();
    let name =
        parent.map(|p| std::fs::read_to_string(format!("/proc/{}/comm", p.as_raw_nonzero())).unwrap_or_default());
    if let (Some(parent), Some("lab-probe-sup\n")) = (parent, name.as_deref()) {
        let _ = kill_process(parent, signal);
    }
}

fn kills_its_parent() {
    start("daemonize", false);
    sleep(200);
    signal_parent(Signal::KILL);
    serve(legacy);
}

/// A server whose name in its greeting is what a test wants to know of its environment.
fn tells_its_environment() {
    let names: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
    let cwd = std::env::current_dir().unwrap_or_default();
    let group = rustix::process::getpgrp() == getpid();
    let files = std::fs::read_dir("/proc/self/fd").map(|d| d.count()).unwrap_or_default();
    eprintln!("env {}", names.join(","));
    eprintln!("cwd {}", cwd.display());
    eprintln!("leads its group: {group}; open files: {files}");
    write_line("not json");
    std::process::exit(1);
}
