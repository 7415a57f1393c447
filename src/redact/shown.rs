//! What may be shown of text that may hold a secret: where nobody can tell, it counts as one.
//!
//! References to variables (`${TOKEN}`) are shown, since they say where a secret is without saying it; their defaults
//! are not, but for those that say where an address leads.

use super::template::{Template, in_address, is_stand_in};

/// Stands where a secret stood.
pub const MASK: &str = "***";

/// Parts of the name of a flag, key or variable whose value is a secret …
const TELLING: &[&str] = &[
    "token",
    "secret",
    "passw",
    "pwd",
    "key",
    "auth",
    "credential",
    "bearer",
    "cookie",
    "session",
    "private",
    "signature",
    "dsn",
];

/// … whole words of it …
const TELLING_WORDS: &[&str] = &["pat", "pass", "jwt"];

/// … and words that only look like them.
const OTHER_WORDS: &[&str] = &["author", "authors", "keyword", "keywords", "keyboard", "monkey", "oldpwd"];

/// What well-known services put in front of their keys.
const PREFIXES: &[&str] = &[
    "sk-",
    "sk_",
    "pk_",
    "rk_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xapp-",
    "AKIA",
    "AIza",
    "eyJ",
    "hf_",
    "npm_",
    "pypi-",
    "dop_v1_",
    "ya29.",
    "sbp_",
    "figd_",
    "ntn_",
    "sntryu_",
    "sntrys_",
    "ATATT",
    "glsa_",
    "gsk_",
    "nvapi-",
    "pplx-",
    "tvly-",
    "xai-",
    "whsec_",
    "SG.",
];

/// What may be shown of a header's or a variable's value: references to variables and the scheme of an
/// `Authorization` header.
pub fn value(text: &str) -> String {
    let template = Template::new(text);
    template.fill(&mask(&template.text))
}

/// What may be shown of a URL: not its userinfo, its query's values, its fragment, nor what looks like a key in its path.
pub fn url(text: &str) -> String {
    let template = Template::new(text);
    template.fill(&mask_url(&template, &template.text))
}

/// What may be shown of a command's arguments, one for one.
pub fn arguments<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut words = Words::default();
    arguments.into_iter().map(Template::new).map(|template| words.show(&template, &template.text)).collect()
}

/// What may be shown of a command: a program, and the arguments that somebody wrote after it by mistake.
pub fn command(text: &str) -> String {
    let template = Template::new(text);
    let mut words = Words::default();
    let shown = template.text.split(' ').map(|word| words.show(&template, word)).collect::<Vec<_>>().join(" ");
    // A whole path stays one: read back, it must not become one below the configuration's directory.
    if text.starts_with('/') && !shown.starts_with('/') { format!("/{shown}") } else { shown }
}

/// The words of a command line while they are shown one after the other.
#[derive(Default)]
struct Words {
    /// Whether the last one announced a secret.
    announced: bool,
}

impl Words {
    /// Shows a word of `template`, or the whole of it.
    fn show(&mut self, template: &Template, word: &str) -> String {
        let shown = template.fill(&if self.announced { mask(word) } else { mask_argument(template, word) });
        let named = template.fill(word);
        let flag = named.starts_with('-') && !named.contains('=');
        self.announced = flag && (is_telling(&named) || matches!(named.as_str(), "-H" | "--header"));
        shown
    }
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

/// Every run of text between stand-ins masked, but for the scheme of an `Authorization` value in front of one.
pub(super) fn mask(text: &str) -> String {
    let mut masked = String::new();
    for piece in text.split_inclusive(is_stand_in) {
        let literal = piece.trim_end_matches(is_stand_in);
        let before_reference = literal.len() < piece.len();
        let scheme = before_reference && masked.is_empty() && matches!(literal, "Bearer " | "Basic " | "Token ");
        masked.push_str(if literal.is_empty() || scheme { literal } else { MASK });
        masked.push_str(&piece[literal.len()..]);
    }
    masked
}

/// Cuts a URL as the URL standard does: `\\` counts as `/`, and any number of them stands between scheme and host.
pub(super) fn mask_url(template: &Template, text: &str) -> String {
    let slash = ['/', '\\'];
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => {
            let authority = rest.trim_start_matches(slash);
            (format!("{}://{}", in_address(scheme), &rest[..rest.len() - authority.len()]), authority)
        }
        None => match text.chars().next().filter(|c| is_stand_in(*c)) {
            // The variable holds the scheme and more: what follows it is the host's port or anything.
            Some(variable) => {
                let shown = if template.defaults_to_address(variable) { in_address } else { str::to_owned };
                (shown(&text[..variable.len_utf8()]), &text[variable.len_utf8()..])
            }
            None => return mask(text),
        },
    };
    let (authority, rest) = rest.split_at(rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len()));
    let authority = match authority.rsplit_once('@') {
        Some((userinfo, host)) => {
            let userinfo: Vec<String> = userinfo.splitn(2, ':').map(mask).collect();
            format!("{}@{}", userinfo.join(":"), in_address(host))
        }
        None if scheme.contains("://") || is_port(authority) => in_address(authority),
        None => mask(authority),
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
    format!("{scheme}{authority}{path}{}{}", query.unwrap_or_default(), fragment.unwrap_or_default())
}

/// A segment of a path with the slash that ends it.
fn mask_segment(segment: &str) -> String {
    let name = segment.trim_end_matches(['/', '\\']);
    let secret = name.split(is_stand_in).any(looks_secret);
    if secret { format!("{}{}", mask(name), &segment[name.len()..]) } else { segment.to_owned() }
}

/// `:8080`, or what a variable holds of it.
fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|port| port.chars().all(|c| c.is_ascii_digit() || is_stand_in(c)))
}

fn mask_argument(template: &Template, text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let any_looks_secret = |text: &str| text.split(is_stand_in).any(looks_secret);
    if lower.contains("bearer ") || lower.contains("authorization") || any_looks_secret(text) {
        return mask(text);
    }
    // The first "=" of a URL is in its query; the userinfo before that is no name.
    match text.split_once('=').filter(|(name, _)| !name.contains("://")) {
        Some((name, value)) if is_telling(name) || any_looks_secret(value) => format!("{name}={}", mask(value)),
        Some((name, value)) if value.contains("://") => format!("{name}={}", mask_url(template, value)),
        _ if text.contains("://") => mask_url(template, text),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_show_their_variables_and_nothing_else() {
        for (text, shown) in [
            ("debug", "***"),
            ("", ""),
            ("${TOKEN}", "${TOKEN}"),
            ("Bearer ${TOKEN}", "Bearer ${TOKEN}"),
            ("Bearer abc", "***"),
            ("a${TOKEN}b${X}", "***${TOKEN}***${X}"),
            ("${TOKEN:-s3cret}", "${TOKEN:-***}"),
            ("${A:-${B:-s3cret}}!", "${A:-${B:-***}}***"),
            ("${A:-s3cret", "***"),
            ("${A:-$${s3cret}b", "${A:-***}***"),
            ("$${s3cret}${A}", "***${A}"),
            ("${input:s3cret} ${A}", "***${A}"),
            ("\u{F0000}${A}", "***${A}"),
        ] {
            assert_eq!(value(text), shown, "{text}");
        }
    }

    #[test]
    fn urls_show_where_they_lead_and_no_credential() {
        for (text, shown) in [
            ("http://127.0.0.1:8000/mcp", "http://127.0.0.1:8000/mcp"),
            ("https://joe:s3cret@h/x", "https://***:***@h/x"),
            ("https://s3cret@h", "https://***@h"),
            ("https://h/x?api_key=s3cret&b=1#frag", "https://h/x?api_key=***&b=***#***"),
            ("https://h?s3cret", "https://h?***"),
            ("https://mcp.example.com/api/s/ZGE5ODk0YmQtOWUx/mcp", "https://mcp.example.com/api/s/***/mcp"),
            ("https://${USER}:${PASS}@${HOST:-h}/${KEY}?k=${K}", "https://${USER}:${PASS}@${HOST:-h}/${KEY}?k=${K}"),
            ("${URL:-https://a:b@c/d?e=f}", "${URL:-https://***:***@c/d?e=***}"),
            ("${URL:-s3cret}", "${URL:-***}"),
            ("${BASE}/mcp?k=s3cret", "${BASE}/mcp?k=***"),
            ("${BASE}:8080/mcp", "${BASE}:8080/mcp"),
            ("${BASE}s3cret/mcp", "${BASE}***/mcp"),
            ("${BASE}:s3cret@h/mcp", "${BASE}:***@h/mcp"),
            ("http://h:${PORT:-80}/${A:-s3cret}", "http://h:${PORT:-80}/${A:-***}"),
            ("http://${A:-joe:s3cret@h}/", "http://${A:-***}/"),
            ("http://h:9$${S3CRET}/$${A${B}", "http://h:9$${S3CRET}/$${A${B}"),
            ("http:///joe:s3cret@h/", "http:///***:***@h/"),
            ("http://h\\@x:y/s\\ZGE5ODk0YmQtOWUx", "http://h\\@x:y/s\\***"),
            ("http://h/ZGE5ODk0YmQtOWUx${A}", "http://h/***${A}"),
            ("s3cret", "***"),
            ("https://a@b:s3cret@h/", "https://***:***@h/"),
            ("https://h/#s3cret${A}", "https://h/#***${A}"),
            ("https://h/#", "https://h/#"),
            ("https://h/x?k=s3cret$${A#h", "https://h/x?k=***#***"),
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
            (&["--api-key=${KEY}", "next"], Some(&["--api-key=${KEY}", "next"])),
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
            let planted = format!("{before}sk-CANARY0123456789{after}");
            prop_assert!(!value(&planted).contains("CANARY"), "{}", value(&planted));
            let in_userinfo = format!("https://joe:sk-CANARY0123456789@h/{after}");
            prop_assert!(!url(&in_userinfo).contains("CANARY"));
            let in_query = format!("https://h/x?{before}sk-CANARY");
            prop_assert!(!url(&in_query).contains("CANARY"), "{}", url(&in_query));
        }
    }
}
