//! All families of all files, as node_exporter's registry gathers them: one HELP and TYPE a name, each series once.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::rc::Rc;

use super::{Effects, Report};
use crate::exposition::{Family, Kind, Series};
use crate::redact::shortened;

/// Families that every node_exporter exports about itself.
#[rustfmt::skip] // A row for each would fill the screen.
const OWN_NAMES: [&str; 24] = [
    "go_gc_duration_seconds", "go_gc_gogc_percent", "go_gc_gomemlimit_bytes", "go_goroutines", "go_info",
    "go_sched_gomaxprocs_threads", "go_threads", "node_exporter_build_info", "node_scrape_collector_duration_seconds",
    "node_scrape_collector_success", "node_textfile_mtime_seconds", "node_textfile_scrape_error",
    "process_cpu_seconds_total", "process_max_fds", "process_network_receive_bytes_total",
    "process_network_transmit_bytes_total", "process_open_fds", "process_resident_memory_bytes",
    "process_start_time_seconds", "process_virtual_memory_bytes", "process_virtual_memory_max_bytes",
    "promhttp_metric_handler_errors_total", "promhttp_metric_handler_requests_in_flight",
    "promhttp_metric_handler_requests_total",
];

/// Names that collectors of node_exporter use which are on unless somebody switches them off.
const COLLECTOR_PREFIXES: [&str; 9] = [
    "node_boot_time_seconds", "node_cpu_", "node_disk_", "node_filesystem_", "node_load", "node_memory_",
    "node_network_", "node_time_seconds", "node_uname_info",
];

#[derive(Debug, Clone)]
struct Location {
    path: Rc<Path>,
    line: usize,
}

impl Location {
    /// `line 5` in the file at hand, `path:5` in another.
    fn shown(&self, at_hand: &Path) -> String {
        match &*self.path {
            path if path == at_hand => format!("line {}", self.line),
            path => format!("{}:{}", path.display(), self.line),
        }
    }
}

/// The first family of a name, by which all later ones are measured.
#[derive(Debug)]
struct First {
    kind: Kind,
    help: Option<String>,
    location: Location,
    /// The first HELP of a later one, where this had none, and whether any differed; as the collector keeps it since 1.8.
    later_help: Option<String>,
    helps_differ: bool,
}

#[derive(Debug, Default)]
pub(super) struct Gathered {
    families: HashMap<String, First>,
    /// Series by a hash over name and labels, as the registry has them and as Prometheus has them. 64 bits keep a
    /// million series apart with a chance of error below one in ten million, at a tenth of the memory.
    series: HashMap<u64, Location>,
    without_empty: HashMap<u64, Location>,
    hasher: RandomState,
}

impl Gathered {
    /// Adds one family of the file at `path` and says what it clashes with.
    pub(super) fn add(&mut self, path: &Rc<Path>, family: &Family, report: &mut Report) {
        judge_name(family, report);
        if let Some(first) = self.families.get_mut(&family.name) {
            if let Some((what, effects)) = first.clash(family) {
                // What clashes is left out whole, so its series clash with nothing.
                return report.clash(family.line, what, effects, &first.location.path);
            }
        } else {
            self.judge_suffixes(family, report);
            self.families.insert(
                family.name.clone(),
                First {
                    kind: family.kind,
                    help: family.help.clone(),
                    location: Location { path: Rc::clone(path), line: family.line },
                    later_help: None,
                    helps_differ: false,
                },
            );
        }
        self.add_series(path, family, report);
    }

    /// A histogram or summary takes its name with `_bucket`, `_sum` and `_count` from everybody else.
    fn judge_suffixes(&self, family: &Family, report: &mut Report) {
        static PARTS: [&str; 3] = ["_count", "_sum", "_bucket"];
        let parts = |kind| match kind {
            Kind::Histogram => &PARTS[..],
            Kind::Summary => &PARTS[..2],
            Kind::Counter | Kind::Gauge | Kind::Untyped => &[],
        };
        let inside = PARTS.iter().find_map(|suffix| {
            let whole = self.families.get_key_value(family.name.strip_suffix(suffix)?)?;
            parts(whole.1.kind).contains(suffix).then_some(whole)
        });
        let part = |suffix| self.families.get_key_value(&format!("{}{suffix}", family.name));
        if let Some((name, first)) = inside.or_else(|| parts(family.kind).iter().find_map(part)) {
            let at = first.location.shown(&report.path);
            let what = format!("{} collides with the parts of a histogram or summary: {name} at {at}", family.name);
            report.clash(family.line, what, Effects::SERIES_DROPPED, &first.location.path);
        }
    }

    fn add_series(&mut self, path: &Rc<Path>, family: &Family, report: &mut Report) {
        // The collector gives every series of a family the labels that any of them has, empty where it had none.
        let names: BTreeSet<&str> =
            family.series.iter().flat_map(|s| &s.labels).map(|(name, _)| name.as_str()).collect();
        for series in &family.series {
            let mut labels: Vec<(&str, &str)> =
                names.iter().map(|name| (*name, series.label(name).unwrap_or_default())).collect();
            let same = self.hasher.hash_one((&family.name, &labels));
            labels.retain(|(_, value)| !value.is_empty());
            let same_to_prometheus = self.hasher.hash_one((&family.name, &labels));
            let clash = match (self.series.get(&same), self.without_empty.get(&same_to_prometheus)) {
                (Some(first), _) => Some((first, "is a duplicate of", "", Effects::SERIES_DROPPED)),
                (None, Some(first)) => {
                    let rest = " by an empty label only, and Prometheus keeps one of the two";
                    Some((first, "differs from", rest, Effects::SERVED))
                }
                (None, None) => None,
            };
            if let Some((first, how, rest, effects)) = clash {
                let what = format!("{} {how} {}{rest}", shown(family, series), first.shown(&report.path));
                report.clash(series.line, what, effects, &first.path);
            }
            let location = Location { path: Rc::clone(path), line: series.line };
            self.series.entry(same).or_insert_with(|| location.clone());
            self.without_empty.entry(same_to_prometheus).or_insert(location);
        }
    }
}

impl First {
    /// Why a later family of the same name does not go with this one.
    fn clash(&mut self, later: &Family) -> Option<(String, Effects)> {
        let at = format!("{}:{}", self.location.path.display(), self.location.line);
        let name = &later.name;
        let first_help = self.help.as_ref().or(self.later_help.as_ref());
        let differs_from_first_help =
            later.help.as_ref().is_some_and(|later| first_help.is_some_and(|first| first != later));
        let skipped = differs_from_first_help || self.helps_differ;
        if first_help.is_none() {
            self.later_help.clone_from(&later.help);
        }
        if skipped {
            self.helps_differ = true;
            return Some(match later.help {
                None => (
                    format!("{name} has no HELP, after two that differ (first at {at})"),
                    Effects::HELP_MISSING_AFTER_CLASH,
                ),
                Some(_) if differs_from_first_help => {
                    (format!("HELP of {name} differs from {at}"), Effects::HELP_CLASH)
                }
                // Since 1.8 one that differs condemns all that follow.
                Some(_) if self.kind == later.kind => {
                    (format!("HELP of {name} differs between files (first at {at})"), Effects::HELP_AFTER_CLASH)
                }
                Some(_) => (format!("TYPE of {name} differs from {at}"), Effects::HELP_CLASH),
            });
        }
        if later.help != self.help {
            return Some((
                format!("HELP of {name} is given in one file and not in another ({at})"),
                Effects::SERIES_DROPPED,
            ));
        }
        let (old, new) = (self.kind.as_str(), later.kind.as_str());
        (old != new).then(|| (format!("{name} is a {new} here and a {old} at {at}"), Effects::SERIES_DROPPED))
    }
}

fn judge_name(family: &Family, report: &mut Report) {
    let name = family.name.as_str();
    if OWN_NAMES.contains(&name) || name.starts_with("go_memstats_") {
        let what = format!("node_exporter exports {name} itself");
        report.error(family.line, what, Effects::SERIES_DROPPED);
    } else if COLLECTOR_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        let what = format!("{name} is named like a family of node_exporter's own; if it is one, series are lost");
        report.warning(family.line, what, Effects::SERVED);
    }
}

/// A series as a person would write it, of bounded length.
fn shown(family: &Family, series: &Series) -> String {
    let labels: Vec<String> = series.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    family.name.clone() + &shortened(&labels, 160)
}
