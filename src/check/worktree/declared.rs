//! `.worktree`: what people and scripts declare of a worktree, in `key="value"` lines that a shell could source.
//!
//! This is a parser, not a shell: quotes, escapes, comments and `export` are understood, nothing is expanded or run. A
//! value with an expansion in it is simply not one of the valid words.

use std::fs::{File, TryLockError};
use std::io;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::Deadline;
use crate::fs::{explained, read_capped, replace};
use crate::model::worktree::{Status, TestStatus};

/// The file's name, in the worktree's own directory.
pub const FILE_NAME: &str = ".worktree";

/// Larger is no declaration.
const MAX_BYTES: u64 = 64 << 10;

/// An edit waits this long for another one, which takes milliseconds.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// More complaints than this say nothing new.
const MAX_NOTES: usize = 4;

/// What is declared, and what was ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    /// `status=`.
    pub status: Option<Status>,
    /// `test_status=`.
    pub test_status: Option<TestStatus>,
    /// A sentence for each thing that was ignored.
    pub notes: Vec<String>,
}

/// One `key=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Assignment {
    key: String,
    value: String,
    line: usize,
    /// Where the value, quotes included, stands in the text.
    place: Range<usize>,
}

/// What stands in a `.worktree` file, piece by piece.
#[derive(Debug, Default)]
struct Parsed {
    assignments: Vec<Assignment>,
    /// Lines that are no assignment.
    odd_lines: Vec<usize>,
}

/// Reads the file of a worktree; none declares nothing.
pub fn read(worktree: &Path) -> Declared {
    match file(worktree).and_then(|path| read_capped(&path, MAX_BYTES)) {
        Ok(bytes) => declared_in(&String::from_utf8_lossy(&bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Declared::default(),
        Err(e) => Declared { notes: vec![format!("{FILE_NAME} is ignored: {}", explained(&e))], ..Declared::default() },
    }
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
    let parsed = parse(text);
    let mut declared = Declared::default();
    let mut complain = |note: String| {
        if declared.notes.len() < MAX_NOTES {
            declared.notes.push(note);
        }
    };
    for line in &parsed.odd_lines {
        complain(format!("{FILE_NAME}:{line}: no `key=\"value\"`; ignored"));
    }
    for Assignment { key, value, line, .. } in &parsed.assignments {
        match key.as_str() {
            "status" => {
                declared.status = Status::from_word(value);
                if declared.status.is_none() {
                    complain(invalid(key, value, *line, Status::ALL.iter().map(|s| s.as_str())));
                }
            }
            "test_status" => {
                declared.test_status = TestStatus::from_word(value);
                if declared.test_status.is_none() {
                    complain(invalid(key, value, *line, TestStatus::ALL.iter().map(|s| s.as_str())));
                }
            }
            _ => {}
        }
    }
    declared
}

fn invalid<'a>(key: &str, value: &str, line: usize, valid: impl Iterator<Item = &'a str>) -> String {
    let valid: Vec<&str> = valid.collect();
    let value: String = value.chars().take(40).collect();
    format!("{FILE_NAME}:{line}: {key}={value:?} is ignored; valid are {}", valid.join(", "))
}

/// Splits the text as a shell would split assignments, and no further.
fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let mut scanner = Scanner { text, at: 0, line: 1 };
    while let Some(start) = scanner.next_word() {
        let line = scanner.line;
        let word = scanner.key();
        if scanner.peek() == Some('=') && is_name(word) {
            scanner.bump();
            let from = scanner.at;
            let value = scanner.value();
            let assignment = Assignment { key: word.to_owned(), value, line, place: from..scanner.at };
            parsed.assignments.push(assignment);
        } else if word == "export" && scanner.peek().is_none_or(char::is_whitespace) {
            continue;
        } else {
            scanner.at = start;
            scanner.skip_line();
            parsed.odd_lines.push(line);
        }
    }
    parsed
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        self.line += usize::from(c == '\n');
        Some(c)
    }

    /// Skips blanks, separators and comments; where the next word begins. A byte order mark is a blank in every line, or
    /// an edit that takes out the first line would change what the second one means.
    fn next_word(&mut self) -> Option<usize> {
        loop {
            match self.peek()? {
                c if c.is_whitespace() || matches!(c, ';' | '\u{feff}') => {
                    self.bump();
                }
                '#' => self.skip_line(),
                _ => return Some(self.at),
            }
        }
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|c| c != '\n') {
            self.bump();
        }
    }

    /// What may be a key: everything up to `=` or the end of the word.
    fn key(&mut self) -> &'a str {
        let from = self.at;
        while self.peek().is_some_and(|c| c != '=' && !c.is_whitespace() && c != ';') {
            self.bump();
        }
        &self.text[from..self.at]
    }

    /// A value: any run of quoted and unquoted pieces up to a blank or separator.
    fn value(&mut self) -> String {
        let mut value = String::new();
        while let Some(c) = self.peek().filter(|c| !c.is_whitespace() && *c != ';') {
            self.bump();
            match c {
                '\'' => self.quoted(&mut value, '\'', false),
                '"' => self.quoted(&mut value, '"', true),
                '\\' => value.extend(self.bump()),
                c => value.push(c),
            }
        }
        value
    }

    fn quoted(&mut self, value: &mut String, quote: char, escapes: bool) {
        while let Some(c) = self.bump().filter(|c| *c != quote) {
            match c {
                '\\' if escapes && self.peek().is_some_and(|next| "\"\\$`".contains(next)) => value.extend(self.bump()),
                c => value.push(c),
            }
        }
    }
}

/// Why a declaration could not be written.
#[derive(Debug)]
pub enum EditError {
    /// Not `KEY=VALUE`, or a value that the key does not take; the sentence says what would be right.
    Invalid(String),
    /// The file could not be read or replaced.
    File(PathBuf, anyhow::Error),
    /// The line of the file that is not UTF-8.
    NotText(PathBuf, usize),
}

impl std::fmt::Display for EditError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EditError::Invalid(sentence) => f.write_str(sentence),
            EditError::File(path, _) => write!(f, "cannot edit {}", path.display()),
            EditError::NotText(path, line) => write!(f, "{}:{line} is not UTF-8 and is left as it is", path.display()),
        }
    }
}

impl std::error::Error for EditError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            EditError::Invalid(_) | EditError::NotText(..) => None,
            EditError::File(_, error) => Some(error.as_ref()),
        }
    }
}

/// The text of a worktree's file as a pass reads it, which takes what is not UTF-8 for odd characters; empty where there
/// is none.
///
/// # Errors
/// [`EditError::File`] when it cannot be read, is too large or no regular file.
pub fn text(worktree: &Path) -> Result<String, EditError> {
    Ok(String::from_utf8_lossy(&bytes(worktree)?).into_owned())
}

/// The text to be edited.
///
/// # Errors
/// As [`text`], and [`EditError::NotText`], since what is odd would be lost.
fn editable_text(worktree: &Path) -> Result<String, EditError> {
    String::from_utf8(bytes(worktree)?).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        EditError::NotText(worktree.join(FILE_NAME), 1 + before.iter().filter(|&&byte| byte == b'\n').count())
    })
}

fn bytes(worktree: &Path) -> Result<Vec<u8>, EditError> {
    match file(worktree).and_then(|file| read_capped(&file, MAX_BYTES)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(|e| EditError::File(worktree.join(FILE_NAME), e.into())),
    }
}

/// Writes `KEY=VALUE` declarations in one rename; comments, other keys and line ends stay as they are. An empty value
/// takes the key out.
///
/// # Errors
/// [`EditError`].
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
    let path = file(worktree).map_err(|e| EditError::File(worktree.join(FILE_NAME), e.into()))?;
    let mode = match path.metadata() {
        Ok(metadata) => metadata.permissions().mode() & 0o777,
        Err(e) if e.kind() == io::ErrorKind::NotFound => 0o644,
        Err(e) => return Err(EditError::File(path, e.into())),
    };
    replace(&path, text.as_bytes(), mode).map_err(|e| EditError::File(path, e))
}

/// Keeps two edits apart, or the second would write back what it read before the first. The directory is locked, as there
/// is nothing to create then; where that is not possible, or somebody else keeps it locked, the edit is made all the same.
fn take_turn(worktree: &Path) -> Option<File> {
    let directory = File::open(worktree).ok()?;
    let patience = Deadline::after(MAX_WAIT);
    loop {
        match directory.try_lock() {
            Ok(()) => return Some(directory),
            Err(TryLockError::WouldBlock) if !patience.passed() => std::thread::sleep(Duration::from_millis(5)),
            Err(_) => return None,
        }
    }
}

fn valid(declaration: &str) -> Result<(&str, &str), EditError> {
    let invalid = |sentence: String| Err(EditError::Invalid(sentence));
    let Some((key, value)) = declaration.split_once('=') else {
        return invalid(format!("{declaration:?} is no KEY=VALUE, as in status=blocked"));
    };
    let words: Vec<&str> = match key {
        "status" => Status::ALL.iter().map(|s| s.as_str()).collect(),
        "test_status" => TestStatus::ALL.iter().map(|s| s.as_str()).collect(),
        key if is_name(key) => Vec::new(),
        key => return invalid(format!("{key:?} is no key: letters, digits and underscores only")),
    };
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
    let last = parse(text).assignments.into_iter().rfind(|assignment| assignment.key == key);
    last.map(|last| last.value).unwrap_or_default() == value
}

/// What `text` says of every other key.
fn others(text: &str, key: &str) -> Vec<(String, String)> {
    parse(text).assignments.into_iter().filter(|a| a.key != key).map(|a| (a.key, a.value)).collect()
}

/// `text` with `key` set to `value`: its last assignment is changed in place, further ones go.
fn edited(text: &str, key: &str, value: &str) -> String {
    let mut places: Vec<Range<usize>> =
        parse(text).assignments.into_iter().filter(|a| a.key == key).map(|a| a.place).collect();
    let mut out = text.to_owned();
    let last = if value.is_empty() { None } else { places.pop() };
    if let Some(place) = last {
        out.replace_range(place.clone(), &quote(value));
    } else if !value.is_empty() {
        let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        if !out.is_empty() && !out.ends_with('\n') {
            out.push_str(end);
        }
        out.push_str(&format!("{key}={}{end}", quote(value)));
    }
    for place in places.into_iter().rev() {
        out.replace_range(assignment_place(&out, key, &place), "");
    }
    out
}

/// What of a line goes with an assignment: all of it if nothing else stands there.
fn assignment_place(text: &str, key: &str, value: &Range<usize>) -> Range<usize> {
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
    let mut out = String::from("\"");
    for c in value.chars() {
        if "\"\\$`".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
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
            let last = parse(&text).assignments.into_iter().rfind(|a| a.key == "note");
            prop_assert_eq!(last.map(|a| a.value), Some(value));
        }
    }
}
