//! `lab-probe withdraw`: take back what was delivered.

use crate::cli::Cli;
use crate::exit::{self, Exit};
use crate::log;
use crate::pass::deliver;

/// Removes the textfile and deletes the Pushgateway group. One that fails does not keep the other.
pub(super) fn run(cli: &Cli) -> anyhow::Result<Exit> {
    let outputs = deliver::withdraw(&super::load_settings_aloud(cli.config.as_deref())?)?;
    let mut text = String::new();
    for (name, destination, result) in &outputs {
        match result {
            Ok(outcome) => text += &format!("{name}: {destination} {outcome}\n"),
            Err(error) => log::error(format!("{name} {destination}: {}", exit::sentence(error))),
        }
    }
    let done = outputs.iter().all(|(_, _, result)| result.is_ok());
    let printed = super::print(&text)?;
    Ok(if done { printed } else { Exit::Trouble })
}
