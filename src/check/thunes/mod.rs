//! One environment of the trading system: its database, journals, logs, `.env` and metrics endpoint become facts.
//!
//! Every source is read on its own and none stops another. What they say is put together in [`sources`]: for each family
//! the first available source, never two; what cannot be told exactly is left out.

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
use self::sources::Findings;
use self::tally::{Format, Tally};
use crate::check::Context;
use crate::clock::Deadline;
use crate::log;
use crate::model::digest;
use crate::model::thunes::{
    EndpointMemory, FileMemory, METRICS_URL, POSITIONS_DB, SourceFacts, ThunesFacts, ThunesMemory, ThunesTarget,
};
use crate::redact::Secret;

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
    let url = target.metrics_url.as_ref();
    let scraped = url.map(|url| scrape::scrape(url, &target.environment, now, deadline));
    remember(&mut memory.endpoint, url, scraped.iter().flatten().flat_map(|scraped| &scraped.families));
    let positions = positions::read(&target.root.join(&target.positions_db), now, deadline);
    memory.has_database |= !positions.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let read_all = |paths, memory, format| read_all(&target.root, paths, memory, format, now, deadline);
    let journals = read_all(&target.journals, &mut memory.journals, &Format::Journal);
    let logs = read_all(&target.logs, &mut memory.logs, &Format::Log(TimeZone::system()));
    let findings = Findings { now, memory: &memory, scraped, limit, positions, journals, logs };
    let facts = findings.decide();
    memory.kill_switch_unknown_since = facts.kill_switch_unknown.as_ref().map(|unknown| unknown.since);
    (facts, memory)
}

/// Adds the families that an endpoint has; what another one had is forgotten.
fn remember<'a>(memory: &mut EndpointMemory, url: Option<&Secret>, families: impl Iterator<Item = &'a &'static str>) {
    let url = url.map(|url| digest::of([url.expose().as_bytes()])).unwrap_or_default();
    if memory.url != url {
        *memory = EndpointMemory { url, ..EndpointMemory::default() };
    }
    memory.families.extend(families.map(|family| (*family).to_owned()));
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
    memory: &mut BTreeMap<String, FileMemory>,
    format: &Format,
    now: Timestamp,
    deadline: Deadline,
) -> Vec<Reading> {
    let mut remembered = std::mem::take(memory);
    let mut readings = Vec::new();
    for (path, files_left) in paths.iter().zip((1..=paths.len()).rev()) {
        let (name, path) = (path.display().to_string(), root.join(path));
        let resolved = path.to_string_lossy();
        // A cursor of another path is of no use, and neither are its totals.
        let remembered = remembered.remove(&name).filter(|memory| memory.cursor.path == resolved);
        let FileMemory { mut cursor, totals } = remembered.unwrap_or_default();
        cursor.path = resolved.into_owned();
        let mut tally = Tally::new(format.clone(), totals, now);
        let share = deadline.left() / u32::try_from(files_left).unwrap_or(u32::MAX);
        let (state, losses) = tail::follow(&path, &mut cursor, &mut tally, deadline.sooner(share));
        for loss in &losses {
            log::warn(format!("{name}: {loss}"));
        }
        let Tally { totals, is_waiting, .. } = tally;
        let (known, gaps) = (!cursor.parts.is_empty(), cursor.gaps);
        memory.insert(name.clone(), FileMemory { cursor, totals: totals.clone() });
        readings.push(Reading { name, state, known, gaps, losses, is_waiting, totals });
    }
    readings
}

#[cfg(test)]
mod tests;
