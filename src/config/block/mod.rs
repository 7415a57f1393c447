//! One section of the file while it is read: typed, expanded values by key ([`values`]), each complaint at its place.
//!
//! Readers ask for every key they know and go on after a complaint, so that one run finds everything that is wrong;
//! whether there was any decides afterwards. A value of the wrong TOML type is absent after the complaint.

mod values;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Display;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnose::Lines;
use super::environment::HostEnvironment;
use super::schema::{self, Section};
use crate::model::reason::{Failure, Reason};
use crate::redact::Secret;

#[derive(Debug)]
pub(crate) struct Context<'a> {
    /// The file as messages name it; `None` where defaults hold without one.
    pub(crate) file: Option<&'a Path>,
    /// Relative paths in the file start here.
    pub(crate) directory: PathBuf,
    pub(crate) environment: &'a HostEnvironment,
    pub(crate) lines: Lines<'a>,
    /// Byte offset and sentence of everything that is wrong.
    pub(crate) problems: RefCell<Vec<(usize, String)>>,
    /// What is wrong without being an error.
    pub(crate) warnings: RefCell<Vec<String>>,
}

impl<'a> Context<'a> {
    /// A reading of `file`, whose text is `text`; of no file, where defaults hold.
    pub(crate) fn new(file: Option<&'a Path>, environment: &'a HostEnvironment, text: &'a str) -> Self {
        let directory = file.and_then(Path::parent).unwrap_or(Path::new(""));
        Context {
            file,
            directory: environment.directory().join(directory),
            environment,
            lines: Lines::new(text),
            problems: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    /// `file:line` of a byte offset.
    fn whereabouts(&self, at: usize) -> String {
        let line = self.lines.position(at).line;
        self.file.map_or_else(|| format!("line {line}"), |file| format!("{}:{line}", file.display()))
    }
}

/// Who answers for a value that the environment spoils: by an unset variable, or by one that holds nonsense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The configuration as a whole: an error.
    Config,
    /// The block's target or output: it fails, the others go on.
    Block,
    /// Nobody: the value is left out with a warning.
    Nobody,
}

#[derive(Debug)]
pub(crate) struct Block<'a> {
    pub(crate) context: &'a Context<'a>,
    section: &'static Section,
    /// `None` where the file does not have it.
    table: Option<&'a DeTable<'a>>,
    /// Whether it has no unknown key, which is mostly the misspelt form of one that is missed.
    spelt_right: bool,
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
    pub(crate) at: usize,
    pub(crate) key: &'static str,
    /// The string as the file has it.
    raw: String,
    from_environment: bool,
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        &self.value
    }
}

impl Text {
    pub(crate) fn secret(self) -> Secret {
        if self.from_environment { Secret::from_variable(self.value) } else { Secret::new(self.value) }
    }
}

impl<'a> Block<'a> {
    /// The whole file.
    pub(crate) fn root(context: &'a Context<'a>, table: &'a DeTable<'a>) -> Self {
        Block::new(context, Owner::Config, &schema::ROOT, Some(table), 0)
    }

    /// A block whose keys have been checked.
    fn new(
        context: &'a Context<'a>,
        owner: Owner,
        section: &'static Section,
        table: Option<&'a DeTable<'a>>,
        at: usize,
    ) -> Self {
        let mut report = |at, message| context.problems.borrow_mut().push((at, message));
        let spelt_right = table.is_none_or(|table| schema::check(table, at, section, &mut report));
        Block { context, section, table, spelt_right, at, owner, faults: RefCell::default() }
    }

    /// The same block, where this is who answers for the environment.
    pub(crate) fn owned_by(mut self, owner: Owner) -> Self {
        self.owner = owner;
        self
    }

    pub(crate) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    pub(crate) fn child(&self, key: &'static str) -> Self {
        let section = self.section_at(key);
        let wanted = format!("a table, written {}", section.header);
        let value = self.value(key);
        let table = value.and_then(|value| self.typed(key, value, &wanted, DeValue::as_table));
        Block::new(self.context, self.owner, section, table, value.map_or(self.at, |value| value.span().start))
    }

    pub(crate) fn children(&self, key: &'static str) -> Vec<Self> {
        let section = self.section_at(key);
        let wanted = format!("an array of tables, each written {}", section.header);
        let tables = self.items(key, &wanted, DeValue::as_table).unwrap_or_default().into_iter();
        tables.map(|(at, table)| Block::new(self.context, self.owner, section, Some(table), at)).collect()
    }

    fn section_at(&self, key: &str) -> &'static Section {
        let child = self.section.children().find(|(name, _)| *name == key);
        child.unwrap_or_else(|| panic!("no section {key} {}", self.section.place())).1
    }

    fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        debug_assert!(self.section.has(key), "no key {key} {}", self.section.place());
        self.table?.get(key)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Byte offset of a key's value, else of the section.
    pub(crate) fn place_of(&self, key: &str) -> usize {
        self.value(key).map_or(self.at, |value| value.span().start)
    }

    /// `"ttl" in [mcp]`.
    fn key_in_place(&self, key: &str) -> String {
        format!("{key:?} {}", self.section.place())
    }

    /// A mistake in what the file says under a key, `at` there.
    pub(crate) fn complain_in(&self, key: &str, at: usize, message: impl Display) {
        self.complain(at, format!("{}: {message}", self.key_in_place(key)));
    }

    pub(crate) fn complain(&self, at: usize, message: impl Into<String>) {
        self.context.problems.borrow_mut().push((at, message.into()));
    }

    /// A mistake in a value: of the file where it is written there, else of whoever answers for the environment.
    pub(crate) fn complain_of(&self, text: &Text, message: impl Display) {
        let message = format!("{}: {message}", self.key_in_place(text.key));
        if text.from_environment { self.spoiled(text.at, message) } else { self.complain(text.at, message) }
    }

    /// [`Self::complain_of`] a value that is not valid; whether it is.
    pub(crate) fn ensure(&self, text: &Text, is_valid: bool, message: impl Display) -> bool {
        if !is_valid {
            self.complain_of(text, message);
        }
        is_valid
    }

    /// [`Self::complain_of`] a value with a character that cannot stand there: where the file itself has one, the
    /// environment is not to blame.
    pub(crate) fn refuse_characters(&self, text: &Text, wrong: impl Fn(char) -> bool, message: impl Display) {
        if text.raw.contains(&wrong) {
            self.complain_in(text.key, text.at, message);
        } else if text.contains(&wrong) {
            self.complain_of(text, message);
        }
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

    pub(crate) fn failure(&self) -> Option<Failure> {
        self.fault().map(|fault| Failure::new(Reason::MissingEnv, fault))
    }

    pub(crate) fn fault(&self) -> Option<String> {
        let faults = self.faults.borrow();
        (!faults.is_empty()).then(|| faults.join("; "))
    }

    /// Complains where a name was taken before. `seen` keeps the byte offset of each first one.
    pub(crate) fn unique(&self, seen: &mut HashMap<String, usize>, text: &Text) {
        if let Some(&first) = seen.get(&text.value) {
            let line = self.context.lines.position(first).line;
            self.complain_in(text.key, text.at, format!("{:?} is taken since line {line}", &**text));
        } else {
            seen.insert(text.value.clone(), text.at);
        }
    }
}
