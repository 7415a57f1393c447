//! Every way in which files change under a reader, one by one and in any order.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

/// Keeps the lines themselves, so that a test sees which one is missing or doubled; and counts what it was told to be lost.
#[derive(Default, Clone)]
struct Kept(Vec<String>, usize);

impl Lines for Kept {
    fn line(&mut self, line: Line<'_>) {
        self.0.push(match line {
            Line::Whole(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Line::TooLong => "too long".to_owned(),
            Line::Hole => return,
        });
    }

    fn late(&mut self, _: bool) {}

    fn lost(&mut self, _: &str) {
        self.1 += 1;
    }

    fn unfinished(&mut self, _: Option<&[u8]>, _: bool) {}
}

/// A log, its writer and its reader.
struct Scene {
    directory: tempfile::TempDir,
    cursor: Cursor,
    kept: Kept,
    written: usize,
    /// `log.1` was renamed, not copied: a writer may still have it open.
    has_old_writer: bool,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Scene { directory, cursor: Cursor::default(), kept: Kept::default(), written: 0, has_old_writer: false }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn append(&self, name: &str, bytes: &[u8]) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path(name)).expect("opened");
        file.write_all(bytes).expect("appended");
    }

    /// Appends `count` numbered lines.
    fn lines(&mut self, name: &str, count: usize) {
        for _ in 0..count {
            self.append(name, format!("line {}\n", self.written).as_bytes());
            self.written += 1;
        }
    }

    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).expect("renamed");
    }

    fn compress(&self, name: &str) {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&std::fs::read(self.path(name)).expect("read")).expect("compressed");
        std::fs::write(self.path(&format!("{name}.gz")), encoder.finish().expect("finished")).expect("written");
        std::fs::remove_file(self.path(name)).expect("removed");
    }

    fn copy(&self, from: &str, to: &str) {
        let _ = std::fs::remove_file(self.path(to));
        std::fs::copy(self.path(from), self.path(to)).expect("copied");
    }

    fn truncate(&self, name: &str) {
        OpenOptions::new().write(true).truncate(true).open(self.path(name)).expect("truncated");
    }

    fn look(&mut self) -> (ReadState, Vec<String>) {
        let deadline = Deadline::after(Duration::from_secs(60));
        // What a pass keeps goes through the state file.
        let text = serde_json::to_string(&self.cursor).expect("serialised");
        self.cursor = serde_json::from_str(&text).expect("read back");
        follow(&self.directory.path().join("log"), &mut self.cursor, &mut self.kept, deadline)
    }

    /// Looks, and expects exactly the lines written so far, with nothing said to be lost.
    #[track_caller]
    fn expect_all(&mut self) {
        assert_eq!(self.look(), (ReadState::Ready, Vec::new()));
        self.expect_each_once(&[]);
    }

    /// Expects every line but these, once.
    #[track_caller]
    fn expect_each_once(&self, but: &[usize]) {
        let mut numbers: Vec<usize> = self
            .kept
            .0
            .iter()
            .map(|line| line.strip_prefix("line ").expect("ours").parse().expect("a number"))
            .collect();
        numbers.sort_unstable();
        let expected: Vec<usize> = (0..self.written).filter(|number| !but.contains(number)).collect();
        assert_eq!(numbers, expected);
    }
}

#[test]
fn an_archive_is_a_loss_also_where_a_plain_part_has_its_name() {
    let mut scene = Scene::new();
    scene.lines("log.1", 3);
    scene.append("log.1.zip", b"PK");
    scene.lines("log", 2);
    let (state, losses) = scene.look();
    assert_eq!((state, losses.len()), (ReadState::Ready, 1), "{losses:?}");
    scene.expect_each_once(&[]);
}

#[test]
fn a_compressed_part_stays_one_under_a_name_that_does_not_say_so() {
    let mut scene = Scene::new();
    scene.lines("log", 30);
    scene.rename("log", "log.1");
    scene.lines("log", 2);
    scene.expect_all();
    scene.compress("log.1");
    scene.expect_all();
    scene.rename("log.1.gz", "saved");
    scene.lines("log", 1);
    scene.expect_all();
    scene.rename("saved", "log.2.gz");
    scene.lines("log", 1);
    scene.expect_all();
}

#[test]
fn a_second_link_to_the_log_is_no_part_that_was_read_before() {
    let mut scene = Scene::new();
    scene.append("log", b"");
    scene.expect_all();
    scene.lines("log", 3);
    scene.rename("log", "log.2");
    scene.compress("log.2");
    // Written by a clock that was ahead: only the names tell whether it is old.
    let packed = OpenOptions::new().write(true).open(scene.path("log.2.gz")).expect("opened");
    let written = packed.metadata().expect("metadata").modified().expect("a time");
    packed.set_modified(written + Duration::from_secs(3600)).expect("set");
    scene.lines("log", 2);
    std::fs::hard_link(scene.path("log"), scene.path("log.1")).expect("a link");
    scene.expect_all();
}

#[test]
fn only_what_was_appended_is_read_and_an_unfinished_line_waits() {
    let mut scene = Scene::new();
    scene.lines("log", 3);
    scene.append("log", b"line 3");
    assert_eq!(scene.look().0, ReadState::Ready);
    scene.expect_each_once(&[]);
    scene.append("log", b"\n");
    scene.written += 1;
    scene.lines("log", 2);
    scene.expect_all();
    scene.expect_all();
}

#[test]
fn a_missing_file_is_missing_and_keeps_its_cursor() {
    let mut scene = Scene::new();
    assert_eq!(scene.look().0, ReadState::Missing);
    scene.lines("log", 3);
    scene.expect_all();
    scene.rename("log", "elsewhere-entirely");
    std::fs::rename(scene.path("elsewhere-entirely"), scene.directory.path().join("..").join(unique(&scene)))
        .expect("away");
    assert_eq!(scene.look(), (ReadState::Missing, Vec::new()));
    std::fs::rename(scene.directory.path().join("..").join(unique(&scene)), scene.path("log")).expect("back");
    scene.lines("log", 1);
    scene.expect_all();
}

#[test]
fn after_a_power_failure_what_is_lost_is_said_and_nothing_is_read_twice() {
    for written_since in [0, 1, 5] {
        let mut scene = Scene::new();
        scene.lines("log", 1000);
        scene.expect_all();
        // The last line and a part of the one before it never reached the disk.
        let file = OpenOptions::new().write(true).open(scene.path("log")).expect("opened");
        file.set_len(file.metadata().expect("metadata").len() - 10).expect("cut short");
        scene.cursor.boot_id = "the boot before".to_owned();
        scene.lines("log", written_since);
        let (state, losses) = scene.look();
        assert_eq!(state, ReadState::Ready);
        assert!(matches!(losses.as_slice(), [one] if one.contains("went down")), "{losses:?}");
        scene.lines("log", 5);
        assert_eq!(scene.look(), (ReadState::Ready, Vec::new()));
        scene.expect_each_once(&Vec::from_iter(1000..1000 + written_since));
    }
}

#[test]
fn parts_under_a_name_that_is_no_utf8_are_read() {
    let mut scene = Scene::new();
    let old = scene.directory.path().join(OsStr::from_bytes(b"f\xfcr"));
    std::fs::create_dir(&old).expect("a directory");
    for number in [2, 1] {
        scene.lines("log", 3);
        std::fs::rename(scene.path("log"), old.join(format!("log.{number}"))).expect("renamed");
        scene.lines("log", 2);
        scene.expect_all();
    }
}

#[test]
fn a_part_that_was_empty_and_is_being_compressed_is_read_once() {
    let mut scene = Scene::new();
    scene.append("log", b"");
    scene.expect_all();
    scene.lines("log", 3);
    scene.rename("log", "log.1");
    scene.copy("log.1", "packed");
    scene.compress("packed");
    scene.rename("packed.gz", "log.1.gz");
    scene.lines("log", 2);
    scene.expect_all();
}

/// A name outside the scene's directory that no other test uses.
fn unique(scene: &Scene) -> String {
    format!("{}-away", scene.directory.path().file_name().expect("a name").to_string_lossy())
}

#[test]
fn the_rest_of_a_renamed_file_is_read_whether_or_not_a_new_one_is_there() {
    let mut scene = Scene::new();
    scene.lines("log", 3);
    scene.expect_all();
    scene.lines("log", 2);
    scene.rename("log", "log.1");
    scene.expect_all();
    // The writer has not noticed yet.
    scene.lines("log.1", 2);
    scene.expect_all();
    scene.lines("log", 2);
    scene.lines("log.1", 1);
    scene.expect_all();
}

#[test]
fn a_file_rotated_twice_between_two_looks_is_read_in_all_its_parts() {
    for compressed in [false, true] {
        let mut scene = Scene::new();
        scene.lines("log", 3);
        scene.expect_all();
        scene.lines("log", 2);
        scene.rename("log", "log.1");
        scene.lines("log", 4);
        scene.rename("log.1", "log.2");
        scene.rename("log", "log.1");
        if compressed {
            scene.compress("log.2");
            scene.compress("log.1");
        }
        scene.lines("log", 1);
        scene.expect_all();
        scene.lines("log", 1);
        scene.expect_all();
    }
}

#[test]
fn dated_names_are_parts_too() {
    let mut scene = Scene::new();
    scene.lines("log", 3);
    scene.expect_all();
    scene.lines("log", 2);
    scene.rename("log", "log-20251007");
    scene.lines("log", 2);
    scene.rename("log", "log-20251008");
    scene.compress("log-20251007");
    scene.lines("log", 2);
    scene.expect_all();
    scene.compress("log-20251008");
    scene.expect_all();
}

#[test]
fn a_copied_and_truncated_file_counts_once_with_the_rest_in_the_copy() {
    for compressed in [false, true] {
        let mut scene = Scene::new();
        scene.lines("log", 30);
        scene.expect_all();
        scene.lines("log", 2);
        scene.copy("log", "log.1");
        // Between the copy and the truncation the copy is not another part.
        scene.expect_all();
        scene.truncate("log");
        scene.expect_all();
        scene.lines("log", 3);
        scene.expect_all();
        // Now once more, with lines that only the copy holds, and twice between two checks.
        scene.lines("log", 2);
        scene.rename("log.1", "log.2");
        scene.copy("log", "log.1");
        scene.truncate("log");
        scene.lines("log", 50);
        scene.rename("log.2", "log.3");
        scene.rename("log.1", "log.2");
        scene.copy("log", "log.1");
        scene.truncate("log");
        if compressed {
            scene.compress("log.2");
        }
        scene.lines("log", 90);
        scene.expect_all();
    }
}

#[test]
fn what_only_the_truncated_file_held_after_the_copy_is_not_counted_again_from_the_copy() {
    let mut scene = Scene::new();
    scene.lines("log", 600);
    scene.copy("log", "log.1");
    scene.lines("log", 2);
    scene.expect_all();
    scene.truncate("log");
    scene.lines("log", 1);
    scene.expect_all();
}

#[test]
fn a_file_truncated_in_place_begins_anew_even_when_it_has_grown_past_the_position() {
    let mut scene = Scene::new();
    scene.lines("log", 30);
    scene.expect_all();
    for count in [3, 60] {
        scene.truncate("log");
        scene.lines("log", count);
        scene.kept.1 = 0;
        scene.expect_all();
        assert_eq!(scene.kept.1, 1, "what was written after the last look and cleared, nobody knows");
    }
}

#[test]
fn a_hole_left_by_a_writer_that_did_not_notice_the_truncation_is_no_line() {
    let mut scene = Scene::new();
    scene.lines("log", 30);
    scene.expect_all();
    let offset = scene.path("log").metadata().expect("metadata").len();
    scene.truncate("log");
    let mut file = OpenOptions::new().write(true).open(scene.path("log")).expect("opened");
    file.seek(SeekFrom::Start(offset)).expect("beyond the end");
    file.write_all(b"line 30\n").expect("written");
    scene.written += 1;
    scene.expect_all();
}

#[test]
fn a_replaced_file_and_a_part_that_is_gone_are_said_once() {
    let mut scene = Scene::new();
    scene.lines("log", 5);
    scene.expect_all();
    scene.lines("log", 2);
    scene.rename("log", "log.1");
    scene.lines("log", 3);
    // Overwrites the part whose last two lines nobody has read.
    scene.rename("log", "log.1");
    scene.lines("log", 1);
    let (state, losses) = scene.look();
    assert_eq!((state, losses.len(), scene.cursor.gaps), (ReadState::Ready, 1, 1));
    scene.expect_each_once(&[5, 6]);
    assert!(scene.look().1.is_empty());
    assert_eq!(scene.cursor.gaps, 1);
    let whole = std::fs::read(scene.path("log")).expect("read");
    std::fs::write(scene.path("new"), b"line 11\nline 12\n").expect("written");
    scene.rename("new", "log");
    scene.written += 2;
    assert_eq!((scene.look().1.len(), scene.cursor.gaps), (1, 2), "{whole:?} was replaced");
    scene.expect_each_once(&[5, 6]);
}

#[test]
fn an_edited_copy_moved_into_place_goes_on_where_the_original_was_read_to() {
    let mut scene = Scene::new();
    scene.lines("log", 5);
    scene.expect_all();
    scene.copy("log", "new");
    scene.lines("new", 2);
    scene.rename("new", "log");
    scene.expect_all();
}

#[test]
fn the_first_look_takes_everything_on_disk_but_no_backup_of_it() {
    let mut scene = Scene::new();
    scene.lines("log.3", 3);
    scene.compress("log.3");
    scene.lines("log.2", 3);
    scene.copy("log.2", "log.bak");
    scene.lines("log.1", 3);
    scene.lines("log", 3);
    scene.copy("log", "log-20251008");
    scene.lines("log", 3);
    scene.expect_all();
    assert_eq!(scene.kept.0[0], "line 0");
    assert!(scene.kept.0.is_sorted_by_key(|line| line[5..].parse::<usize>().expect("a number")));
    scene.expect_all();
}

#[test]
fn a_late_line_in_an_empty_part_that_is_compressed_before_the_next_look_is_counted() {
    for (shifted, name) in [(false, "log.1"), (true, "log.2")] {
        let mut scene = Scene::new();
        scene.append("log", b"");
        scene.rename("log", "log.1");
        scene.lines("log", 1);
        scene.expect_all();
        scene.lines("log.1", 1);
        if shifted {
            scene.rename("log.1", "log.2");
            scene.rename("log", "log.1");
            scene.lines("log", 2);
        }
        scene.compress(name);
        scene.expect_all();
    }
}

#[test]
fn identical_lines_in_a_renamed_file_and_its_successor_all_count() {
    let mut scene = Scene::new();
    for (name, count) in [("log", 10), ("log", 5)] {
        scene.append(name, "same\n".repeat(count).as_bytes());
        scene.look();
    }
    scene.append("log", "same\n".repeat(2).as_bytes());
    scene.rename("log", "log.1");
    scene.append("log", "same\n".repeat(40).as_bytes());
    scene.look();
    scene.truncate("log");
    scene.append("log", "same\n".repeat(3).as_bytes());
    scene.look();
    assert_eq!(scene.kept.0.len(), 60);
}

/// Files that begin with lines that other files begin with too: each is counted as itself, or a gap is said.
#[test]
fn files_that_begin_alike_are_told_apart_or_said_to_be_alike() {
    let same = "one line\n".repeat(3);
    for (before, after) in
        [("\n", "\n\n2\n"), ("\n\0\0\n", "\n\0\0\n2\n"), (same.as_str(), same.as_str()), ("2\n", "2\n2\n")]
    {
        for (is_renamed, looked) in
            [(true, None), (true, Some(false)), (true, Some(true)), (false, Some(false)), (false, Some(true))]
        {
            let mut scene = Scene::new();
            scene.append("log", b"");
            if looked == Some(false) {
                scene.look();
            }
            scene.append("log", before.as_bytes());
            if looked == Some(true) {
                scene.look();
            }
            if is_renamed {
                scene.rename("log", "log.1");
                // Births are told apart where the clock of the file system has moved on.
                std::thread::sleep(Duration::from_millis(20));
            } else {
                scene.copy("log", "log.1");
                scene.truncate("log");
            }
            scene.append("log", after.as_bytes());
            let kept = scene.look();
            let written = before.lines().count() + after.lines().count();
            let is_told = scene.kept.0.len() == written && kept.1.is_empty();
            let knows_births = scene.path("log").metadata().expect("metadata").created().is_ok();
            let case = format!("{before:?} {after:?} {is_renamed} {looked:?}: {:?}", scene.kept.0);
            assert!(is_told || scene.cursor.gaps == 1, "{case}");
            assert!(is_told || !is_renamed || !knows_births, "{case}");
            assert!(scene.look().1.is_empty(), "said once: {case}");
        }
    }
}

#[test]
fn a_look_without_time_stops_at_a_line_and_the_next_goes_on() {
    let mut scene = Scene::new();
    let many = 400_000;
    let text: String = (0..many).map(|number| format!("line {number}\n")).collect();
    scene.append("log.1", text.as_bytes());
    scene.written = many;
    scene.lines("log", 1);
    let path = scene.path("log");
    let mut looks = 0;
    loop {
        looks += 1;
        let (cursor, kept) = (&mut scene.cursor, &mut scene.kept);
        match follow(&path, cursor, kept, Deadline::after(Duration::ZERO)).0 {
            ReadState::Behind(left) => assert!(left > 0),
            state => break assert_eq!(state, ReadState::Ready),
        }
    }
    assert!(looks > 5, "{looks} looks");
    scene.expect_each_once(&[]);
}

#[test]
fn a_part_compressed_while_it_was_only_half_read_goes_on_where_it_was() {
    let mut scene = Scene::new();
    let many = 100_000;
    let text: String = (0..many).map(|number| format!("line {number}\n")).collect();
    scene.append("log.1", text.as_bytes());
    scene.written = many;
    scene.lines("log", 1);
    let path = scene.path("log");
    for _ in 0..2 {
        let now = Deadline::after(Duration::ZERO);
        let (state, _) = follow(&path, &mut scene.cursor, &mut scene.kept, now);
        assert!(matches!(state, ReadState::Behind(_)));
    }
    scene.compress("log.1");
    scene.expect_all();
}

/// One thing that happens.
#[derive(Debug, Clone)]
enum Event {
    Append(usize),
    Partial,
    Look,
    Rename,
    CopyAndTruncate,
    Compress(u8),
    LateAppend,
    TruncateWhenRead,
    Vanish,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1_usize..80).prop_map(Event::Append),
        2 => Just(Event::Partial),
        4 => Just(Event::Look),
        3 => Just(Event::Rename),
        2 => Just(Event::CopyAndTruncate),
        2 => (1_u8..4).prop_map(Event::Compress),
        1 => Just(Event::LateAppend),
        1 => Just(Event::TruncateWhenRead),
        1 => Just(Event::Vanish),
    ]
}

impl Scene {
    fn happens(&mut self, event: &Event) {
        match event {
            Event::Append(count) => self.lines("log", *count),
            Event::Partial => {
                // The beginning of a line in one write and its end in another, with a check between.
                let line = format!("line {}\n", self.written);
                let (beginning, end) = line.as_bytes().split_at(line.len() - 1);
                self.append("log", beginning);
                assert_eq!(self.look().1, Vec::<String>::new());
                self.append("log", end);
                self.written += 1;
            }
            Event::Look => self.expect_all_if_present(),
            Event::Rename if self.path("log").exists() => {
                self.shift();
                self.rename("log", "log.1");
                self.has_old_writer = true;
            }
            Event::CopyAndTruncate if self.path("log").exists() => {
                self.shift();
                self.copy("log", "log.1");
                self.truncate("log");
                self.has_old_writer = false;
            }
            // An empty one that is compressed cannot be told from one that was written, then lost: that is a gap.
            Event::Compress(number)
                if self.path(&format!("log.{number}")).metadata().is_ok_and(|file| file.len() > 0) =>
            {
                self.compress(&format!("log.{number}"))
            }
            Event::LateAppend if self.has_old_writer && self.path("log.1").exists() => self.lines("log.1", 1),
            Event::TruncateWhenRead if self.path("log").exists() => {
                self.expect_all();
                self.truncate("log");
                // Unseen, it would be half of a rotation whose copy is missing; and of an empty file nothing was known.
                assert!(self.look().1.len() <= 1);
                self.expect_each_once(&[]);
            }
            Event::Vanish if self.path("log").exists() => {
                self.expect_all();
                for number in 3..20 {
                    let _ = std::fs::remove_file(self.path(&format!("log.{number}")));
                    let _ = std::fs::remove_file(self.path(&format!("log.{number}.gz")));
                }
            }
            _ => {}
        }
    }

    fn expect_all_if_present(&mut self) {
        // An empty file that was compressed under another name cannot be told from any other.
        if self.path("log").exists() || self.cursor.parts.last().is_some_and(|part| part.position > 0) {
            self.expect_all();
        }
    }

    /// Makes room for a new `log.1`.
    fn shift(&self) {
        for number in (1..60).rev() {
            for end in ["", ".gz"] {
                let from = format!("log.{number}{end}");
                if self.path(&from).exists() {
                    self.rename(&from, &format!("log.{}{end}", number + 1));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(super::super::tests::cases(120))]
    #[test]
    fn any_order_of_appends_looks_and_rotations_counts_each_line_once(events in prop::collection::vec(event(), 1..40)) {
        let mut scene = Scene::new();
        scene.lines("log", 2);
        for event in &events {
            scene.happens(event);
        }
        scene.lines("log", 1);
        scene.expect_all();
    }
}

#[test]
fn a_part_of_the_future_is_not_read_twice_when_the_clock_is_right_again() {
    let mut scene = Scene::new();
    scene.lines("log", 1);
    let ahead = crate::clock::now().as_nanosecond() / 1_000_000_000 + 10 * 86_400;
    let ahead = std::time::UNIX_EPOCH + Duration::from_secs(u64::try_from(ahead).expect("after 1970"));
    let opened = OpenOptions::new().write(true).open(scene.path("log")).expect("opened");
    opened.set_modified(ahead).expect("set");
    scene.expect_all();
    // Rotated so often that it is not watched any more, the last time just before a check.
    for round in 0..WATCHED_PARTS + 3 {
        for number in (1..=round).rev() {
            scene.rename(&format!("log.{number}"), &format!("log.{}", number + 1));
        }
        scene.rename("log", "log.1");
        scene.append("log", b"");
        scene.expect_all();
        scene.lines("log", 1);
        scene.expect_all();
    }
}
