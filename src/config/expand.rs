//! `~`, `${NAME}` and `${NAME:-default}` in strings.
//!
//! `~` means the home where a string is `~` or begins with `~/`. `${NAME:-default}` takes the default where the
//! variable is unset or empty, as a shell does; a default may hold further variables and begin with `~`. `$${` writes
//! a plain `${`; any other `$` stays as it is. What a variable holds is never expanded again.

use anyhow::{Context, anyhow};

use super::environment::HostEnvironment;

/// Defaults inside defaults; nobody needs more, and a file must not be able to exhaust the stack.
const MAX_DEPTH: usize = 8;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Expanded {
    /// The text; meaningless while [`Self::unset`] is not empty.
    pub(crate) text: String,
    /// Whether the environment decided any of it.
    pub(crate) from_environment: bool,
    pub(crate) unset: Vec<String>,
}

/// Expands one string.
/// Errors: a `${` that opens no variable: what stands there and what would be right.
pub(crate) fn expand(raw: &str, environment: &HostEnvironment) -> anyhow::Result<Expanded> {
    let mut expanded = Expanded::default();
    let rest = word(raw, environment, 0, &mut expanded)?;
    debug_assert!(rest.is_empty(), "the outermost word ends with the string");
    Ok(expanded)
}

/// Expands up to the end, or, inside a default, up to the `}` that closes it; returns what is left.
fn word<'r>(raw: &'r str, environment: &HostEnvironment, depth: usize, out: &mut Expanded) -> anyhow::Result<&'r str> {
    anyhow::ensure!(depth <= MAX_DEPTH, "defaults are nested more than {MAX_DEPTH} deep");
    let mut rest = tilde(raw, environment, depth, out);
    loop {
        let stop = rest.find(|c| c == '$' || (c == '}' && depth > 0)).unwrap_or(rest.len());
        out.text.push_str(&rest[..stop]);
        rest = &rest[stop..];
        if rest.is_empty() || rest.starts_with('}') {
            return Ok(rest);
        } else if let Some(after) = rest.strip_prefix("$${") {
            out.text.push_str("${");
            rest = after;
        } else if rest.starts_with("${") {
            rest = variable(rest, environment, depth, out)?;
        } else {
            out.text.push('$');
            rest = &rest[1..];
        }
    }
}

fn tilde<'r>(raw: &'r str, environment: &HostEnvironment, depth: usize, out: &mut Expanded) -> &'r str {
    let ends = |after: &&str| after.is_empty() || after.starts_with('/') || (depth > 0 && after.starts_with('}'));
    let Some(after) = raw.strip_prefix('~').filter(ends) else { return raw };
    match environment.home.as_deref().and_then(|home| home.to_str()) {
        Some(home) => out.text.push_str(home.trim_end_matches('/')),
        None => out.unset.push("HOME".into()),
    }
    after
}

fn variable<'r>(
    rest: &'r str,
    environment: &HostEnvironment,
    depth: usize,
    out: &mut Expanded,
) -> anyhow::Result<&'r str> {
    let body = &rest[2..];
    let name_end = body.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(body.len());
    let (name, after) = body.split_at(name_end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(no_variable(rest));
    }
    let no_utf8 = || format!("${{{name}}} holds text that is not UTF-8");
    let value = environment.var_os(name).map(|value| value.to_str().with_context(no_utf8)).transpose()?;
    // The default is read even where it is not used: its end must be found, and its mistakes are mistakes.
    let mut default = None;
    let end = match after.strip_prefix(":-") {
        Some(after) => word(after, environment, depth + 1, default.insert(Expanded::default()))?,
        None => after,
    };
    match (value.filter(|value| default.is_none() || !value.is_empty()), default) {
        (Some(value), _) => {
            out.text.push_str(value);
            out.from_environment = true;
        }
        (None, Some(default)) => {
            out.text.push_str(&default.text);
            out.from_environment |= default.from_environment;
            out.unset.extend(default.unset);
        }
        (None, None) => out.unset.push(name.to_owned()),
    }
    end.strip_prefix('}').ok_or_else(|| no_variable(rest))
}

fn no_variable(rest: &str) -> anyhow::Error {
    let end = rest.find('}').map_or(rest.len(), |end| end + 1);
    // Only what plainly is a name: what follows it may be a secret, and a password may hold a `${` of its own.
    let name: String = rest[2..end].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let plain = !name.is_empty() && !name.contains(|c: char| c.is_ascii_lowercase());
    let name = if plain { &name } else { "NAME" };
    anyhow!("\"${{\" opens no variable here; write ${{{name}}} or ${{{name}:-default}}, or $${{ for a plain ${{")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn environment() -> HostEnvironment {
        HostEnvironment::new(
            Some(Path::new("/home/joe")),
            Path::new("/"),
            &[("A", "one"), ("EMPTY", ""), ("NESTED", "${A} ~ $${"), ("TILDE", "~/x")],
        )
    }

    #[test]
    fn strings_expand_as_a_shell_reader_expects() {
        for (raw, text) in [
            ("plain", "plain"),
            ("~", "/home/joe"),
            ("~/LAB", "/home/joe/LAB"),
            ("~joe/LAB", "~joe/LAB"),
            ("a~/b", "a~/b"),
            ("${A}", "one"),
            ("x${A}y${A}z", "xoneyonez"),
            ("${EMPTY}", ""),
            ("${EMPTY:-default}", "default"),
            ("${A:-default}", "one"),
            ("${NONE:-}", ""),
            ("${NONE:-a b:-c}", "a b:-c"),
            ("${NONE:-${A}/x}", "one/x"),
            ("${NONE:-~/x}", "/home/joe/x"),
            ("${NONE:-~}", "/home/joe"),
            ("${NONE:-${ALSO_NONE:-deep}}!", "deep!"),
            ("${NESTED}", "${A} ~ $${"),
            ("${TILDE}", "~/x"),
            ("$A $1 $ pa$$word", "$A $1 $ pa$$word"),
            ("$${A}", "${A}"),
            ("$$${A}", "$${A}"),
            ("}{", "}{"),
            ("~}", "~}"),
            ("ключ ${A} 🔑", "ключ one 🔑"),
        ] {
            let expanded = expand(raw, &environment()).expect(raw);
            assert_eq!((expanded.text.as_str(), expanded.unset.as_slice()), (text, [].as_slice()), "{raw}");
        }
    }

    #[test]
    fn an_unset_variable_is_a_value_not_an_error() {
        let unset = |raw: &str| expand(raw, &environment()).expect(raw).unset;
        assert_eq!(unset("${ONE}/${TWO}"), ["ONE", "TWO"]);
        assert_eq!(unset("${ONE:-${TWO}}"), ["TWO"]);
        assert_eq!(unset("${A:-${TWO}}"), [""; 0], "an unused default needs nothing");
        let homeless = HostEnvironment::new(None, Path::new("/"), &[]);
        assert_eq!(expand("~/x", &homeless).expect("expanded").unset, ["HOME"]);
    }

    #[test]
    fn a_brace_that_opens_no_variable_is_told_without_quoting_what_follows() {
        for raw in ["${", "${}", "${A", "${1}", "${A-x}", "${A:?s3cret}", "${A:-s3cret", "${env:A}", "${input:token}"] {
            let sentence = expand(raw, &environment()).expect_err(raw).to_string();
            assert!(sentence.starts_with("\"${\" opens no variable here; write ${"), "{sentence}");
            assert!(!sentence.contains("s3cret"), "{sentence}");
        }
        let deep = format!("{}x{}", "${A:-".repeat(100_000), "}".repeat(100_000));
        let refused = expand(&deep, &environment()).expect_err("too deep");
        assert_eq!(refused.to_string(), "defaults are nested more than 8 deep");
    }

    proptest! {
        #[test]
        fn any_text_expands_or_is_refused_but_never_panics(raw in "[$~{}:\\-/A-Z a\u{e9}]{0,40}") {
            let _ = expand(&raw, &environment());
        }

        #[test]
        fn text_without_dollar_and_tilde_stays_as_it_is(raw in "[^$~]{0,40}") {
            prop_assert_eq!(expand(&raw, &environment()).expect("expanded").text, raw);
        }
    }
}
