//! One environment of the trading system: its database, journals, logs, `.env` and metrics endpoint become facts.
//!
//! Every source is read on its own and none stops another. What they say is put together in [`sources`]: for each family
//! the first available source, never two; what cannot be told exactly is left out.

mod breakers;
mod damage;
mod dotenv;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod journal;
mod json;
mod kill_switch;
mod logs;
mod positions;
mod reading;
mod scrape;
mod sources;
mod tail;
mod tally;
mod times;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use self::reading::Reading;
use self::scrape::Scraped;
use self::sources::Findings;
use self::tail::Followed;
use self::tally::{Format, Tally};
use crate::check::Context;
use crate::clock::Deadline;
use crate::log;
use crate::model::digest;
use crate::model::thunes::{
    EndpointMemory, FileMemory, METRICS_URL, POSITIONS_DB, SourceFacts, ThunesFacts, ThunesMemory, ThunesTarget,
};

/// Kept back from the deadline: a check that is cut off loses what it has read, so it stops reading before.
const RESERVE: Duration = Duration::from_millis(400);

pub fn check(target: &ThunesTarget, mut memory: ThunesMemory, context: &Context) -> (ThunesFacts, ThunesMemory) {
    if let Some(reason) = &target.unreachable {
        return (unreachable(target, reason), memory);
    }
    let reserve = RESERVE.min(context.deadline.left() / 4);
    let deadline = context.deadline.minus(reserve);
    let now = context.started_at;
    let limit = dotenv::max_daily_loss(target, &mut memory.has_limit);
    let scraped = scrape(target, &mut memory.endpoint, now, deadline);
    let positions = positions::read(&target.root.join(&target.positions_db), now, deadline);
    memory.has_database |= !positions.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let read_all = |paths, known, format| read_all(&target.root, paths, known, format, now, deadline);
    let journals = read_all(&target.journals, &mut memory.journals, Format::Journal);
    let logs = read_all(&target.logs, &mut memory.logs, Format::Log(TimeZone::system()));
    let findings = Findings { now, memory: &memory, scraped, limit, positions, journals, logs };
    let facts = findings.decide();
    memory.kill_switch_unknown_since = facts.kill_switch_unknown.as_ref().map(|unknown| unknown.since);
    (facts, memory)
}

/// Asks the endpoint, if there is one, and remembers its families.
fn scrape(
    target: &ThunesTarget,
    memory: &mut EndpointMemory,
    now: Timestamp,
    deadline: Deadline,
) -> Option<anyhow::Result<Scraped>> {
    let url = target.metrics_url.as_ref().map(|url| digest::of([url.expose().as_bytes()])).unwrap_or_default();
    if memory.url != url {
        *memory = EndpointMemory { url, ..EndpointMemory::default() };
    }
    let scraped = scrape::scrape(target.metrics_url.as_ref()?, &target.environment, now, deadline);
    let families = scraped.iter().flat_map(|scraped| &scraped.families);
    memory.families.extend(families.map(|family| (*family).to_owned()));
    Some(scraped)
}

/// Nothing can be looked for; the config is at fault, and says so for every source.
fn unreachable(target: &ThunesTarget, reason: &str) -> ThunesFacts {
    let endpoint = target.metrics_url.iter().map(|_| METRICS_URL.to_owned());
    let files = target.journals.iter().chain(&target.logs).map(|path| path.display().to_string());
    let names = endpoint.chain([POSITIONS_DB.to_owned()]).chain(files);
    let down = |name| SourceFacts { name, problem: Some(reason.to_owned()), ..SourceFacts::default() };
    ThunesFacts { problems: vec![reason.to_owned()], sources: names.map(down).collect(), ..ThunesFacts::default() }
}

/// Reads each of these files, and remembers those that are configured and no others. Each has an even share of the time
/// left, so that one huge file does not keep the others from being read.
fn read_all(
    root: &Path,
    paths: &[PathBuf],
    known: &mut BTreeMap<String, FileMemory>,
    format: Format,
    now: Timestamp,
    deadline: Deadline,
) -> Vec<Reading> {
    let mut remembered = std::mem::take(known);
    let mut readings = Vec::new();
    for (path, files_left) in paths.iter().zip((1..=paths.len()).rev()) {
        let name = path.display().to_string();
        let mut memory = remembered.remove(&name).unwrap_or_default();
        let share = deadline.left() / u32::try_from(files_left).unwrap_or(u32::MAX);
        readings.push(read(&root.join(path), &name, &mut memory, format.clone(), now, deadline.sooner(share)));
        known.insert(name, memory);
    }
    readings
}

/// Follows one file. A cursor of another path is of no use, and neither are its totals.
fn read(
    path: &Path,
    name: &str,
    memory: &mut FileMemory,
    format: Format,
    now: Timestamp,
    deadline: Deadline,
) -> Reading {
    let resolved = path.to_string_lossy();
    if memory.cursor.path != resolved {
        *memory = FileMemory::default();
        memory.cursor.path = resolved.into_owned();
    }
    let FileMemory { cursor, totals } = memory;
    let mut tally = Tally::new(format, std::mem::take(totals), now);
    let Followed { state, losses } = tail::follow(path, cursor, &mut tally, deadline);
    for loss in &losses {
        log::warn(format!("{name}: {loss}"));
    }
    *totals = tally.totals.clone();
    let (name, known, gaps) = (name.to_owned(), !cursor.parts.is_empty(), cursor.gaps);
    Reading { name, state, known, gaps, losses, is_waiting: tally.is_waiting, totals: tally.totals }
}

#[cfg(test)]
mod tests;
