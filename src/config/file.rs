//! The file as written: read within bounds, decoded, parsed with the place of every value.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use toml::Spanned;
use toml::de::DeTable;

use super::diagnose::{ConfigError, Lines, Problem};
use crate::fs;

/// A configuration of a thousand servers has a few hundred kilobytes.
const LIMIT: u64 = 2 << 20;

/// Reads the configuration file at `real`, which messages call `path`: its text, and the open file, whose owner and mode
/// can still be asked.
/// Errors: a sentence of its own for a directory, a FIFO, a device, a file that is too large, NUL bytes, and invalid UTF-8.
pub(crate) fn read(path: &Path, real: &Path) -> Result<(String, File), ConfigError> {
    let refused = |error| ConfigError::whole(path, unreadable(real, &error));
    let file = fs::open_regular(real).map_err(refused)?;
    let bytes = fs::read_open(&file, LIMIT).map_err(refused)?;
    Ok((decode(path, &bytes)?, file))
}

fn unreadable(real: &Path, error: &io::Error) -> String {
    let what = match (error.kind(), real.metadata().map(|metadata| metadata.file_type())) {
        (io::ErrorKind::FileTooLarge, _) => return format!("larger than {} MiB; no configuration is", LIMIT >> 20),
        (io::ErrorKind::NotFound, _) => return "a symbolic link to nothing".into(),
        (io::ErrorKind::InvalidInput, Ok(kind)) if kind.is_dir() => "a directory",
        (io::ErrorKind::InvalidInput, Ok(kind)) if kind.is_fifo() => "a FIFO",
        (io::ErrorKind::InvalidInput, Ok(kind)) if kind.is_socket() => "a socket",
        (io::ErrorKind::InvalidInput, Ok(_)) => "a device",
        _ => return format!("cannot be read: {}", fs::explained(error)),
    };
    format!("{what}, not a file; an empty file would hold the defaults")
}

pub(super) fn decode(path: &Path, bytes: &[u8]) -> Result<String, ConfigError> {
    let nul = bytes.iter().position(|&byte| byte == 0);
    let before = &bytes[..nul.unwrap_or(bytes.len())];
    let (valid, message) = match (std::str::from_utf8(before), nul) {
        (Ok(text), None) => return Ok(text.to_owned()),
        (Ok(text), Some(_)) => (text, "a NUL byte: not a text file, or one that was damaged"),
        (Err(error), _) => {
            let valid = &before[..error.valid_up_to()];
            (std::str::from_utf8(valid).unwrap_or_default(), "not UTF-8 from here on; TOML is always UTF-8")
        }
    };
    let position = Some(Lines::new(valid).position(valid.len()));
    Err(ConfigError { path: path.to_owned(), problems: vec![Problem { position, message: message.into() }] })
}

/// Syntax errors looked at: a large file of something else has one on every line.
const MANY: usize = 1000;

/// Parses TOML.
/// Errors: every syntax error at its place. What the keys mean is not looked at then: after a syntax error it is uncertain
/// which section they belong to.
pub(crate) fn parse<'t>(path: &Path, text: &'t str) -> Result<Spanned<DeTable<'t>>, ConfigError> {
    DeTable::parse(text).map_err(|_first| {
        let (_, errors) = DeTable::parse_recoverable(text);
        let lines = Lines::new(text);
        let mut problems: Vec<Problem> = errors
            .iter()
            .take(MANY)
            .map(|error| Problem {
                position: error.span().map(|span| lines.position(span.start)),
                message: format!("not TOML: {}", error.message()),
            })
            .collect();
        problems.sort_by_key(|problem| problem.position);
        // One mistake mostly makes several errors on its line; the first of them is the telling one.
        problems.dedup_by_key(|problem| problem.position.map(|place| place.line));
        ConfigError { path: path.to_owned(), problems }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_refused_with_its_place() {
        let refused = |bytes: &[u8]| decode(Path::new("c"), bytes).expect_err("refused").to_string();
        assert_eq!(refused(b"a = 1\nb\0"), "c:2:2: a NUL byte: not a text file, or one that was damaged");
        assert_eq!(refused(b"a = 1\n\xc3\xa9\xff"), "c:2:2: not UTF-8 from here on; TOML is always UTF-8");
        assert_eq!(refused(b"\0\xff"), "c:1:1: a NUL byte: not a text file, or one that was damaged");
    }

    #[test]
    fn every_syntax_error_is_told_once_at_its_line() {
        let text = "[probe]\ndeadline = \n[mcp]\nttl = \"5m\nttl = \"5m\"\nttl = \"5m\"\n";
        let error = parse(Path::new("c"), text).expect_err("refused").to_string();
        assert_eq!(
            error.lines().collect::<Vec<_>>(),
            [
                "c:2:12: not TOML: string values must be quoted, expected literal string",
                "c:4:10: not TOML: invalid basic string, expected `\"`",
                "c:5:1: not TOML: duplicate key",
                "c:6:1: not TOML: duplicate key",
            ]
        );
    }
}
