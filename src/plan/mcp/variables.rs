//! Each client's own rule for variables in the strings of its config.
//!
//! Clients disagree: what one expands the next sends as it stands, and a server then answers "unauthorized" to the
//! text `${TOKEN}`. So every rule is followed to the letter, and what stays unresolved on its way to the network is a
//! failure of that server with the variable's name in it, never a request.

use std::path::{Path, PathBuf};

use super::dotenv::dotenv;
use crate::model::reason::{Failure, Reason};
use crate::plan::host_environment::HostEnvironment;

/// How a client treats variables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// What is expanded, and where.
    pub(super) forms: &'static [(Form, Fields)],
    /// Whether that is known from documentation or source. If not, a form that none of the above is meant for a
    /// variable all the same, and is not passed on.
    pub(super) is_known: bool,
}

/// A way of writing a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `$VAR`.
    Bare,
    /// `${VAR}`.
    Braces,
    /// `:-default` in braces.
    Default,
    /// `${env:VAR}`.
    Env,
    /// `{env:VAR}` and `{file:path}`.
    Curly,
    /// `${file:/path}`.
    File,
    /// `${userHome}`, `${workspaceFolder}` and its kin, `${input:id}`.
    Editor,
    /// `${input:id}` alone.
    Input,
    /// `${{ secrets.VAR }}`: the environment, else `~/.continue/.env`.
    Secrets,
    /// `$(command)` and `${cmd: command}`, which lab-probe never runs.
    Command,
}

/// The strings of an entry in which a form is expanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fields {
    /// All of them.
    All,
    /// Values of the program's variables.
    Env,
    /// Values of headers.
    Headers,
    /// Both of these.
    Values,
}

/// Nothing is expanded, and the client is known to do so.
pub(super) const LITERAL: Rule = Rule { forms: &[], is_known: true };

/// Nothing is expanded, because it is not known what the client does.
pub(super) const UNKNOWN: Rule = Rule { forms: &[], is_known: false };

impl Rule {
    /// What it expands, for documents.
    pub(super) fn describe(self) -> String {
        let form = |(form, fields): &(Form, Fields)| {
            let written = match form {
                Form::Bare => "`$VAR`",
                Form::Braces => "`${VAR}`",
                Form::Default => "`${VAR:-default}`",
                Form::Env => "`${env:VAR}`",
                Form::Curly => "`{env:VAR}`, `{file:path}`",
                Form::File => "`${file:/path}`",
                Form::Editor => "`${userHome}`, `${workspaceFolder}`; `${input:…}` is `needs_input`",
                Form::Input => "`${input:…}` is `needs_input`",
                Form::Secrets => "`${{ secrets.VAR }}`",
                Form::Command => "commands are not run",
            };
            match fields {
                Fields::All => written.to_owned(),
                Fields::Env => format!("{written} in variables"),
                Fields::Headers => format!("{written} in headers"),
                Fields::Values => format!("{written} in variables and headers"),
            }
        };
        match (self.forms, self.is_known) {
            ([], true) => "none: strings stand as they are".into(),
            ([], false) => "not verified: none are expanded".into(),
            (forms, _) => forms.iter().map(form).collect::<Vec<_>>().join(", "),
        }
    }

    fn has(self, form: Form, field: Field) -> bool {
        let holds = |fields: Fields| match fields {
            Fields::All => true,
            Fields::Env => field == Field::Env,
            Fields::Headers => field == Field::Header,
            Fields::Values => matches!(field, Field::Env | Field::Header),
        };
        self.forms.iter().any(|(known, fields)| *known == form && holds(*fields))
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
    /// What a command would print.
    Command,
    /// The URL comes to nothing.
    NoUrl,
}

impl Unresolved {
    fn not_expanded(written: &str) -> Self {
        let inner = written.trim_start_matches("${").trim_end_matches('}');
        Unresolved::NotExpanded(format!("${{{}}}", shown_name(inner)))
    }

    /// The server's failure, with the reference in it; `client` is the client's name for people.
    pub(super) fn failure(&self, client: &str) -> Failure {
        let missing = |detail: String| Failure::new(Reason::MissingEnv, detail);
        match self {
            Unresolved::Unset(name) => {
                let name = shown_name(name);
                missing(format!("the variable {name} is not set")).with_hint(format!(
                    "set {name} in the environment lab-probe runs in (for the timer: the unit's environment file)"
                ))
            }
            Unresolved::Input(id) => {
                Failure::new(Reason::NeedsInput, format!("the config asks a person for ${{{id}}}"))
            }
            Unresolved::EditorOnly(what) => missing(format!("${{{what}}} has a value only inside {client}"))
                .with_hint("add the server by hand under [[mcp.server]], with the value written out"),
            Unresolved::File(file, why) => missing(format!("{file} cannot be read: {why}"))
                .with_hint("create the file that the config names, or correct its path"),
            Unresolved::NotExpanded(text) => missing(format!(
                "{client} is not known to expand {text}; nothing was sent"
            ))
            .with_hint("write the value out, or add the server by hand under [[mcp.server]], where ${VAR} expands"),
            Unresolved::NoUrl => Failure::new(Reason::NotConfigured, "its URL is empty")
                .with_hint("set the variable that the URL is made of, or leave the server out"),
            Unresolved::Command => {
                missing(format!("{client} runs a command for a value of this entry; lab-probe does not"))
                    .with_hint("put the value into a variable, or add the server by hand under [[mcp.server]]")
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
    pub(super) environment: &'a HostEnvironment,
    /// The project the config belongs to, if it belongs to one.
    pub(super) workspace: Option<&'a Path>,
    /// The directory of the config file, which relative `{file:…}` references are relative to.
    pub(super) directory: &'a Path,
    /// Whether files that the config refers to may be read; not for a config that nobody trusts yet.
    pub(super) read_files: bool,
    /// The plugin the entry comes from, and the names in `${…}` that stand for its directory.
    pub(super) plugin: Option<(&'a Path, &'static [&'static str])>,
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
        let (reference, length) = match Reference::at(rest, field, rule, context.plugin) {
            Some(found) => found,
            None => (Reference::Text, rest.chars().next().map_or(0, char::len_utf8)),
        };
        let written = &rest[..length];
        match reference {
            Reference::Text => out.push_str(written),
            Reference::Variable { name, default } => match (context.environment.var(name), default) {
                (Some(value), _) => out.push_str(value),
                (None, Some(default)) => out.push_str(default),
                (None, None) => return Err(Unresolved::Unset(name.to_owned())),
            },
            Reference::Value(value) => out.push_str(&value),
            Reference::Secret(name) => out.push_str(&secret(name, context)?),
            Reference::File(path) => out.push_str(&file_contents(path, context)?),
            Reference::Editor(what) => out.push_str(&editor_value(what, written, field, rule, context)?),
            Reference::Command => return Err(Unresolved::Command),
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
    /// Something whose value is known already.
    Value(String),
    /// A secret of Continue.
    Secret(&'t str),
    /// A file whose contents are meant.
    File(&'t str),
    /// Something inside `${…}` that only an editor knows; checked further by [`editor_value`].
    Editor(&'t str),
    /// A command whose output is meant.
    Command,
    /// A reference in a form this client does not expand, in a place where it cannot be meant literally.
    Foreign,
}

impl<'t> Reference<'t> {
    /// The reference at the start of `text` and its length; `None` if there is none.
    fn at(
        text: &'t str,
        field: Field,
        rule: Rule,
        plugin: Option<(&Path, &'static [&'static str])>,
    ) -> Option<(Self, usize)> {
        let has = |form| rule.has(form, field);
        if has(Form::Curly) && text.starts_with('{') {
            let (inner, length) = braced(text, "{")?;
            let reference = match inner.split_once(':')? {
                ("env", name) => Reference::Variable { name, default: None },
                ("file", path) => Reference::File(path),
                _ => return None,
            };
            return Some((reference, length));
        }
        if has(Form::Secrets)
            && let Some((inner, length)) = braced(text, "${{")
        {
            let name = inner.trim().strip_prefix("secrets.")?;
            return Some((Reference::Secret(name), length + usize::from(text[length..].starts_with('}'))));
        }
        if has(Form::Command) && text.starts_with("$(") {
            return Some((Reference::Command, text.len()));
        }
        if let Some((inner, length)) = braced(text, "${") {
            let own = plugin.and_then(|(directory, names)| match inner {
                "/" | "pathSeparator" => Some("/".into()),
                _ => names.contains(&inner).then(|| directory.to_string_lossy().into_owned()),
            });
            return Some((own.map_or_else(|| Self::in_braces(inner, field, rule), Reference::Value), length));
        }
        let name = has(Form::Bare).then(|| bare_name(text)).flatten()?;
        Some((Reference::Variable { name, default: None }, 1 + name.len()))
    }

    fn in_braces(inner: &'t str, field: Field, rule: Rule) -> Self {
        let has = |form| rule.has(form, field);
        match inner.split_once(':') {
            // VS Code and its kin know no default here, so the whole rest is the name.
            Some(("env", name)) if has(Form::Env) => return Reference::Variable { name, default: None },
            Some(("file", path)) if has(Form::File) => return Reference::File(path),
            Some(("cmd", _)) if has(Form::Command) => return Reference::Command,
            Some(("input", _)) if has(Form::Editor) || has(Form::Input) => return Reference::Editor(inner),
            _ => {}
        }
        if has(Form::Braces) {
            let (name, default) = match inner.split_once(":-").filter(|_| has(Form::Default)) {
                Some((name, default)) => (name, Some(default)),
                None => (inner, None),
            };
            return Reference::Variable { name, default };
        }
        if has(Form::Editor) { Reference::Editor(inner) } else { foreign(field, rule) }
    }
}

/// `${…}` under a rule that does not know it. A program may have been given the text on purpose (`sh -c 'echo ${X}'`);
/// a URL or a header never was. Where the rule itself is unknown, a variable of the environment was meant, too.
fn foreign(field: Field, rule: Rule) -> Reference<'static> {
    match field {
        Field::Url | Field::Header => Reference::Foreign,
        Field::Env if !rule.is_known => Reference::Foreign,
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

fn editor_value(
    what: &str,
    written: &str,
    field: Field,
    rule: Rule,
    context: Context<'_>,
) -> Result<String, Unresolved> {
    let workspace = || context.workspace.ok_or_else(|| Unresolved::EditorOnly(what.to_owned()));
    match what.split_once(':').map_or(what, |(scheme, _)| scheme) {
        "userHome" => match &context.environment.home {
            Some(home) => Ok(home.to_string_lossy().into_owned()),
            None => Err(Unresolved::Unset("HOME".into())),
        },
        "workspaceFolder" | "workspaceRoot" | "workspacePath" => Ok(workspace()?.to_string_lossy().into_owned()),
        "workspaceFolderBasename" => {
            Ok(workspace()?.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default())
        }
        "pathSeparator" | "/" => Ok("/".into()),
        "input" => Err(Unresolved::Input(what.to_owned())),
        "config" | "command" => Err(Unresolved::EditorOnly(what.to_owned())),
        _ => match foreign(field, rule) {
            Reference::Foreign => Err(Unresolved::not_expanded(written)),
            _ => Ok(written.to_owned()),
        },
    }
}

/// A secret of Continue (core `LocalPlatformClient`): from the environment, else from its own environment file.
fn secret(name: &str, context: Context<'_>) -> Result<String, Unresolved> {
    let file = context.environment.home.as_ref().map(|home| home.join(".continue/.env"));
    let of_file = |path: PathBuf| {
        let bytes = crate::fs::read_capped(&path, FILE_LIMIT).ok()?;
        Some(dotenv(&String::from_utf8_lossy(&bytes)).remove(name)?.expose().to_owned())
    };
    let value = context.environment.var(name).map(str::to_owned);
    let value = value.or_else(|| file.filter(|_| context.read_files).and_then(of_file));
    value.ok_or_else(|| Unresolved::Unset(name.to_owned()))
}

fn file_contents(path: &str, context: Context<'_>) -> Result<String, Unresolved> {
    let path = context.directory.join(context.environment.tilde(path));
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
mod tests;
