//! The textfile that node_exporter's textfile collector reads: replaced whole, mode 0644, or not touched at all.

use std::io;
use std::path::{Path, PathBuf};

use super::survey;
use crate::config::settings::TextfileSettings;
use crate::exit;
use crate::fs;
use crate::metrics::check::{Finding, Inspector, Textfile};

/// Everybody may read it: node_exporter runs as a user of its own.
const MODE: u32 = 0o644;

/// How much of the directory's other files is looked at: enough for real ones, nothing for a mistaken `/tmp`.
const NEIGHBOUR_FILES: usize = 64;
const NEIGHBOUR_BYTES: u64 = 1 << 20;

/// A family of ours by which a file shows that lab-probe wrote it.
const SIGNATURE: &str = "\nlab_probe_last_pass_timestamp_seconds";

pub fn path(settings: &TextfileSettings) -> PathBuf {
    settings.directory.join(&settings.file)
}

/// Replaces the textfile. What an earlier pass delivered stays if this fails.
pub fn deliver(settings: &TextfileSettings, exposition: &str) -> anyhow::Result<()> {
    let path = checked_path(settings)?;
    fs::replace(&path, exposition.as_bytes(), MODE).map_err(|error| exit::failed_at(&path, error))
}

/// Removes the textfile and what an interrupted delivery may have left; `false` if there was nothing.
/// Errors: What the operating system refused; a file of that name that lab-probe did not write is left alone.
pub fn withdraw(settings: &TextfileSettings) -> anyhow::Result<bool> {
    let path = checked_path(settings)?;
    remove(&path.with_file_name(format!(".{}.tmp", settings.file)))?;
    match fs::read_capped(&path, 64 << 20) {
        Ok(contents) if String::from_utf8_lossy(&contents).contains(SIGNATURE) => remove(&path),
        Ok(_) => Err(exit::trouble("the file was not written by lab-probe and is left alone", "remove it by hand")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) if e.kind() == io::ErrorKind::InvalidInput => {
            Err(exit::trouble("it is no regular file and is left alone", "move it away by hand"))
        }
        Err(e) => Err(exit::refused("cannot read", &path, e)),
    }
}

/// What node_exporter leaves out of `exposition`, delivered, and the other textfiles of the directory because of each other:
/// a sentence for each clash that ours has a part in. Bounded; what cannot be read is left out, because this is only for
/// warnings.
pub fn clashes(settings: &TextfileSettings, exposition: &str) -> Vec<String> {
    let ours = path(settings);
    let mut entries = survey::entries(&settings.directory).unwrap_or_default();
    let mut others = 0;
    entries.retain(|entry| {
        *entry == ours || {
            others += 1;
            others <= NEIGHBOUR_FILES
        }
    });
    if others == 0 {
        return Vec::new();
    }
    let mut inspector = Inspector::default();
    for path in entries {
        let contents = if path == ours { Ok(exposition.into()) } else { fs::read_capped(&path, NEIGHBOUR_BYTES) };
        inspector.add(&Textfile { path, mode: None, contents });
    }
    let mut findings = inspector.finish().findings;
    findings.retain(|found| found.other.as_ref().is_some_and(|other| *other == ours || found.path == ours));
    findings.iter().map(Finding::to_string).collect()
}

/// The path, if the settings name a directory of textfiles.
fn checked_path(settings: &TextfileSettings) -> anyhow::Result<PathBuf> {
    // Only root could write there, and a slip such as an unset variable in front of it is what leads there.
    if settings.directory.canonicalize().is_ok_and(|real| real.parent().is_none()) {
        return Err(exit::trouble(
            format!("{} is the root of the file system, no directory of textfiles", settings.directory.display()),
            "name the directory that node_exporter reads with --textfile-dir or output.textfile",
        ));
    }
    Ok(path(settings))
}

fn remove(path: &Path) -> anyhow::Result<bool> {
    let removed = fs::if_there(fs::uninterrupted(|| std::fs::remove_file(path)));
    removed.map(|removed| removed.is_some()).map_err(|error| exit::refused("cannot remove", path, error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const OURS: &str = "# HELP x x\n# TYPE x gauge\nx 1\nlab_probe_last_pass_timestamp_seconds 1\n";

    fn settings(directory: &Path) -> TextfileSettings {
        TextfileSettings { directory: directory.to_owned(), file: "lab-probe.prom".into() }
    }

    #[test]
    fn a_delivery_is_readable_by_all_and_can_be_taken_back() {
        let directory = tempfile::tempdir().expect("a directory");
        let settings = settings(directory.path());
        std::fs::write(directory.path().join(".lab-probe.prom.tmp"), "left by a killed pass").expect("written");
        deliver(&settings, OURS).expect("delivered");
        assert_eq!(path(&settings).metadata().expect("there").permissions().mode() & 0o7777, 0o644);
        assert_eq!(std::fs::read_dir(directory.path()).expect("listed").count(), 1);
        std::fs::write(directory.path().join(".lab-probe.prom.tmp"), "left by a killed pass").expect("written");
        assert!(withdraw(&settings).expect("withdrawn"));
        assert!(!withdraw(&settings).expect("nothing there"));
        assert_eq!(std::fs::read_dir(directory.path()).expect("listed").count(), 0);
    }

    #[test]
    fn a_file_of_somebody_else_is_not_withdrawn() {
        let directory = tempfile::tempdir().expect("a directory");
        let settings = settings(directory.path());
        std::fs::write(path(&settings), "other 1\n").expect("written");
        assert!(withdraw(&settings).expect_err("refused").to_string().contains("not written by lab-probe"));
        assert!(path(&settings).exists());
    }

    #[test]
    fn slips_are_named_with_what_would_be_right() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("file");
        std::fs::write(&file, "").expect("written");
        std::fs::create_dir_all(directory.path().join("taken/lab-probe.prom/x")).expect("directories");
        for (at, sentence) in [
            (
                directory.path().join("none/such"),
                "No such file or directory (os error 2); make its directory (mkdir -p ",
            ),
            (file, "Not a directory (os error 20); a part of the path is no directory"),
            (directory.path().join("taken"), "Is a directory (os error 21); name a file, or move the directory away"),
            (PathBuf::from("/"), "/ is the root of the file system, no directory of textfiles; name the directory"),
            (PathBuf::from("/proc/.."), "is the root of the file system"),
            (PathBuf::from("/proc/self"), "cannot create a temporary file"),
        ] {
            let error = exit::sentence(&deliver(&settings(&at), OURS).expect_err("refused"));
            assert!(error.contains(sentence), "{}: {error}", at.display());
        }
    }

    #[test]
    fn only_clashes_that_concern_our_file_are_told_and_not_without_bounds() {
        let directory = tempfile::tempdir().expect("a directory");
        let settings = settings(directory.path());
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).expect("written");
        write("lab-probe.prom", "what an earlier pass delivered\n");
        write("a.prom", "broken");
        write("b.prom", "# HELP other x\nother 1\nother 1\n");
        write("c.txt", "# HELP x y\nx 1\n");
        write("huge.prom", &"# HELP x z\n".repeat(200_000));
        std::fs::create_dir(directory.path().join("d.prom")).expect("a directory");
        assert_eq!(clashes(&settings, OURS), [""; 0]);
        write("z.prom", "# HELP x y\n# TYPE x gauge\nx{a=\"b\"} 1\n");
        let ours = path(&settings);
        let differs = |name: &str, from: &Path| {
            format!("{}:1: error: HELP of x differs from {}", directory.path().join(name).display(), from.display())
        };
        let told = clashes(&settings, OURS);
        assert!(told.len() == 1 && told[0].starts_with(&differs("z.prom", &ours)), "{told:?}");
        write("a.prom", "# HELP x y\n# TYPE x gauge\nx{a=\"b\"} 1\n");
        let told = clashes(&settings, OURS);
        assert!(told[0].starts_with(&differs("lab-probe.prom", &directory.path().join("a.prom"))), "{told:?}");
        let none = TextfileSettings { directory: directory.path().join("none"), file: "lab-probe.prom".into() };
        assert_eq!(clashes(&none, OURS), [""; 0]);
    }
}
