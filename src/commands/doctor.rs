//! `lab-probe doctor`: walks the chain from the configuration to Grafana and says what is broken and what mends it.

use crate::cli::{Cli, ListFormat};
use crate::clock;
use crate::exit::{self, Exit};
use crate::model::checkup::Status;
use crate::show::checklist;

pub(super) fn run(cli: &Cli, format: ListFormat, starter: Option<&str>) -> anyhow::Result<Exit> {
    crate::pass::catch_signals()?;
    let findings = crate::doctor::findings(cli.config.as_deref(), starter)?;
    let text = match format {
        ListFormat::Json => checklist::json(&findings, clock::now()).map_err(exit::bug)?,
        ListFormat::Table => checklist::table(&findings, &super::style(cli)),
    };
    let printed = super::print(&text)?;
    Ok(if findings.iter().any(|finding| finding.status == Status::Fail) { Exit::Trouble } else { printed })
}
