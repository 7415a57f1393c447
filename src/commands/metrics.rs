//! `lab-probe metrics`: the catalogue, as a table or as JSON.

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::cli::{Cli, ListFormat, MetricsArgs};
use crate::exit::{self, Exit};
use crate::metrics::catalogue::{self, Family, Type};
use crate::show::style::{Ink, Style, pad};

/// Changes only when a field is removed or means something else.
const SCHEMA: &str = "lab-probe.metrics/1";

/// Prints every declared family.
///
/// # Errors
/// Only where the document cannot be made, which would be a bug.
pub(super) fn run(cli: &Cli, args: &MetricsArgs) -> anyhow::Result<Exit> {
    let text = match args.format {
        ListFormat::Table => table(super::style(cli)),
        ListFormat::Json => serde_json::to_string_pretty(&Document::new()).map_err(exit::bug)? + "\n",
    };
    Ok(if super::print(&text) { Exit::Done } else { Exit::Trouble })
}

/// Two lines a family: what it is called and how it is told apart, and what it says.
fn table(style: Style) -> String {
    let width = |column: fn(&Family) -> &str| catalogue::ALL.iter().map(|f| column(f).width()).max().unwrap_or(0);
    let (kinds, units) = (width(|f| f.kind.as_str()), width(|f| f.unit));
    let mut out = String::new();
    for family in catalogue::ALL {
        let labels = if family.labels.is_empty() { String::new() } else { format!("{{{}}}", family.labels.join(",")) };
        out += &format!("{}{}\n", style.paint(Ink::Strong, family.name), style.paint(Ink::Faint, &labels));
        let (kind, unit) = (pad(family.kind.as_str(), kinds), pad(family.unit, units));
        out += &format!("  {}  {}  {}\n", style.paint(Ink::Faint, &kind), style.paint(Ink::Faint, &unit), family.help);
    }
    out
}

#[derive(Debug, Serialize)]
struct Document {
    schema: &'static str,
    metrics: Vec<Metric>,
}

#[derive(Debug, Serialize)]
struct Metric {
    name: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    buckets: Option<&'static [f64]>,
}

impl Document {
    fn new() -> Self {
        let metrics = catalogue::ALL.iter().map(|family| Metric {
            name: family.name,
            kind: family.kind.as_str(),
            labels: family.labels,
            help: family.help,
            unit: family.unit,
            buckets: match family.kind {
                Type::Histogram(bounds) => Some(bounds),
                Type::Gauge | Type::Counter => None,
            },
        });
        Document { schema: SCHEMA, metrics: metrics.collect() }
    }
}
