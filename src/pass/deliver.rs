//! Brings the exposition to every output, and takes it back.

use std::slice;
use std::time::Duration;

use super::{Performed, lock};
use crate::clock::Deadline;
use crate::config::settings::{OutputSettings, PushgatewaySettings, Settings, TextfileSettings};
use crate::exit;
use crate::model::delivery::Delivery;
use crate::proc::hung;
use crate::sink;
use crate::sink::heartbeat::{self, Heartbeat};

/// A directory of textfiles may take so long to answer: long for a busy disk, and something is left for a Pushgateway.
const TEXTFILE_LIMIT: Duration = Duration::from_secs(5);

/// And so much longer than the pass has: a pass ends by its deadline plus 1 s.
const GRACE: Duration = Duration::from_millis(500);

const MOUNT: &str = "see to its mount: `findmnt -T` names it";

/// The name of an output, its destination for people, and what became of it.
pub type Done<T> = (&'static str, String, anyhow::Result<T>);

/// Does something with every output. None stops another, a bug included; the one that may take its time comes after the file.
fn each<T>(
    settings: &OutputSettings,
    to_textfile: impl FnOnce(&TextfileSettings) -> anyhow::Result<T>,
    to_pushgateway: impl FnOnce(&PushgatewaySettings) -> anyhow::Result<T>,
) -> Vec<Done<T>> {
    let or_bug = |done: Result<anyhow::Result<T>, String>| done.unwrap_or_else(|broke| Err(exit::bug(broke)));
    let textfile = settings.textfile.as_ref().map(|textfile| {
        let path = sink::textfile::path(textfile).display().to_string();
        ("textfile", path, or_bug(hung::caught(|| to_textfile(textfile))))
    });
    let pushgateway = settings.pushgateway.as_ref().map(|gateway| {
        let destination = sink::pushgateway::destination(gateway);
        ("pushgateway", destination, or_bug(hung::caught(|| to_pushgateway(gateway))))
    });
    let broken =
        settings.broken.iter().map(|broken| (broken.output, "(not known)".to_owned(), Err(sink::broken(broken))));
    textfile.into_iter().chain(pushgateway).chain(broken).collect()
}

/// Brings the exposition to every output, and warns of what other textfiles beside ours make node_exporter leave out.
/// Without an exposition nothing is delivered, since node_exporter would reject it: the last good delivery stays.
pub(super) fn deliver(settings: &OutputSettings, exposition: &anyhow::Result<String>, performed: &mut Performed) {
    let (deadline, warnings) = (performed.deadline, &mut performed.warnings);
    let text = || exposition.as_ref().map_err(exit::bug);
    let done = each(
        settings,
        |textfile| to_textfile(textfile, settings.defaulted, text()?, deadline, warnings),
        |gateway| sink::pushgateway::deliver(gateway, text()?, deadline),
    );
    performed.deliveries.extend(done.into_iter().map(ended));
}

/// Works in the directory of textfiles for as long as is left, or not at all where that does not answer.
fn to_textfile(
    textfile: &TextfileSettings,
    defaulted: bool,
    exposition: &str,
    deadline: Deadline,
    warnings: &mut Vec<String>,
) -> anyhow::Result<()> {
    let places = [textfile.directory.clone(), sink::textfile::path(textfile)];
    let limit = Deadline::after((deadline.left() + GRACE).min(TEXTFILE_LIMIT));
    let (settings, text) = (textfile.clone(), exposition.to_owned());
    let worked = hung::within(&places, limit, move || {
        if defaulted {
            // The built-in fallback lies in the state directory; where it cannot be made, the delivery says so.
            let _ = std::fs::create_dir_all(&settings.directory);
        }
        sink::textfile::deliver(&settings, &text).map(|()| (settings, text))
    });
    let (settings, text) = worked.map_err(|error| exit::trouble(error, MOUNT))??;
    // It is delivered, however long the other files take; where they hang, the next delivery goes on without a look at them.
    let clashes = hung::within(&places[1..], limit, move || sink::textfile::clashes(&settings, &text));
    warnings.extend(clashes.unwrap_or_default());
    Ok(())
}

fn ended((output, destination, result): Done<()>) -> Delivery {
    Delivery { output, destination, error: result.err().map(|error| exit::sentence(&error)) }
}

/// Tells the dead man's switch, if there is one, how the pass ended: `wrong` is empty for a good one.
pub(super) fn end_heartbeat(
    heartbeat: &mut Option<Heartbeat<'_>>,
    wrong: &str,
    deadline: Option<Deadline>,
) -> Option<Delivery> {
    let heartbeat = heartbeat.as_mut()?;
    let result = heartbeat.end(wrong, deadline.unwrap_or_else(|| Deadline::after(heartbeat::ONE_PING)));
    Some(ended(("heartbeat", heartbeat.destination(), result)))
}

/// Removes the textfile and deletes the Pushgateway group; what became of each, in words.
/// Errors: Another pass at work (exit 75), which would deliver again right away.
pub fn withdraw(settings: &Settings) -> anyhow::Result<Vec<Done<&'static str>>> {
    let _lock = lock::take(&settings.probe.state_dir, Duration::ZERO)?;
    let deadline = Deadline::after(settings.probe.deadline);
    Ok(each(
        &settings.output,
        |textfile| {
            let own = textfile.clone();
            let work = move || sink::textfile::withdraw(&own);
            let worked = hung::within(slice::from_ref(&textfile.directory), deadline.sooner(TEXTFILE_LIMIT), work);
            let was = worked.map_err(|error| exit::trouble(error, MOUNT))??;
            Ok(if was { "withdrawn" } else { "is not there: nothing to withdraw" })
        },
        // The gateway does not say whether the group was there.
        |gateway| sink::pushgateway::withdraw(gateway, deadline).map(|()| "holds nothing of this host any more"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::command_line;
    use crate::config::settings::BrokenOutput;

    #[test]
    fn an_output_that_breaks_costs_itself_alone() {
        let textfile = TextfileSettings { directory: "/nowhere".into(), file: "a.prom".into() };
        let gateway = command_line::pushgateway("http://127.0.0.1:1", None).expect("a gateway");
        let broken = BrokenOutput { output: "heartbeat", problem: "no variable".into() };
        let settings = OutputSettings {
            textfile: Some(textfile),
            pushgateway: Some(gateway),
            broken: vec![broken],
            ..OutputSettings::default()
        };
        let done = each(&settings, |_| panic!("odd"), |_| Ok(()));
        let of: Vec<_> = done.iter().map(|(name, _, result)| (*name, result.is_ok())).collect();
        assert_eq!(of, [("textfile", false), ("pushgateway", true), ("heartbeat", false)]);
        assert!(done[0].2.as_ref().is_err_and(|error| error.to_string().contains("panicked (odd)")));
    }
}
