use super::*;

/// A /proc with one more process; `stat` as proc(5) has it with `parent`.
pub(crate) fn add_process(proc: &Path, pid: i32, parent: i32, command: &str, cwd: Option<&str>) {
    let directory = proc.join(pid.to_string());
    std::fs::create_dir_all(&directory).expect("a directory");
    let stat = format!("{pid} (a) S (b)) S {parent} 7 7 0 -1 0 1 0 0 0 12 34 0 0 20 0 1 0 {pid} 4096 25 0");
    std::fs::write(directory.join("stat"), stat).expect("written");
    std::fs::write(directory.join("cmdline"), command).expect("written");
    if let Some(cwd) = cwd {
        std::os::unix::fs::symlink(cwd, directory.join("cwd")).expect("a link");
    }
}

#[test]
fn the_unit_of_a_process_is_found_in_both_versions_of_control_groups() {
    let path = "/system.slice/system-lab\\x2dprobe.slice/lab-probe@alice.service";
    assert_eq!(unit_of(&format!("0::{path}\n")), "lab-probe@alice.service");
    assert_eq!(unit_of(&format!("5:pids:/docker\n1:name=systemd:{path}\n0::/\n")), "lab-probe@alice.service");
    assert_eq!(unit_of("0::/user.slice/user-7.slice/session-3.scope\n"), "session-3.scope");
    assert_eq!(unit_of("0::/\n"), "");
}

#[test]
fn a_stat_line_is_read_whatever_the_program_is_called() {
    let line = b"42 (a) S 1 (b)) R 7 42 42 0 -1 4194560 1 0 0 0 12 34 5 6 20 0 1 0 987 1 25 18446744073709551615";
    let stat = Stat::parse(42, line).expect("parsed");
    assert_eq!((stat.parent, stat.start_ticks), (7, 987));
    let ticks = rustix::param::clock_ticks_per_second();
    assert_eq!(stat.cpu, Duration::from_millis(46_000 / ticks));
    assert_eq!(stat.reaped_cpu, Duration::from_millis(11_000 / ticks));
    assert_eq!(stat.rss_bytes, 25 * rustix::param::page_size() as u64);
    assert_eq!(stat.state, b'R');
    assert_eq!(Stat::parse(1, b"1 (x) S"), None);
}

#[test]
fn every_process_is_read_with_its_command_line_and_its_ancestors() {
    let proc = tempfile::tempdir().expect("a directory");
    let own = std::process::id().cast_signed();
    add_process(proc.path(), own, 1, "lab-probe\0", None);
    add_process(proc.path(), 2_000_020, own, "pytest\0-q\0\0", Some("/w/sub"));
    add_process(proc.path(), 2_000_021, 2_000_020, "nginx: master process\0", None);
    add_process(proc.path(), 2_000_022, 1, "", Some("/w"));
    add_process(proc.path(), 2_000_023, 2, "", None);
    let thread = "2000023 (kworker/0:1) I 2 0 0 0 -1 69238880 0 0 0 0 0 1 0 0 20 0 1 0 9 0 0 0";
    std::fs::write(proc.path().join("2000023/stat"), thread).expect("written");
    std::fs::create_dir(proc.path().join("self")).expect("a directory");
    let table = ProcessTable::of(proc.path());
    let found: Vec<(&[String], Option<&Path>)> =
        table.all().expect("listed").skip(1).map(|p| (&p.arguments[..], p.directory.as_deref())).collect();
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let title = words("nginx: master process");
    assert_eq!(found, [(&words("pytest -q")[..], Some(Path::new("/w/sub"))), (&title[..], None), (&[][..], None)]);
    let process = |pid: i32| table.get(pid).expect("there");
    assert!(table.is_own(process(2_000_021)) && table.is_own(process(own)));
    assert!(!table.is_own(process(2_000_022)));
}

#[test]
fn this_process_is_found_with_its_directory_and_the_time_of_its_start() {
    let table = ProcessTable::default();
    let own = table.get(std::process::id().cast_signed()).expect("this process");
    assert_eq!(own.directory.as_deref(), std::env::current_dir().ok().as_deref());
    assert_eq!(own.arguments.len(), std::env::args().count());
    let age = clock::now().duration_since(own.started_at);
    assert!(age.as_secs() < 3600 && age.as_secs() >= 0, "{age:?}");
    assert!(own.stat.rss_bytes > 1 << 20);
    assert!(ProcessTable::of("/nowhere").all().is_err());
}
