//! For each family the first source that is available, never two.
//!
//! A source that is being caught up with, or whose newest records are in doubt, is available but says nothing yet: its
//! families are absent rather than taken from a lesser source for a while. When the winning source changes (a database
//! appears, an application begins to write events), the counters of the family start from what the new source holds.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

use super::positions::{Failure, Positions};
use super::scrape::Scraped;
use super::tally::{add_decisions, add_orders};
use crate::model::thunes::{
    Breaker, BreakerState, Decision, DecisionCount, Histogram, JournalFacts, JournalTotals, KillSwitch, LogTotals,
    METRICS_URL, OrderCount, POSITIONS_DB, REJECTION_REASONS, SourceFacts, SwitchEvent, ThunesFacts, WsState,
};

/// Where one file stands after this look.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Standing {
    /// Read to its end.
    Ready,
    /// Being read; so many bytes are left.
    Behind {
        /// Bytes not read yet.
        left: u64,
    },
    /// Not there.
    Missing,
    /// There, and not readable; the operating system's words.
    Unreadable(String),
    /// Moved or truncated all the while.
    Unsettled,
}

/// One journal or log.
#[derive(Debug)]
pub(super) struct Reading<T> {
    /// The path as the config has it.
    pub(super) name: String,
    /// How far it was read.
    pub(super) standing: Standing,
    /// Whether it has ever been read.
    pub(super) known: bool,
    /// Lost parts so far.
    pub(super) gaps: u64,
    /// Parts found to be lost in this look.
    pub(super) losses: Vec<String>,
    /// The time of its newest record.
    pub(super) last_record: Option<Timestamp>,
    /// What it adds up to.
    pub(super) totals: T,
}

impl Reading<()> {
    pub(super) fn with<T>(self, totals: T) -> Reading<T> {
        let Reading { name, standing, known, gaps, losses, last_record, totals: () } = self;
        Reading { name, standing, known, gaps, losses, last_record, totals }
    }
}

impl<T> Reading<T> {
    fn is_ready(&self) -> bool {
        self.standing == Standing::Ready
    }

    /// It will be readable by itself: this pass only did not get to its end.
    fn is_coming(&self) -> bool {
        matches!(self.standing, Standing::Behind { .. } | Standing::Unsettled)
    }

    fn is_up(&self) -> bool {
        self.is_ready() || self.is_coming()
    }

    fn sentence(&self) -> Option<String> {
        match &self.standing {
            Standing::Ready => None,
            Standing::Behind { left } => {
                Some(format!("still being read, {} MiB are left; its values follow when it has been", (left >> 20) + 1))
            }
            Standing::Missing => Some("there is no such file".to_owned()),
            Standing::Unreadable(error) => Some(error.clone()),
            Standing::Unsettled => Some("moved or truncated while it was read; the next pass reads it".to_owned()),
        }
    }

    /// Whether its state is worth a problem: a file that was never there may be one that nobody writes.
    fn is_trouble(&self) -> bool {
        !self.is_ready() && (self.known || self.standing != Standing::Missing)
    }
}

/// Everything that was read in one look.
#[derive(Debug)]
pub(super) struct Findings {
    /// The start of the pass.
    pub(super) now: Timestamp,
    pub(super) scraped: Option<Result<Scraped, String>>,
    pub(super) limit: Result<f64, String>,
    pub(super) positions: Result<Positions, Failure>,
    pub(super) journals: Vec<Reading<JournalTotals>>,
    pub(super) logs: Vec<Reading<LogTotals>>,
}

impl Findings {
    /// Puts the facts together.
    pub(super) fn decide(self) -> ThunesFacts {
        let mut facts = ThunesFacts::default();
        self.endpoint(&mut facts);
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

    fn database(&self, facts: &mut ThunesFacts) {
        match &self.limit {
            Ok(limit) => facts.max_daily_loss = Some(*limit),
            // The endpoint's share is of the application's own limit.
            Err(_) if facts.daily_pnl_used.is_some() => {}
            Err(sentence) => facts.problems.push(sentence.clone()),
        }
        let Ok(positions) = &self.positions else { return };
        if let (Ok(counts), None) = (&positions.counts, facts.open_positions) {
            #[expect(clippy::cast_precision_loss, reason = "a count of rows is far below 2^53")]
            let open = counts.open as f64;
            facts.open_positions = Some(open);
            from(facts, "thunes_open_positions", [POSITIONS_DB]);
        }
        match &positions.realized {
            Ok(realized) => {
                facts.realized_pnl = Some(realized.pnl);
                facts.trades_today = Some(realized.trades);
                from(facts, "thunes_realized_pnl", [POSITIONS_DB]);
                if let (Ok(limit), None) = (&self.limit, facts.daily_pnl_used) {
                    // A profit uses nothing; and 0, not the -0 that a negation would make of it.
                    facts.daily_pnl_used = Some(if realized.pnl < 0.0 { -realized.pnl / limit } else { 0.0 });
                    from(facts, "thunes_daily_pnl_used", [POSITIONS_DB]);
                }
            }
            Err(sentence) => facts.problems.push(format!("{POSITIONS_DB}: {sentence}; today's result is unknown")),
        }
    }

    /// What an instrumented application says itself comes first; nothing else is asked then.
    fn endpoint(&self, facts: &mut ThunesFacts) {
        let Some(Ok(scraped)) = &self.scraped else { return };
        let Scraped { daily_pnl_used, open_positions, breakers, order_latency, ws_connected, ws_gaps, .. } =
            scraped.clone();
        let switch = scraped.kill_switch.map(|active| KillSwitch { active, ..KillSwitch::default() });
        let orders = scraped.orders.as_ref().map(|orders| with_market_orders(orders.iter()));
        let sources = &mut facts.family_sources;
        win(&mut facts.kill_switch, switch, "thunes_kill_switch_active", sources);
        win(&mut facts.daily_pnl_used, daily_pnl_used, "thunes_daily_pnl_used", sources);
        win(&mut facts.open_positions, open_positions, "thunes_open_positions", sources);
        win(&mut facts.breakers, breakers, "thunes_circuit_breaker_state", sources);
        win(&mut facts.orders, orders, "thunes_orders_placed_total", sources);
        win(&mut facts.order_latency, order_latency, "thunes_order_latency_ms", sources);
        win(&mut facts.ws_connected, ws_connected, "thunes_ws_connected", sources);
        win(&mut facts.ws_gaps, ws_gaps, "thunes_ws_gap_seconds", sources);
        facts.problems.extend(scraped.refused.iter().map(|sentence| format!("{METRICS_URL}: {sentence}")));
    }

    /// The journal that decides on the kill switch by its absence too: the first that is not meant for an instrumented
    /// application's events.
    fn audit_trail(&self) -> Option<&Reading<JournalTotals>> {
        let is_events = |reading: &&Reading<JournalTotals>| {
            let name = Path::new(&reading.name).file_name().unwrap_or_default();
            name.to_string_lossy().starts_with("metrics_events")
        };
        self.journals.iter().find(|reading| !is_events(reading)).or(self.journals.first())
    }

    /// Whether every journal that could hold a word of the audit trail has been read to its end.
    fn trail_is_whole(&self) -> bool {
        let trail = self.audit_trail().is_some_and(Reading::is_ready);
        let speaks = |totals: &JournalTotals| totals.kill != Default::default() || !totals.decisions.is_empty();
        trail && self.journals.iter().all(|r| r.is_ready() || !(r.is_coming() || speaks(&r.totals)))
    }

    fn kill_switch(&self, facts: &mut ThunesFacts) {
        if !self.trail_is_whole() {
            return;
        }
        if let Some(switch) = &mut facts.kill_switch {
            // The endpoint knows whether, the journal since when and why.
            if let Some((_, last)) = self.last_switch().filter(|(_, last)| last.active == switch.active) {
                (switch.since, switch.reason) = (last.at, last.reason.clone());
            }
            return;
        }
        let doubts: Vec<_> = self.journals.iter().filter_map(|r| Some((r, r.totals.kill.doubt.as_ref()?))).collect();
        for (reading, doubt) in &doubts {
            let sentence = format!("{}: the state of the kill switch is unknown: {doubt}", reading.name);
            facts.problems.push(sentence);
        }
        if !doubts.is_empty() {
            return;
        }
        let switch = match self.last_switch() {
            Some((reading, last)) => {
                from(facts, "thunes_kill_switch_active", [reading.name.as_str()]);
                KillSwitch { active: last.active, since: last.at, reason: last.reason.clone(), age_seconds: None }
            }
            None => {
                let trail = self.audit_trail().map_or("", |reading| reading.name.as_str());
                from(facts, "thunes_kill_switch_active", [trail]);
                KillSwitch::default()
            }
        };
        facts.kill_switch = Some(switch);
    }

    /// The newest activation or deactivation, and the journal that has it.
    fn last_switch(&self) -> Option<(&Reading<JournalTotals>, &SwitchEvent)> {
        let last = self.journals.iter().filter_map(|r| r.totals.kill.last.as_ref().map(|last| (r, last)));
        last.max_by_key(|(_, last)| last.at)
    }

    fn decisions(&self, facts: &mut ThunesFacts) {
        if !self.trail_is_whole() {
            return;
        }
        let mut counts = vec![DecisionCount { decision: "approved".into(), ..DecisionCount::default() }];
        counts.extend(REJECTION_REASONS.iter().map(|reason| DecisionCount {
            decision: "rejected".into(),
            reason: (*reason).to_owned(),
            count: 0,
        }));
        let mut names = Vec::new();
        for reading in self.journals.iter().filter(|reading| reading.is_ready()) {
            reading.totals.decisions.iter().for_each(|more| add_decisions(&mut counts, more));
            names.push(reading.name.as_str());
        }
        from(facts, "thunes_trade_decisions_total", names);
        let decision = |c: DecisionCount| Decision { decision: c.decision, reason: c.reason, count: c.count };
        facts.decisions = Some(counts.into_iter().map(decision).collect());
    }

    fn breakers(&self, facts: &mut ThunesFacts) {
        let coming = self.journals.iter().any(Reading::is_coming) || self.logs.iter().any(Reading::is_coming);
        let ready = self.journals.iter().any(Reading::is_ready) || self.logs.iter().any(Reading::is_ready);
        if coming || !ready || facts.breakers.is_some() {
            return;
        }
        let mut newest = BTreeMap::new();
        for reading in &self.journals {
            newest_breakers(&mut newest, &reading.totals.breakers, reading.is_ready(), &reading.name);
        }
        for reading in &self.logs {
            newest_breakers(&mut newest, &reading.totals.breakers, reading.is_ready(), &reading.name);
        }
        let mut states: BTreeMap<String, BreakerState> = BTreeMap::new();
        let mut names: Vec<&str> = Vec::new();
        for (name, (breaker, is_ready, source)) in newest {
            match breaker.state {
                // The last word was in a file that cannot be read now: nobody knows the next one.
                _ if !is_ready => {}
                Some(state) => {
                    states.insert(name.to_owned(), state);
                    names.push(source);
                }
                None => facts.problems.push(format!("{source}: breaker {name} is in a state of an unknown name")),
            }
        }
        from(facts, "thunes_circuit_breaker_state", names);
        facts.breakers = Some(states);
    }

    /// The journals with events that only an instrumented application writes, if they can all be relied on.
    fn instrumented_journals(&self) -> Availability<'_, JournalTotals> {
        if self.journals.iter().any(Reading::is_coming) {
            return Availability::NotYet;
        }
        all_or_none(self.journals.iter().filter(|reading| reading.totals.instrumented))
    }

    /// The logs that are or ever were there, if they can all be relied on: a part of the orders is none.
    fn whole_logs(&self) -> Availability<'_, LogTotals> {
        if self.logs.iter().any(Reading::is_coming) {
            return Availability::NotYet;
        }
        all_or_none(self.logs.iter().filter(|reading| reading.known || reading.is_ready()))
    }

    fn orders(&self, facts: &mut ThunesFacts) {
        if facts.orders.is_some() {
            return;
        }
        let from_rows;
        let (orders, sources) = match (self.instrumented_journals(), &self.positions) {
            (Availability::NotYet, _) => return,
            (Availability::Here(journals), _) => {
                (with_market_orders(journals.iter().flat_map(|r| &r.totals.orders)), names(&journals))
            }
            (Availability::None, Ok(positions)) => {
                let Ok(counts) = &positions.counts else { return };
                from_rows = [market_orders("BUY", positions.rows), market_orders("SELL", counts.closed)];
                (with_market_orders(from_rows.iter()), vec![POSITIONS_DB])
            }
            (Availability::None, Err(_)) => {
                let Availability::Here(logs) = self.whole_logs() else { return };
                (with_market_orders(logs.iter().flat_map(|r| &r.totals.orders)), names(&logs))
            }
        };
        from(facts, "thunes_orders_placed_total", sources);
        facts.orders = Some(orders);
    }

    /// Latency and WebSocket families, from journals or else from logs.
    fn latency_and_streams(&self, facts: &mut ThunesFacts) {
        let (mut latency, mut gaps, mut ws) = (Histogram::default(), Histogram::default(), SymbolStates::new());
        let sources = match self.instrumented_journals() {
            Availability::NotYet => return,
            Availability::Here(journals) => {
                for reading in &journals {
                    latency.merge(&reading.totals.latency);
                    gaps.merge(&reading.totals.gaps);
                    newest_states(&mut ws, &reading.totals.ws);
                }
                names(&journals)
            }
            Availability::None => {
                let Availability::Here(logs) = self.whole_logs() else { return };
                for reading in &logs {
                    latency.merge(&reading.totals.latency);
                    gaps.merge(&reading.totals.gaps);
                    newest_states(&mut ws, &reading.totals.ws);
                }
                names(&logs)
            }
        };
        let connected = ws.into_iter().map(|(symbol, (connected, _))| (symbol, connected)).collect();
        if facts.order_latency.is_none() {
            facts.order_latency = Some(latency);
            from(facts, "thunes_order_latency_ms", sources.iter().copied());
        }
        if facts.ws_gaps.is_none() {
            facts.ws_gaps = Some(gaps);
            from(facts, "thunes_ws_gap_seconds", sources.iter().copied());
        }
        if facts.ws_connected.is_none() {
            facts.ws_connected = Some(connected);
            from(facts, "thunes_ws_connected", sources.iter().copied());
        }
    }

    /// What became of each source, and which of that is a problem.
    fn sources(&self, facts: &mut ThunesFacts) {
        if let Some(scraped) = &self.scraped {
            let problem = scraped.as_ref().err().cloned();
            facts.problems.extend(problem.iter().map(|sentence| format!("{METRICS_URL}: {sentence}")));
            let endpoint =
                SourceFacts { name: METRICS_URL.to_owned(), up: scraped.is_ok(), problem, ..SourceFacts::default() };
            facts.sources.push(endpoint);
        }
        let mut database = SourceFacts { name: POSITIONS_DB.to_owned(), ..SourceFacts::default() };
        match &self.positions {
            Ok(positions) => (database.up, database.last_record) = (true, positions.last_record),
            Err(failure) => {
                let needed = facts.open_positions.is_none() || facts.daily_pnl_used.is_none();
                if needed || !failure.missing {
                    facts.problems.push(format!("{POSITIONS_DB}: {}", failure.sentence));
                }
                database.problem = Some(failure.sentence.clone());
            }
        }
        facts.sources.push(database);
        let trail = self.audit_trail().map(|reading| reading.name.clone());
        for reading in &self.journals {
            let needed = facts.kill_switch.is_none() && trail.as_ref() == Some(&reading.name);
            describe(reading, needed, facts);
            if reading.known {
                let lines = reading.totals.lines;
                facts.journals.push(JournalFacts { name: reading.name.clone(), lines });
            }
        }
        for reading in &self.logs {
            describe(reading, false, facts);
        }
    }
}

fn describe<T>(reading: &Reading<T>, needed: bool, facts: &mut ThunesFacts) {
    let problem = reading.sentence();
    if let Some(sentence) = problem.as_ref().filter(|_| needed || reading.is_trouble()) {
        facts.problems.push(format!("{}: {sentence}", reading.name));
    }
    facts.problems.extend(reading.losses.iter().map(|loss| format!("{}: {loss}", reading.name)));
    let gaps = reading.known.then_some(reading.gaps);
    let last_record = reading.last_record.filter(|_| reading.is_up());
    facts.sources.push(SourceFacts { name: reading.name.clone(), up: reading.is_up(), problem, last_record, gaps });
}

/// Whether a kind of source can be used.
enum Availability<'a, T> {
    /// These, together.
    Here(Vec<&'a Reading<T>>),
    /// It will be, when it has been read to its end.
    NotYet,
    /// It cannot.
    None,
}

fn all_or_none<'a, T>(readings: impl Iterator<Item = &'a Reading<T>>) -> Availability<'a, T> {
    let readings: Vec<_> = readings.collect();
    match !readings.is_empty() && readings.iter().all(|reading| reading.is_ready()) {
        true => Availability::Here(readings),
        false => Availability::None,
    }
}

fn names<'a, T>(readings: &[&'a Reading<T>]) -> Vec<&'a str> {
    readings.iter().map(|reading| reading.name.as_str()).collect()
}

/// The newest word on each breaker, whether its file can be read now, and which file that is.
type NewestBreakers<'a> = BTreeMap<&'a str, (&'a Breaker, bool, &'a str)>;

/// Journals come first: of two words of the same time theirs, which is finer, stands.
fn newest_breakers<'a>(
    newest: &mut NewestBreakers<'a>,
    more: &'a BTreeMap<String, Breaker>,
    is_ready: bool,
    source: &'a str,
) {
    for (name, breaker) in more {
        if newest.get(name.as_str()).is_none_or(|(known, ..)| known.at < breaker.at) {
            newest.insert(name, (breaker, is_ready, source));
        }
    }
}

type SymbolStates = BTreeMap<String, (bool, Option<Timestamp>)>;

fn newest_states(states: &mut SymbolStates, more: &BTreeMap<String, WsState>) {
    for (symbol, state) in more {
        if states.get(symbol).is_none_or(|(_, at)| *at < state.at) {
            states.insert(symbol.clone(), (state.connected, state.at));
        }
    }
}

fn market_orders(side: &str, count: u64) -> OrderCount {
    OrderCount { venue: "binance".into(), order_type: "MARKET".into(), side: side.into(), count }
}

/// Orders by their labels, with a zero for what the application is known to place: a counter that first appears at 1
/// has no increase.
fn with_market_orders<'a>(orders: impl Iterator<Item = &'a OrderCount>) -> Vec<OrderCount> {
    let mut sum: Vec<OrderCount> = ["BUY", "SELL"].map(|side| market_orders(side, 0)).into();
    orders.for_each(|more| add_orders(&mut sum, more));
    sum
}

/// Fills in what the endpoint has.
fn win<T>(slot: &mut Option<T>, value: Option<T>, family: &str, sources: &mut BTreeMap<String, Vec<String>>) {
    if value.is_some() {
        *slot = value;
        sources.insert(family.to_owned(), vec![METRICS_URL.to_owned()]);
    }
}

/// Notes where a family comes from.
fn from<'a>(facts: &mut ThunesFacts, family: &str, sources: impl IntoIterator<Item = &'a str>) {
    let mut names: Vec<String> = sources.into_iter().map(str::to_owned).collect();
    names.sort();
    names.dedup();
    facts.family_sources.insert(family.to_owned(), names);
}
