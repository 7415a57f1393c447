//! Whether a line that is no record could have been evidence on the kill switch.

/// Events that are evidence on the kill switch, or can be.
pub(super) const EVIDENCE: [&str; 4] =
    ["KILL_SWITCH_ACTIVATED", "KILL_SWITCH_DEACTIVATED", "TRADE_APPROVED", "TRADE_REJECTED"];

/// Whether a malformed or unfinished line is certain to be no evidence: it is blank, or whatever was written to it names
/// another event before its damage.
///
/// A line that was torn has the next one behind it, so every opening brace may begin a record. A backslash may hide a name, and
/// a control character stands for bytes that are lost: with one of these nothing is certain.
pub(super) fn is_harmless(line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else { return false };
    if line.contains(|c: char| c == '\\' || c.is_control() && c != '\t') {
        return false;
    }
    let mut pieces = line.split('{');
    let before = pieces.next().unwrap_or_default();
    before.trim().is_empty() && pieces.all(names_another_event)
}

/// Whether a record that begins like this has exactly one `event`, whole and another one than the evidence.
fn names_another_event(record: &str) -> bool {
    const KEY: &str = "\"event\"";
    let Some((before, after)) = record.split_once(KEY) else { return false };
    let is_key = matches!(before.trim_end().chars().next_back(), None | Some(','));
    let value = after.trim_start().strip_prefix(':').and_then(|value| value.trim_start().strip_prefix('"'));
    let Some((name, rest)) = value.and_then(|value| value.split_once('"')) else { return false };
    is_key && !rest.contains(KEY) && !EVIDENCE.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_line_whose_every_record_names_another_event_is_harmless() {
        for (line, expected) in [
            ("", true),
            ("  \t", true),
            (r#"{"timestamp":"2025-10-08T14:00:00","event":"HEARTBEAT","x":tru"#, true),
            (r#"{"event": "WS_GAP", "x": 1{"timestamp": "2025", "event" : "HEARTBEAT"}"#, true),
            (r#"{"event":"HEARTBEAT"#, false),
            (r#"{"timestamp":"2025-10-08T14:0{"timestamp":"2025","event":"HEARTBEAT"}"#, false),
            (r#"{"timestamp":"2025","event":"HEARTBEAT"}{"#, false),
            (r#"{"event":"HEARTBEAT","event":"KILL_SW"#, false),
            (r#"{"event":"KILL\u005fSWITCH_ACTIVATED","x":tru"#, false),
            (r#"{"event":"TRADE_REJECTED","reason":"kill_sw"#, false),
            (r#"{"event":"TRADE_APPROVED","x"#, false),
            (r#"{"event":1,"x"#, false),
            (r#"{"no \"event\":"HEARTBEAT""#, false),
            (r#"{"note":"of an "event":"HEARTBEAT""#, false),
            ("<html>", false),
            ("[]", false),
            ("null", false),
            ("{\"event\":\"HEARTBEAT\",\"x\":\"\0\0\"", false),
        ] {
            assert_eq!(is_harmless(line.as_bytes()), expected, "{line}");
        }
        assert!(!is_harmless(b"{\"event\":\"HEARTBEAT\",\"x\":\"\xff\""));
    }
}
