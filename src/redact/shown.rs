//! What may be shown of text that may hold a secret: where nobody can tell, it counts as one.

use std::sync::LazyLock;

use regex_lite::Regex;
use serde::de::IgnoredAny;

/// Stands where a secret stood.
pub const MASK: &str = "***";

/// Parts of the name of a flag, key or variable whose value is a secret …
#[rustfmt::skip] // A row for each would fill the screen.
const TELLING: &[&str] = &[
    "token", "secret", "passw", "pwd", "key", "auth", "credential", "bearer", "cookie", "session", "private",
    "signature", "dsn",
];

/// … whole words of it …
const TELLING_WORDS: &[&str] = &["pat", "pass", "jwt"];

/// … and words that only look like them.
const OTHER_WORDS: &[&str] = &["author", "authors", "keyword", "keywords", "keyboard", "monkey", "oldpwd"];

/// What well-known services put in front of their keys.
#[rustfmt::skip] // A row for each would fill the screen.
const PREFIXES: &[&str] = &[
    "sk-", "sk_", "pk_", "rk_", "ghp_", "gho_", "ghu_", "ghs_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "xapp-",
    "AKIA", "AIza", "eyJ", "hf_", "npm_", "pypi-", "dop_v1_", "ya29.", "sbp_", "figd_", "ntn_", "sntryu_", "sntrys_",
    "ATATT", "glsa_", "gsk_", "nvapi-", "pplx-", "tvly-", "xai-", "whsec_", "SG.",
];

/// What may be shown of a command's arguments, one for one.
pub fn arguments<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    announced(arguments)
        .map(|(argument, is_secret)| if is_secret { mask(argument) } else { mask_argument(argument) })
        .collect()
}

/// Each argument, and whether the one before it announces a secret, as `--token` does.
pub(super) fn announced<'a>(arguments: impl IntoIterator<Item = &'a str>) -> impl Iterator<Item = (&'a str, bool)> {
    let announces = |argument: &str| {
        // A colon may be part of the name, as in .NET's `--Jira:ApiToken VALUE`.
        let has_value = argument.split_once('=').is_some_and(|(_, value)| !value.is_empty());
        argument.starts_with('-') && !has_value && (is_telling(argument) || matches!(argument, "-H" | "--header"))
    };
    let mut announced = false;
    arguments.into_iter().map(move |argument| (argument, std::mem::replace(&mut announced, announces(argument))))
}

/// What may be shown of a command: a program, and the arguments that somebody wrote after it by mistake.
pub fn command(text: &str) -> String {
    let shown = arguments(text.split(' ')).join(" ");
    // A whole path stays one: read back, it must not become one below the configuration's directory.
    if text.starts_with('/') && !shown.starts_with('/') { format!("/{shown}") } else { shown }
}

/// Whether text by itself looks like a key: a known prefix, or a run of letters and digits that nobody would type.
/// Plain words with numbers between them (`claude-3-5-sonnet-20241022`) do not.
pub fn looks_secret(text: &str) -> bool {
    let text = text.trim_end_matches('=');
    let dense = text.len() >= 16 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_+".contains(&b));
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let mixed = text.bytes().any(|b| b.is_ascii_uppercase()) && text.bytes().any(|b| b.is_ascii_lowercase());
    let words = |text: &str| {
        let word = |c: fn(&u8) -> bool, piece: &str| piece.bytes().all(|b| c(&b));
        let mut pieces = text.split(['-', '_', '+']).filter(|piece| !piece.is_empty());
        let of_words =
            |piece: &str| word(u8::is_ascii_lowercase, piece) || (piece.len() <= 8 && word(u8::is_ascii_digit, piece));
        text.contains(['-', '_', '+']) && text.bytes().any(|b| b.is_ascii_lowercase()) && pieces.all(of_words)
    };
    let prefixed = text.len() >= 8 && PREFIXES.iter().any(|prefix| text.starts_with(prefix));
    prefixed || (dense && !words(text) && (digits >= 3 || (mixed && (digits >= 1 || text.len() >= 24))))
}

/// Whether a name says that its value is a secret.
pub(super) fn is_telling(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !OTHER_WORDS.contains(word));
    let telling = |word: &str| TELLING_WORDS.contains(&word) || TELLING.iter().any(|part| word.contains(part));
    // The shell's own variable is a directory.
    name != "pwd" && words.into_iter().any(telling)
}

/// A whole value; where there is none, nothing is hidden.
fn mask(text: &str) -> String {
    if text.is_empty() { String::new() } else { MASK.to_owned() }
}

/// A URL, or a variable without a default that holds scheme and host. It is cut as the URL standard does: `\\` counts as `/`,
/// and any number of them stands between scheme and host.
static URL: LazyLock<Regex> = LazyLock::new(|| {
    let address = r"(?<scheme>[a-zA-Z0-9+.-]*://)[/\\]*(?:(?<userinfo>[^/\\?#]*)@)?(?<host>[^/\\?#@]*)";
    let rest = r"(?<path>(?:[/\\][^?#]*)?)(?:\?(?<query>[^#]*))?(?:#(?<fragment>.*))?";
    let expression = format!(r"(?s)^(?:{address}|(?<variable>\$\{{\w+\}})){rest}$");
    Regex::new(&expression).unwrap_or_else(|error| unreachable!("{error}"))
});

/// What may be shown of a URL: not its userinfo, its query's values, its fragment, nor what looks like a key in its path.
pub fn url(text: &str) -> String {
    let Some(found) = URL.captures(text) else { return mask(text) };
    let part = |name| found.name(name).map(|part| part.as_str());
    let parameter = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) => format!("{name}={}", mask(value)),
        None => mask(parameter),
    };
    let shown = [
        part("scheme").or(part("variable")).map(str::to_owned),
        part("userinfo").map(|userinfo| userinfo.splitn(2, ':').map(mask).collect::<Vec<_>>().join(":") + "@"),
        part("host").map(str::to_owned),
        part("path").map(|path| path.split_inclusive(['/', '\\']).map(mask_segment).collect()),
        part("query").map(|query| format!("?{}", query.split('&').map(parameter).collect::<Vec<_>>().join("&"))),
        part("fragment").map(|fragment| format!("#{}", mask(fragment))),
    ];
    shown.into_iter().flatten().collect()
}

/// A segment of a path with the slash that ends it.
fn mask_segment(segment: &str) -> String {
    let name = segment.trim_end_matches(['/', '\\']);
    if looks_secret(name) { format!("{MASK}{}", &segment[name.len()..]) } else { segment.to_owned() }
}

fn mask_argument(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let is_json = || text.starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok();
    let is_header = lower.contains("bearer ") || lower.contains("authorization");
    if is_header || looks_secret(text) || is_telling(text) && is_json() {
        return mask(text);
    }
    // The first "=" of a URL is in its query; the userinfo before that is no name.
    match text.split_once('=').filter(|(name, _)| !name.contains("://")) {
        Some((name, value)) if is_telling(name) || looks_secret(value) => format!("{name}={}", mask(value)),
        Some((name, value)) if value.contains("://") => format!("{name}={}", url(value)),
        _ if text.contains("://") => url(text),
        // A flag or a header; the tag of an image and a path are none.
        _ => match text.split_once(':').filter(|(_, value)| text.starts_with('-') || value.starts_with(' ')) {
            Some((name, value)) if is_telling(name) => format!("{name}:{}", mask(value)),
            _ => text.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_show_where_they_lead_and_no_credential() {
        for (text, shown) in [
            ("http://127.0.0.1:8000/mcp", "http://127.0.0.1:8000/mcp"),
            ("https://joe:s3cret@h/x", "https://***:***@h/x"),
            ("https://s3cret@h", "https://***@h"),
            ("https://h/x?api_key=s3cret&b=1#frag", "https://h/x?api_key=***&b=***#***"),
            ("https://h?s3cret", "https://h?***"),
            ("https://mcp.example.com/api/s/ZGE5ODk0YmQtOWUx/mcp", "https://mcp.example.com/api/s/***/mcp"),
            ("https://${USER}:${PASS}@${HOST}/${KEY}?k=${K}", "https://***:***@${HOST}/${KEY}?k=***"),
            ("${URL:-https://a:b@c/d?e=f}", "***"),
            ("s3cret://h/", "s3cret://h/"),
            ("a s3cret://h/", "***"),
            ("${BASE}/mcp?k=s3cret", "${BASE}/mcp?k=***"),
            ("${BASE}", "${BASE}"),
            ("${BASE}:8080/mcp", "***"),
            ("${BASE}s3cret/mcp", "***"),
            ("${BASE:-s3cret}/mcp", "***"),
            ("http:///joe:s3cret@h/", "http://***:***@h/"),
            ("http://h\\@x:y/s\\ZGE5ODk0YmQtOWUx", "http://h\\@x:y/s\\***"),
            ("s3cret", "***"),
            ("https://a@b:s3cret@h/", "https://***:***@h/"),
            ("https://h/#", "https://h/#"),
        ] {
            assert_eq!(url(text), shown, "{text}");
        }
    }

    #[test]
    fn arguments_show_what_a_person_would_type() {
        for (text, shown) in [
            (&["-y", "@modelcontextprotocol/server-everything@2025.9.12", "stdio"][..], None),
            (&["--root=~/LAB", "--port", "8000", "--verbose"], None),
            (
                &["run", "--rm", "-e", "API_KEY=s3cret", "image:1.2"],
                Some(&["run", "--rm", "-e", "API_KEY=***", "image:1.2"][..]),
            ),
            (&["--token", "s3cret", "x"], Some(&["--token", "***", "x"])),
            (&["--api-key=${KEY}", "next"], Some(&["--api-key=***", "next"])),
            (&["--header", "X-Thing: s3cret"], Some(&["--header", "***"])),
            (&["Authorization: Bearer s3cret"], Some(&["***"])),
            (&["ghp_0123456789abcdef"], Some(&["***"])),
            (&["--x=0123456789abcdef0123"], Some(&["--x=***"])),
            (&["postgres://joe:s3cret@db/x"], Some(&["postgres://***:***@db/x"])),
            (&["https://joe:s3cret@h/?key=a&b=c"], Some(&["https://***:***@h/?key=***&b=***"])),
            (&["--db=postgres://joe:s3cret@db/x"], Some(&["--db=postgres://***:***@db/x"])),
            (&["--Jira:ApiToken", "s3cret", "x"], Some(&["--Jira:ApiToken", "***", "x"])),
            (&["--token:s3cret"], Some(&["--token:***"])),
            (&["--header=X-Key: s3cret"], Some(&["--header=X-Key:***"])),
            (&["--config", r#"{"url": "h", "apiKey": "s3cret"}"#], Some(&["--config", "***"])),
            (&["--config", r#"{"root": "~/LAB"}"#, "{ echo $KEY; }", "ghcr.io/keycloak-mcp:1.2"], None),
        ] {
            assert_eq!(arguments(text.iter().copied()), shown.unwrap_or(text), "{text:?}");
        }
    }

    #[test]
    fn a_command_shows_its_program_and_no_secret_behind_it() {
        for (text, shown) in [
            ("/opt/My Programs/server", "/opt/My Programs/server"),
            ("npx -y server --token s3cret", "npx -y server --token ***"),
            ("server --api-key=s3cret", "server --api-key=***"),
        ] {
            assert_eq!(command(text), shown);
        }
    }

    proptest! {
        #[test]
        fn a_planted_secret_never_shows(
            before in "[a-z${}:/?#@&= -]{0,12}", after in "[a-z${}:/?#@&= -]{0,12}"
        ) {
            let announced = format!("{before}CANARY{after}");
            prop_assert!(!arguments(["--token", &announced])[1].contains("CANARY"), "{announced}");
            let in_userinfo = format!("https://joe:sk-CANARY0123456789@h/{after}");
            prop_assert!(!url(&in_userinfo).contains("CANARY"));
            let in_query = format!("https://h/x?{before}sk-CANARY");
            prop_assert!(!url(&in_query).contains("CANARY"), "{}", url(&in_query));
        }
    }
}
