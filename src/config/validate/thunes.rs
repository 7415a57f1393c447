//! `[[thunes]]`: one block an environment.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use super::rules;
use crate::config::block::Block;
use crate::config::settings::ThunesSettings;
use crate::model::target::Schedule;
use crate::model::thunes::ThunesTarget;

/// Files beside us are cheap to read and must be current: a trading system is looked at in every pass.
const SCHEDULE: Schedule =
    Schedule { ttl: Duration::ZERO, retry_after: Duration::ZERO, timeout: Duration::from_secs(10) };

const POSITIONS_DB: &str = "data/positions.db";
const JOURNALS: &[&str] = &["logs/audit_trail.jsonl", "logs/metrics_events.jsonl"];
const LOGS: &[&str] = &["logs/scheduler.log", "logs/paper_trader.log"];

pub(super) fn read(blocks: Vec<Block<'_>>) -> Vec<ThunesSettings> {
    rules::named(blocks, "environment", "testnet", |block, environment| {
        let root = block.required("root", "~/LAB/projects/THUNES").map(|root| block.resolve(&root));
        let schedule = rules::schedule(block, SCHEDULE);
        let mut target = ThunesTarget {
            root: root.unwrap_or_default(),
            positions_db: below_root(block, "positions_db", POSITIONS_DB),
            journals: all_below_root(block, "journals", JOURNALS),
            logs: all_below_root(block, "logs", LOGS),
            metrics_url: rules::url(block, "metrics_url"),
            max_daily_loss: block.amount("max_daily_loss"),
            environment,
            unreachable: None,
        };
        target.unreachable = block.fault();
        Some(ThunesSettings { target, schedule })
    })
}

/// A path that stays as the file has it: it is relative to the root, and a label value.
fn below_root(block: &Block<'_>, key: &'static str, default: &str) -> PathBuf {
    block.filled(key).map_or_else(|| default.into(), |path| path.value.into())
}

fn all_below_root(block: &Block<'_>, key: &'static str, defaults: &[&str]) -> Vec<PathBuf> {
    let Some(texts) = block.texts(key) else { return defaults.iter().map(PathBuf::from).collect() };
    let mut seen = HashMap::new();
    for text in &texts {
        block.ensure(text, !text.is_empty(), "it is an empty path");
        block.unique(&mut seen, text);
    }
    texts.into_iter().map(|text| text.value.into()).collect()
}
