//! A journal read in pieces adds up to what it adds up to in one piece.

mod proof;

use std::fs::OpenOptions;
use std::io::Write;

use proptest::prelude::*;

use super::*;

const LINES: &[&str] = &[
    r#"{"timestamp":"2025-10-08T14:00:00","event":"ORDER_PLACED","venue":"binance","order_type":"MARKET","side":"BUY","latency_ms":12.5}"#,
    r#"{"timestamp":"2025-10-08T14:00:01","event":"ORDER_PLACED","venue":"binance","order_type":"LIMIT","side":"SELL","latency_ms":NaN}"#,
    r#"{"timestamp":"2025-10-08T14:00:02","event":"KILL_SWITCH_ACTIVATED","reason":"a","circuit_breaker_status":{"A":{"state":"open"}}}"#,
    r#"{"timestamp":"2025-10-08T14:00:03","event":"KILL_SWITCH_DEACTIVATED","reason":"b"}"#,
    r#"{"timestamp":"2025-10-08T14:00:04","event":"TRADE_REJECTED","reason":"kill_switch_active"}"#,
    r#"{"timestamp":"2025-10-08T14:00:05","event":"TRADE_APPROVED"}"#,
    r#"{"timestamp":"2025-10-08T14:00:06","event":"WS_CONNECTED","symbol":"BTCUSDT"}"#,
    r#"{"timestamp":"2025-10-08T14:00:07","event":"WS_DISCONNECTED","symbol":"BTCUSDT"}"#,
    r#"{"timestamp":"2025-10-08T14:00:08","event":"WS_GAP","symbol":"BTCUSDT","gap_seconds":3}"#,
    r#"{"timestamp":"2025-10-08T14:00:09","event":"CIRCUIT_BREAKER","breaker_name":"A","state":"half-open"}"#,
    r#"{"timestamp":"2025-10-08T14:00:10","event":"KILL_SWITCH_ACTIV"#,
    "\0\0",
    "",
];

/// What happens after a piece of the journal has been appended.
#[derive(Debug, Clone, Copy)]
enum Then {
    Nothing,
    Look,
    Rename,
    CopyAndTruncate,
}

type Memory = FileMemory;

struct Scene(tempfile::TempDir);

impl Scene {
    fn path(&self, number: usize) -> std::path::PathBuf {
        self.0.path().join(if number == 0 { "journal.jsonl".to_owned() } else { format!("journal.jsonl.{number}") })
    }

    fn append(&self, bytes: &[u8]) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path(0)).expect("opened");
        file.write_all(bytes).expect("appended");
    }

    fn look(&self, memory: Memory) -> Memory {
        // Through the state's own form, as between two passes.
        let text = serde_json::to_string(&memory).expect("serialised");
        let FileMemory { mut cursor, totals } = serde_json::from_str(&text).expect("read back");
        let mut journal = Tally::new(Format::Journal, totals, "2025-10-09T00:00:00Z".parse().expect("a time"));
        let deadline = Deadline::after(Duration::from_secs(60));
        let (state, _) = tail::follow(&self.path(0), &mut cursor, &mut journal, deadline);
        assert_eq!(state, reading::ReadState::Ready);
        FileMemory { cursor, totals: journal.totals }
    }

    fn shift(&self) {
        for number in (1..40).rev() {
            let _ = std::fs::rename(self.path(number), self.path(number + 1));
        }
    }

    fn happens(&self, then: Then, memory: Memory) -> Memory {
        match then {
            Then::Nothing => memory,
            Then::Look => self.look(memory),
            Then::Rename => {
                self.shift();
                std::fs::rename(self.path(0), self.path(1)).expect("renamed");
                self.append(b"");
                memory
            }
            Then::CopyAndTruncate => {
                self.shift();
                std::fs::copy(self.path(0), self.path(1)).expect("copied");
                OpenOptions::new().write(true).truncate(true).open(self.path(0)).expect("truncated");
                memory
            }
        }
    }
}

fn then() -> impl Strategy<Value = Then> {
    prop_oneof![
        4 => Just(Then::Nothing),
        4 => Just(Then::Look),
        1 => Just(Then::Rename),
        1 => Just(Then::CopyAndTruncate),
    ]
}

/// So many random cases, or as many as PROPTEST_CASES says. Nothing is kept of a failure but what is printed.
pub(super) fn cases(cases: u32) -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_some() { default } else { ProptestConfig { cases, ..default } }
}

proptest! {
    #![proptest_config(cases(100))]
    #[test]
    fn any_split_into_appends_looks_and_rotations_gives_the_totals_of_one_look(
        lines in prop::collection::vec((0..LINES.len(), prop::bool::weighted(0.1)), 1..60),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), then()), 0..30),
    ) {
        let text: Vec<String> = lines
            .iter()
            .enumerate()
            // Numbered, as real lines differ in their times.
            .map(|(number, (line, crlf))| {
                let line = LINES[*line].replace("{\"timestamp\"", &format!("{{\"n\":{number},\"timestamp\""));
                format!("{line}{}\n", if *crlf { "\r" } else { "" })
            })
            .collect();
        let starts: Vec<usize> = text.iter().scan(0, |at, line| Some(std::mem::replace(at, *at + line.len()))).collect();
        let bytes = text.concat().into_bytes();

        let whole = Scene(tempfile::tempdir().expect("a temporary directory"));
        whole.append(&bytes);
        let expected = whole.look(FileMemory::default());

        let scene = Scene(tempfile::tempdir().expect("a temporary directory"));
        scene.append(b"");
        let mut memory = Memory::default();
        let mut cuts: Vec<(usize, Then)> = cuts.iter().map(|(at, then)| (at.index(bytes.len() + 1), *then)).collect();
        cuts.sort_by_key(|(at, _)| *at);
        // A file that held only blank lines when it was looked at or rotated: others begin like it, and nothing tells them apart.
        let (mut done, mut is_alike) = (0, false);
        for (at, then) in cuts {
            // A rotation between two halves of a line would lose it for every reader; a check may come at any byte.
            let is_rotation = matches!(then, Then::Rename | Then::CopyAndTruncate);
            let line_start = starts.iter().copied().rfind(|start| *start <= at).unwrap_or(0);
            let at = if is_rotation { line_start.max(done) } else { at };
            let is_start = at == bytes.len() || starts.contains(&at);
            scene.append(&bytes[done..at]);
            done = at;
            if !is_rotation || is_start {
                let held = std::fs::read(scene.path(0)).expect("read");
                let whole = held.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                is_alike |= whole > 0 && !held[..whole].iter().any(u8::is_ascii_digit);
                memory = scene.happens(then, memory);
            }
        }
        scene.append(&bytes[done..]);
        memory = scene.look(memory);
        if !is_alike || memory.cursor.gaps == 0 {
            prop_assert_eq!(memory.totals, expected.totals);
            prop_assert_eq!(memory.cursor.gaps, 0);
        }
    }
}
