//! `lab-probe withdraw`: take back what was delivered.

use crate::cli::Cli;
use crate::clock::Deadline;
use crate::config::settings::Settings;
use crate::exit::{self, Exit};
use crate::log;
use crate::sink;
use crate::state::lock::{self, LockError};

/// Removes the textfile and deletes the Pushgateway group. One that fails does not keep the other.
/// Errors: Configuration (exit 2); another pass at work (exit 75), which would deliver again right away.
pub(super) fn run(cli: &Cli) -> anyhow::Result<Exit> {
    let settings = super::load_settings_aloud(cli)?;
    let _lock = match lock::take(&settings.probe.state_dir) {
        Ok(lock) => Some(lock),
        Err(LockError::Held) => return Err(exit::locked(&settings.probe.state_dir)),
        // Without a state directory passes cannot be kept apart either.
        Err(LockError::Unavailable(_)) => None,
    };
    let outputs = withdraw(&settings);
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

fn withdraw(settings: &Settings) -> Vec<(&'static str, String, anyhow::Result<&'static str>)> {
    let output = &settings.output;
    let textfile = output.textfile.as_ref().map(|textfile| {
        let destination = sink::textfile::path(textfile).display().to_string();
        let outcome = |was: bool| if was { "withdrawn" } else { "is not there: nothing to withdraw" };
        ("textfile", destination, sink::textfile::withdraw(textfile).map(outcome))
    });
    let deadline = Deadline::after(settings.probe.deadline);
    let pushgateway = output.pushgateway.as_ref().map(|pushgateway| {
        // The gateway does not say whether the group was there.
        let result = sink::pushgateway::withdraw(pushgateway, deadline).map(|()| "holds nothing of this host any more");
        ("pushgateway", sink::pushgateway::destination(pushgateway), result)
    });
    let broken =
        output.broken.iter().map(|broken| (broken.output, "(not known)".to_owned(), Err(sink::broken(broken))));
    textfile.into_iter().chain(pushgateway).chain(broken).collect()
}
