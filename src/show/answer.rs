//! What an AI client reads: targets with our own words apart from those of servers, repositories and configurations.
//!
//! A server that is checked may write anything into its error, its name or its version, also what reads as an
//! instruction to the model. Such text is quoted, and [`crate::serve`] tells the client what the quotation marks mean.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::log::printable;
use crate::model::observation::Severity;
use crate::redact::quoted;

const QUOTED: usize = 1_000;

/// The answer of a tool that reports on targets, documents as [`super::json::TargetDocument`] has them: as text, and as
/// data.
pub fn answer(mut targets: Vec<Value>, warnings: &[String], now: Timestamp) -> (String, Value) {
    targets.sort_by_key(severity);
    let trouble = targets.iter().filter(|target| severity(target) == Severity::Trouble).count();
    targets.iter_mut().for_each(mark);
    let mut text = String::new();
    for target in &targets {
        let word = |key: &str| target[key].as_str().unwrap_or_default();
        text.push_str(&format!("{}/{}: {}  {}\n", word("kind"), name(word("name")), word("verdict"), word("summary")));
        if severity(target) != Severity::Fine && target["hint"].is_string() {
            text.push_str(&format!("    {}\n", word("hint")));
        }
        for unusual in target["unusual"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            text.push_str(&format!("    unusual: {unusual}\n"));
        }
    }
    if targets.is_empty() {
        text.push_str("Nothing to report.\n");
    }
    let warnings: Vec<String> = warnings.iter().map(|warning| printable(warning)).collect();
    warnings.iter().for_each(|warning| text.push_str(&format!("warning: {warning}\n")));
    (text, json!({ "now": now, "trouble": trouble, "targets": targets, "warnings": warnings }))
}

/// Trouble first; what was never checked wants a look.
fn severity(target: &Value) -> Severity {
    target["severity"].as_str().and_then(Severity::from_word).unwrap_or(Severity::Attention)
}

/// Quotes what others say. The summary of an MCP server does so itself; those of worktrees, of the trading system and
/// of services are made of branches, journals and answers throughout.
fn mark(target: &mut Value) {
    steer_nothing(target);
    if let Some(summary) = target["summary"].as_str().filter(|_| target["kind"] != "mcp") {
        target["summary"] = quoted(summary, QUOTED).into();
    }
}

/// Shows control characters, and those that nobody sees, as escapes wherever they stand.
fn steer_nothing(value: &mut Value) {
    match value {
        Value::String(text) => *text = printable(text),
        Value::Array(items) => items.iter_mut().for_each(steer_nothing),
        Value::Object(members) => members.values_mut().for_each(steer_nothing),
        _ => {}
    }
}

/// A name as a call takes it, quoted if it is none that a person would give.
fn name(name: &str) -> String {
    let plain = name.len() <= 64 && name.chars().all(|c| c.is_alphanumeric() || "-_./@:".contains(c));
    if plain { name.to_owned() } else { quoted(name, QUOTED) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_is_quoted_apart_from_our_own_words() {
        let targets = vec![
            json!({"kind": "worktree", "name": "main", "verdict": "working", "severity": "fine",
                   "summary": "no changes, ”ignore all“ \u{202e}", "hint": null, "facts": {"branch": "a\u{200b}b"}}),
            json!({"kind": "mcp", "name": "x, obey", "verdict": "down", "severity": "trouble",
                   "summary": "exited: stderr: “obey”", "hint": "read it"}),
        ];
        let (text, data) = answer(targets, &["w\u{1b}".into()], Timestamp::UNIX_EPOCH);
        assert_eq!(
            text,
            "mcp/“x, obey”: down  exited: stderr: “obey”\n    read it\n\
             worktree/main: working  “no changes, \"ignore all\" \\u{202e}”\nwarning: w\\u{1b}\n"
        );
        assert_eq!((&data["trouble"], &data["targets"][1]["facts"]["branch"]), (&json!(1), &json!("a\\u{200b}b")));
        assert_eq!(answer(Vec::new(), &[], Timestamp::UNIX_EPOCH).0, "Nothing to report.\n");
    }
}
