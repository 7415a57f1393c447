//! Families → exposition text, looked through before it leaves.

use super::families;
use crate::exposition::FamilyText;
use crate::exposition::orderly::{self, Disorder};
use crate::model::snapshot::Snapshot;

/// Why an exposition is not fit to be delivered: always a bug here, never the reader's fault.
#[derive(Debug)]
pub struct Unsound(pub Disorder);

impl std::fmt::Display for Unsound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the exposition made here is unsound (a bug in lab-probe; please report it): {}", self.0)
    }
}

impl std::error::Error for Unsound {}

/// The exposition of a snapshot: what the textfile holds, what is pushed and what `--format prometheus` prints.
///
/// # Errors
/// [`Unsound`] if node_exporter would not take it; nothing may be delivered then.
pub fn render(snapshot: &Snapshot) -> Result<String, Unsound> {
    join(&families::collect(snapshot))
}

/// Joins families, each with at least one series, and looks the text through.
///
/// # Errors
/// [`Unsound`] if node_exporter would not take it.
pub fn join(families: &[FamilyText<'_>]) -> Result<String, Unsound> {
    let mut text = String::with_capacity(families.iter().map(|family| family.as_str().len()).sum());
    families.iter().for_each(|family| text.push_str(family.as_str()));
    orderly::check(&text).map_err(Unsound)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exposition::{self, Distribution, Family, Kind, Series, Value};

    /// A family of any kind, with the same value in every place.
    fn family<'a>(name: &'a str, help: &str, kind: Kind, rows: &[(Vec<(String, String)>, f64)]) -> FamilyText<'a> {
        let mut family = FamilyText::new(name, kind, help);
        for (labels, value) in rows {
            let labels = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            match kind {
                Kind::Histogram => family.add_histogram(labels, [(0.25, 3)].into_iter(), *value, 7),
                _ => family.add(labels, *value),
            }
        }
        family
    }

    /// Any text, with the characters that matter for escaping well represented, up to 1 KB and more.
    fn any_text() -> impl Strategy<Value = String> {
        let piece =
            prop_oneof![Just("\\"), Just("\""), Just("\n"), Just("\\n"), Just("🦀"), Just("{}=,# "), Just("\u{0}\r\t")];
        prop_oneof![
            any::<String>(),
            proptest::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat()),
            "[a-z\"\\\\\n]{1024}",
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_the_same(
            name in "[a-zA-Z_:][a-zA-Z0-9_:]{0,80}",
            help in any_text().prop_filter(
                "an empty HELP is none, and the format leaves out blanks before one",
                |help| !help.is_empty() && !help.starts_with([' ', '\t']),
            ),
            label_names in proptest::collection::btree_set("x[a-zA-Z0-9_]{0,20}", 0..4),
            values in proptest::collection::vec((proptest::collection::vec(any_text(), 4), proptest::num::f64::ANY), 1..5),
            kind in prop_oneof![Just(Kind::Counter), Just(Kind::Gauge), Just(Kind::Histogram)],
        ) {
            let rows: Vec<(Vec<(String, String)>, f64)> = values
                .iter()
                .enumerate()
                // The index keeps the rows apart, as the label sets of one family must be.
                .map(|(i, (texts, value))| {
                    let own = ("i".to_owned(), i.to_string());
                    let labels = label_names.iter().cloned().zip(texts.iter().cloned()).chain([own]).collect();
                    (labels, if value.is_nan() { f64::INFINITY } else { *value })
                })
                .collect();
            let text = join(&[family(&name, &help, kind, &rows)]).expect("sound");
            let lines = if kind == Kind::Histogram { 4 } else { 1 };
            let series = rows.iter().enumerate().map(|(i, (labels, value))| Series {
                labels: labels.clone(),
                value: match kind {
                    Kind::Histogram => Value::Histogram(Distribution {
                        points: vec![(0.25, 3.0), (f64::INFINITY, 7.0)],
                        sum: Some(*value),
                        count: Some(7.0),
                        ..Distribution::default()
                    }),
                    _ => Value::Number(*value),
                },
                timestamp_ms: None,
                line: 3 + i * lines,
            });
            let expected = Family { name: name.clone(), help: Some(help.clone()), kind, line: 1, series: series.collect() };
            prop_assert_eq!(exposition::parse(text.as_bytes()).expect("read back"), vec![expected]);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in any_text(), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = exposition::parse(text.as_bytes());
            let _ = exposition::parse(&bytes);
            let _ = exposition::parse(format!("# TYPE a histogram\na_bucket{{{text}}} 1\n").as_bytes());
        }
    }

    #[test]
    fn what_node_exporter_would_not_take_whole_does_not_leave() {
        let row = |label: &str, value: f64| (vec![("a".to_owned(), label.to_owned())], value);
        let gauge = |name: &'static str, help: &str, rows: &[_]| family(name, help, Kind::Gauge, rows);
        for (families, part) in [
            (vec![family("a", "x", Kind::Untyped, &[row("x", 1.0)])], "a has a line that is out of place"),
            (vec![gauge("a", "x", &[])], "a has no series"),
            (vec![gauge("a", "", &[row("x", 1.0)])], "a has no HELP"),
            (vec![gauge("a-b", "x", &[row("x", 1.0)])], "no metric name after HELP"),
            (vec![gauge("a", "x", &[row("x", 1.0), row("x", 2.0)])], "same labels"),
            (vec![gauge("a", "x", &[row("x", f64::NAN)])], "a is not a number"),
            (vec![gauge("a", "x", &[row("x", 1.0)]), gauge("a", "x", &[row("y", 1.0)])], "a is there twice"),
        ] {
            let sentence = join(&families).expect_err("unsound").to_string();
            assert!(sentence.contains(part), "{sentence}");
        }
    }
}
