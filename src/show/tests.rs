//! Whatever wants a person's attention comes with what to do about it, in every form.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::json::document;
use super::style::Style;
use super::table;
use super::words::service;
use crate::model::mcp::{McpFacts, McpTarget, Reach};
use crate::model::observation::{Facts, NotReached, Observation, Severity};
use crate::model::reason::{Failure, Reason};
use crate::model::service::{ServiceFacts, ServiceProbe};
use crate::model::snapshot::{Entry, Outcome, Snapshot};
use crate::model::target::{Kind, Probe, Schedule, Target};
use crate::model::thunes::{BreakerState, KillSwitch, SourceFacts, ThunesFacts};
use crate::model::worktree::{Status, StatusSource, TestSource, TestStatus, Tests, WorktreeFacts};

/// Every way in which a look can end that is worth a person's attention, and some that are not.
fn endings() -> Vec<Facts> {
    let failure = |reason: &Reason| Failure::new(*reason, "evidence");
    let mut all: Vec<Facts> = Reason::ALL.iter().map(|reason| Facts::Mcp(McpFacts::failed(failure(reason)))).collect();
    all.extend(Reason::ALL.iter().map(|reason| Facts::Service(ServiceFacts::failed(failure(reason)))));
    all.extend(Kind::ALL.iter().map(|kind| Facts::cut_off(*kind, "cut off".into())));
    all.extend(worktrees().into_iter().map(Facts::Worktree));
    all.extend(environments().into_iter().map(Facts::Thunes));
    all
}

fn worktrees() -> Vec<WorktreeFacts> {
    let error = Some("not a git repository".to_owned());
    let mut all = vec![WorktreeFacts { error, path: "/a".into(), ..WorktreeFacts::default() }];
    for &status in Status::ALL {
        for &source in StatusSource::ALL {
            for &tests in TestStatus::ALL {
                for notes in [vec![], vec!["the base \"x\" is no branch".to_owned()]] {
                    let tests = Some(Tests {
                        status: tests,
                        source: TestSource::Record,
                        counts: None,
                        duration: None,
                        tested_at: None,
                    });
                    all.push(WorktreeFacts {
                        status: Some((status, source)),
                        tests,
                        notes,
                        path: "/a".into(),
                        ..WorktreeFacts::default()
                    });
                }
            }
        }
    }
    all
}

fn environments() -> Vec<ThunesFacts> {
    let down = SourceFacts { name: "positions_db".into(), problem: Some("no".into()), ..SourceFacts::default() };
    let up = SourceFacts { up: true, problem: None, ..down.clone() };
    let problems = vec!["it cannot be read".to_owned()];
    let halted = Some(KillSwitch { active: true, ..KillSwitch::default() });
    let breakers = |state| Some(BTreeMap::from([("BinanceAPI".to_owned(), state)]));
    vec![
        ThunesFacts { problems: problems.clone(), sources: vec![down], ..ThunesFacts::default() },
        ThunesFacts { problems, sources: vec![up.clone()], ..ThunesFacts::default() },
        ThunesFacts { kill_switch: halted, sources: vec![up], ..ThunesFacts::default() },
        ThunesFacts { breakers: breakers(BreakerState::Open), ..ThunesFacts::default() },
        ThunesFacts { breakers: breakers(BreakerState::HalfOpen), ..ThunesFacts::default() },
    ]
}

fn entry(facts: Option<Facts>, outcome: Outcome, trouble: Option<NotReached>) -> Entry {
    let reach = Reach::Unreachable(Failure::new(Reason::NotConfigured, "nowhere"));
    let probe = match facts {
        Some(Facts::Service(_)) => Probe::Service(ServiceProbe::Tcp("127.0.0.1:1".into())),
        // The table groups by kind; what it says of a target comes from the facts alone.
        _ => Probe::Mcp(McpTarget { reach, list_tools: true }),
    };
    Entry {
        target: Target {
            only_here: false,
            name: "a".into(),
            probe,
            schedule: Schedule { ttl: Duration::ZERO, retry_after: Duration::ZERO, timeout: Duration::ZERO },
            fingerprint: String::new(),
            origins: Vec::new(),
        },
        outcome,
        observation: facts.map(|facts| Observation {
            checked_at: Timestamp::UNIX_EPOCH,
            duration: Duration::ZERO,
            facts,
        }),
        memory: None,
        next_due: None,
        processes: None,
        trouble,
    }
}

/// The hint in the table and in JSON, or a panic that says where it is missing.
fn hint_everywhere(entry: Entry) -> String {
    let hint = entry.hint().filter(|hint| !hint.trim().is_empty()).unwrap_or_else(|| panic!("no hint: {entry:?}"));
    let snapshot = Snapshot { entries: vec![entry], ..Snapshot::default() };
    let table = table::table(&snapshot, &[], Timestamp::UNIX_EPOCH, &Style::PLAIN);
    assert!(table.contains(&hint), "{hint:?} is not in\n{table}");
    let json: Value = serde_json::from_str(&document(&snapshot, &[], &[]).expect("a document")).expect("JSON");
    assert_eq!(json["targets"][0]["hint"], Value::String(hint.clone()));
    hint
}

#[test]
fn whatever_wants_attention_has_a_hint_in_table_and_json() {
    let mut seen = 0;
    for facts in endings() {
        if facts.severity() != Severity::Fine {
            hint_everywhere(entry(Some(facts), Outcome::Fresh, None));
            seen += 1;
        }
    }
    assert!(seen > 2 * Reason::ALL.len(), "{seen}");
}

#[test]
fn a_check_that_did_not_come_to_its_end_has_a_hint_whatever_is_remembered() {
    let fine = Facts::Mcp(McpFacts::default());
    for facts in [None, Some(fine)] {
        for (outcome, trouble, word) in [
            (Outcome::TimedOut, NotReached::NotBegun, "lab-probe check"),
            (Outcome::Error, NotReached::Failed("no process".into()), "bug"),
            (Outcome::Error, NotReached::Hangs, "mount"),
            (Outcome::Error, NotReached::Postponed, "worktree"),
        ] {
            let hint = hint_everywhere(entry(facts.clone(), outcome, Some(trouble)));
            assert!(hint.contains(word), "{hint}");
        }
    }
    assert!(hint_everywhere(entry(None, Outcome::Cached, None)).contains("lab-probe check"));
}

#[test]
fn no_hint_about_a_service_speaks_of_an_mcp_server() {
    for &reason in Reason::ALL {
        let hint = ServiceFacts::failed(Failure::new(reason, "evidence")).hint().expect("a hint");
        assert!(service::explained(reason).is_none() || !hint.contains("MCP"), "{reason:?}: {hint}");
    }
}
