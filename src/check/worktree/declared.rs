//! `.worktree`: what people and scripts declare of a worktree, in `key="value"` lines that a shell could source.
//!
//! This is a parser, not a shell: quotes, escapes, comments and `export` are understood, nothing is expanded or run. A
//! value with an expansion in it is simply not one of the valid words.

use std::fs::{File, TryLockError};
use std::io;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use regex_lite::Regex;

use crate::clock::Deadline;
use crate::fs::{explained, if_there, read_capped, replace};
use crate::model::worktree::{Status, TestStatus};

pub const FILE_NAME: &str = ".worktree";

/// Larger is no declaration.
const MAX_BYTES: u64 = 64 << 10;

/// An edit waits this long for another one, which takes milliseconds.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// More complaints than this say nothing new.
const MAX_NOTES: usize = 4;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    pub status: Option<Status>,
    pub test_status: Option<TestStatus>,
    /// A sentence for each thing that was ignored.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Assignment {
    key: String,
    value: String,
    /// Of the value, quotes included.
    range: Range<usize>,
}

/// Reads the file of a worktree; none declares nothing.
pub fn read(worktree: &Path) -> Declared {
    match bytes(worktree) {
        Ok(bytes) => declared_in(&String::from_utf8_lossy(&bytes)),
        Err(e) => Declared { notes: vec![format!("{FILE_NAME} is ignored: {}", explained(&e))], ..Declared::default() },
    }
}

/// What stands in the file; nothing where there is none.
fn bytes(worktree: &Path) -> io::Result<Vec<u8>> {
    let read = file(worktree).and_then(|file| read_capped(&file, MAX_BYTES));
    Ok(if_there(read)?.unwrap_or_default())
}

/// The file itself, where the name is a symbolic link within the worktree. A repository may come with a link that leads
/// anywhere: what lies outside is neither shown nor written.
fn file(worktree: &Path) -> io::Result<PathBuf> {
    let path = worktree.join(FILE_NAME);
    if !path.is_symlink() {
        return Ok(path);
    }
    let real = path.canonicalize()?;
    if real.starts_with(worktree.canonicalize()?) {
        return Ok(real);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a symbolic link that leads out of the worktree"))
}

/// What a file with this text declares.
pub fn declared_in(text: &str) -> Declared {
    let (assignments, others) = parse(text);
    let line = |at: usize| 1 + text[..at].matches('\n').count();
    let others = others.into_iter().take(MAX_NOTES);
    let notes = others.map(|at| format!("{FILE_NAME}:{}: no `key=\"value\"`; ignored", line(at))).collect();
    let mut declared = Declared { notes, ..Declared::default() };
    for Assignment { key, value, range } in &assignments {
        match key.as_str() {
            "status" => declared.status = Status::from_word(value),
            "test_status" => declared.test_status = TestStatus::from_word(value),
            _ => continue,
        }
        let words = words(key);
        if !words.contains(&value.as_str()) && declared.notes.len() < MAX_NOTES {
            let (line, value) = (line(range.start), value.chars().take(40).collect::<String>());
            let words = words.join(", ");
            declared.notes.push(format!("{FILE_NAME}:{line}: {key}={value:?} is ignored; valid are {words}"));
        }
    }
    declared
}

/// What the value of a key can be; empty: anything.
fn words(key: &str) -> Vec<&'static str> {
    match key {
        "status" => Status::ALL.iter().map(|status| status.as_str()).collect(),
        "test_status" => TestStatus::ALL.iter().map(|status| status.as_str()).collect(),
        _ => Vec::new(),
    }
}

/// Blanks, separators and comments; an assignment, whose open quote goes on to the end; `export`; the rest of a line that
/// is none of these. A byte order mark is a blank in every line, or an edit that takes out the first line would change
/// what the second one means.
static WORD: LazyLock<Regex> = LazyLock::new(|| {
    const SKIPPED: &str = "[\\s;\u{feff}]+|#[^\n]*";
    const VALUE: &str = r#"(?:"(?:[^"\\]|\\.)*"?|'[^']*'?|\\.?|[^\s;"'\\])*"#;
    let expression = format!(r"(?s){SKIPPED}|([A-Za-z_][A-Za-z0-9_]*)=({VALUE})|export(?:\s|$)|([^\n]+)");
    Regex::new(&expression).unwrap_or_else(|error| unreachable!("{error}"))
});

/// Splits the text as a shell would split assignments, and no further. Returns them, and where what is none begins: it goes
/// on to the end of its line.
fn parse(text: &str) -> (Vec<Assignment>, Vec<usize>) {
    let (mut assignments, mut others) = (Vec::new(), Vec::new());
    for word in WORD.captures_iter(text) {
        if let (Some(key), Some(value)) = (word.get(1), word.get(2)) {
            let unquoted = shlex::split(&word[0]).and_then(|mut words| words.pop());
            let unquoted = unquoted.as_deref().and_then(|word| word.split_once('='));
            let unquoted = unquoted.map_or(value.as_str(), |(_, value)| value).to_owned();
            assignments.push(Assignment { key: key.as_str().into(), value: unquoted, range: value.range() });
        }
        others.extend(word.get(3).map(|rest| rest.start()));
    }
    (assignments, others)
}

/// Why a declaration could not be written.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// Not `KEY=VALUE`, or a value that the key does not take; the sentence says what would be right.
    #[error("{0}")]
    Invalid(String),
    #[error("cannot edit {}", .0.display())]
    File(PathBuf, #[source] anyhow::Error),
    /// The line of the file that is not UTF-8.
    #[error("{path}:{line} is not UTF-8 and is left as it is", path = .0.display(), line = .1)]
    NotText(PathBuf, usize),
}

/// The text of a worktree's file as a pass reads it, which takes what is not UTF-8 for odd characters.
pub fn text(worktree: &Path) -> Result<String, EditError> {
    bytes(worktree).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(|e| unusable(worktree, e))
}

/// The text to be edited: without odd characters, since these would be lost.
fn editable_text(worktree: &Path) -> Result<String, EditError> {
    String::from_utf8(bytes(worktree).map_err(|e| unusable(worktree, e))?).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        EditError::NotText(worktree.join(FILE_NAME), 1 + before.iter().filter(|&&byte| byte == b'\n').count())
    })
}

fn unusable(worktree: &Path, error: io::Error) -> EditError {
    EditError::File(worktree.join(FILE_NAME), error.into())
}

/// Writes `KEY=VALUE` declarations in one rename; comments, other keys and line ends stay as they are. An empty value
/// takes the key out.
pub fn set(worktree: &Path, declarations: &[String]) -> Result<(), EditError> {
    let _turn = take_turn(worktree);
    let mut text = editable_text(worktree)?;
    for declaration in declarations {
        let (key, value) = valid(declaration)?;
        let before = std::mem::take(&mut text);
        text = edited(&before, key, value);
        if !says(&text, key, value) || others(&text, key) != others(&before, key) {
            let sentence =
                format!("a quote or a last backslash in {FILE_NAME} is open and swallows {key}; close it first");
            return Err(EditError::Invalid(sentence));
        }
    }
    // A symbolic link stays one: the file it names is replaced.
    let path = file(worktree).map_err(|e| unusable(worktree, e))?;
    let metadata = if_there(path.metadata()).map_err(|e| unusable(worktree, e))?;
    let mode = metadata.map_or(0o644, |metadata| metadata.permissions().mode() & 0o777);
    replace(&path, text.as_bytes(), mode).map_err(|e| EditError::File(path, e))
}

/// Keeps two edits apart, or the second would write back what it read before the first. The directory is locked, as there
/// is nothing to create then; where that is not possible, or somebody else keeps it locked, the edit is made all the same.
fn take_turn(worktree: &Path) -> Option<File> {
    let directory = File::open(worktree).ok()?;
    let until = Deadline::after(MAX_WAIT);
    while matches!(directory.try_lock(), Err(TryLockError::WouldBlock)) && !until.passed() {
        std::thread::sleep(Duration::from_millis(5));
    }
    Some(directory)
}

fn valid(declaration: &str) -> Result<(&str, &str), EditError> {
    let invalid = |sentence: String| Err(EditError::Invalid(sentence));
    let Some((key, value)) = declaration.split_once('=') else {
        return invalid(format!("{declaration:?} is no KEY=VALUE, as in status=blocked"));
    };
    let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !key.chars().all(name) || key.is_empty() || key.starts_with(|c: char| c.is_ascii_digit()) {
        return invalid(format!("{key:?} is no key: letters, digits and underscores only"));
    }
    let words = words(key);
    if !value.is_empty() && !words.is_empty() && !words.contains(&value) {
        return invalid(format!("{key}={value:?} is not possible; valid are {}", words.join(", ")));
    }
    if value.contains(char::is_control) {
        return invalid(format!("the value of {key} holds a control character"));
    }
    Ok((key, value))
}

/// Whether `text` sets `key` to `value`, or not at all where that is empty.
fn says(text: &str, key: &str, value: &str) -> bool {
    let last = parse(text).0.into_iter().rfind(|assignment| assignment.key == key);
    last.map(|last| last.value).unwrap_or_default() == value
}

/// What `text` says of every other key.
fn others(text: &str, key: &str) -> Vec<(String, String)> {
    parse(text).0.into_iter().filter(|a| a.key != key).map(|a| (a.key, a.value)).collect()
}

/// `text` with `key` set to `value`: its last assignment is changed in place, further ones go.
fn edited(text: &str, key: &str, value: &str) -> String {
    let mut ranges: Vec<Range<usize>> = parse(text).0.into_iter().filter(|a| a.key == key).map(|a| a.range).collect();
    let mut out = text.to_owned();
    let last = if value.is_empty() { None } else { ranges.pop() };
    if let Some(range) = last {
        out.replace_range(range, &quote(value));
    } else if !value.is_empty() {
        let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        if !out.is_empty() && !out.ends_with('\n') {
            out.push_str(end);
        }
        out.push_str(&format!("{key}={}{end}", quote(value)));
    }
    for range in ranges.into_iter().rev() {
        out.replace_range(assignment_range(&out, key, &range), "");
    }
    out
}

/// What of a line goes with an assignment: all of it if nothing else stands there.
fn assignment_range(text: &str, key: &str, value: &Range<usize>) -> Range<usize> {
    let start = value.start - 1 - key.len();
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[value.end..].find('\n').map_or(text.len(), |at| value.end + at + 1);
    let alone = matches!(text[line_start..start].trim(), "" | "export") && text[value.end..line_end].trim().is_empty();
    if alone {
        return line_start..line_end;
    }
    // A semicolon that follows ends this assignment: a shell takes none at the beginning of a line.
    let after = text[value.end..].trim_start_matches([' ', '\t']);
    let rest = after.strip_prefix(';').map(|rest| rest.trim_start_matches([' ', '\t']));
    start..rest.map_or(value.end, |rest| text.len() - rest.len())
}

fn quote(value: &str) -> String {
    let escape = |c: char| "\"\\$`".contains(c).then_some('\\');
    let escaped: String = value.chars().flat_map(|c| escape(c).into_iter().chain([c])).collect();
    format!("\"{escaped}\"")
}

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shell_quoting_is_understood_and_nothing_is_expanded() {
        for (text, status, notes) in [
            ("status=blocked", Some(Status::Blocked), 0),
            ("status=\"working\"\r\n", Some(Status::Working), 0),
            ("# status=blocked\nexport status='testing' # so\n", Some(Status::Testing), 0),
            ("status=com\"ple\"te", Some(Status::Complete), 0),
            ("\u{feff}status=blocked", Some(Status::Blocked), 0),
            ("status=working\nstatus=blocked", Some(Status::Blocked), 0),
            ("status=\"two\nlines\"\nother=x", None, 1),
            ("status=$(echo blocked)", None, 2),
            ("status=`id`", None, 1),
            ("status=\"$HOME\"", None, 1),
            ("status = blocked", None, 1),
            ("status=", None, 1),
            ("status=Blocked", None, 1),
            ("rm -rf /; status=blocked", None, 1),
            ("note='it is # not; a comment' status=blocked", Some(Status::Blocked), 0),
        ] {
            let declared = declared_in(text);
            assert_eq!((declared.status, declared.notes.len()), (status, notes), "{text:?}: {declared:?}");
        }
        assert_eq!(declared_in("test_status=failing").test_status, Some(TestStatus::Failing));
    }

    #[test]
    fn a_complaint_names_line_and_valid_words() {
        assert_eq!(
            declared_in("\n\nstatus=done\n").notes,
            [".worktree:3: status=\"done\" is ignored; valid are complete, working, testing, blocked"]
        );
    }

    #[test]
    fn an_edit_keeps_everything_else() {
        let text = "# mine\nexport status='working' # now\r\nowner=\"a b\"\nstatus=blocked\n";
        assert_eq!(
            edited(text, "status", "testing"),
            "# mine\nexport status='working' # now\r\nowner=\"a b\"\nstatus=\"testing\"\n"
                .replace("export status='working'", "export ")
        );
        assert_eq!(edited("a=1", "status", "blocked"), "a=1\nstatus=\"blocked\"\n");
        assert_eq!(edited("a=1\r\n", "status", "blocked"), "a=1\r\nstatus=\"blocked\"\r\n");
        assert_eq!(edited("a=1\nexport status=x\nb=2\n", "status", ""), "a=1\nb=2\n");
        assert_eq!(edited("a=1 ; status=x ; b=2\n", "status", ""), "a=1 ; b=2\n");
        assert_eq!(edited("status=x; b=2\nstatus=y\n", "status", "working"), "b=2\nstatus=\"working\"\n");
        assert_eq!(edited("status=x b=2\n", "status", ""), " b=2\n");
        assert_eq!(edited("", "note", "say \"$HOME\""), "note=\"say \\\"\\$HOME\\\"\"\n");
    }

    #[test]
    fn what_an_open_quote_would_swallow_is_not_set() {
        let worktree = tempfile::tempdir().expect("a directory");
        let file = worktree.path().join(FILE_NAME);
        for open in ["a=1\r\nnote=a\\", "note=\"open\n", "note='open", "note=a\\\n", "note=a\\"] {
            std::fs::write(&file, open).expect("written");
            let refused = set(worktree.path(), &["status=blocked".into()]).expect_err("refused").to_string();
            assert!(refused.contains("swallows status"), "{refused}");
            assert_eq!(std::fs::read_to_string(&file).expect("read"), open, "left as it was");
        }
        std::fs::write(&file, "note=\"open\n").expect("written");
        set(worktree.path(), &["note=".into(), "status=blocked".into()]).expect("closed by taking it out");
        assert_eq!(std::fs::read_to_string(&file).expect("read"), "status=\"blocked\"\n");
    }

    #[test]
    fn what_is_not_utf_8_is_shown_as_a_pass_reads_it_and_never_written_anew() {
        let worktree = tempfile::tempdir().expect("a directory");
        let latin: &[u8] = b"status=blocked\nnote=caf\xe9\n";
        std::fs::write(worktree.path().join(FILE_NAME), latin).expect("written");
        assert_eq!(text(worktree.path()).expect("read"), "status=blocked\nnote=caf\u{fffd}\n");
        let refused = set(worktree.path(), &["status=working".into()]).expect_err("refused");
        assert!(matches!(&refused, EditError::NotText(path, 2) if path.ends_with(FILE_NAME)), "{refused}");
        assert_eq!(std::fs::read(worktree.path().join(FILE_NAME)).expect("read"), latin);
    }

    #[test]
    fn edits_at_the_same_time_all_arrive() {
        let worktree = tempfile::tempdir().expect("a directory");
        std::thread::scope(|scope| {
            for number in 0..16 {
                let worktree = worktree.path();
                scope.spawn(move || set(worktree, &[format!("k{number}=v")]).expect("set"));
            }
        });
        let text = std::fs::read_to_string(worktree.path().join(FILE_NAME)).expect("read");
        assert_eq!(text.lines().count(), 16, "{text}");
    }

    #[test]
    fn a_directory_that_somebody_keeps_locked_can_be_edited() {
        let worktree = tempfile::tempdir().expect("a directory");
        let theirs = File::open(worktree.path()).expect("opened");
        theirs.lock().expect("locked");
        set(worktree.path(), &["status=blocked".into()]).expect("set");
        assert_eq!(text(worktree.path()).expect("read"), "status=\"blocked\"\n");
    }

    #[test]
    fn only_keys_and_words_that_exist_can_be_set() {
        for (declaration, allowed) in [
            ("status=blocked", true),
            ("status=", true),
            ("owner=somebody", true),
            ("status=done", false),
            ("status", false),
            ("a b=c", false),
            ("note=two\nlines", false),
        ] {
            assert_eq!(valid(declaration).is_ok(), allowed, "{declaration:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_set_is_read_back_whatever_stood_there(before in "\\PC{0,40}\n?", value in "[ -~]{1,20}") {
            // An open quote swallows whatever is appended, in a shell too.
            prop_assume!(!before.contains(['"', '\'', '\\']));
            let text = edited(&before, "note", &value);
            let last = parse(&text).0.into_iter().rfind(|a| a.key == "note");
            prop_assert_eq!(last.map(|a| a.value), Some(value));
        }
    }
}
