//! One section of the file while it is read: typed, expanded values by key, each complaint at its place.
//!
//! Readers ask for every key they know and go on after a complaint, so that one run finds everything that is wrong;
//! whether there was any decides afterwards. Values of the wrong TOML type were reported by [`super::schema`] and are
//! absent here.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt::Display;
use std::ops::{Deref, RangeInclusive};
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnose::{Lines, nearest, one_of};
use super::duration;
use super::environment::Environment;
use super::expand::expand;
use super::schema::{Form, Section};
use crate::model::reason::{Failure, Reason};
use crate::model::secret::Secret;

/// What all blocks of one file share.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    /// The file as messages name it; `None` where defaults hold without one.
    pub(crate) file: Option<&'a Path>,
    /// Relative paths in the file start here.
    pub(crate) directory: PathBuf,
    pub(crate) environment: &'a Environment,
    pub(crate) lines: Lines<'a>,
    /// Byte offset and sentence of everything that is wrong.
    pub(crate) problems: RefCell<Vec<(usize, String)>>,
    /// What is wrong without being an error.
    pub(crate) warnings: RefCell<Vec<String>>,
    /// Where the file first names something to run, and which key does.
    pub(crate) runs: Cell<Option<(usize, &'static str)>>,
}

impl<'a> Context<'a> {
    /// A reading of `file`, whose text is `text`; of no file, where defaults hold.
    pub(crate) fn new(file: Option<&'a Path>, environment: &'a Environment, text: &'a str) -> Self {
        let directory = file.and_then(Path::parent).unwrap_or(Path::new(""));
        Context {
            file,
            directory: environment.directory().join(directory),
            environment,
            lines: Lines::new(text),
            problems: RefCell::default(),
            warnings: RefCell::default(),
            runs: Cell::default(),
        }
    }

    /// `file:line` of a byte offset.
    fn whereabouts(&self, at: usize) -> String {
        let line = self.lines.place(at).line;
        self.file.map_or_else(|| format!("line {line}"), |file| format!("{}:{line}", file.display()))
    }
}

/// Who answers for a value that the environment spoils: by an unset variable, or by one that holds nonsense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// The configuration as a whole: an error.
    Config,
    /// The block's target or output: it fails, the others go on.
    Block,
    /// Nobody: the value is left out with a warning.
    Nobody,
}

/// One section, present or not.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    context: &'a Context<'a>,
    section: &'static Section,
    /// `None` where the file does not have it.
    table: Option<&'a DeTable<'a>>,
    /// Byte offset of its header.
    pub(crate) at: usize,
    owner: Owner,
    /// What spoils this block's target or output, a sentence each.
    faults: RefCell<Vec<String>>,
}

/// A string after expansion, and where it came from.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) value: String,
    /// Byte offset.
    pub(crate) at: usize,
    pub(crate) key: &'static str,
    from_environment: bool,
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        &self.value
    }
}

impl Text {
    /// The value as something that must not be shown.
    pub(crate) fn secret(self) -> Secret {
        Secret::new(self.value)
    }
}

impl<'a> Block<'a> {
    /// The whole file; an absent table is an absent file.
    pub(crate) fn root(context: &'a Context<'a>, section: &'static Section, table: Option<&'a DeTable<'a>>) -> Self {
        Block { context, section, table, at: 0, owner: Owner::Config, faults: RefCell::default() }
    }

    fn of(&self, section: &'static Section, table: Option<&'a DeTable<'a>>, at: usize) -> Self {
        Block { context: self.context, section, table, at, owner: self.owner, faults: RefCell::default() }
    }

    /// The same block, where the environment can only spoil the block's own target or output.
    pub(crate) fn answers_for_itself(mut self) -> Self {
        self.owner = Owner::Block;
        self
    }

    /// The same block, where what the environment spoils is left out with a warning.
    pub(crate) fn leaving_out(&self) -> Self {
        Block { owner: Owner::Nobody, ..self.of(self.section, self.table, self.at) }
    }

    pub(crate) fn context(&self) -> &'a Context<'a> {
        self.context
    }

    /// Whether the file has this section at all.
    pub(crate) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// The section `[….key]`.
    pub(crate) fn child(&self, key: &'static str) -> Self {
        let Form::Table(section) = self.form(key) else { unreachable!("{key} is no section") };
        match self.value(key).map(|value| (value.get_ref(), value.span().start)) {
            Some((DeValue::Table(table), at)) => self.of(section, Some(table), at),
            _ => self.of(section, None, self.at),
        }
    }

    /// The blocks `[[….key]]`.
    pub(crate) fn children(&self, key: &'static str) -> Vec<Self> {
        let Form::Tables(section) = self.form(key) else { unreachable!("{key} is no array of sections") };
        let Some(DeValue::Array(items)) = self.value(key).map(Spanned::get_ref) else { return Vec::new() };
        let tables = items.iter().filter_map(|item| match item.get_ref() {
            DeValue::Table(table) => Some(self.of(section, Some(table), item.span().start)),
            _ => None,
        });
        tables.collect()
    }

    fn form(&self, key: &str) -> Form {
        let key = self.section.key(key).unwrap_or_else(|| panic!("no key {key} {}", self.section.place()));
        key.form
    }

    fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        debug_assert!(self.section.key(key).is_some(), "no key {key} {}", self.section.place());
        self.table?.get(key)
    }

    /// Whether the file has this key here.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Byte offset of a key's value, else of the section.
    pub(crate) fn place_of(&self, key: &str) -> usize {
        self.value(key).map_or(self.at, |value| value.span().start)
    }

    /// Notes that the file names something to run under this key.
    pub(crate) fn runs(&self, key: &'static str) {
        if self.has(key) && self.context.runs.get().is_none() {
            self.context.runs.set(Some((self.place_of(key), key)));
        }
    }

    /// A mistake in the file itself.
    pub(crate) fn complain(&self, at: usize, message: impl Into<String>) {
        self.context.problems.borrow_mut().push((at, message.into()));
    }

    /// A mistake in a value: of the file where it is written there, else of whoever answers for the environment.
    pub(crate) fn complain_of(&self, text: &Text, message: impl Display) {
        let message = format!("{:?} {}: {message}", text.key, self.section.place());
        if text.from_environment { self.spoiled(text.at, message) } else { self.complain(text.at, message) }
    }

    fn spoiled(&self, at: usize, message: String) {
        match self.owner {
            Owner::Config => self.complain(at, message),
            Owner::Block => {
                self.faults.borrow_mut().push(format!("{message} ({})", self.context.whereabouts(at)));
            }
            Owner::Nobody => {
                let place = self.context.whereabouts(at);
                self.context.warnings.borrow_mut().push(format!("{place}: {message}; left out"));
            }
        }
    }

    /// What spoils the block's target, if anything does; ask after all its values were read.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.fault().map(|fault| Failure::new(Reason::MissingEnv, fault))
    }

    /// [`Self::failure`] as a sentence.
    pub(crate) fn fault(&self) -> Option<String> {
        let faults = self.faults.borrow();
        (!faults.is_empty()).then(|| faults.join("; "))
    }

    // ---- values ----

    fn expanded(&self, key: &'static str, raw: &str, at: usize) -> Option<Text> {
        let place = || format!("{key:?} {}", self.section.place());
        let expanded = match expand(raw, self.context.environment) {
            Ok(expanded) => expanded,
            Err(message) => {
                self.complain(at, format!("{}: {message}", place()));
                return None;
            }
        };
        if !expanded.unset.is_empty() {
            for name in &expanded.unset {
                self.spoiled(at, format!("{name} is not set, but {} needs it", place()));
            }
            return None;
        }
        let text = Text { value: expanded.text, at, key, from_environment: expanded.from_environment };
        if text.contains('\0') {
            self.complain_of(&text, "it holds a NUL character");
            return None;
        }
        Some(text)
    }

    /// A string.
    pub(crate) fn text(&self, key: &'static str) -> Option<Text> {
        let value = self.value(key)?;
        let DeValue::String(raw) = value.get_ref() else { return None };
        self.expanded(key, raw, value.span().start)
    }

    /// A string that is not empty.
    pub(crate) fn filled(&self, key: &'static str) -> Option<Text> {
        let text = self.text(key)?;
        if text.is_empty() {
            self.complain_of(&text, "it is empty");
            return None;
        }
        Some(text)
    }

    /// A string the block cannot do without; `example` says what it looks like.
    pub(crate) fn required(&self, key: &'static str, example: &str) -> Option<Text> {
        if self.is_present() && !self.has(key) {
            self.complain(self.at, format!("{} needs {key:?}, as in {key} = {example:?}", self.section.header));
        }
        self.filled(key)
    }

    /// The name a target goes by: it cannot wait for a variable, since nothing could be said of a nameless target.
    pub(crate) fn name(&self, key: &'static str, example: &str) -> Option<Text> {
        let strict = Block { owner: Owner::Config, ..self.of(self.section, self.table, self.at) };
        strict.required(key, example)
    }

    /// An array of strings; elements that cannot be had are left out after the complaint.
    pub(crate) fn texts(&self, key: &'static str) -> Option<Vec<Text>> {
        let DeValue::Array(items) = self.value(key)?.get_ref() else { return None };
        let texts = items.iter().filter_map(|item| match item.get_ref() {
            DeValue::String(raw) => self.expanded(key, raw, item.span().start),
            _ => None,
        });
        Some(texts.collect())
    }

    /// A table of strings: byte offset and text of each name, in the order of the names, and its value.
    pub(crate) fn map(&self, key: &'static str) -> Vec<(usize, String, Text)> {
        let Some(DeValue::Table(table)) = self.value(key).map(Spanned::get_ref) else { return Vec::new() };
        let entries = table.iter().filter_map(|(name, value)| match value.get_ref() {
            DeValue::String(raw) => {
                let text = self.expanded(key, raw, value.span().start)?;
                Some((name.span().start, name.get_ref().to_string(), text))
            }
            _ => None,
        });
        entries.collect()
    }

    /// A table of variables for a child process.
    pub(crate) fn variables(&self, key: &'static str) -> std::collections::BTreeMap<String, Secret> {
        let entries = self.map(key);
        for (at, name, _) in &entries {
            if name.is_empty() || name.contains(['=', '\0']) {
                self.complain(*at, format!("{key:?} {}: {name:?} cannot name a variable", self.section.place()));
            }
        }
        entries.into_iter().map(|(_, name, text)| (name, text.secret())).collect()
    }

    /// True or false.
    pub(crate) fn flag(&self, key: &'static str) -> Option<bool> {
        match self.value(key)?.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            _ => None,
        }
    }

    /// A whole number within a range.
    pub(crate) fn count(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.value(key)?;
        let DeValue::Integer(integer) = value.get_ref() else { return None };
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|n| range.contains(n));
        if number.is_none() {
            let (least, most) = (range.start(), range.end());
            let place = self.section.place();
            self.complain(
                value.span().start,
                format!("{key:?} {place} must be between {least} and {most}, not {integer}"),
            );
        }
        number
    }

    /// A finite number above zero.
    pub(crate) fn amount(&self, key: &'static str) -> Option<f64> {
        let value = self.value(key)?;
        let written = match value.get_ref() {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            DeValue::Float(float) => float.as_str(),
            _ => return None,
        };
        let number = written.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
        if number.is_none() {
            let place = self.section.place();
            self.complain(value.span().start, format!("{key:?} {place} must be a number above zero, not {written}"));
        }
        number
    }

    /// One status or several.
    pub(crate) fn statuses(&self, key: &'static str) -> Vec<u16> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let items = match value.get_ref() {
            DeValue::Array(items) => items.iter().collect(),
            _ => vec![value],
        };
        let statuses = items.into_iter().filter_map(|item| {
            let DeValue::Integer(integer) = item.get_ref() else { return None };
            let status = integer.as_str().parse().ok().filter(|status| (100..=599).contains(status));
            if status.is_none() {
                let place = self.section.place();
                self.complain(item.span().start, format!("{key:?} {place}: {integer} is no HTTP status (100 to 599)"));
            }
            status
        });
        statuses.collect()
    }

    /// A duration, zero included.
    pub(crate) fn duration(&self, key: &'static str) -> Option<std::time::Duration> {
        let text = self.text(key)?;
        let duration = duration::parse(&text);
        if let Err(error) = &duration {
            let of_variable = "the variable holds no duration, such as \"30s\"".to_owned();
            self.complain_of(&text, if text.from_environment { of_variable } else { error.to_string() });
        }
        duration.ok()
    }

    /// A duration above zero.
    pub(crate) fn time_limit(&self, key: &'static str) -> Option<std::time::Duration> {
        let limit = self.duration(key)?;
        if limit.is_zero() {
            let message = format!("{key:?} {} must be more than zero, as in \"10s\"", self.section.place());
            self.complain(self.place_of(key), message);
        }
        Some(limit)
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&self, key: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let chosen = choices.iter().find(|(word, _)| *word == &*text).map(|(_, choice)| *choice);
        if chosen.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let hint = nearest(&text, words.iter().copied()).map(|near| format!("; did you mean {near:?}?"));
            let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
            let quoted = one_of(&quoted.iter().map(String::as_str).collect::<Vec<_>>());
            let found = if text.from_environment { "what the variable holds".into() } else { format!("{:?}", &*text) };
            self.complain_of(&text, format!("it must be {quoted}, not {found}{}", hint.unwrap_or_default()));
        }
        chosen
    }

    /// A path; a relative one starts at the directory of the configuration file.
    pub(crate) fn path(&self, key: &'static str) -> Option<PathBuf> {
        self.filled(key).map(|text| self.resolve(&text))
    }

    /// An array of paths.
    pub(crate) fn paths(&self, key: &'static str) -> Option<Vec<PathBuf>> {
        let texts = self.texts(key)?;
        Some(texts.iter().map(|text| self.resolve(text)).collect())
    }

    /// What a path in the file means.
    pub(crate) fn resolve(&self, text: &Text) -> PathBuf {
        if text.is_empty() {
            self.complain_of(text, "it is an empty path");
        } else if text.starts_with('~') && !text.from_environment {
            self.complain_of(text, "the home of another user is not looked up; write its whole path");
        }
        self.context.directory.join(&**text)
    }

    // ---- rules between keys ----

    /// The one key of `ways` that the block has; complains about none and about more than one.
    pub(crate) fn exactly_one(&self, ways: &[&'static str]) -> Option<&'static str> {
        let header = self.section.header;
        let mut present: Vec<&'static str> = ways.iter().copied().filter(|way| self.has(way)).collect();
        present.sort_by_key(|way| self.place_of(way));
        match present.as_slice() {
            [] => self.complain(self.at, format!("{header} needs one of {}", one_of(ways))),
            [_] => {}
            [first, others @ ..] => {
                for other in others {
                    let message = format!("{other:?} {} cannot stand beside {first:?}", self.section.place());
                    self.complain(self.place_of(other), message);
                }
            }
        }
        present.first().copied()
    }

    /// Complains about each of `keys` that the block has, since they only go with `wanted`.
    pub(crate) fn only_with(&self, keys: &[&'static str], wanted: &str) {
        for key in keys.iter().filter(|key| self.has(key)) {
            self.complain(self.place_of(key), format!("{key:?} {} only goes with {wanted}", self.section.place()));
        }
    }

    /// Complains where a name was taken before. `seen` keeps the byte offset of each first one.
    pub(crate) fn unique(&self, seen: &mut HashMap<String, usize>, text: &Text) {
        if let Some(&first) = seen.get(&text.value) {
            let line = self.context.lines.place(first).line;
            self.complain(
                text.at,
                format!("{:?} {}: {:?} is taken since line {line}", text.key, self.section.place(), &**text),
            );
        } else {
            seen.insert(text.value.clone(), text.at);
        }
    }
}
