//! Secrets that are known, taken out of foreign text: out of what a server prints, answers or calls itself.
//!
//! What is known is what a configuration gives a server. Of that only what a variable's name or its own look makes
//! secret is taken out: masking `info` or `stdio` wherever they stand would hide the reason of a failure.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::percent_decode_str;
use regex_lite::{Captures, Regex};
use serde_json::Value;
use url::Url;

use super::shown::{MASK, announced, is_telling, looks_secret};
use super::{CLOSE, CUT, OPEN, Secret};
use crate::log::printable;

/// Bytes below which text is no secret, and no part of one that would tell anything.
const SHORTEST: usize = 4;

/// Encoded text up to this size is looked into.
const LONGEST_ENCODED: usize = 8 << 10;

/// Last words of a variable's name that say what its value is, and that it is no secret.
const PLAIN_NAMES: &[&str] = &[
    "file", "path", "dir", "directory", "sock", "socket", "host", "port", "mode", "type", "level", "name", "url", "uri",
];

/// Values that are no secret whatever their variable is called.
const PLAIN_VALUES: &[&str] = &[
    "true", "false", "none", "null", "auto", "default", "basic", "bearer", "oauth", "oauth2", "apikey", "stdio",
    "http", "https", "localhost", "info", "debug", "error", "warn", "warning", "enabled", "disabled", "required",
    "optional",
];

static IN_BASE64: LazyLock<Regex> = LazyLock::new(|| words("A-Za-z0-9+/_-"));
static IN_URL: LazyLock<Regex> = LazyLock::new(|| words("A-Za-z0-9%+._~*!'()-"));

/// Runs of such characters, and the padding behind them.
fn words(characters: &str) -> Regex {
    Regex::new(&format!("([{characters}]+)=*")).unwrap_or_else(|error| unreachable!("{error}"))
}

/// Secrets in every form in which they are looked for, the longest first: as they are, their lines, and both as they stand in
/// quoted strings.
#[derive(Debug, Clone, Default)]
pub struct KnownSecrets(Vec<Secret>);

impl KnownSecrets {
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        Self::of_texts(secrets.into_iter().map(|secret| secret.expose().to_owned()))
    }

    /// What is secret among the arguments and variables that a program is given.
    pub fn of_program(args: &[Secret], env: &BTreeMap<String, Secret>) -> Self {
        let variables = env.iter().flat_map(|(name, value)| parts(value.expose(), names_secret(name, value.expose())));
        Self::of_texts(of_arguments(args).into_iter().chain(variables))
    }

    fn of_texts(texts: impl IntoIterator<Item = String>) -> Self {
        let mut plain: Vec<String> = Vec::new();
        for text in texts {
            // A key in PEM is often quoted line by line.
            plain.extend(text.lines().map(|line| line.trim().to_owned()).filter(|_| text.trim().contains('\n')));
            plain.push(text);
        }
        plain.retain(|text| text.len() >= SHORTEST);
        let mut forms: Vec<String> = plain.iter().flat_map(|text| in_quotes(text)).chain(plain.clone()).collect();
        // A secret may contain another one.
        forms.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        forms.dedup();
        KnownSecrets(forms.into_iter().map(Secret::new).collect())
    }

    /// The text with every secret masked: as it is, as it stands in a quoted string, percent-encoded, inside base64,
    /// and what is left of it in front of a [`CUT`].
    pub fn redact(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        let text = self.0.iter().fold(text.to_owned(), |text, form| text.replace(form.expose(), MASK));
        let text = self.without_words(&text, &IN_BASE64, |word| {
            let engines = [STANDARD, URL_SAFE].map(|alphabet| GeneralPurpose::new(&alphabet, DECODING));
            engines.iter().find_map(|engine| engine.decode(word).ok()).unwrap_or_default()
        });
        let text = self.without_words(&text, &IN_URL, |word| percent_decode_str(&word.replace('+', " ")).collect());
        if text.contains(CUT) { self.without_beginnings(&text) } else { text }
    }

    /// The sentence with the secrets masked in what it quotes; its own words stay, whatever a secret is.
    pub fn redact_quotes(&self, sentence: &str) -> String {
        let mut pieces = sentence.split(OPEN);
        let mut redacted = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (quoted, own) = piece.split_at(piece.find(CLOSE).unwrap_or(piece.len()));
            redacted.extend([OPEN.to_string(), self.redact(quoted), own.to_owned()]);
        }
        redacted
    }

    /// Masks the words, with the padding behind them, that hold a secret once decoded.
    fn without_words(&self, text: &str, words: &Regex, decode: impl Fn(&str) -> Vec<u8>) -> String {
        let shown = words.replace_all(text, |found: &Captures<'_>| {
            let word = Some(&found[1]).filter(|word| (2 * SHORTEST..=LONGEST_ENCODED).contains(&word.len()));
            let decoded = word.map(&decode).unwrap_or_default();
            let is_secret = |secret: &Secret| memchr::memmem::find(&decoded, secret.expose().as_bytes()).is_some();
            if self.0.iter().any(is_secret) { MASK.to_owned() } else { found[0].to_owned() }
        });
        shown.into_owned()
    }

    /// Masks the beginning of a secret right in front of a cut.
    fn without_beginnings(&self, text: &str) -> String {
        let masked = |piece: &str| {
            let piece = piece.strip_suffix(CUT)?;
            let begun = self.0.iter().map(Secret::expose).filter_map(|secret| {
                let mut ends = secret.char_indices().map(|(at, _)| at).rev().take_while(|&at| at >= SHORTEST);
                ends.find(|&end| piece.ends_with(&secret[..end]))
            });
            begun.max().map(|length| format!("{}{MASK}{CUT}", &piece[..piece.len() - length]))
        };
        text.split_inclusive(CUT).map(|piece| masked(piece).unwrap_or_else(|| piece.to_owned())).collect()
    }
}

/// Replaces every occurrence of these secrets in foreign text.
pub fn redact(text: &str, secrets: &[Secret]) -> String {
    KnownSecrets::new(secrets).redact(text)
}

/// What may be a key in a URL: userinfo, values of the query, segments of the path.
pub fn secrets_in_url(url: &Url) -> Vec<String> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    // With a password the user's name is none, unless it looks like one.
    let name = Some(url.username()).filter(|name| url.password().is_none() || looks_secret(name));
    let userinfo = name.into_iter().chain(url.password()).flat_map(|text| [text.to_owned(), decode(text)]);
    let is_key = |name: &str, value: &str| {
        let mixed = value.bytes().any(|b| b.is_ascii_digit()) && value.bytes().any(|b| b.is_ascii_alphabetic());
        is_telling(name) || looks_secret(value) || (mixed && value.len() >= 2 * SHORTEST)
    };
    let query = url.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let query = query.filter(|(name, value)| is_key(name, &decode(value)));
    let query = query.flat_map(|(_, value)| [value.to_owned(), decode(value)]);
    let path = url.path_segments().into_iter().flatten().filter(|segment| looks_secret(segment));
    userinfo.chain(query).chain(path.map(str::to_owned)).filter(|text| !text.is_empty()).collect()
}

/// The credential in the value of a header, without the scheme in front of it.
pub fn credential_of(value: &str) -> &str {
    let value = value.trim();
    let scheme = |value: &str| ["bearer", "basic", "token"].iter().any(|scheme| value.eq_ignore_ascii_case(scheme));
    match value.split_once(' ') {
        Some((first, credential)) if scheme(first) => credential.trim(),
        None if scheme(value) => "",
        _ => value,
    }
}

/// What is secret in the value of a variable or argument; all of it if its name says so.
fn parts(value: &str, named: bool) -> Vec<String> {
    let mut parts = Vec::new();
    if let Some(url) = value.contains("://").then(|| Url::parse(value).ok()).flatten() {
        parts.extend(secrets_in_url(&url));
    } else if !named {
        let words = value.split(|c: char| c.is_whitespace() || ",;\"'".contains(c));
        parts.extend(
            words.flat_map(|word| [word, word.split_once('=').map_or("", |(_, value)| value)]).map(str::to_owned),
        );
        parts.retain(|word| looks_secret(word));
    }
    if named {
        parts.extend([value.to_owned(), credential_of(value).to_owned()]);
    }
    // `--config {"apiKey": …}`, `HEADERS={"Authorization": …}`
    for (name, value) in serde_json::from_str::<BTreeMap<String, Value>>(value).unwrap_or_default() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        parts.extend(self::parts(&text, names_secret(&name, &text)));
    }
    parts
}

fn of_arguments(args: &[Secret]) -> Vec<String> {
    let mut secrets = Vec::new();
    for (arg, is_announced) in announced(args.iter().map(Secret::expose)) {
        let named = arg.split_once(['=', ':']);
        let named = named.filter(|(name, value)| !value.starts_with("//") && !name.contains(char::is_whitespace));
        let (name, value) = named.map_or(("", arg), |(name, value)| (name, value.trim()));
        secrets.extend(parts(arg, is_announced && (!arg.starts_with('-') || !name.is_empty())));
        if !name.is_empty() {
            secrets.extend(parts(value, is_announced || names_secret(name, value)));
        }
    }
    secrets
}

/// Whether a variable's name makes its value a secret.
fn names_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let last = name.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let number = value.len() <= 5 && value.bytes().all(|b| b.is_ascii_digit());
    is_telling(&name)
        && !PLAIN_NAMES.contains(&last)
        && !number
        && !PLAIN_VALUES.contains(&value.to_ascii_lowercase().as_str())
}

/// A text as it stands in a quoted string of Rust, JSON, JSON in ASCII, JSON inside JSON, and in one line.
fn in_quotes(text: &str) -> [String; 5] {
    let json = |text: &str| Value::from(text).to_string().trim_matches('"').to_owned();
    let once = json(text);
    let ascii = once.chars().map(|c| {
        let mut units = [0; 2];
        if c.is_ascii() {
            c.to_string()
        } else {
            c.encode_utf16(&mut units).iter().map(|u| format!("\\u{u:04x}")).collect()
        }
    });
    [text.escape_debug().to_string(), ascii.collect(), json(&once), printable(text), once]
}

const DECODING: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    fn known(args: &[&str], env: &[(&str, &str)]) -> KnownSecrets {
        let args: Vec<Secret> = args.iter().copied().map(Secret::new).collect();
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect();
        KnownSecrets::of_program(&args, &env)
    }

    #[test]
    fn only_what_a_name_or_a_look_makes_secret_is_masked() {
        let secrets = known(
            &[
                "server",
                "start",
                "--key=s3cr3t-1",
                "--token",
                "s3cr3t-2",
                "/srv/data",
                "--port",
                "5432",
                "-H",
                "X: s3cr3t-6",
                "--Jira:ApiToken",
                "s3cr3t-7",
                "--config",
                r#"{"at": "x", "of": {"apiKey": "s3cr3t-8"}}"#,
            ],
            &[
                ("API_TOKEN", "s3cr3t-3"),
                ("DATABASE_URL", "postgres://joe:s3cr3t-4@db/x?sslmode=disable"),
                ("PATH", "/usr/bin"),
                ("LOG_LEVEL", "error"),
                ("DB_HOST", "localhost"),
                ("AUTH_MODE", "stdio"),
                ("KEY_FILE", "/home/me/key.pem"),
                ("MODEL", "claude-3-5-sonnet-20241022"),
                ("EXTRA", "--opt ghp_0123456789abcdef"),
                ("HEADERS", r#"{"Authorization": "Bearer s3cr3t-9"}"#),
            ],
        );
        let own = "error: server start on localhost port 5432, stdio; /srv/data /usr/bin /home/me/key.pem joe \
                   claude-3-5-sonnet-20241022 disable";
        assert_eq!(secrets.redact(own), own);
        for n in 1..=4 {
            assert_eq!(secrets.redact(&format!("no s3cr3t-{n}!")), "no ***!", "{n}");
        }
        assert_eq!(secrets.redact("s3cr3t-6, s3cr3t-7 and ghp_0123456789abcdef"), "***, *** and ***");
        assert_eq!(secrets.redact("s3cr3t-8 and s3cr3t-9 at x"), "*** and *** at x");
    }

    #[test]
    fn every_line_of_a_key_and_every_form_of_a_secret_is_masked() {
        let key = "-----BEGIN KEY-----\nMIIEsecretline1\nab\nsecretline2é\n-----END KEY-----\n";
        let secrets = known(&[], &[("PRIVATE_KEY", key), ("PASSWORD", "pä ss\"wörd")]);
        for line in ["MIIEsecretline1", "at secretline2é ⏎ ", "MIIEsecretline1\\nab\\nsecretline2\\u00e9"] {
            assert!(!secrets.redact(line).contains("secretline"), "{}", secrets.redact(line));
        }
        let base64 = BASE64_STANDARD.encode("joe:pä ss\"wörd");
        for form in [
            "pä ss\"wörd",
            "pä ss\\\"wörd",
            "p\\u00e4 ss\\\"w\\u00f6rd",
            "pä ss\\\\\\\"wörd",
            "p%C3%A4%20ss%22w%C3%B6rd",
            "p%c3%a4+ss%22w%c3%b6rd",
            base64.as_str(),
            base64.trim_end_matches('='),
        ] {
            assert_eq!(secrets.redact(&format!("<{form}>")), "<***>", "{form}");
        }
        assert_eq!(secrets.redact("initialize /srv/data TUlJRX"), "initialize /srv/data TUlJRX");
    }

    #[test]
    fn half_a_secret_before_a_cut_is_masked_too() {
        let secrets = [Secret::new("s3cr3t-token"), Secret::new("pa\"ss\\word"), Secret::new("a")];
        assert_eq!(
            redact("it says s3cr3t-to… and more s3cr… and s3c… a", &secrets),
            "it says ***… and more ***… and s3c… a"
        );
        assert_eq!(redact(r#"{"a": "pa\"ss\\word", "b": "pa\"s…"#, &secrets), r#"{"a": "***", "b": "***…"#);
        assert_eq!(redact("s3cr3t-to and more", &secrets), "s3cr3t-to and more", "nothing is cut there");
    }

    #[test]
    fn in_a_sentence_only_what_it_quotes_is_masked() {
        let secrets = known(&[], &[("TOKEN", "server"), ("SECRET", "initialize")]);
        assert_eq!(
            secrets.redact_quotes("no answer to server/discover and initialize; stderr: “bad server: initialize”"),
            "no answer to server/discover and initialize; stderr: “bad ***: ***”"
        );
    }

    #[test]
    fn the_scheme_of_a_credential_is_none() {
        for (value, credential) in [("Bearer x", "x"), ("Bearer ", ""), ("bearer", ""), ("x y", "x y"), (" ", "")] {
            assert_eq!(credential_of(value), credential, "{value:?}");
        }
    }
}
