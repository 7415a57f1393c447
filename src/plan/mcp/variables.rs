//! Each client's own rule for variables in the strings of its config.
//!
//! Clients disagree: what one expands the next sends as it stands, and a server then answers "unauthorized" to the
//! text `${TOKEN}`. So every rule is followed to the letter, and what stays unresolved on its way to the network is a
//! failure of that server with the variable's name in it, never a request.

use std::fmt;
use std::path::{Path, PathBuf};

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
    /// A file whose contents were to be used.
    File(PathBuf, String),
    /// A reference that the client does not expand (or is not known to), in a place where the literal text is useless.
    NotExpanded(String),
}

impl Unresolved {
    /// The server's failure, with the reference in it; `client` is the client's name for people.
    pub(super) fn failure(&self, client: &str) -> Failure {
        match self {
            Unresolved::Unset(name) => Failure::new(Reason::MissingEnv, format!("the variable {name} is not set"))
                .with_hint(format!(
                    "set {name} in the environment lab-probe runs in (for the timer: the unit's environment file)"
                )),
            Unresolved::Input(id) => {
                Failure::new(Reason::NeedsInput, format!("the config asks a person for ${{{id}}}"))
            }
            Unresolved::EditorOnly(what) => {
                Failure::new(Reason::MissingEnv, format!("${{{what}}} has a value only inside {client}"))
                    .with_hint("add the server by hand under [[mcp.server]], with the value written out")
            }
            Unresolved::File(path, why) => {
                Failure::new(Reason::MissingEnv, format!("{} cannot be read: {why}", path.display()))
                    .with_hint("create the file that the config names, or correct its path")
            }
            Unresolved::NotExpanded(text) => {
                Failure::new(Reason::MissingEnv, format!("{client} is not known to expand {text}; nothing was sent"))
                    .with_hint(
                        "write the value out, or add the server by hand under [[mcp.server]], where ${VAR} expands",
                    )
            }
        }
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.failure("the client").detail)
    }
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
            Reference::Foreign => return Err(Unresolved::NotExpanded(written.to_owned())),
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
            Reference::Foreign => Err(Unresolved::NotExpanded(written.to_owned())),
            _ => Ok(written.to_owned()),
        },
    }
}

fn file_contents(path: &str, context: Context<'_>) -> Result<String, Unresolved> {
    let path = context.directory.join(context.surroundings.tilde(path));
    if !context.read_files {
        return Err(Unresolved::File(path, "the config is not trusted".into()));
    }
    let bytes = crate::fs::read_capped(&path, FILE_LIMIT).map_err(|e| Unresolved::File(path.clone(), e.to_string()))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(_) => Err(Unresolved::File(path, "not UTF-8 text".into())),
    }
}
