//! The daily loss limit, from the config or from the application's `.env`; nothing else of that file is kept.

use std::io;
use std::path::Path;

use crate::fs::read_capped;
use crate::model::thunes::ThunesTarget;

/// The limit where nobody states one, in quote currency.
const DEFAULT_LIMIT: f64 = 20.0;

/// A larger `.env` is none.
const MAX_BYTES: u64 = 1 << 20;

/// The limit in force.
///
/// # Errors
/// A sentence if `.env` is there and cannot be read, or states no positive number: then no ratio to it is right.
pub(super) fn max_daily_loss(target: &ThunesTarget) -> Result<f64, String> {
    if let Some(limit) = target.max_daily_loss {
        return Ok(limit);
    }
    let path = target.root.join(".env");
    match read_capped(&path, MAX_BYTES) {
        Ok(bytes) => match value(&String::from_utf8_lossy(&bytes), "MAX_DAILY_LOSS") {
            None => Ok(DEFAULT_LIMIT),
            // The value itself is not repeated: it comes from a file full of secrets.
            Some(text) => text.parse().ok().filter(|limit: &f64| limit.is_finite() && *limit > 0.0).ok_or_else(|| {
                "MAX_DAILY_LOSS in .env is no positive number; correct it or set max_daily_loss".to_owned()
            }),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(DEFAULT_LIMIT),
        Err(e) => Err(format!("cannot read {} for MAX_DAILY_LOSS: {e}; set max_daily_loss", shown(&path))),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The last value of a key in the usual dialect: `export`, blanks around `=`, quotes, comments.
fn value(text: &str, key: &str) -> Option<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines().rev().find_map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        let value = line.strip_prefix(key)?.trim_start().strip_prefix('=')?.trim_start();
        Some(match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].split(quote).next().unwrap_or_default().trim().to_owned(),
            Some('#') | None => String::new(),
            _ => value.split(" #").next().unwrap_or_default().split("\t#").next().unwrap_or_default().trim().to_owned(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_ways_of_writing_a_value_are_read() {
        for (text, expected) in [
            ("MAX_DAILY_LOSS=50", Some("50")),
            ("A=1\nexport MAX_DAILY_LOSS = \"12.5\" # quote currency\r\nB=2", Some("12.5")),
            ("MAX_DAILY_LOSS=1\nMAX_DAILY_LOSS='2'", Some("2")),
            ("MAX_DAILY_LOSS=30 # per day", Some("30")),
            ("#MAX_DAILY_LOSS=30\nMAX_DAILY_LOSSES=3", None),
            ("MAX_DAILY_LOSS=", Some("")),
            ("\u{feff}MAX_DAILY_LOSS=7", Some("7")),
        ] {
            assert_eq!(value(text, "MAX_DAILY_LOSS").as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_limit_that_is_no_positive_number_is_refused_without_being_repeated() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let target = |max_daily_loss| ThunesTarget {
            environment: "testnet".into(),
            root: directory.path().into(),
            positions_db: "positions.db".into(),
            journals: Vec::new(),
            logs: Vec::new(),
            metrics_url: None,
            max_daily_loss,
            unreachable: None,
        };
        assert_eq!(max_daily_loss(&target(None)), Ok(20.0));
        for bad in ["s3cr3t", "0", "-5", "inf", "NaN", ""] {
            std::fs::write(directory.path().join(".env"), format!("MAX_DAILY_LOSS={bad}\n")).expect("written");
            let refused = max_daily_loss(&target(None)).expect_err("refused");
            assert!(!refused.contains("s3cr3t"), "{refused}");
            assert_eq!(max_daily_loss(&target(Some(5.0))), Ok(5.0));
        }
        std::fs::write(directory.path().join(".env"), "API_KEY=x\nMAX_DAILY_LOSS=35.5\n").expect("written");
        assert_eq!(max_daily_loss(&target(None)), Ok(35.5));
    }
}
