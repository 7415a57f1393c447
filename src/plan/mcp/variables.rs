//! Each client's own rule for variables in the strings of its config.
//!
//! Clients disagree: what one expands the next sends as it stands, and a server then answers "unauthorized" to the
//! text `${TOKEN}`. So every rule is followed to the letter, and what stays unresolved on its way to the network is a
//! failure of that server with the variable's name in it, never a request.

use std::path::Path;

use crate::model::reason::{Failure, Reason};
use crate::plan::surroundings::Surroundings;

/// How a client treats variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// `${VAR}` and `${VAR:-default}` (Claude Code).
    Braces,
    /// `${env:VAR}`, `${userHome}`, `${workspaceFolder}` and its kin, `${input:id}` (Cursor, VS Code).
    Editor,
    /// `$VAR`, `${VAR}`, `${VAR:-default}` (Gemini CLI).
    Shell,
    /// `${env:VAR}`, `${file:/path}` (Windsurf).
    EnvAndFile,
    /// `{env:VAR}`, `{file:path}` (opencode).
    Curly,
    /// `$VAR` in the environment, `${env:VAR}` in headers (Amazon Q).
    DollarInEnv,
    /// Either of `${VAR}`, `${VAR:-default}` and `${env:VAR}`: a file that belongs to no known client.
    Any,
    /// Nothing is expanded, and the client is known to do so.
    Literal,
    /// Nothing is expanded, because nobody knows what the client does.
    Unknown,
}

impl Rule {
    /// What it expands, for documents.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Rule::Braces => "`${VAR}`, `${VAR:-default}`",
            Rule::Editor => "`${env:VAR}`, `${userHome}`, `${workspaceFolder}`; `${input:…}` is `needs_input`",
            Rule::Shell => "`$VAR`, `${VAR}`, `${VAR:-default}`",
            Rule::EnvAndFile => "`${env:VAR}`, `${file:/path}`",
            Rule::Curly => "`{env:VAR}`, `{file:path}`",
            Rule::DollarInEnv => "`$VAR` in `env`, `${env:VAR}` in `headers`",
            Rule::Any => "`${VAR}`, `${VAR:-default}`, `${env:VAR}`",
            Rule::Literal => "none: strings stand as they are",
            Rule::Unknown => "not verified: none are expanded",
        }
    }
}

/// Where in a server's entry a string stands: rules differ by place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// The program.
    Command,
    /// One of its arguments.
    Argument,
    /// The value of an environment variable.
    Env,
    /// A path: working directory, environment file.
    Path,
    /// The URL.
    Url,
    /// The value of a header.
    Header,
}

/// A reference that has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unresolved {
    /// An environment variable that is not set.
    Unset(String),
    /// A value the client asks a person for.
    Input(String),
    /// Known only inside an open workspace or an editor.
    EditorOnly(String),
    /// A file whose contents were to be used: how it is called, and what kept it from being read.
    File(String, String),
    /// A reference that the client does not expand (or is not known to), in a place where the literal text is useless.
    NotExpanded(String),
}

impl Unresolved {
    fn not_expanded(written: &str) -> Self {
        let inner = written.trim_start_matches("${").trim_end_matches('}');
        Unresolved::NotExpanded(format!("${{{}}}", shown_name(inner)))
    }

    /// The server's failure, with the reference in it; `client` is the client's name for people.
    pub(super) fn failure(&self, client: &str) -> Failure {
        match self {
            Unresolved::Unset(name) => {
                let name = shown_name(name);
                Failure::new(Reason::MissingEnv, format!("the variable {name} is not set")).with_hint(format!(
                    "set {name} in the environment lab-probe runs in (for the timer: the unit's environment file)"
                ))
            }
            Unresolved::Input(id) => {
                Failure::new(Reason::NeedsInput, format!("the config asks a person for ${{{id}}}"))
            }
            Unresolved::EditorOnly(what) => {
                Failure::new(Reason::MissingEnv, format!("${{{what}}} has a value only inside {client}"))
                    .with_hint("add the server by hand under [[mcp.server]], with the value written out")
            }
            Unresolved::File(file, why) => Failure::new(Reason::MissingEnv, format!("{file} cannot be read: {why}"))
                .with_hint("create the file that the config names, or correct its path"),
            Unresolved::NotExpanded(text) => {
                Failure::new(Reason::MissingEnv, format!("{client} is not known to expand {text}; nothing was sent"))
                    .with_hint(
                        "write the value out, or add the server by hand under [[mcp.server]], where ${VAR} expands",
                    )
            }
        }
    }
}

/// A variable's name without what may stand behind it: a default, in whatever shell's way of writing one, may be a
/// secret.
fn shown_name(name: &str) -> String {
    let odd = |c: char| !(c.is_ascii_alphanumeric() || "_.".contains(c));
    let scheme = ["env:", "file:", "input:"].iter().find(|scheme| name.starts_with(**scheme)).map_or(0, |s| s.len());
    let end = name[scheme..].find(odd).map_or(name.len(), |at| scheme + at);
    if end < name.len() { format!("{}…", &name[..end]) } else { name.to_owned() }
}

/// What a rule may draw on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    /// Environment and home.
    pub(super) surroundings: &'a Surroundings,
    /// The project the config belongs to, if it belongs to one.
    pub(super) workspace: Option<&'a Path>,
    /// The directory of the config file, which relative `{file:…}` references are relative to.
    pub(super) directory: &'a Path,
    /// Whether files that the config refers to may be read; not for a config that nobody trusts yet.
    pub(super) read_files: bool,
}

/// The most that is read of a file whose contents stand for a value.
const FILE_LIMIT: u64 = 64 << 10;

/// Expands `text` by `rule`.
///
/// # Errors
/// The first reference that has no value.
pub(super) fn expand(text: &str, field: Field, rule: Rule, context: Context<'_>) -> Result<String, Unresolved> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['$', '{']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (reference, length) = match Reference::at(rest, field, rule) {
            Some(found) => found,
            None => (Reference::Text, rest.chars().next().map_or(0, char::len_utf8)),
        };
        let written = &rest[..length];
        match reference {
            Reference::Text => out.push_str(written),
            Reference::Variable { name, default } => match (context.surroundings.var(name), default) {
                (Some(value), _) => out.push_str(value),
                (None, Some(default)) => out.push_str(default),
                (None, None) => return Err(Unresolved::Unset(name.to_owned())),
            },
            Reference::File(path) => out.push_str(&file_contents(path, context)?),
            Reference::Editor(what) => out.push_str(&editor_value(what, written, field, context)?),
            Reference::Foreign => return Err(Unresolved::not_expanded(written)),
        }
        rest = &rest[length..];
    }
    out.push_str(rest);
    Ok(out)
}

/// What stands at a `$` or `{`.
enum Reference<'t> {
    /// Plain text.
    Text,
    /// An environment variable.
    Variable { name: &'t str, default: Option<&'t str> },
    /// A file whose contents are meant.
    File(&'t str),
    /// Something inside `${…}` that only an editor knows; checked further by [`editor_value`].
    Editor(&'t str),
    /// A reference in a form this client does not expand, in a place where it cannot be meant literally.
    Foreign,
}

impl<'t> Reference<'t> {
    /// The reference at the start of `text` and its length; `None` if there is none.
    fn at(text: &'t str, field: Field, rule: Rule) -> Option<(Self, usize)> {
        if rule == Rule::Curly && text.starts_with('{') {
            let (inner, length) = braced(text, "{")?;
            let reference = match inner.split_once(':')? {
                ("env", name) => Reference::Variable { name, default: None },
                ("file", path) => Reference::File(path),
                _ => return None,
            };
            return Some((reference, length));
        }
        if let Some((inner, length)) = braced(text, "${") {
            return Some((Self::in_braces(inner, field, rule), length));
        }
        let bare = match rule {
            Rule::Shell => true,
            Rule::DollarInEnv => field == Field::Env,
            _ => false,
        };
        let name = bare.then(|| bare_name(text)).flatten()?;
        Some((Reference::Variable { name, default: None }, 1 + name.len()))
    }

    fn in_braces(inner: &'t str, field: Field, rule: Rule) -> Self {
        let scheme = inner.split_once(':');
        match rule {
            Rule::Any if matches!(scheme, Some(("input", _))) => Reference::Editor(inner),
            Rule::Any | Rule::Editor | Rule::EnvAndFile if matches!(scheme, Some(("env", _))) => env_reference(inner),
            Rule::DollarInEnv if field == Field::Header && matches!(scheme, Some(("env", _))) => env_reference(inner),
            Rule::EnvAndFile if matches!(scheme, Some(("file", _))) => Reference::File(&inner["file:".len()..]),
            Rule::Braces | Rule::Shell | Rule::Any => {
                let (name, default) = match inner.split_once(":-") {
                    Some((name, default)) => (name, Some(default)),
                    None => (inner, None),
                };
                Reference::Variable { name, default }
            }
            Rule::Editor => Reference::Editor(inner),
            Rule::EnvAndFile | Rule::Curly | Rule::DollarInEnv | Rule::Literal | Rule::Unknown => foreign(field, rule),
        }
    }
}

/// `${env:NAME}`; VS Code and Cursor know no default, so the whole rest is the name.
fn env_reference(inner: &str) -> Reference<'_> {
    Reference::Variable { name: &inner["env:".len()..], default: None }
}

/// `${…}` under a rule that does not know it. A program may have been given the text on purpose (`sh -c 'echo ${X}'`);
/// a URL or a header never was. Where the rule itself is unknown, a variable of the environment was meant, too.
fn foreign(field: Field, rule: Rule) -> Reference<'static> {
    match field {
        Field::Url | Field::Header => Reference::Foreign,
        Field::Env if rule == Rule::Unknown => Reference::Foreign,
        _ => Reference::Text,
    }
}

/// The text between `open` at the start and the next `}`, and the length of all of it. Empty braces are no reference.
fn braced<'t>(text: &'t str, open: &str) -> Option<(&'t str, usize)> {
    let rest = text.strip_prefix(open)?;
    let end = rest.find('}').filter(|end| *end > 0)?;
    Some((&rest[..end], open.len() + end + 1))
}

/// `NAME` of `$NAME`: a letter or underscore, then letters, digits and underscores.
fn bare_name(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('$')?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
    (end > 0 && !rest.starts_with(|c: char| c.is_ascii_digit())).then(|| &rest[..end])
}

fn editor_value(what: &str, written: &str, field: Field, context: Context<'_>) -> Result<String, Unresolved> {
    let workspace = || context.workspace.ok_or_else(|| Unresolved::EditorOnly(what.to_owned()));
    match what.split_once(':').map_or(what, |(scheme, _)| scheme) {
        "userHome" => match &context.surroundings.home {
            Some(home) => Ok(home.to_string_lossy().into_owned()),
            None => Err(Unresolved::Unset("HOME".into())),
        },
        "workspaceFolder" | "workspaceRoot" => Ok(workspace()?.to_string_lossy().into_owned()),
        "workspaceFolderBasename" => {
            Ok(workspace()?.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default())
        }
        "pathSeparator" | "/" => Ok("/".into()),
        "input" => Err(Unresolved::Input(what.to_owned())),
        "config" | "command" => Err(Unresolved::EditorOnly(what.to_owned())),
        _ => match foreign(field, Rule::Editor) {
            Reference::Foreign => Err(Unresolved::not_expanded(written)),
            _ => Ok(written.to_owned()),
        },
    }
}

fn file_contents(path: &str, context: Context<'_>) -> Result<String, Unresolved> {
    let path = context.directory.join(context.surroundings.tilde(path));
    let unreadable = |why: String| Unresolved::File(path.display().to_string(), why);
    if !context.read_files {
        return Err(unreadable("the config is not trusted".into()));
    }
    let bytes = crate::fs::read_capped(&path, FILE_LIMIT).map_err(|e| unreadable(e.to_string()))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(_) => Err(unreadable("not UTF-8 text".into())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::surroundings::Platform;

    fn surroundings() -> Surroundings {
        Surroundings {
            home: Some("/home/joe".into()),
            cwd: None,
            root: "/".into(),
            platform: Platform::Linux,
            env: [("A", "1"), ("_b2", "2"), ("EMPTY", ""), ("NESTED", "${A}")]
                .map(|(n, v)| (n.into(), v.into()))
                .into(),
        }
    }

    fn expanded(text: &str, field: Field, rule: Rule) -> Result<String, Unresolved> {
        let surroundings = surroundings();
        let workspace = Some(Path::new("/src/it"));
        expand(
            text,
            field,
            rule,
            Context { surroundings: &surroundings, workspace, directory: Path::new("/none"), read_files: true },
        )
    }

    #[test]
    fn each_rule_expands_its_own_forms_and_no_other() {
        use Field::{Argument, Env, Header, Url};
        let unset = |name: &str| Err(Unresolved::Unset(name.into()));
        let text = |text: &str| Ok(text.to_owned());
        let literal = |text: &str| Err(Unresolved::NotExpanded(text.into()));
        for (rule, field, written, expected) in [
            (Rule::Braces, Argument, "x${A}y${_b2}", text("x1y2")),
            (Rule::Braces, Argument, "${NONE:-d}${A:-d}${EMPTY:-d}", text("d1")),
            (Rule::Braces, Argument, "${NONE:-}", text("")),
            (Rule::Braces, Argument, "${NONE:-a:-b}", text("a:-b")),
            (Rule::Braces, Argument, "$A ${} $ {A} ${A", text("$A ${} $ {A} ${A")),
            (Rule::Braces, Argument, "${NESTED}", text("${A}")),
            (Rule::Braces, Argument, "🦀${A}é", text("🦀1é")),
            (Rule::Braces, Header, "Bearer ${NONE}", unset("NONE")),
            (Rule::Shell, Argument, "$A-$_b2-${A}-${NONE:-d}-5$-$5", text("1-2-1-d-5$-$5")),
            (Rule::Shell, Env, "$NONE", unset("NONE")),
            (Rule::Editor, Argument, "${env:A}${A}$A", text("1${A}$A")),
            (
                Rule::Editor,
                Argument,
                "${userHome}|${workspaceFolder}|${workspaceFolderBasename}|${/}",
                text("/home/joe|/src/it|it|/"),
            ),
            (Rule::Editor, Url, "http://h/${A}", literal("${A}")),
            (Rule::Editor, Argument, "${env:NONE}", unset("NONE")),
            (Rule::Editor, Header, "${input:key}", Err(Unresolved::Input("input:key".into()))),
            (Rule::Editor, Argument, "${config:a.b}", Err(Unresolved::EditorOnly("config:a.b".into()))),
            (Rule::EnvAndFile, Header, "${env:A}", text("1")),
            (Rule::EnvAndFile, Argument, "${A}", text("${A}")),
            (Rule::EnvAndFile, Header, "${A:-s3cr3t}", literal("${A…}")),
            (Rule::Curly, Header, "{env:A} {x} ${env:A}", literal("${env:A}")),
            (Rule::Curly, Argument, "{env:A} {x} {} {other:A}", text("1 {x} {} {other:A}")),
            (Rule::Curly, Argument, "{env:NONE}", unset("NONE")),
            (Rule::DollarInEnv, Env, "$A ${env:A}", text("1 ${env:A}")),
            (Rule::DollarInEnv, Header, "${env:A} $A", text("1 $A")),
            (Rule::DollarInEnv, Argument, "$A", text("$A")),
            (Rule::Any, Argument, "${A}${env:A}${NONE:-d}$A", text("11d$A")),
            (Rule::Any, Argument, "${input:x}", Err(Unresolved::Input("input:x".into()))),
            (Rule::Literal, Argument, "${A} $A {env:A}", text("${A} $A {env:A}")),
            (Rule::Literal, Env, "${A}", text("${A}")),
            (Rule::Literal, Url, "http://${A}", literal("${A}")),
            (Rule::Unknown, Argument, "${A}", text("${A}")),
            (Rule::Unknown, Env, "${A}", literal("${A}")),
            (Rule::Unknown, Header, "${A}", literal("${A}")),
        ] {
            assert_eq!(expanded(written, field, rule), expected, "{rule:?} {field:?} {written:?}");
        }
    }

    #[test]
    fn a_file_stands_for_its_contents_unless_the_config_is_not_trusted() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(directory.path().join("token"), " t0ken\n").expect("written");
        std::fs::write(directory.path().join("binary"), b"\xff").expect("written");
        let surroundings = surroundings();
        let context =
            Context { surroundings: &surroundings, workspace: None, directory: directory.path(), read_files: true };
        let header = |text: &str, context| expand(text, Field::Header, Rule::EnvAndFile, context);
        assert_eq!(header("Bearer ${file:token}", context), Ok("Bearer t0ken".into()));
        for name in ["binary", "gone", "."] {
            assert!(matches!(header(&format!("${{file:{name}}}"), context), Err(Unresolved::File(..))), "{name}");
        }
        let context = Context { read_files: false, ..context };
        assert!(matches!(header("${file:token}", context), Err(Unresolved::File(..))));
    }

    proptest! {
        #[test]
        fn text_without_signs_stays_and_no_text_makes_it_panic(plain in "[a-zé🦀 .:/-]{0,40}", odd in "[${}:A\\-env file🦀]{0,40}") {
            for rule in [Rule::Braces, Rule::Editor, Rule::Shell, Rule::EnvAndFile, Rule::Curly, Rule::DollarInEnv, Rule::Any, Rule::Literal, Rule::Unknown] {
                for field in [Field::Command, Field::Argument, Field::Env, Field::Path, Field::Url, Field::Header] {
                    prop_assert_eq!(expanded(&plain, field, rule), Ok(plain.clone()));
                    let _ = expanded(&odd, field, rule);
                }
            }
        }
    }
}
