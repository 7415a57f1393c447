//! Units, installation: what systemd says of the units, and that an uninstall takes back what an install put there.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::harness::Lab;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs `packaging/install.sh` with the binary under test.
fn install(action: &str, destdir: &Path, prefix: &str) -> Output {
    let output = Command::new(root().join("packaging/install.sh"))
        .arg(action)
        .arg(destdir)
        .args([prefix, env!("CARGO_BIN_EXE_lab-probe")])
        .output()
        .expect("the script starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Every file below a directory, sorted, relative to it.
fn files(directory: &Path) -> Vec<String> {
    fn walk(root: &Path, directory: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                found.push(path.strip_prefix(root).expect("below").display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    walk(directory, directory, &mut found);
    found.sort();
    found
}

/// The units as installed under `/usr/local`, in a directory, with the binary under test in their ExecStart.
fn units(lab: &Lab) -> PathBuf {
    let stage = lab.path().join("stage");
    install("install", &stage, "/usr/local");
    let directory = lab.path().join("units");
    std::fs::create_dir(&directory).expect("a directory");
    for kind in ["system", "user"] {
        for name in files(&stage.join("usr/local/lib/systemd").join(kind)) {
            let text =
                std::fs::read_to_string(stage.join("usr/local/lib/systemd").join(kind).join(&name)).expect("text");
            let text = text
                .replace("/usr/local/bin/lab-probe", env!("CARGO_BIN_EXE_lab-probe"))
                .replace("User=%i", "User=games")
                // The man page is not installed where the tests run.
                .replace("Documentation=man:lab-probe(1)\n", "");
            std::fs::write(directory.join(name), text).expect("written");
        }
    }
    directory
}

#[test]
fn an_install_puts_exactly_the_contracts_files_there_and_an_uninstall_takes_all_of_them_back() {
    let lab = Lab::new();
    let stage = lab.path().join("stage");
    install("install", &stage, "/opt/lab");
    let expected = [
        "etc/lab-probe/config.toml.example",
        "opt/lab/bin/lab-probe",
        "opt/lab/lib/systemd/system/lab-probe-failure@.service",
        "opt/lab/lib/systemd/system/lab-probe-summary@.service",
        "opt/lab/lib/systemd/system/lab-probe-summary@.timer",
        "opt/lab/lib/systemd/system/lab-probe@.service",
        "opt/lab/lib/systemd/system/lab-probe@.timer",
        "opt/lab/lib/systemd/user/lab-probe.service",
        "opt/lab/lib/systemd/user/lab-probe.timer",
        "opt/lab/lib/sysusers.d/lab-probe.conf",
        "opt/lab/lib/tmpfiles.d/lab-probe.conf",
        "opt/lab/share/bash-completion/completions/lab-probe",
        "opt/lab/share/fish/vendor_completions.d/lab-probe.fish",
        "opt/lab/share/man/man1/lab-probe.1",
        "opt/lab/share/man/man5/lab-probe.toml.5",
        "opt/lab/share/zsh/site-functions/_lab-probe",
    ];
    assert_eq!(files(&stage), expected);
    let service = std::fs::read_to_string(stage.join("opt/lab/lib/systemd/system/lab-probe@.service")).expect("a unit");
    assert!(service.contains("exec /opt/lab/bin/lab-probe --once"), "{service}");
    let live = lab.write("stage/etc/lab-probe/config.toml", "# mine\n");
    install("install", &stage, "/opt/lab");
    install("uninstall", &stage, "/opt/lab");
    assert_eq!(files(&stage), ["etc/lab-probe/config.toml"], "a live configuration stays");
    std::fs::remove_file(live).expect("removed");
    install("uninstall", &stage, "/opt/lab");
    assert!(!stage.exists());
}

#[test]
fn a_prefix_that_would_break_the_units_is_refused_before_anything_is_written() {
    let lab = Lab::new();
    for prefix in ["/opt/a b", "/opt/a#b", "/opt/a&b", "/opt/a'b", "/opt/a%b", "/opt/a$b", "/opt/a\\b", "opt/lab"] {
        let stage = lab.path().join("stage");
        let refused = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/install.sh"))
            .args(["install".as_ref(), stage.as_os_str(), prefix.as_ref(), env!("CARGO_BIN_EXE_lab-probe").as_ref()])
            .output()
            .expect("install.sh runs");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{prefix}: {said}");
        assert!(said.starts_with("PREFIX m") && said.contains(prefix), "{said}");
        assert!(!stage.exists(), "{prefix}");
    }
}

/// Builds packages of a binary, with documents printed by the binary under test.
fn package(binary: &Path, out: &Path, kinds: &[&str]) -> Vec<PathBuf> {
    let mut make = Command::new(root().join("packaging/package.sh"));
    make.args([binary, out]).args(kinds).env("PRINTER", env!("CARGO_BIN_EXE_lab-probe"));
    let output = make
        .env("SOURCE_DATE_EPOCH", "1750000000")
        .env("PACKAGE_COMPRESSION", "gzip")
        .output()
        .expect("the script starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(PathBuf::from).collect()
}

fn listed(package: &Path) -> String {
    let list = Command::new("dpkg-deb").arg("--contents").arg(package).output().expect("dpkg-deb");
    String::from_utf8_lossy(&list.stdout).into_owned()
}

#[test]
fn a_package_is_named_for_the_architecture_of_its_binary() {
    let (amd64, arm64) = ([62, 0], [183, 0]);
    let lab = Lab::new();
    let mut program = std::fs::read(env!("CARGO_BIN_EXE_lab-probe")).expect("the program");
    // e_machine in ELF's header.
    let machine = &mut program[18..20];
    let other = if *machine == amd64 { "arm64" } else { "amd64" };
    machine.copy_from_slice(if other == "arm64" { &arm64 } else { &amd64 });
    let foreign = lab.write("lab-probe", program);
    let made = package(&foreign, &lab.path().join("packages"), &["deb"]);
    let [deb] = &made[..] else { panic!("{made:?}") };
    assert!(deb.to_string_lossy().ends_with(&format!("_{other}.deb")), "{made:?}");
    let field = Command::new("dpkg-deb").arg("--field").arg(deb).arg("Architecture").output().expect("dpkg-deb");
    assert_eq!(String::from_utf8_lossy(&field.stdout).trim(), other);
}

#[test]
fn packages_hold_units_rules_dashboards_and_documents_and_are_the_same_each_time() {
    let lab = Lab::new();
    let binary = Path::new(env!("CARGO_BIN_EXE_lab-probe"));
    let made = package(binary, &lab.path().join("one"), &[]);
    let again = package(binary, &lab.path().join("two"), &[]);
    assert_eq!(made.len(), 2, "{made:?}");
    for (first, second) in made.iter().zip(&again) {
        assert_eq!(std::fs::read(first).expect("one"), std::fs::read(second).expect("two"), "{}", first.display());
    }
    let contents = listed(&made[0]);
    for file in [
        "bin/lab-probe",
        "lib/systemd/system/lab-probe@.timer",
        "lib/systemd/user/lab-probe.service",
        "share/man/man5/lab-probe.toml.5.gz",
        "share/lab-probe/rules/lab.yml",
        "share/lab-probe/dashboards/mcp-fleet.json",
        "share/doc/lab-probe/README.md",
        "share/doc/lab-probe/docs/start.md",
    ] {
        assert!(contents.contains(&format!(" ./usr/{file}\n")), "{file} is not in\n{contents}");
    }
    assert!(contents.lines().all(|line| line.contains(" root/root ")), "{contents}");
}

#[test]
fn systemd_finds_nothing_to_say_about_the_units() {
    let lab = Lab::new();
    let units = units(&lab);
    let system = [
        "lab-probe@games.service",
        "lab-probe@games.timer",
        "lab-probe-summary@games.service",
        "lab-probe-summary@games.timer",
        "lab-probe-failure@games.service",
    ];
    for name in system {
        // An instance of its own file: verify resolves templates only in its search path.
        let template = name.replace("games", "");
        std::fs::copy(units.join(template), units.join(name)).expect("copied");
    }
    let verify = |user: bool, names: &[String]| {
        let mut command = Command::new("systemd-analyze");
        if user {
            command.arg("--user");
        }
        let output = command.arg("verify").args(names).current_dir(&units).output().expect("systemd-analyze");
        // It returns 0 on unknown keys: what it prints is the verdict. Other units of the machine are not ours.
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let ours: Vec<&str> = said.lines().filter(|line| line.contains("lab-probe")).collect();
        assert!(ours.is_empty(), "{}", ours.join("\n"));
    };
    verify(false, &system.map(|name| format!("./{name}")));
    verify(true, &["lab-probe.service", "lab-probe.timer"].map(|name| format!("./{name}")));
}

#[test]
fn the_system_service_is_exposed_to_at_most_2_5() {
    let lab = Lab::new();
    let units = units(&lab);
    std::fs::copy(units.join("lab-probe@.service"), units.join("lab-probe@games.service")).expect("copied");
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=25", "./lab-probe@games.service"])
        .current_dir(&units)
        .output()
        .expect("systemd-analyze");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("Overall exposure level"), "{text}");
}

#[test]
fn taking_the_textfile_directory_back_follows_no_link_that_a_group_member_planted() {
    let gid = rustix::process::getegid().as_raw().to_string();
    for script in ["packaging/scripts/postrm", "packaging/install.sh"] {
        let lab = Lab::new();
        let textfiles = lab.path().join("node-exporter");
        std::fs::create_dir(&textfiles).expect("a directory");
        let tool = lab.path().join("setuid-tool");
        std::fs::copy("/bin/true", &tool).expect("a program");
        // A change of its group would take the set-user-ID bit away.
        std::fs::set_permissions(&tool, PermissionsExt::from_mode(0o4755)).expect("a mode");
        std::os::unix::fs::symlink(&tool, textfiles.join("a.prom")).expect("a link");
        lab.write("node-exporter/b.prom", "");

        let text = std::fs::read_to_string(root().join(script)).expect(script);
        let start = text.find("if [ -d \"$textfiles\" ]").expect("the directory is taken back");
        let end = text[start..].find("\n").and_then(|_| text[start..].find(" fi\n")).expect("its end") + start;
        let commands = text[start..end + 4].replace("-group lab-probe", &format!("-group {gid}"));
        let commands = commands.replace("-h root", &format!("-h {gid}"));
        let run =
            Command::new("sh").arg("-euxc").arg(&commands).env("textfiles", &textfiles).output().expect("a shell");
        let stderr = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success() && stderr.contains("chgrp -h "), "{script}: {stderr}");
        assert_eq!(tool.metadata().expect("there").permissions().mode() & 0o7777, 0o4755, "{script}\n{commands}");
        assert_eq!(textfiles.metadata().expect("there").permissions().mode() & 0o020, 0, "{script}: closed");
    }
}
