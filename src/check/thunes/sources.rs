//! For each family the first source in order that is configured or has ever been seen, never two.
//!
//! While that source fails (cannot be read, is being caught up with, does not answer), its families are absent rather than
//! taken from a lesser source for a while: a counter that goes to another source and back counts what never was. When
//! a better source appears (a database, an application that begins to write events), the counters of the family start
//! from what it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use jiff::Timestamp;

use super::kill_switch;
use super::positions::Positions;
use super::reading::{Reading, Statement, newest};
use super::scrape::Scraped;
use super::tally::{add_decisions, add_orders};
use crate::model::thunes::{
    DecisionCount, Histogram, LineCounts, METRICS_URL, OrderCount, POSITIONS_DB, REJECTION_REASONS, SourceFacts,
    ThunesFacts, ThunesMemory, Totals, Unknown,
};

#[derive(Debug)]
pub(super) struct Findings<'a> {
    pub(super) now: Timestamp,
    pub(super) scraped: Option<anyhow::Result<Scraped>>,
    pub(super) memory: &'a ThunesMemory,
    pub(super) limit: anyhow::Result<f64>,
    pub(super) positions: io::Result<Positions>,
    pub(super) journals: Vec<Reading>,
    pub(super) logs: Vec<Reading>,
}

impl Findings<'_> {
    pub(super) fn decide(self) -> ThunesFacts {
        let mut facts = self.endpoint();
        self.database(&mut facts);
        self.kill_switch(&mut facts);
        self.decisions(&mut facts);
        self.breakers(&mut facts);
        self.orders(&mut facts);
        self.latency_and_streams(&mut facts);
        self.sources(&mut facts);
        if let Some(switch) = &mut facts.kill_switch {
            let age = switch.since.map(|since| self.now.duration_since(since).as_secs());
            switch.age_seconds = age.and_then(|age| u64::try_from(age).ok());
        }
        facts
    }

    /// Whether the endpoint is the source of a family: it has it, or has ever had it, or does not answer at all.
    fn is_endpoints(&self, family: &str) -> bool {
        let is_known = || self.memory.endpoint.families.contains(family);
        self.scraped.as_ref().is_some_and(|scraped| scraped.is_err() || is_known())
    }

    /// What an instrumented application says itself comes first; nothing else is asked then.
    fn endpoint(&self) -> ThunesFacts {
        let Some(Ok(scraped)) = &self.scraped else { return ThunesFacts::default() };
        let mut facts = scraped.facts.clone();
        let gone = self.memory.endpoint.families.iter().filter(|family| !scraped.families.contains(family.as_str()));
        facts.problems.extend(gone.map(|family| format!("{METRICS_URL}: it no longer has {family}")));
        facts
    }

    fn database(&self, facts: &mut ThunesFacts) {
        let is_used_endpoints = self.is_endpoints("thunes_daily_pnl_used");
        match &self.limit {
            Ok(limit) => facts.max_daily_loss = Some(*limit),
            // The endpoint's share is of the application's own limit.
            Err(_) if is_used_endpoints => {}
            Err(why) => facts.problems.push(why.to_string()),
        }
        let Ok(positions) = &self.positions else { return };
        if let Some(why) = &positions.problem {
            let missing = if positions.counts.is_some() { "is" } else { "and how many are open are" };
            facts.problems.push(format!("{POSITIONS_DB}: {why}; today's result {missing} unknown"));
        }
        if let Some(counts) = positions.counts
            && !self.is_endpoints("thunes_open_positions")
        {
            #[expect(clippy::cast_precision_loss, reason = "a count of rows is far below 2^53")]
            let open = counts.open as f64;
            facts.open_positions = Some(open);
            from(facts, "thunes_open_positions", [POSITIONS_DB]);
        }
        let Some((pnl, trades)) = positions.realized else { return };
        (facts.realized_pnl, facts.trades_today) = (Some(pnl), Some(trades));
        from(facts, "thunes_realized_pnl", [POSITIONS_DB]);
        if let (Ok(limit), false) = (&self.limit, is_used_endpoints) {
            // A profit uses nothing; and 0, not the -0 that a negation would make of it.
            facts.daily_pnl_used = Some(if pnl < 0.0 { -pnl / limit } else { 0.0 });
            from(facts, "thunes_daily_pnl_used", [POSITIONS_DB]);
        }
    }

    fn kill_switch(&self, facts: &mut ThunesFacts) {
        let why = if self.is_endpoints("thunes_kill_switch_active") {
            if let Some(switch) = &mut facts.kill_switch {
                let known = kill_switch::details(&self.journals, switch.active, self.now).unwrap_or_default();
                (switch.since, switch.reason) = (known.since, known.reason);
                return;
            }
            vec![format!("{METRICS_URL} does not tell it")]
        } else {
            match kill_switch::from_journals(&self.journals, self.now) {
                Ok((switch, source)) => {
                    facts.kill_switch = Some(switch);
                    return from(facts, "thunes_kill_switch_active", [source]);
                }
                Err(why) => why,
            }
        };
        let unknown = Unknown { since: self.memory.kill_switch_unknown_since.unwrap_or(self.now), why };
        facts.problems.push(unknown.sentence());
        facts.kill_switch_unknown = Some(unknown);
    }

    fn decisions(&self, facts: &mut ThunesFacts) {
        let is_whole = kill_switch::audit_trail(&self.journals).is_some_and(Reading::is_ready);
        if !is_whole || self.journals.iter().any(Reading::fails) {
            return;
        }
        let mut counts = vec![DecisionCount { decision: "approved".to_owned(), ..DecisionCount::default() }];
        counts.extend(REJECTION_REASONS.iter().map(|reason| {
            let (decision, reason) = ("rejected".to_owned(), (*reason).to_owned());
            DecisionCount { decision, reason, count: 0 }
        }));
        let ready: Vec<&Reading> = self.journals.iter().filter(|reading| reading.is_ready()).collect();
        for more in ready.iter().flat_map(|reading| &reading.totals.decisions) {
            add_decisions(&mut counts, more.clone());
        }
        from(facts, "thunes_trade_decisions_total", names(&ready));
        facts.decisions = Some(counts);
    }

    /// The newest state of each by its own time; none while a file fails, or none is ready: it may hold a newer one.
    fn breakers(&self, facts: &mut ThunesFacts) {
        let files = || self.journals.iter().chain(&self.logs);
        let is_whole = files().any(Reading::is_ready) && !files().any(Reading::fails);
        if !is_whole || self.is_endpoints("thunes_circuit_breaker_state") {
            return;
        }
        let unread_before = |file: &Reading| match &file.totals.breaker_doubt {
            _ if file.is_waiting => Some(self.now),
            doubt => doubt.as_ref().map(|doubt| doubt.before),
        };
        let (mut states, mut sources) = (BTreeMap::new(), Vec::new());
        for name in files().flat_map(|file| file.totals.breakers.keys()).collect::<BTreeSet<&String>>() {
            let stated = |file: &Reading| file.totals.breakers.get(name).map(|breaker| (breaker.value, breaker.at));
            // What the same file says after its unread lines is newer than those.
            let is_outdated = |newest: &Statement<'_, _>| {
                let others = files().filter(|file| file.name != newest.source.name);
                others.filter_map(unread_before).any(|before| newest.at.is_none_or(|at| at <= before))
            };
            let problem = match newest(files(), stated, self.now) {
                Some(Statement { value: None, source, .. }) => {
                    format!("{}: breaker {name} is in a state that nobody knows", source.name)
                }
                Some(newest) if is_outdated(&newest) => {
                    format!("breaker {name}: lines that could not be read may hold a newer state")
                }
                Some(Statement { value: Some(state), source, .. }) => {
                    states.insert(name.clone(), state);
                    sources.push(source.name.as_str());
                    continue;
                }
                None => format!("breaker {name}: nothing tells which of its states is the newest"),
            };
            facts.problems.push(problem);
        }
        from(facts, "thunes_circuit_breaker_state", sources);
        facts.breakers = Some(states);
    }

    /// The journals with events that only an instrumented application writes, else the logs that are or ever were there:
    /// a part of the orders is none. And whether it is the journals.
    fn event_files(&self) -> (Vec<&Reading>, bool) {
        // One that was never read to its end may have such events.
        let may_have = |journal: &&Reading| {
            journal.totals.instrumented || journal.is_catching_up() || journal.fails() && !journal.known
        };
        let journals: Vec<&Reading> = self.journals.iter().filter(may_have).collect();
        match journals.as_slice() {
            [] => (self.logs.iter().filter(|log| !log.is_absent()).collect(), false),
            _ => (journals, true),
        }
    }

    fn orders(&self, facts: &mut ThunesFacts) {
        if self.is_endpoints("thunes_orders_placed_total") {
            return;
        }
        let (files, is_journals) = self.event_files();
        let (orders, sources) = match &self.positions {
            Ok(positions) if !is_journals => {
                let Some(counts) = positions.counts else { return };
                let orders = vec![market_orders("BUY", positions.rows), market_orders("SELL", counts.closed)];
                (orders, vec![POSITIONS_DB])
            }
            Err(_) if !is_journals && self.memory.has_database => return,
            _ if !all_ready(&files) => return,
            _ => (files.iter().flat_map(|file| file.totals.orders.clone()).collect(), names(&files)),
        };
        from(facts, "thunes_orders_placed_total", sources);
        facts.orders = Some(with_market_orders(orders));
    }

    fn latency_and_streams(&self, facts: &mut ThunesFacts) {
        let (files, _) = self.event_files();
        if !all_ready(&files) {
            return;
        }
        let sum = |histogram_of: fn(&Totals) -> &Histogram| {
            let mut sum = Histogram::default();
            files.iter().for_each(|file| sum.merge(histogram_of(&file.totals)));
            sum
        };
        if !self.is_endpoints("thunes_order_latency_ms") {
            facts.order_latency = Some(sum(|totals| &totals.latency));
            from(facts, "thunes_order_latency_ms", names(&files));
        }
        if !self.is_endpoints("thunes_ws_gap_seconds") {
            facts.ws_gaps = Some(sum(|totals| &totals.gaps));
            from(facts, "thunes_ws_gap_seconds", names(&files));
        }
        if !self.is_endpoints("thunes_ws_connected") {
            facts.ws_connected = Some(connected(&files, self.now));
            from(facts, "thunes_ws_connected", names(&files));
        }
    }

    /// What became of each source, and which of that is a problem.
    fn sources(&self, facts: &mut ThunesFacts) {
        if let Some(scraped) = &self.scraped {
            let problem = scraped.as_ref().err().map(ToString::to_string);
            facts.problems.extend(problem.iter().map(|sentence| format!("{METRICS_URL}: {sentence}")));
            let (name, up) = (METRICS_URL.to_owned(), scraped.is_ok());
            facts.sources.push(SourceFacts { name, up, problem, ..SourceFacts::default() });
        }
        let mut database = SourceFacts { name: POSITIONS_DB.to_owned(), ..SourceFacts::default() };
        match &self.positions {
            Ok(positions) => (database.up, database.last_record) = (true, positions.last_record),
            Err(error) => {
                let needed = facts.open_positions.is_none() || facts.daily_pnl_used.is_none();
                if needed || error.kind() != io::ErrorKind::NotFound || self.memory.has_database {
                    facts.problems.push(format!("{POSITIONS_DB}: {error}"));
                }
                database.problem = Some(error.to_string());
            }
        }
        facts.sources.push(database);
        let trail = kill_switch::audit_trail(&self.journals).map(|reading| &reading.name);
        for reading in &self.journals {
            let lines = reading.known.then_some(reading.totals.lines);
            describe(reading, facts.kill_switch.is_none() && trail == Some(&reading.name), lines, facts);
        }
        for reading in &self.logs {
            describe(reading, false, None, facts);
        }
    }
}

fn describe(reading: &Reading, needed: bool, lines: Option<LineCounts>, facts: &mut ThunesFacts) {
    let problem = reading.sentence();
    // A file that was never there may be one that nobody writes.
    if let Some(sentence) = problem.as_ref().filter(|_| needed || reading.fails()) {
        let sentence = format!("{}: {sentence}", reading.name);
        // What leaves the kill switch unknown has been said with it.
        if !facts.kill_switch_unknown.as_ref().is_some_and(|unknown| unknown.why.contains(&sentence)) {
            facts.problems.push(sentence);
        }
    }
    facts.problems.extend(reading.losses.iter().map(|loss| format!("{}: {loss}", reading.name)));
    let gaps = reading.known.then_some(reading.gaps);
    let (name, up) = (reading.name.clone(), reading.is_ready() || reading.is_catching_up());
    let last_record = reading.totals.last_record.filter(|_| up);
    facts.sources.push(SourceFacts { name, up, problem, last_record, gaps, lines });
}

/// Whether there are files, and each says all that it has: else it is the source, and what it does not say is absent.
fn all_ready(files: &[&Reading]) -> bool {
    !files.is_empty() && files.iter().all(|file| file.is_ready())
}

fn names<'a>(readings: &[&'a Reading]) -> Vec<&'a str> {
    readings.iter().map(|reading| reading.name.as_str()).collect()
}

/// Which symbols are connected, by the newest event of all files; none of which that cannot be told.
fn connected(files: &[&Reading], now: Timestamp) -> BTreeMap<String, bool> {
    let symbols: BTreeSet<&String> = files.iter().flat_map(|file| file.totals.ws.keys()).collect();
    let newest_of = |symbol: &String| {
        newest(files.iter().copied(), |file| file.totals.ws.get(symbol).map(|state| (state.value, state.at)), now)
    };
    symbols.into_iter().filter_map(|symbol| Some((symbol.clone(), newest_of(symbol)?.value))).collect()
}

fn market_orders(side: &str, count: u64) -> OrderCount {
    OrderCount { venue: "binance".into(), order_type: "MARKET".into(), side: side.into(), count }
}

/// Orders by their labels, with a zero for what the application is known to place: a counter that first appears at 1
/// has no increase.
pub(super) fn with_market_orders(orders: Vec<OrderCount>) -> Vec<OrderCount> {
    let mut sum: Vec<OrderCount> = ["BUY", "SELL"].map(|side| market_orders(side, 0)).into();
    orders.into_iter().for_each(|more| add_orders(&mut sum, more));
    sum
}

/// Notes where a family comes from.
pub(super) fn from<'a>(facts: &mut ThunesFacts, family: &str, sources: impl IntoIterator<Item = &'a str>) {
    let names: BTreeSet<&str> = sources.into_iter().collect();
    facts.family_sources.insert(family.to_owned(), names.into_iter().map(str::to_owned).collect());
}
