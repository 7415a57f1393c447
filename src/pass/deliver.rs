//! Brings the exposition to every output.

use std::time::Duration;

use crate::clock::Deadline;
use crate::config::settings::{OutputSettings, TextfileSettings};
use crate::exit;
use crate::metrics;
use crate::model::delivery::Delivery;
use crate::proc::hung;
use crate::sink;

/// A directory of textfiles may take so long to answer: long for a busy disk, and something is left for a Pushgateway.
const TEXTFILE_LIMIT: Duration = Duration::from_secs(5);

/// And so much longer than the pass has: a pass ends by its deadline plus 1 s.
const GRACE: Duration = Duration::from_millis(500);

/// What became of the exposition.
#[derive(Debug, Default)]
pub struct Delivered {
    /// How each output fared.
    pub deliveries: Vec<Delivery>,
    /// What other textfiles beside ours make node_exporter leave out, a sentence each.
    pub clashes: Vec<String>,
}

/// Brings the exposition to every output. None stops another; the one that may take its time comes last.
pub fn deliver(output: &OutputSettings, exposition: &str, deadline: Deadline) -> Delivered {
    let mut delivered = Delivered::default();
    if let Some(textfile) = &output.textfile {
        let (result, clashes) = to_textfile(textfile, output.defaulted, exposition, deadline);
        delivered.deliveries.push(ended("textfile", textfile_destination(textfile), result));
        delivered.clashes = clashes;
    }
    let pushgateway = output.pushgateway.as_ref().map(|pushgateway| {
        let result = sink::pushgateway::deliver(pushgateway, exposition, deadline);
        ended("pushgateway", sink::pushgateway::destination(pushgateway), result)
    });
    let broken = output.broken.iter().map(|broken| Delivery {
        output: broken.output,
        destination: "(not known)".into(),
        error: Some(exit::sentence(&sink::broken(broken))),
    });
    delivered.deliveries.extend(pushgateway.into_iter().chain(broken));
    delivered
}

/// Works in the directory of textfiles for as long as is left, or not at all where that does not answer.
fn to_textfile(
    textfile: &TextfileSettings,
    defaulted: bool,
    exposition: &str,
    deadline: Deadline,
) -> (anyhow::Result<()>, Vec<String>) {
    let path = sink::textfile::path(textfile);
    let limit = Deadline::after((deadline.left() + GRACE).min(TEXTFILE_LIMIT));
    let (settings, text) = (textfile.clone(), exposition.to_owned());
    let worked = hung::within(&[textfile.directory.clone(), path.clone()], limit, move || {
        if defaulted {
            // The built-in fallback lies in the state directory; where it cannot be made, the delivery says so.
            let _ = std::fs::create_dir_all(&settings.directory);
        }
        (sink::textfile::deliver(&settings, &text), sink::textfile::neighbours(&settings))
    });
    match worked {
        Ok((result, neighbours)) => (result, metrics::check::clashes(&path, exposition, neighbours)),
        Err(error) => (Err(exit::trouble(error, "see to its mount: `findmnt -T` names it")), Vec::new()),
    }
}

fn textfile_destination(textfile: &TextfileSettings) -> String {
    sink::textfile::path(textfile).display().to_string()
}

fn ended(output: &'static str, destination: String, result: anyhow::Result<()>) -> Delivery {
    Delivery { output, destination, error: result.err().map(|error| exit::sentence(&error)) }
}

/// Nothing is delivered that node_exporter would reject; the last good delivery stays.
pub fn undeliverable(output: &OutputSettings, why: &anyhow::Error) -> Delivered {
    let textfile = output.textfile.as_ref().map(|textfile| ("textfile", textfile_destination(textfile)));
    let pushgateway = output.pushgateway.as_ref().map(|push| ("pushgateway", sink::pushgateway::destination(push)));
    let failed = |(output, destination)| Delivery { output, destination, error: Some(exit::sentence(why)) };
    let deliveries = [textfile, pushgateway].into_iter().flatten().map(failed).collect();
    Delivered { deliveries, ..Delivered::default() }
}
