//! `lab-probe status`: one line from what is remembered, for a prompt or a status bar. Reads the state and nothing else.

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::{Cli, StatusFormat};
use crate::clock;
use crate::exit::{self, Exit};
use crate::log::printable;
use crate::model::observation::{Facts, Severity};
use crate::model::seconds::age;
use crate::model::unusual::{Family, Series};
use crate::show::page::STALE;
use crate::show::unusual;
use crate::state::store::{self, State};
use crate::unusual::measure;
use crate::wording::first_of;

/// Targets in trouble that the line names; the rest is a number.
const MOST_NAMED: usize = 3;

/// What is known, `text` and `class` as status bars read them.
#[derive(Debug, Serialize)]
struct Document {
    /// Changes only when a field is removed or means something else.
    schema: &'static str,
    text: String,
    class: &'static str,
    targets: usize,
    trouble: Vec<InTrouble>,
    /// What is unusual, which is no trouble.
    unusual: Vec<String>,
    last_pass: Option<Timestamp>,
    stale: bool,
}

#[derive(Debug, Serialize)]
struct InTrouble {
    target: String,
    verdict: String,
    /// What halts trading; of other targets nothing.
    by: Vec<String>,
}

pub(super) fn run(cli: &Cli, format: StatusFormat) -> anyhow::Result<Exit> {
    let settings = super::load_settings(cli.config.as_deref(), None)?;
    let now = clock::now();
    let document = Document::of(&store::peek(&settings.probe.state_dir, now).state, now);
    let text = match format {
        StatusFormat::Line => document.text.clone(),
        StatusFormat::Json => serde_json::to_string(&document).map_err(exit::bug)?,
    };
    let printed = super::print(&format!("{text}\n"))?;
    Ok(if document.class == "fine" { printed } else { Exit::Trouble })
}

impl Document {
    fn of(state: &State, now: Timestamp) -> Self {
        let seen: Vec<(&String, &Facts)> = seen(state).collect();
        let mut trouble: Vec<_> = seen.iter().filter(|(_, facts)| facts.severity() == Severity::Trouble).collect();
        trouble.sort_by_key(|(_, facts)| !matches!(facts, Facts::Thunes(_)));
        let in_trouble = |(id, facts): &&(&String, &Facts)| InTrouble {
            target: printable(id),
            verdict: facts.word().replace('_', " "),
            by: match facts {
                Facts::Thunes(facts) if facts.halted() => facts.risks().iter().map(|by| printable(by)).collect(),
                _ => Vec::new(),
            },
        };
        let trouble: Vec<InTrouble> = trouble.iter().map(in_trouble).collect();
        let widespread = state.unusual.widespread.map(|event| unusual::widespread(&event));
        let unusual: Vec<String> = widespread.into_iter().chain(unusual_now(state, |_| true)).collect();
        let last_pass = state.last_pass.map(|last| last.started_at);
        let stale = last_pass.is_none_or(|at| now.duration_since(at) > STALE);
        let class = if stale || !trouble.is_empty() { "trouble" } else { "fine" };
        let mut text = match last_pass {
            None => "there has been no pass yet".to_owned(),
            Some(at) if stale => format!("no pass for {}; then {}", age(at, now), line(seen.len(), &trouble)),
            Some(_) => line(seen.len(), &trouble),
        };
        if !unusual.is_empty() {
            text.push_str(&format!("; unusual: {}", first_of(&unusual, 1)));
        }
        Document { schema: "lab-probe.status/1", text, class, targets: seen.len(), trouble, unusual, last_pass, stale }
    }
}

/// What is known of each target. What is remembered of those that the last pass no longer planned is no news.
fn seen(state: &State) -> impl Iterator<Item = (&String, &Facts)> {
    let planned = |id: &str| state.written.day.is_empty() || state.written.marks.contains_key(id);
    let known = state.targets.iter().filter(move |(id, _)| planned(id));
    known.filter_map(|(id, known)| Some((id, &known.observation.as_ref()?.facts)))
}

/// What is unusual, a sentence each with the target before it. The values of what is down are not unusual, they are absent.
pub(super) fn unusual_now(state: &State, is_asked: impl Fn(Family) -> bool) -> Vec<String> {
    let sentences = seen(state).flat_map(|(id, facts)| {
        let measured: Vec<Family> = measure::of(facts).into_iter().map(|(family, _)| family).collect();
        let is_wanted = |one: &Series<'_>| measured.contains(&one.family) && is_asked(one.family);
        let wanted: Vec<Series<'_>> = state.unusual.of(id).filter(is_wanted).collect();
        wanted.into_iter().flat_map(|one| unusual::sentences(&one)).map(|text| format!("{}: {text}", printable(id)))
    });
    sentences.collect()
}

/// `2 in trouble: thunes/live halted (kill switch active), mcp/rag-query down; 16 others`.
fn line(targets: usize, trouble: &[InTrouble]) -> String {
    if trouble.is_empty() {
        return format!("{targets} targets, none in trouble");
    }
    let by = |one: &InTrouble| if one.by.is_empty() { String::new() } else { format!(" ({})", one.by.join(", ")) };
    let named: Vec<String> = trouble.iter().map(|one| format!("{} {}{}", one.target, one.verdict, by(one))).collect();
    let (count, others) = (trouble.len(), targets - trouble.len());
    format!("{count} in trouble: {}; {others} others", first_of(&named, MOST_NAMED))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::SignedDuration;

    use super::*;
    use crate::model::snapshot::LastPass;

    #[test]
    fn trading_goes_first_and_what_is_not_known_of_late_is_no_good_news() {
        let now = Timestamp::from_second(1_800_000_000).expect("a time");
        let one = |target: &str, verdict: &str, by: &[&str]| InTrouble {
            target: target.into(),
            verdict: verdict.into(),
            by: by.iter().map(|by| (*by).into()).collect(),
        };
        let halted = one("thunes/live", "halted", &["kill switch active", "112 % of the loss limit used"]);
        assert_eq!(
            line(5, &[halted, one("mcp/a", "down", &[])]),
            "2 in trouble: thunes/live halted (kill switch active, 112 % of the loss limit used), mcp/a down; 3 others"
        );
        assert_eq!(line(5, &[]), "5 targets, none in trouble");
        let mut state = State::new(now);
        let started_at = now.checked_sub(SignedDuration::from_hours(3)).expect("a time");
        state.last_pass = Some(LastPass { started_at, duration: Duration::ZERO, deadline_exceeded: false });
        let document = Document::of(&state, now);
        let text = "no pass for 3h; then 0 targets, none in trouble";
        assert_eq!((document.class, document.text.as_str(), document.stale), ("trouble", text, true));
        let document = Document::of(&State::new(now), now);
        assert_eq!((document.class, document.text.as_str()), ("trouble", "there has been no pass yet"));
    }
}
