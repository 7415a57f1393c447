//! `lab-probe metrics`: the catalogue, as a table or as JSON.

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use crate::cli::{Cli, ListFormat};
use crate::exit::Exit;
use crate::metrics::catalogue::{self, Family, Type};
use crate::show::style::{Ink, Style, pad};

pub(super) fn run(cli: &Cli, format: ListFormat) -> anyhow::Result<Exit> {
    let text = match format {
        ListFormat::Table => table(super::style(cli)),
        ListFormat::Json => format!("{:#}\n", document()),
    };
    super::print(&text)
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

fn document() -> Value {
    let metrics = catalogue::ALL.iter().map(|family| {
        let Family { name, labels, help, unit, .. } = family;
        let mut metric =
            json!({ "name": name, "type": family.kind.as_str(), "labels": labels, "help": help, "unit": unit });
        if let Type::Histogram(bounds) = family.kind {
            metric["buckets"] = json!(bounds);
        }
        metric
    });
    // The schema's number changes only when a field is removed or means something else.
    json!({ "schema": "lab-probe.metrics/1", "metrics": metrics.collect::<Vec<_>>() })
}
