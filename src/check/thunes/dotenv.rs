//! The daily loss limit, from the config or from the application's `.env`, which it reads with python-dotenv; nothing else
//! of that file is kept.

use anyhow::{anyhow, bail};

use crate::dotenv::{self, Line};
use crate::fs::{if_there, read_capped};
use crate::model::thunes::ThunesTarget;

/// The limit where nobody states one, in quote currency.
const DEFAULT_LIMIT: f64 = 20.0;

/// A larger `.env` is none.
const MAX_BYTES: u64 = 1 << 20;

const KEY: &str = "MAX_DAILY_LOSS";

/// The limit in force. `was_stated`: the file has stated it before, and does so now.
/// Errors: A sentence if `.env` is there and cannot be read, or states no positive number, or has ceased to state one: then no
/// ratio to any limit is right.
pub(super) fn max_daily_loss(target: &ThunesTarget, was_stated: &mut bool) -> anyhow::Result<f64> {
    if let Some(limit) = target.max_daily_loss {
        return Ok(limit);
    }
    let path = target.root.join(".env");
    let bytes = if_there(read_capped(&path, MAX_BYTES))
        .map_err(|e| anyhow!("cannot read {} for {KEY}: {e}; set max_daily_loss", path.display()))?;
    let stated = bytes.map_or(Ok(None), |bytes| stated(&bytes))?;
    *was_stated |= stated.is_some();
    match stated {
        Some(limit) => Ok(limit),
        None if *was_stated => bail!(".env does not state {KEY} any more; restore it or set max_daily_loss"),
        None => Ok(DEFAULT_LIMIT),
    }
}

/// The limit that the file states. The value itself is never repeated: it comes from a file full of secrets.
fn stated(bytes: &[u8]) -> anyhow::Result<Option<f64>> {
    let text =
        std::str::from_utf8(bytes).map_err(|e| anyhow!(".env is no UTF-8: {e}; correct it or set max_daily_loss"))?;
    match value(text) {
        None => Ok(None),
        Some(None) => bail!("the line of .env with {KEY} cannot be read; correct it or set max_daily_loss"),
        Some(Some(text)) => match text.trim().parse() {
            Ok(limit) if limit > 0.0 && f64::is_finite(limit) => Ok(Some(limit)),
            _ => bail!("{KEY} in .env is no positive number; correct it or set max_daily_loss"),
        },
    }
}

/// What a file says of the key. `Some(None)`: it is there, and nobody can say what the application makes of it.
fn value(text: &str) -> Option<Option<String>> {
    let mut found = None;
    for line in dotenv::lines(text) {
        match line {
            // A reference to a variable means that of the application's environment, which is not known.
            Line::Binding(KEY, Some(value)) if !value.contains("${") => found = Some(Some(value)),
            // python-dotenv takes a byte order mark for a part of the first key.
            Line::Binding(key, _) if key.trim_start_matches('\u{feff}') == KEY => found = Some(None),
            Line::Unreadable(line) if line.contains(KEY) => found = Some(None),
            Line::Binding(..) | Line::Unreadable(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_what_python_dotenv_reads() {
        let text = |value: &str| Some(Some(value.to_owned()));
        for (file, expected) in [
            ("MAX_DAILY_LOSS=50", text("50")),
            ("A=1\nexport MAX_DAILY_LOSS = \"12.5\" # quote currency\r\nB=2", text("12.5")),
            ("export\tMAX_DAILY_LOSS=\t7\t# x", text("7")),
            ("MAX_DAILY_LOSS=1\nMAX_DAILY_LOSS='2'", text("2")),
            ("'MAX_DAILY_LOSS'=2", text("2")),
            ("MAX_DAILY_LOSS=30 # per day", text("30")),
            ("MAX_DAILY_LOSS=30#per day", text("30#per day")),
            ("#MAX_DAILY_LOSS=30\nMAX_DAILY_LOSSES=3", None),
            ("KEY=\"first\nMAX_DAILY_LOSS=999\nlast\"\nMAX_DAILY_LOSS=5\n", text("5")),
            ("KEY='a\\'\nMAX_DAILY_LOSS=999\n'\n", None),
            ("KEY=\"a\nMAX_DAILY_LOSS=9\n\" x\nB=1", Some(None)),
            ("MAX_DAILY_LOSS=\"4\n0\"", text("4\n0")),
            ("MAX_DAILY_LOSS=", text("")),
            ("MAX_DAILY_LOSS\n", Some(None)),
            ("MAX_DAILY_LOSS=\"50\nB=1", Some(None)),
            ("MAX_DAILY_LOSS='50' 60", Some(None)),
            ("MAX_DAILY_LOSS 50", Some(None)),
            ("MAX_DAILY_LOSS=${LIMIT}", Some(None)),
            ("\u{feff}MAX_DAILY_LOSS=7", Some(None)),
            ("=x\nMAX_DAILY_LOSS=7", text("7")),
        ] {
            assert_eq!(value(file), expected, "{file:?}");
        }
    }

    #[test]
    fn a_limit_that_cannot_be_read_is_refused_without_being_repeated() {
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
        let limit = |limit: Option<f64>, was_stated: bool| {
            max_daily_loss(&target(limit), &mut { was_stated }).map_err(|why| why.to_string())
        };
        assert_eq!(limit(None, false), Ok(20.0));
        assert!(limit(None, true).is_err(), "gone, and the application may still use it");
        for bad in ["s3cr3t", "0", "-5", "inf", "NaN", "", "1e999", "'5"] {
            std::fs::write(directory.path().join(".env"), format!("MAX_DAILY_LOSS={bad}\n")).expect("written");
            let refused = limit(None, false).expect_err("refused");
            assert!(!refused.contains("s3cr3t"), "{refused}");
            assert_eq!(limit(Some(5.0), false), Ok(5.0));
        }
        std::fs::write(directory.path().join(".env"), "API_KEY=x\nMAX_DAILY_LOSS=35.5\n").expect("written");
        assert_eq!(limit(None, false), Ok(35.5));
        std::fs::write(directory.path().join(".env"), "").expect("written");
        assert!(limit(None, true).is_err(), "emptied while it is rewritten");
    }
}
