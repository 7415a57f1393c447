//! Each client's own rule for variables in the strings of its config.
//!
//! Clients disagree: what one expands the next sends as it stands, and a server then answers "unauthorized" to the
//! text `${TOKEN}`. So every rule is followed to the letter, and what stays unresolved on its way to the network is a
//! failure of that server with the variable's name in it, never a request.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use serde::Deserialize;

use super::resolve::Resolver;
use crate::dotenv::Line;
use crate::model::reason::{Failure, Reason};
use crate::redact::Secret;

/// What editors expand, as their rows and the documents write it.
const EDITOR: &str = "`${userHome}`, `${workspaceFolder}`; `${input:…}` is `needs_input`";

/// Of a client that expands `$(command)` and `${cmd: command}`.
const COMMANDS: &str = "commands are not run";

/// The forms that a client expands, as the documents write them: each in all strings, or in those that stand behind it ("`$VAR` in variables and headers");
/// nothing where that is not known.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Rule(Option<Vec<String>>);

impl Rule {
    /// Whether it is known from documentation or source. If not, what looks like a reference to a variable is meant as one
    /// all the same, and is not passed on.
    pub(super) fn is_known(&self) -> bool {
        self.0.is_some()
    }

    fn has(&self, form: &str, field: Field) -> bool {
        let place = match field {
            Field::Env => "variables",
            Field::Header => "headers",
            Field::Word | Field::Url => "",
        };
        let mut said = self.0.iter().flatten().map(|written| written.split_once(" in ").unwrap_or((written, "")));
        said.any(|(known, places)| {
            known == form && (places.is_empty() || places.split(" and ").any(|one| one == place))
        })
    }
}

/// Where in a server's entry a string stands: rules differ by place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// What a program gets or is: command, argument, path.
    Word,
    Env,
    Url,
    Header,
}

/// A variable's name without what may stand behind it: a default, in whatever shell's way of writing one, may be a
/// secret.
fn shown_name(name: &str) -> String {
    let odd = |c: char| !(c.is_ascii_alphanumeric() || "_.".contains(c));
    let scheme = ["env:", "file:", "input:"].iter().find(|scheme| name.starts_with(**scheme)).map_or(0, |s| s.len());
    let end = name[scheme..].find(odd).map_or(name.len(), |at| scheme + at);
    if end < name.len() { format!("{}…", &name[..end]) } else { name.to_owned() }
}

const FILE_LIMIT: u64 = 64 << 10;

fn missing(detail: String, hint: &str) -> Failure {
    Failure::new(Reason::MissingEnv, detail).with_hint(hint)
}

/// A file whose contents were to be used: how it is called, and what kept it from being read.
pub(super) fn unreadable(file: &str, why: &str) -> Failure {
    missing(format!("{file} cannot be read: {why}"), "create the file that the config names, or correct its path")
}

impl Resolver<'_> {
    /// Expands `text` by the client's rule.
    /// Errors: The first reference that has no value.
    pub(super) fn expand(&self, text: &str, field: Field) -> Result<String, Failure> {
        let (mut out, mut rest) = (String::with_capacity(text.len()), text);
        // Behind the last closing brace none is looked for: opening ones alone would cost their number times the text's length.
        let last = text.rfind('}').map_or(usize::MAX, |at| text.len() - at);
        while let Some(at) = rest.find(['$', '{']) {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let (value, length) =
                self.reference(rest, rest.len() > last, field).unwrap_or_else(|| (Ok(rest[..1].to_owned()), 1));
            out.push_str(&value?);
            rest = &rest[length..];
        }
        out.push_str(rest);
        Ok(out)
    }

    fn has(&self, form: &str, field: Field) -> bool {
        self.host.client.variables.has(form, field)
    }

    /// The value and the length of the reference at the start of `text`; `None` if there is none.
    fn reference(&self, text: &str, is_closed: bool, field: Field) -> Option<(Result<String, Failure>, usize)> {
        // Up to the first closing brace. Empty braces are no reference.
        let between = |open: &str| {
            let rest = text.strip_prefix(open).filter(|_| is_closed)?;
            let end = rest.find('}').filter(|end| *end > 0)?;
            Some((&rest[..end], open.len() + end + 1))
        };
        if self.has("`${{ secrets.VAR }}`", field)
            && let Some((inner, length)) = between("${{").filter(|(_, length)| text[*length..].starts_with('}'))
            && let Some(name) = inner.trim().strip_prefix("secrets.")
        {
            return Some((self.secret(name), length + 1));
        }
        if let Some((inner, length)) = between("${") {
            return Some((self.in_braces(inner, field), length));
        }
        if self.has("`{env:VAR}`, `{file:path}`", field) {
            if let Some((name, length)) = between("{env:") {
                return Some((self.variable(name, None), length));
            }
            if let Some((path, length)) = between("{file:") {
                return Some((self.file_contents(path), length));
            }
        }
        if self.has(COMMANDS, field) && text.starts_with("$(") {
            return Some((Err(self.command()), text.len()));
        }
        // A letter or underscore, then letters, digits and underscores.
        let rest = text.strip_prefix('$').filter(|_| self.has("`$VAR`", field))?;
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let name =
            Some(&rest[..end]).filter(|name| !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()))?;
        Some((self.variable(name, None), 1 + end))
    }

    fn in_braces(&self, inner: &str, field: Field) -> Result<String, Failure> {
        match (&self.file.plugin, inner) {
            (Some(_), "/" | "pathSeparator") => return Ok("/".into()),
            (Some(plugin), _) if plugin.kind.variables.iter().any(|name| name == inner) => {
                return Ok(text_of(&plugin.directory));
            }
            _ => {}
        }
        match inner.split_once(':') {
            // VS Code and its kin know no default here, so the whole rest is the name.
            Some(("env", name)) if self.has("`${env:VAR}`", field) => return self.variable(name, None),
            Some(("file", path)) if self.has("`${file:/path}`", field) => return self.file_contents(path),
            Some(("cmd", _)) if self.has(COMMANDS, field) => return Err(self.command()),
            Some(("input", _)) if self.has(EDITOR, field) || self.has("`${input:…}` is `needs_input`", field) => {
                return Err(Failure::new(Reason::NeedsInput, format!("the config asks a person for ${{{inner}}}")));
            }
            _ => {}
        }
        if self.has("`${VAR}`", field) {
            let default = inner.split_once(":-").filter(|_| self.has("`${VAR:-default}`", field));
            let (name, default) = default.map_or((inner, None), |(name, default)| (name, Some(default)));
            return self.variable(name, default);
        }
        if (self.has(EDITOR, field) || self.has("`${workspaceFolder}`", field) && inner == "workspaceFolder")
            && let Some(value) = self.editor_value(inner)
        {
            return value;
        }
        // A program may have been given the text on purpose (`sh -c 'echo ${X}'`); a URL or a header never was. Where the
        // rule itself is unknown, a variable of the environment was meant, too.
        let client = self.host.client;
        match field {
            Field::Word => Ok(format!("${{{inner}}}")),
            Field::Env if client.variables.is_known() => Ok(format!("${{{inner}}}")),
            _ => Err(missing(
                format!("{} is not known to expand ${{{}}}; nothing was sent", client.title, shown_name(inner)),
                "write the value out, or add the server by hand under [[mcp.server]], where ${VAR} expands",
            )),
        }
    }

    pub(super) fn variable(&self, name: &str, default: Option<&str>) -> Result<String, Failure> {
        let unset = || {
            let name = shown_name(name);
            let hint =
                format!("set {name} in the environment lab-probe runs in (for the timer: the unit's environment file)");
            missing(format!("the variable {name} is not set"), &hint)
        };
        self.host.environment.var(name).or(default).map(str::to_owned).ok_or_else(unset)
    }

    fn command(&self) -> Failure {
        let detail = format!("{} runs a command for a value of this entry; lab-probe does not", self.host.client.title);
        missing(detail, "put the value into a variable, or add the server by hand under [[mcp.server]]")
    }

    fn editor_value(&self, what: &str) -> Option<Result<String, Failure>> {
        let editor_only = || {
            let detail = format!("${{{what}}} has a value only inside {}", self.host.client.title);
            missing(detail, "add the server by hand under [[mcp.server]], with the value written out")
        };
        let workspace = || self.file.workspace().ok_or_else(editor_only);
        Some(match what.split_once(':').map_or(what, |(scheme, _)| scheme) {
            "userHome" => match &self.host.environment.home {
                Some(home) => Ok(text_of(home)),
                None => self.variable("HOME", None),
            },
            "workspaceFolder" | "workspaceRoot" | "workspacePath" => workspace().map(text_of),
            "workspaceFolderBasename" => workspace().map(|path| path.file_name().map(text_of).unwrap_or_default()),
            "pathSeparator" | "/" => Ok("/".into()),
            "config" | "command" => Err(editor_only()),
            _ => return None,
        })
    }

    /// A secret of Continue (core `LocalPlatformClient`): from the environment, else from its own environment file.
    fn secret(&self, name: &str) -> Result<String, Failure> {
        let of_file = || {
            let path = self.host.environment.home.as_ref()?.join(".continue/.env");
            let bytes = crate::fs::read_capped(&path, FILE_LIMIT).ok().filter(|_| self.refusal.is_none())?;
            Some(dotenv(&bytes).remove(name)?.expose().to_owned())
        };
        self.variable(name, None).or_else(|unset| of_file().ok_or(unset))
    }

    /// What a file holds; relative references are relative to the directory of the config file.
    fn file_contents(&self, path: &str) -> Result<String, Failure> {
        let directory = self.file.path.parent().unwrap_or(Path::new("/"));
        let path = directory.join(self.host.environment.tilde(path));
        let unreadable = |why: &str| unreadable(&path.display().to_string(), why);
        if self.refusal.is_some() {
            return Err(unreadable("the config is not trusted"));
        }
        let bytes = crate::fs::read_capped(&path, FILE_LIMIT).map_err(|e| unreadable(&e.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_invalid| unreadable("not UTF-8 text"))?;
        Ok(text.trim().to_owned())
    }
}

pub(super) fn dotenv(bytes: &[u8]) -> BTreeMap<String, Secret> {
    let text = String::from_utf8_lossy(bytes);
    let variable = |line| match line {
        Line::Binding(name, Some(value)) => Some((name.to_owned(), Secret::new(value))),
        Line::Binding(_, None) | Line::Unreadable(_) => None,
    };
    crate::dotenv::lines(&text).into_iter().filter_map(variable).collect()
}

fn text_of(path: &(impl AsRef<OsStr> + ?Sized)) -> String {
    path.as_ref().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
