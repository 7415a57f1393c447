//! The daily report as text for a terminal and as Telegram's HTML: the same lines, marked up differently.

use super::day::{Day, Trading, Uptime, WorktreeDay};
use crate::log::printable;
use crate::wording::plural;

/// A server is worth a line of its own below this share of uptime.
const WORTH_A_LINE: f64 = 0.9995;

const MOST_UNUSUAL: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Markup {
    Plain,
    /// The few tags of Telegram's HTML mode, everything else escaped.
    Html,
    /// Slack's mrkdwn.
    Slack,
}

impl Markup {
    fn text(self, text: &str) -> String {
        let text = printable(text);
        match self {
            Markup::Plain => text,
            Markup::Html => escape(&text),
            // Quotation marks are no control characters there, and stay as they are.
            Markup::Slack => escape(&text).replace("&quot;", "\""),
        }
    }

    fn strong(self, text: &str) -> String {
        match self {
            Markup::Plain => printable(text),
            Markup::Html => format!("<b>{}</b>", self.text(text)),
            Markup::Slack => format!("*{}*", self.text(text)),
        }
    }
}

/// Text that HTML takes as text; quotes too, for attributes.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

pub fn report(day: &Day, markup: Markup) -> String {
    let head = format!("{}\n", markup.strong(&format!("LAB on {} (UTC)", day.date)));
    if day.passes == 0 {
        return head + "No pass was made on that day: nothing is known of it.\n";
    }
    let trading = day.trading.iter().map(|one| (format!("THUNES {}", one.environment), trading_lines(one)));
    let rest = [
        ("Servers", server_lines(&day.servers)),
        ("Worktrees", worktree_lines(&day.worktrees)),
        ("Unusual", unusual_lines(&day.unusual)),
        ("lab-probe", own_lines(day)),
    ];
    let paragraphs = trading.chain(rest.map(|(title, lines)| (title.to_owned(), lines)));
    let paragraphs = paragraphs.filter(|(_, lines)| !lines.is_empty()).map(|(title, lines)| {
        let lines: Vec<String> = lines.iter().map(|line| markup.text(line)).collect();
        format!("\n{}\n{}\n", markup.strong(&title), lines.join("\n"))
    });
    head + &paragraphs.collect::<String>()
}

fn trading_lines(day: &Trading) -> Vec<String> {
    let mut lines = Vec::new();
    if !day.halted_by.is_empty() {
        lines.push(format!("HALTED: {}", day.halted_by.join(", ")));
    }
    let mut first = Vec::new();
    first.extend(day.realized_pnl.map(|pnl| format!("PnL {pnl:+.2}")));
    first.extend(day.trades.map(|trades| plural(trades as usize, "trade")));
    first.extend(day.win_rate.map(|rate| format!("{:.0} % won", rate * 100.0)));
    first.extend(day.open_positions.map(|open| format!("{open} open")));
    first.extend(day.limit_used_most.map(|used| format!("at most {:.0} % of the loss limit", used * 100.0)));
    lines.push(if first.is_empty() { "PnL and positions: not known".to_owned() } else { first.join(", ") });
    let mut second = Vec::new();
    second.extend(day.orders.map(|orders| plural(orders as usize, "order")));
    second.extend(day.latency_p95_ms.map(|p95| format!("p95 latency at most {p95:.0} ms")));
    second.push(match day.halted_seconds {
        Some(0.0) => "kill switch off".to_owned(),
        Some(seconds) => format!("kill switch active for {}", length(seconds)),
        None => "kill switch: not known".to_owned(),
    });
    let opened = |(breaker, trips): (&String, &usize)| format!("breaker {breaker} opened {}", plural(*trips, "time"));
    second.extend(day.breaker_trips.iter().map(opened));
    lines.push(second.join(", "));
    lines
}

fn server_lines(servers: &[Uptime]) -> Vec<String> {
    let mut troubled: Vec<(&Uptime, f64)> = servers.iter().filter_map(|server| Some((server, server.up?))).collect();
    let known = troubled.len();
    troubled.retain(|(_, up)| *up < WORTH_A_LINE);
    troubled.sort_by(|(a, _), (b, _)| b.down_seconds.total_cmp(&a.down_seconds));
    let line = |(server, up): &(&Uptime, f64)| {
        let (reason, down) = (server.worst_reason.as_deref().unwrap_or("unknown"), length(server.down_seconds));
        format!("{}: {:.1} % up, down for {down}, mostly {reason}", server.name, up * 100.0)
    };
    let rest = [(known - troubled.len(), "up all day"), (servers.len() - known, "not configured")];
    let rest = rest.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    let rest = rest.collect::<Vec<_>>().join(", ");
    troubled.iter().map(line).chain((!rest.is_empty()).then_some(rest)).collect()
}

fn worktree_lines(worktrees: &[WorktreeDay]) -> Vec<String> {
    let line = |worktree: &WorktreeDay| {
        let tests: Vec<&str> = worktree.tests.iter().map(String::as_str).filter(|test| *test != "unknown").collect();
        let is_quiet = worktree.statuses.len() <= 1 && tests.len() <= 1 && tests.first() != Some(&"failing");
        let shown = if tests.is_empty() { String::new() } else { format!("; tests {}", tests.join(" → ")) };
        (!is_quiet).then(|| format!("{}: {}{shown}", worktree.name, worktree.statuses.join(" → ")))
    };
    let mut lines: Vec<String> = worktrees.iter().filter_map(line).collect();
    let quiet = worktrees.len() - lines.len();
    if quiet > 0 {
        lines.push(format!("{} without a change", plural(quiet, "worktree")));
    }
    lines
}

fn unusual_lines(sentences: &[String]) -> Vec<String> {
    if sentences.len() <= MOST_UNUSUAL {
        return sentences.to_vec();
    }
    let (named, rest) = sentences.split_at(MOST_UNUSUAL - 1);
    [named, &[format!("and {} more", rest.len())]].concat()
}

fn own_lines(day: &Day) -> Vec<String> {
    let since = day.first_pass.map(|at| format!(", the first at {} UTC", at.strftime("%H:%M")));
    let mut lines = vec![format!("{}{}", plural(day.passes, "pass"), since.unwrap_or_default())];
    if day.cut_short > 0 {
        lines.push(format!("{} cut short by the deadline", plural(day.cut_short, "pass")));
    }
    let failed = |(output, times): (&String, &usize)| format!("{output} not delivered {}", plural(*times, "time"));
    lines.extend(day.undelivered.iter().map(failed));
    if day.unwatched_seconds >= 60.0 {
        lines.push(format!("no pass for {}", length(day.unwatched_seconds)));
    }
    lines
}

/// A length in its two largest units: `2 h 5 min`, `40 s`.
pub fn length(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3599 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn day() -> Day {
        Day {
            date: "2026-11-24".into(),
            passes: 2880,
            cut_short: 1,
            undelivered: BTreeMap::from([("pushgateway".into(), 2)]),
            first_pass: None,
            unwatched_seconds: 0.0,
            trading: vec![Trading {
                environment: "<live>".into(),
                realized_pnl: Some(-3.5),
                halted_seconds: Some(3900.0),
                halted_by: vec!["kill switch active".into(), "breaker BinanceAPI open".into()],
                orders: Some(1),
                ..Trading::default()
            }],
            servers: vec![Uptime {
                kind: "mcp".into(),
                name: "a & b".into(),
                up: Some(0.5),
                worst_reason: Some("timeout".into()),
                down_seconds: 7200.0,
                last: "down".into(),
            }],
            worktrees: vec![WorktreeDay {
                name: "feature".into(),
                statuses: vec!["working".into(), "complete".into()],
                tests: vec!["unknown".into(), "failing".into(), "passing".into()],
            }],
            unusual: ["fetch: handshake 2.8 s", "b", "c", "d"].map(str::to_owned).into(),
        }
    }

    #[test]
    fn the_report_fits_a_screen_and_says_what_matters() {
        let expected = "\
LAB on 2026-11-24 (UTC)

THUNES <live>
HALTED: kill switch active, breaker BinanceAPI open
PnL -3.50
1 order, kill switch active for 1 h 5 min

Servers
a & b: 50.0 % up, down for 2 h 0 min, mostly timeout

Worktrees
feature: working → complete; tests failing → passing

Unusual
fetch: handshake 2.8 s
b
and 2 more

lab-probe
2880 passes
1 pass cut short by the deadline
pushgateway not delivered 2 times
";
        assert_eq!(report(&day(), Markup::Plain), expected);
    }

    #[test]
    fn foreign_text_is_escaped_for_telegram() {
        let html = report(&day(), Markup::Html);
        assert!(html.contains("<b>THUNES &lt;live&gt;</b>") && html.contains("a &amp; b: 50.0 %"), "{html}");
    }
}
