//! What may be shown of text that may hold a secret: where nobody can tell, it counts as one.
//!
//! References to variables (`${TOKEN}`) are shown, since they say where a secret is without saying it; their defaults
//! are not.

/// Stands where a secret stood.
pub const MASK: &str = "***";

/// Words in the name of a flag, key or parameter whose value is a secret.
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
    "pat",
    "dsn",
];

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
    "whsec_",
    "SG.",
];

/// What may be shown of a header's or a variable's value: references to variables and the scheme of an
/// `Authorization` header.
pub fn value(text: &str) -> String {
    Template::new(text).show(mask)
}

/// What may be shown of a URL: not its userinfo, its query's values, its fragment, nor what looks like a key in its path.
pub fn url(text: &str) -> String {
    Template::new(text).show(mask_url)
}

/// What may be shown of a command's arguments, one for one.
pub fn arguments<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut after: Option<String> = None;
    let mut shown = Vec::new();
    for argument in arguments {
        let template = Template::new(argument);
        let telling = after.take().is_some_and(|flag| is_telling(&flag) || matches!(flag.as_str(), "-H" | "--header"));
        shown.push(template.show(|text| if telling { mask(text) } else { mask_argument(text) }));
        after = (argument.starts_with('-') && !argument.contains('=')).then(|| argument.to_owned());
    }
    shown
}

/// What may be shown of a command: a program, and the arguments that somebody wrote after it by mistake.
pub fn command(text: &str) -> String {
    arguments(text.split(' ')).join(" ")
}

/// Whether text by itself looks like a key: a known prefix, or a run of letters and digits that nobody would type.
pub fn looks_secret(text: &str) -> bool {
    let text = text.trim_end_matches('=');
    let dense = text.len() >= 16 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_+".contains(&b));
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let mixed = text.bytes().any(|b| b.is_ascii_uppercase()) && text.bytes().any(|b| b.is_ascii_lowercase());
    let prefixed = text.len() >= 8 && PREFIXES.iter().any(|prefix| text.starts_with(prefix));
    prefixed || (dense && (digits >= 3 || (mixed && (digits >= 1 || text.len() >= 24))))
}

fn is_telling(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TELLING.iter().any(|word| name.contains(word))
}

/// Text whose references to variables are single characters of a private plane, so that the text around them can be
/// cut without cutting them.
struct Template {
    text: String,
    references: Vec<String>,
}

impl Template {
    const FIRST: u32 = 0xF_0000;
    const LAST: u32 = 0xF_FFFD;

    fn new(text: &str) -> Self {
        let mut template = Template { text: String::new(), references: Vec::new() };
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let reference = &rest[start..start + reference_length(&rest[start..])];
            template.text.push_str(&without_stand_ins(&rest[..start]));
            template.text.push(stand_in(template.references.len()));
            template.references.push(without_default(reference));
            rest = &rest[start + reference.len()..];
        }
        template.text.push_str(&without_stand_ins(rest));
        template
    }

    /// `redact` applied to the text around the references.
    fn show(&self, redact: impl Fn(&str) -> String) -> String {
        let mut shown = String::new();
        for c in redact(&self.text).chars() {
            match (c as u32).checked_sub(Self::FIRST).and_then(|index| self.references.get(index as usize)) {
                Some(reference) => shown.push_str(reference),
                None => shown.push(c),
            }
        }
        // What only looks like a reference is masked, and so is what stands beside it: once is enough.
        let twice = MASK.repeat(2);
        while shown.contains(&twice) {
            shown = shown.replace(&twice, MASK);
        }
        shown
    }
}

fn stand_in(index: usize) -> char {
    let index = u32::try_from(index).unwrap_or(u32::MAX).min(Template::LAST - Template::FIRST);
    char::from_u32(Template::FIRST + index).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn is_stand_in(c: char) -> bool {
    (Template::FIRST..=Template::LAST).contains(&(c as u32))
}

fn without_stand_ins(text: &str) -> String {
    text.chars().map(|c| if is_stand_in(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Bytes of the `${…}` at the start of `text`, nested ones included; all of it where it is never closed.
fn reference_length(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' if text[..at].ends_with('$') => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    text.len()
}

/// A reference as it may be shown. What only looks like one could be anything.
fn without_default(reference: &str) -> String {
    let body = &reference[2..];
    let name_end = body.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(body.len());
    let (name, rest) = body.split_at(name_end);
    match rest {
        _ if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) => MASK.to_owned(),
        "}" => reference.to_owned(),
        rest if rest.starts_with(":-") => format!("${{{name}:-{MASK}}}"),
        _ => MASK.to_owned(),
    }
}

/// Every run of text between stand-ins masked, but for the scheme of an `Authorization` value in front of one.
fn mask(text: &str) -> String {
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

fn mask_url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return mask(text) };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(authority_end);
    let authority = match authority.rsplit_once('@') {
        Some((userinfo, host)) => {
            let userinfo: Vec<String> = userinfo.splitn(2, ':').map(mask).collect();
            format!("{}@{host}", userinfo.join(":"))
        }
        None => authority.to_owned(),
    };
    let path_end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (path, rest) = rest.split_at(path_end);
    let segment = |segment: &str| if looks_secret(segment) { mask(segment) } else { segment.to_owned() };
    let path: Vec<String> = path.split('/').map(segment).collect();
    let parameter = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) => format!("{name}={}", mask(value)),
        None => mask(parameter),
    };
    let (query, fragment) = rest.split_once('#').map_or((rest, None), |(query, fragment)| (query, Some(fragment)));
    let query = query.strip_prefix('?');
    let query = query.map(|query| format!("?{}", query.split('&').map(parameter).collect::<Vec<_>>().join("&")));
    let fragment = fragment.map(|fragment| format!("#{}", mask(fragment)));
    format!("{scheme}://{authority}{}{}{}", path.join("/"), query.unwrap_or_default(), fragment.unwrap_or_default())
}

fn mask_argument(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    if lower.contains("bearer ") || lower.contains("authorization") || looks_secret(text) {
        return mask(text);
    }
    match text.split_once('=') {
        Some((name, value)) if is_telling(name) || looks_secret(value) => format!("{name}={}", mask(value)),
        Some((name, value)) if value.contains("://") => format!("{name}={}", mask_url(value)),
        _ if text.contains("://") => mask_url(text),
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
            ("${A:-${B:-s3cret}}!", "${A:-***}***"),
            ("${A:-s3cret", "${A:-***}"),
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
            ("https://${USER}:${PASS}@${HOST:-h}/${KEY}?k=${K}", "https://${USER}:${PASS}@${HOST:-***}/${KEY}?k=${K}"),
            ("${URL:-https://a:b@c/d?e=f}", "${URL:-***}"),
            ("s3cret", "***"),
            ("https://a@b:s3cret@h/", "https://***:***@h/"),
            ("https://h/#s3cret${A}", "https://h/#***${A}"),
            ("https://h/#", "https://h/#"),
            ("https://h/x?k=s3cret$${A#h", "https://h/x?k=***"),
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
