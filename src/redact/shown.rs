//! What may be shown of text that may hold a secret: where nobody can tell, it counts as one.

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
    // Whether the argument before announces a secret.
    let mut announced = false;
    let show = |argument: &str| {
        let shown = if announced { mask(argument) } else { mask_argument(argument) };
        let flag = argument.starts_with('-') && !argument.contains('=');
        announced = flag && (is_telling(argument) || matches!(argument, "-H" | "--header"));
        shown
    };
    arguments.into_iter().map(show).collect()
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

/// What may be shown of a URL: not its userinfo, its query's values, its fragment, nor what looks like a key in its path.
/// It is cut as the URL standard does: `\\` counts as `/`, and any number of them stands between scheme and host.
pub fn url(text: &str) -> String {
    let slash = ['/', '\\'];
    let plain = |scheme: &str| scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let (start, rest) = match text.split_once("://") {
        Some((scheme, rest)) if plain(scheme) => {
            let authority = rest.trim_start_matches(slash);
            let (authority, rest) =
                authority.split_at(authority.find(['/', '\\', '?', '#']).unwrap_or(authority.len()));
            let shown = match authority.rsplit_once('@') {
                Some((userinfo, host)) => {
                    format!("{}@{host}", userinfo.splitn(2, ':').map(mask).collect::<Vec<_>>().join(":"))
                }
                None => authority.to_owned(),
            };
            (format!("{scheme}://{shown}"), rest)
        }
        _ => match reference(text) {
            // A variable holds scheme and host.
            Some((name, rest)) if rest.is_empty() || rest.starts_with(['/', '?', '#']) => {
                (format!("${{{name}}}"), rest)
            }
            _ => return mask(text),
        },
    };
    let (path, rest) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    let path: String = path.split_inclusive(slash).map(mask_segment).collect();
    let parameter = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) => format!("{name}={}", mask(value)),
        None => mask(parameter),
    };
    let (query, fragment) = rest.split_once('#').map_or((rest, None), |(query, fragment)| (query, Some(fragment)));
    let query = query.strip_prefix('?');
    let query = query.map(|query| format!("?{}", query.split('&').map(parameter).collect::<Vec<_>>().join("&")));
    let fragment = fragment.map(|fragment| format!("#{}", mask(fragment)));
    format!("{start}{path}{}{}", query.unwrap_or_default(), fragment.unwrap_or_default())
}

/// The name in a `${NAME}` without a default at the start of a text, and what follows it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.strip_prefix("${")?.split_once('}')?;
    (!name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')).then_some((name, rest))
}

/// A segment of a path with the slash that ends it.
fn mask_segment(segment: &str) -> String {
    let name = segment.trim_end_matches(['/', '\\']);
    if looks_secret(name) { format!("{MASK}{}", &segment[name.len()..]) } else { segment.to_owned() }
}

fn mask_argument(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    if lower.contains("bearer ") || lower.contains("authorization") || looks_secret(text) {
        return mask(text);
    }
    // The first "=" of a URL is in its query; the userinfo before that is no name.
    match text.split_once('=').filter(|(name, _)| !name.contains("://")) {
        Some((name, value)) if is_telling(name) || looks_secret(value) => format!("{name}={}", mask(value)),
        Some((name, value)) if value.contains("://") => format!("{name}={}", url(value)),
        _ if text.contains("://") => url(text),
        _ => text.to_owned(),
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
