//! The status page: one HTML file that needs nothing else, light and dark, readable on a phone.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::summary::{escape, length};
use super::table::{heading, kinds, tally};
use super::timeline::{Stretch, stretches};
use super::unusual;
use crate::log::printable;
use crate::model::history::Record;
use crate::model::observation::Severity;
use crate::model::snapshot::{Entry, Snapshot};
use crate::model::target::Kind;
use crate::wording::first_of;

/// Timers fire every 30 s: after this long nothing is known any more.
pub const STALE: SignedDuration = SignedDuration::from_mins(10);

const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// Environments that the title names; the rest is a number.
const MOST_NAMED: usize = 3;

/// Everything the page needs; no script, so that a mail client or a strict browser shows it too.
const STYLE: &str = include_str!("page.css");

/// The page of this host.
pub fn page(
    host: &str,
    snapshot: &Snapshot,
    ever: bool,
    warnings: &[String],
    records: &[Record],
    now: Timestamp,
) -> String {
    let from = now.checked_sub(WINDOW).unwrap_or(Timestamp::MIN);
    let mut body = header(host, snapshot, ever, now);
    for kind in kinds(snapshot) {
        let mut entries: Vec<&Entry> = snapshot.delivered().filter(|entry| entry.target.kind() == kind).collect();
        entries.sort_by_key(|entry| (entry.severity(), entry.target.name.clone()));
        if !entries.is_empty() {
            let tally = text(&tally(entries.iter().map(|entry| entry.word())));
            body.push_str(&format!("<section><h2>{} <span>{tally}</span></h2>\n", heading(kind)));
            entries.iter().for_each(|entry| body.push_str(&card(entry, snapshot, records, (from, now))));
            body.push_str("</section>\n");
        }
    }
    if let Some(event) = snapshot.unusual.as_ref().and_then(|unusual| unusual.widespread) {
        body.push_str(&format!("<p class=\"unusual\">{}</p>\n", text(&unusual::widespread(&event))));
    }
    if !warnings.is_empty() {
        body.push_str("<section><h2>Warnings</h2>\n<ul>\n");
        warnings.iter().for_each(|warning| body.push_str(&format!("<li>{}</li>\n", text(warning))));
        body.push_str("</ul></section>\n");
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n\
         <title>{}: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        text(host),
        verdict(snapshot, ever, now)
    )
}

fn text(foreign: &str) -> String {
    escape(&printable(foreign))
}

fn verdict(snapshot: &Snapshot, ever: bool, now: Timestamp) -> String {
    let halted = snapshot.delivered().filter(|entry| entry.word() == "halted");
    let halted: Vec<&str> = halted.map(|entry| entry.target.name.as_str()).collect();
    let trouble = snapshot.delivered().filter(|entry| entry.severity() == Severity::Trouble).count();
    match (halted.is_empty(), trouble) {
        (_, 0) if !ever || now.duration_since(snapshot.pass.started_at) > STALE => "not known".to_owned(),
        (_, 0) => "no trouble".to_owned(),
        (true, count) => format!("{count} in trouble"),
        (false, count) => format!("{} halted, {count} in trouble", text(&first_of(&halted, MOST_NAMED))),
    }
}

fn header(host: &str, snapshot: &Snapshot, ever: bool, now: Timestamp) -> String {
    let verdict = verdict(snapshot, ever, now);
    let class = if verdict == "no trouble" { "fine" } else { "trouble" };
    let pass = if ever {
        let seconds = now.duration_since(snapshot.pass.started_at).as_secs_f64().max(0.0);
        format!("last pass {} ago, it took {:.2} s", length(seconds), snapshot.pass.duration.as_secs_f64())
    } else {
        "there has been no pass yet".to_owned()
    };
    let (host, time) = (text(host), now.strftime("%Y-%m-%d %H:%M:%S"));
    format!(
        "<header><h1>{host} <span class=\"{class}\">{verdict}</span></h1>\n\
         <p>{time} UTC · {} targets · {pass}</p></header>\n",
        snapshot.delivered().count()
    )
}

fn card(entry: &Entry, snapshot: &Snapshot, records: &[Record], (from, now): (Timestamp, Timestamp)) -> String {
    let id = entry.target.id();
    let mut card = format!(
        "<article class=\"{}\"><h3>{} <span>{}</span></h3>\n<p>{}</p>\n",
        entry.severity().as_str(),
        text(&entry.target.name),
        text(&entry.word().replace('_', " ")),
        text(&entry.summary(now))
    );
    if let Some(hint) = entry.hint().filter(|_| entry.severity() != Severity::Fine) {
        card.push_str(&format!("<p class=\"hint\">→ {}</p>\n", text(&hint)));
    }
    let mut bands = String::new();
    for one in snapshot.unusual.iter().flat_map(|unusual| unusual.of(&id)) {
        let sentences = unusual::sentences(&one);
        sentences.iter().for_each(|sentence| card.push_str(&format!("<p class=\"unusual\">{}</p>\n", text(sentence))));
        bands.extend((!sentences.is_empty()).then(|| unusual::svg(records, &id, one.family, (from, now))).flatten());
    }
    if bands.is_empty() {
        let stretches = stretches(records, &id, from, now);
        card.push_str(&timeline(&stretches));
        card.push_str(&axis(entry.target.kind(), &stretches, from, now));
    }
    card + &bands + "</article>\n"
}

/// The last day as one bar; each stretch says on hover, and to a screen reader, what it was.
fn timeline(stretches: &[Stretch]) -> String {
    let whole: Duration = stretches.iter().map(Stretch::length).sum();
    let bar = |stretch: &Stretch| {
        let share = stretch.length().as_secs_f64() / whole.as_secs_f64().max(1.0) * 100.0;
        let (class, word) = match &stretch.mark {
            Some(mark) => (mark.severity.unwrap_or(Severity::Attention).as_str(), mark.word.replace('_', " ")),
            None => ("unknown", "not known".to_owned()),
        };
        let reason = stretch.mark.as_ref().and_then(|mark| mark.reason.as_deref());
        let reason = reason.map_or(String::new(), |reason| format!(" ({reason})"));
        let (from, to) = (stretch.from.strftime("%H:%M"), stretch.to.strftime("%H:%M"));
        let title = text(&format!("{from}–{to} {word}{reason}"));
        format!("<i class=\"{class}\" style=\"width:{share:.3}%\" title=\"{title}\"></i>")
    };
    let bars: String = stretches.iter().map(bar).collect();
    format!("<div class=\"timeline\" role=\"img\" aria-label=\"the last 24 hours\">{bars}</div>\n")
}

/// What a place on the timeline means, in UTC, and for how much of the time that is known all was well.
fn axis(kind: Kind, stretches: &[Stretch], from: Timestamp, now: Timestamp) -> String {
    let known = stretches.iter().filter_map(|stretch| Some((stretch.mark.as_ref()?.severity, stretch.length())));
    let (mut well, mut all, mut unset) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for (severity, length) in known {
        match severity {
            // A server that is not configured is neither up nor down.
            Some(Severity::Attention) if kind == Kind::Mcp => unset += length,
            Some(Severity::Trouble) => all += length,
            None => {}
            _ => (well, all) = (well + length, all + length),
        }
    }
    let words = if matches!(kind, Kind::Mcp | Kind::Service) { "up" } else { "without trouble" };
    let share = match (all.as_secs_f64(), unset.as_secs_f64()) {
        (all, unset) if all + unset < 60.0 => "of the last 24 h, less than a minute is known".to_owned(),
        (0.0, unset) => format!("not configured in the {} that are known", length(unset)),
        // Rounded down: what was in trouble for a minute was not well all day.
        (all, _) => {
            let share = (well.as_secs_f64() / all * 1000.0).floor() / 10.0;
            format!("{words} for {share:.1} % of the {} that are known", length(all))
        }
    };
    let quarters = (0..4).filter_map(|quarter| from.checked_add(WINDOW / 4 * quarter).ok());
    let quarters: String = quarters.map(|at| format!("<i>{}</i>", at.strftime("%H:%M"))).collect();
    let end = now.strftime("%H:%M");
    format!("<p class=\"axis\">{quarters}<i>{end} UTC</i></p>\n<p class=\"share\">{share}</p>\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::history::Mark;
    use crate::model::mcp::{McpFacts, McpTarget, Reach, StdioServer};
    use crate::model::observation::{Facts, Observation};
    use crate::model::reason::{Failure, Reason};
    use crate::model::snapshot::{LastPass, Outcome};
    use crate::model::target::{Probe, Schedule, Target};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn the_page_stands_alone_and_foreign_text_is_only_text() {
        let facts = McpFacts::failed(Failure::new(Reason::Exited, "<script>alert(1)</script>"));
        let entry = Entry {
            target: Target {
                only_here: false,
                name: "a\"><b>".into(),
                probe: Probe::Mcp(McpTarget { reach: Reach::Stdio(StdioServer::default()), list_tools: true }),
                schedule: Schedule { ttl: Duration::ZERO, retry_after: Duration::ZERO, timeout: Duration::ZERO },
                fingerprint: String::new(),
                origins: Vec::new(),
            },
            outcome: Outcome::Cached,
            observation: Some(Observation { checked_at: at(0), duration: Duration::ZERO, facts: Facts::Mcp(facts) }),
            memory: None,
            next_due: None,
            processes: None,
            trouble: None,
        };
        let snapshot = Snapshot {
            pass: LastPass { started_at: at(100), duration: Duration::from_secs(1), deadline_exceeded: false },
            entries: vec![entry],
            ..Snapshot::default()
        };
        let record = Record {
            at: at(100),
            whole: true,
            marks: BTreeMap::from([(
                "mcp/a\"><b>".to_owned(),
                Some(Mark {
                    word: "down".into(),
                    severity: Some(Severity::Trouble),
                    reason: Some("exited".into()),
                    ..Mark::default()
                }),
            )]),
            deadline_exceeded: false,
            failed_outputs: Vec::new(),
            points: None,
            widespread: None,
        };
        let page = page("<desk>", &snapshot, true, &["<i>odd</i>".into()], &[record], at(160));
        assert!(page.contains("<title>&lt;desk&gt;: 1 in trouble</title>"), "{page}");
        assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains("<i>odd"), "{page}");
        assert!(page.contains("&lt;script&gt;") && page.contains("00:01–00:02 down (exited)"), "{page}");
        assert!(
            page.contains("MCP servers <span>1 down</span>")
                && page.contains("up for 0.0 % of the 1 min that are known"),
            "{page}"
        );
        assert!(page.contains("<i>00:02 UTC</i>") && page.contains("<i>18:02</i>"), "{page}");
        assert!(!page.contains("http://") && !page.contains("https://"), "nothing from elsewhere");
        let pass = LastPass { started_at: at(0), ..LastPass::default() };
        let quiet = Snapshot { pass, ..Snapshot::default() };
        for (ever, now, verdict) in [(true, 60, "no trouble"), (true, 700, "not known"), (false, 60, "not known")] {
            let page = super::page("desk", &quiet, ever, &[], &[], at(now));
            assert!(page.contains(&format!("<title>desk: {verdict}</title>")), "{page}");
        }
    }
}
