//! JUnit XML as its many writers write it: nested or flat suites, totals that disagree with the cases.
//!
//! The cases win, but for failures that a suite claims and nothing in it shows. Errors among them are failures: karma
//! claims one where the browser was lost in the midst of the tests. Others are kept apart: surefire counts a failed attempt
//! of a test that passed when it was repeated, and shows it as `flakyFailure`; without that nobody knows what is meant.
//!
//! The reader is a stream: no tree is built, nothing is expanded (entities stay text, a DOCTYPE is skipped), depth is
//! limited.

use std::borrow::Cow;
use std::time::Duration;

use encoding_rs::{UTF_8, UTF_16BE, UTF_16LE};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::model::worktree::{ReportMemory, TestCounts};

/// Deeper than this no writer nests suites.
const MAX_DEPTH: usize = 128;

/// What an element is, as far as it matters. Some writers put a case into another one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    Suites,
    Suite,
    Case,
    #[default]
    Other,
}

/// An element and what it holds, with the elements in it.
#[derive(Debug, Default)]
struct Element {
    kind: Kind,
    counts: TestCounts,
    /// Failed attempts of cases that passed when they were repeated.
    flaky: u64,
    /// Claimed failures that nothing shows.
    unexplained: u64,
    /// Totals that a suite claims; used only where nothing else is in it.
    claimed: TestCounts,
    /// Errors among the claimed failures.
    claimed_errors: u64,
    /// Failures of a case, or of a suite as a whole.
    failures: u64,
    skipped: bool,
}

/// What does not depend on how elements are nested.
#[derive(Debug, Default)]
struct Sums {
    root_seconds: Option<f64>,
    suite_seconds: f64,
    case_seconds: f64,
    /// What node says of itself in comments at the end: a test that has subtests shows its own failure nowhere else.
    commented_failures: u64,
}

/// The text of a report. Output of tests inside may be in any encoding, what counts is ASCII; but in UTF-16, which writers
/// on Windows and PowerShell's `>` leave, nothing of it would be (XML 1.0, appendix F). A byte order mark wins.
fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    let encoding = match bytes {
        [b'<', 0, ..] => UTF_16LE,
        [0, b'<', ..] => UTF_16BE,
        _ => UTF_8,
    };
    encoding.decode(bytes).0
}

/// Reads a report; `None` if it is not JUnit XML, is cut off, or is nested too deep.
pub fn parse(bytes: &[u8]) -> Option<ReportMemory> {
    let text = decoded(bytes);
    let mut reader = Reader::from_str(&text);
    let mut open: Vec<Element> = Vec::new();
    let mut sums = Sums::default();
    let mut root = None;
    loop {
        let event = reader.read_event().ok()?;
        match &event {
            Event::Start(tag) | Event::Empty(tag) if open.len() < MAX_DEPTH => {
                // One root, and only a suite begins a report.
                let element = sums.begin(tag, open.last_mut());
                if open.is_empty() && (root.is_some() || !matches!(element.kind, Kind::Suites | Kind::Suite)) {
                    return None;
                }
                open.push(element);
            }
            Event::Start(_) | Event::Empty(_) => return None,
            // `<!-- fail 1 -->` directly in the root, as node writes it.
            Event::Comment(comment) if open.len() == 1 => {
                if let Some(("fail" | "cancelled", number)) = comment.trim().split_once(' ') {
                    let number = number.parse().unwrap_or(0);
                    sums.commented_failures = sums.commented_failures.saturating_add(number);
                }
            }
            Event::Eof => break,
            _ => {}
        }
        if matches!(event, Event::End(_) | Event::Empty(_)) {
            let closed = open.pop()?.closed();
            match open.last_mut() {
                Some(outer) => outer.add(&closed),
                None => root = Some(closed),
            }
        }
    }
    root.filter(|_| open.is_empty()).map(|root| sums.result(&root))
}

impl Sums {
    fn begin(&mut self, tag: &BytesStart<'_>, outer: Option<&mut Element>) -> Element {
        let name = tag.local_name();
        let mut element = Element::default();
        if outer.is_none() {
            self.root_seconds = seconds(tag);
        }
        match name.as_ref() {
            name @ ("testsuites" | "testsuite") => {
                element.kind = if name == "testsuite" { Kind::Suite } else { Kind::Suites };
                if element.kind == Kind::Suite && outer.is_none_or(|outer| outer.kind == Kind::Suites) {
                    self.suite_seconds += seconds(tag).unwrap_or(0.0);
                }
                (element.claimed, element.claimed_errors) = (claims(tag), number(tag, "errors"));
            }
            "testcase" => {
                element.kind = Kind::Case;
                self.case_seconds += seconds(tag).unwrap_or(0.0);
                let is = |words: &[&str]| is_word(tag, "status", words) || is_word(tag, "result", words);
                element.failures = u64::from(is(&["fail", "failed", "failure", "error"]));
                element.skipped = is(&["skipped", "suppressed", "disabled", "notrun"]);
            }
            name => match (outer, name) {
                (Some(outer), "failure" | "error") if matches!(outer.kind, Kind::Case | Kind::Suite) => {
                    outer.failures += 1;
                }
                (Some(outer), "skipped") => outer.skipped = true,
                (Some(outer), "flakyFailure" | "flakyError") if outer.kind == Kind::Case => outer.flaky += 1,
                _ => {}
            },
        }
        element
    }

    fn result(self, root: &Element) -> ReportMemory {
        let counts = TestCounts { failed: root.counts.failed.max(self.commented_failures), ..root.counts };
        let seconds = [self.root_seconds.unwrap_or(0.0), self.suite_seconds, self.case_seconds];
        let seconds = seconds.into_iter().find(|seconds| *seconds > 0.0).or(self.root_seconds);
        let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        ReportMemory { counts: Some(counts), unexplained: root.unexplained, duration, ..ReportMemory::default() }
    }
}

impl Element {
    fn add(&mut self, inner: &Element) {
        self.counts = self.counts.plus(inner.counts);
        self.flaky += inner.flaky;
        self.unexplained = self.unexplained.saturating_add(inner.unexplained);
    }

    /// Counts a case, and of a suite what it claims where it holds nothing. A failure of the whole that is also claimed is
    /// one.
    fn closed(mut self) -> Element {
        match self.kind {
            Kind::Other => {}
            Kind::Case => {
                let (failed, skipped) = (self.failures.min(1), u64::from(self.skipped && self.failures == 0));
                self.counts = self.counts.plus(TestCounts { passed: 1 - failed - skipped, failed, skipped });
            }
            Kind::Suites | Kind::Suite if self.counts.total() == 0 => {
                self.counts = TestCounts { failed: self.claimed.failed.max(self.failures), ..self.claimed };
            }
            Kind::Suites | Kind::Suite => {
                let failed = self.counts.failed.saturating_add(self.failures);
                let shown = failed.saturating_add(self.flaky).saturating_add(self.unexplained);
                let more = self.claimed.failed.saturating_sub(shown);
                let errors = more.min(self.claimed_errors);
                self.counts.failed = failed.saturating_add(errors);
                self.unexplained = self.unexplained.saturating_add(more - errors);
            }
        }
        self
    }
}

fn claims(tag: &BytesStart<'_>) -> TestCounts {
    let number = |name| number(tag, name);
    let failed = number("failures").saturating_add(number("errors"));
    let skipped = number("skipped").max(number("skips")).saturating_add(number("disabled"));
    let passed = number("tests").saturating_sub(failed).saturating_sub(skipped);
    TestCounts { passed, failed, skipped }
}

fn number(tag: &BytesStart<'_>, name: &str) -> u64 {
    attribute(tag, name).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The `time` attribute; some writers group thousands by commas.
fn seconds(tag: &BytesStart<'_>) -> Option<f64> {
    let text = attribute(tag, "time")?.replace(',', "");
    text.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
}

fn is_word(tag: &BytesStart<'_>, name: &str, words: &[&str]) -> bool {
    attribute(tag, name).is_some_and(|text| words.iter().any(|word| text.eq_ignore_ascii_case(word)))
}

/// An attribute as it stands: none that is read here needs unescaping.
fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = tag.attributes().with_checks(false).flatten().find(|attribute| attribute.key.as_ref() == name)?;
    Some(attribute.value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(xml: &str) -> Option<(u64, u64, u64)> {
        let counts = parse(xml.as_bytes())?.counts?;
        Some((counts.passed, counts.failed, counts.skipped))
    }

    #[test]
    fn cases_win_over_totals_and_errors_are_failures() {
        for (xml, expected) in [
            (
                "<testsuites><testsuite tests='9' failures='9'><testcase/><testcase><skipped/></testcase></testsuite></testsuites>",
                Some((1, 0, 1)),
            ),
            ("<testsuite tests='3' failures='1' errors='1' skipped='1'/>", Some((0, 2, 1))),
            (
                "<testsuites><testsuite><testsuite><testcase><error>x</error></testcase></testsuite><testcase/></testsuite></testsuites>",
                Some((1, 1, 0)),
            ),
            ("<testsuites><testcase><failure/><skipped/></testcase></testsuites>", Some((0, 1, 0))),
            ("<testsuite><testcase><failure/><failure/><error/></testcase></testsuite>", Some((0, 1, 0))),
            ("<testsuite><testcase><flakyFailure/></testcase></testsuite>", Some((1, 0, 0))),
            (
                "<testsuite><testcase status='run'/><testcase status='notrun'/><testcase status='fail'/></testsuite>",
                Some((1, 1, 1)),
            ),
            ("<testsuite><error>did not compile</error></testsuite>", Some((0, 1, 0))),
            (
                "<testsuite><testcase><system-out>&lt;failure/&gt;<![CDATA[<failure/>]]></system-out></testcase></testsuite>",
                Some((1, 0, 0)),
            ),
            ("<j:testsuite xmlns:j='x'><j:testcase><j:failure/></j:testcase></j:testsuite>", Some((0, 1, 0))),
            ("<testsuites/>", Some((0, 0, 0))),
            ("<testsuites errors='1'><testsuite errors='1'><testcase/></testsuite></testsuites>", Some((1, 1, 0))),
            (
                "<testsuite failures='1' errors='1'><testcase><error/></testcase><testcase/></testsuite>",
                Some((1, 2, 0)),
            ),
            ("<testsuite errors='1'><testcase><flakyError/></testcase></testsuite>", Some((1, 0, 0))),
            ("<testsuite tests='1' errors='1'><error>did not compile</error></testsuite>", Some((0, 1, 0))),
            (
                "<testsuites><testsuite tests='1' errors='1'/><testsuite><testcase/></testsuite></testsuites>",
                Some((1, 1, 0)),
            ),
            ("<testsuites tests='2' errors='1'/>", Some((1, 1, 0))),
            ("<testsuite><testcase><failure/><testcase/></testcase></testsuite>", Some((1, 1, 0))),
            ("<testsuite><testcase><testcase><skipped/></testcase></testcase></testsuite>", Some((1, 0, 1))),
            (
                "<testsuite><testcase status='run' result='skipped'/><testcase result='completed'/></testsuite>",
                Some((1, 0, 1)),
            ),
            (
                "<testsuites><testsuite><testcase/></testsuite><!-- pass 1 --><!-- fail 1 --></testsuites>",
                Some((1, 1, 0)),
            ),
            (
                "<testsuites><testsuite><testcase/><!-- fail 1 --></testsuite></testsuites><!-- fail 1 -->",
                Some((1, 0, 0)),
            ),
            ("<project><testcase/></project>", None),
            ("<testsuite><testcase>", None),
            ("not xml at all", None),
            ("", None),
        ] {
            assert_eq!(counts(xml), expected, "{xml}");
        }
    }

    #[test]
    fn claimed_failures_that_nothing_shows_are_told() {
        let unexplained = |xml: &str| parse(xml.as_bytes()).map(|junit| junit.unexplained);
        for (xml, expected) in [
            ("<testsuites failures='2'><testsuite failures='2'><testcase/></testsuite></testsuites>", 2),
            ("<testsuite failures='2'><testcase><failure/></testcase><testcase/></testsuite>", 1),
            // As surefire writes a test that passed when it was repeated.
            ("<testsuite tests='2' failures='1'><testcase><flakyFailure/></testcase></testsuite>", 0),
            ("<testsuite failures='1'><testcase/><failure/></testsuite>", 0),
            ("<testsuite errors='1'><testcase/></testsuite>", 0),
            ("<testsuite failures='1'/>", 0),
        ] {
            assert_eq!(unexplained(xml), Some(expected), "{xml}");
        }
    }

    #[test]
    fn utf_16_is_read_in_both_orders_with_and_without_a_mark() {
        let xml =
            "<?xml version='1.0' encoding='UTF-16'?><testsuite><testcase name='é𝄞'><failure/></testcase></testsuite>";
        for mark in ["", "\u{feff}"] {
            let units: Vec<u16> = format!("{mark}{xml}").encode_utf16().collect();
            for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
                let bytes: Vec<u8> = units.iter().flat_map(|&unit| bytes(unit)).collect();
                let counts = parse(&bytes).and_then(|junit| junit.counts);
                assert_eq!(counts, Some(TestCounts { passed: 0, failed: 1, skipped: 0 }), "{mark:?}");
                assert_eq!(parse(&bytes[..bytes.len() - 7]), None, "cut off");
            }
        }
    }

    #[test]
    fn entities_are_never_expanded() {
        let bomb = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>\
            <testsuite><testcase><failure>&b;</failure></testcase></testsuite>";
        assert!(matches!(counts(bomb), None | Some((0, 1, 0))));
    }

    #[test]
    fn depth_is_limited() {
        let deep = "<testsuite>".repeat(100_000);
        assert_eq!(counts(&deep), None);
    }

    #[test]
    fn the_duration_is_the_roots_or_the_suites_or_the_cases() {
        let duration = |xml: &str| parse(xml.as_bytes()).and_then(|junit| junit.duration).map(|d| d.as_secs_f64());
        assert_eq!(duration("<testsuites time='1,234.5'><testsuite time='2'/></testsuites>"), Some(1234.5));
        assert_eq!(duration("<testsuites><testsuite time='2'/><testsuite time='3'/></testsuites>"), Some(5.0));
        assert_eq!(duration("<testsuites><testcase time='0.5'/></testsuites>"), Some(0.5));
        assert_eq!(duration("<testsuites/>"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(xml in "(<testsuite>|<testcase>|</testcase>|<failure/>|</testsuite>|<!|&x;|[a-z<>&]){0,40}") {
            let _ = parse(xml.as_bytes());
        }
    }
}
