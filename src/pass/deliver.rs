//! Brings the exposition to every output.

use crate::clock::Deadline;
use crate::config::settings::{OutputSettings, TextfileSettings};
use crate::exit;
use crate::metrics;
use crate::model::delivery::Delivery;
use crate::sink;

/// What other textfiles beside ours would make node_exporter leave out.
pub fn clashes(output: &OutputSettings, exposition: &str) -> Vec<String> {
    output.textfile.as_ref().map_or_else(Vec::new, |textfile| {
        let others = sink::textfile::neighbours(textfile).into_iter().map(|other| (other.path, other.contents));
        metrics::check::clashes(&sink::textfile::path(textfile), exposition, others)
    })
}

/// Brings the exposition to every output. None stops another; the one that may take its time comes last.
pub fn deliver(output: &OutputSettings, exposition: &str, deadline: Deadline) -> Vec<Delivery> {
    let textfile = output.textfile.as_ref().map(|textfile| {
        if output.defaulted {
            // The built-in fallback lies in the state directory; where it cannot be made, the delivery says so.
            let _ = std::fs::create_dir_all(&textfile.directory);
        }
        ended("textfile", textfile_destination(textfile), sink::textfile::deliver(textfile, exposition))
    });
    let pushgateway = output.pushgateway.as_ref().map(|pushgateway| {
        let result = sink::pushgateway::deliver(pushgateway, exposition, deadline);
        ended("pushgateway", sink::pushgateway::destination(pushgateway), result)
    });
    let broken = output.broken.iter().map(|broken| Delivery {
        output: broken.output,
        destination: "(not known)".into(),
        error: Some(exit::sentence(&sink::broken(broken))),
    });
    textfile.into_iter().chain(pushgateway).chain(broken).collect()
}

fn textfile_destination(textfile: &TextfileSettings) -> String {
    sink::textfile::path(textfile).display().to_string()
}

fn ended(output: &'static str, destination: String, result: anyhow::Result<()>) -> Delivery {
    Delivery { output, destination, error: result.err().map(|error| exit::sentence(&error)) }
}

/// Nothing is delivered that node_exporter would reject; the last good delivery stays.
pub fn undeliverable(output: &OutputSettings, why: &anyhow::Error) -> Vec<Delivery> {
    let textfile = output.textfile.as_ref().map(|textfile| ("textfile", textfile_destination(textfile)));
    let pushgateway = output.pushgateway.as_ref().map(|push| ("pushgateway", sink::pushgateway::destination(push)));
    [textfile, pushgateway]
        .into_iter()
        .flatten()
        .map(|(output, destination)| Delivery { output, destination, error: Some(exit::sentence(why)) })
        .collect()
}
