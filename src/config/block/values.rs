//! Values by key, typed and expanded.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::{Block, Owner, Text};
use crate::config::diagnose::{nearest, one_of};
use crate::config::duration;
use crate::config::expand::{Expanded, expand};
use crate::redact::Secret;

const DURATION: &str = "a duration in quotes, as in \"30s\", \"5m\" or \"1h30m\"";

const FLAG: &str = "true or false";

const EMPTY_PATH: &str = "it is an empty path";

impl<'a> Block<'a> {
    fn expanded(&self, key: &'static str, raw: &str, at: usize) -> Option<Text> {
        let expanded = expand(raw, self.context.environment);
        let Expanded { text: value, from_environment, unset } =
            expanded.map_err(|error| self.complain_in(key, at, error)).ok()?;
        for name in &unset {
            self.spoiled(at, format!("{name} is not set, but {} needs it", self.key_in_place(key)));
        }
        let text = Text { value, at, key, raw: raw.to_owned(), from_environment };
        self.refuse_characters(&text, |c| c == '\0', "it holds a NUL character");
        Some(text).filter(|text| unset.is_empty() && !text.contains('\0'))
    }

    /// A value under `key`, where `read` finds it to be of the wanted type.
    pub(super) fn typed<T>(
        &self,
        key: &str,
        value: &'a Spanned<DeValue<'a>>,
        wanted: &str,
        read: impl FnOnce(&'a DeValue<'a>) -> Option<T>,
    ) -> Option<T> {
        let found = read(value.get_ref());
        if found.is_none() {
            let hint = match value.get_ref() {
                DeValue::Integer(seconds) if wanted == DURATION => format!("; did you mean \"{seconds}s\"?"),
                DeValue::String(text) if wanted == FLAG && matches!(text.as_ref(), "true" | "false") => {
                    format!("; did you mean {text} without quotes?")
                }
                _ => String::new(),
            };
            let found = kind(value.get_ref());
            let message = format!("{} must be {wanted}, not {found}{hint}", self.key_in_place(key));
            self.complain(value.span().start, message);
        }
        found
    }

    /// An array, and of its elements those of the wanted type, each with its byte offset.
    pub(super) fn items<T>(
        &self,
        key: &str,
        wanted: &str,
        read: impl Fn(&'a DeValue<'a>) -> Option<T>,
    ) -> Option<Vec<(usize, T)>> {
        let items = self.typed(key, self.value(key)?, wanted, DeValue::as_array)?;
        let item = |item: &'a Spanned<DeValue<'a>>| Some((item.span().start, self.typed(key, item, wanted, &read)?));
        Some(items.iter().filter_map(item).collect())
    }

    pub(crate) fn text(&self, key: &'static str) -> Option<Text> {
        self.string(key, "a string in quotes")
    }

    fn string(&self, key: &'static str, wanted: &str) -> Option<Text> {
        let value = self.value(key)?;
        self.expanded(key, self.typed(key, value, wanted, DeValue::as_str)?, value.span().start)
    }

    pub(crate) fn filled(&self, key: &'static str) -> Option<Text> {
        let text = self.text(key)?;
        self.ensure(&text, !text.is_empty(), "it is empty").then_some(text)
    }

    /// A string the block cannot do without; `example` says what it looks like.
    pub(crate) fn required(&self, key: &'static str, example: &str) -> Option<Text> {
        if self.is_present() && !self.has(key) && self.spelt_right {
            self.complain(self.at, format!("{} needs {key:?}, as in {key} = {example:?}", self.section.header));
        }
        self.filled(key)
    }

    /// The name a target goes by: it cannot wait for a variable, since nothing could be said of a nameless target.
    pub(crate) fn name(&self, key: &'static str, example: &str) -> Option<Text> {
        let strict = Block { owner: Owner::Config, faults: RefCell::default(), ..*self };
        strict.required(key, example)
    }

    /// An array of strings; elements that cannot be had are left out after the complaint.
    pub(crate) fn texts(&self, key: &'static str) -> Option<Vec<Text>> {
        let items = self.items(key, "an array of strings, as in [\"one\", \"two\"]", DeValue::as_str)?;
        Some(items.into_iter().filter_map(|(at, raw)| self.expanded(key, raw, at)).collect())
    }

    /// A table of strings: byte offset and text of each name, in the order of the names, and its value.
    pub(crate) fn map(&self, key: &'static str) -> Vec<(usize, String, Text)> {
        const WANTED: &str = "a table of strings, as in { NAME = \"value\" }";
        let table = self.value(key).and_then(|value| self.typed(key, value, WANTED, DeValue::as_table));
        let entries = table.into_iter().flatten().filter_map(|(name, value)| {
            let text = self.expanded(key, self.typed(key, value, WANTED, DeValue::as_str)?, value.span().start)?;
            Some((name.span().start, name.get_ref().to_string(), text))
        });
        entries.collect()
    }

    pub(crate) fn variables(&self, key: &'static str) -> BTreeMap<String, Secret> {
        let entries = self.map(key);
        for (at, name, _) in &entries {
            if name.is_empty() || name.contains(['=', '\0']) {
                self.complain_in(key, *at, format!("{name:?} cannot name a variable"));
            }
        }
        entries.into_iter().map(|(_, name, text)| (name, text.secret())).collect()
    }

    pub(crate) fn flag(&self, key: &'static str) -> Option<bool> {
        self.typed(key, self.value(key)?, FLAG, DeValue::as_bool)
    }

    pub(crate) fn count(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.value(key)?;
        let integer = self.typed(key, value, "a whole number", DeValue::as_integer)?;
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|n| range.contains(n));
        if number.is_none() {
            let (least, most) = (range.start(), range.end());
            let message = format!("it must be between {least} and {most}, not {integer}");
            self.complain_in(key, value.span().start, message);
        }
        number
    }

    /// A finite number above zero.
    pub(crate) fn amount(&self, key: &'static str) -> Option<f64> {
        let value = self.value(key)?;
        let written = self.typed(key, value, "a number", |value| match value {
            DeValue::Integer(integer) => Some(integer.to_string()),
            DeValue::Float(float) => Some(float.to_string()),
            _ => None,
        })?;
        let number = written.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
        if number.is_none() {
            self.complain_in(key, value.span().start, format!("it must be a number above zero, not {written}"));
        }
        number
    }

    pub(crate) fn statuses(&self, key: &'static str) -> Vec<u16> {
        const WANTED: &str = "an HTTP status or an array of them, as in [200, 204]";
        let Some(value) = self.value(key) else { return Vec::new() };
        let integers = match value.get_ref().as_integer() {
            Some(integer) => vec![(value.span().start, integer)],
            None => self.items(key, WANTED, DeValue::as_integer).unwrap_or_default(),
        };
        let statuses = integers.into_iter().filter_map(|(at, integer)| {
            let status = integer.as_str().parse().ok().filter(|status| (100..=599).contains(status));
            if status.is_none() {
                self.complain_in(key, at, format!("{integer} is no HTTP status (100 to 599)"));
            }
            status
        });
        statuses.collect()
    }

    pub(crate) fn duration(&self, key: &'static str) -> Option<Duration> {
        let text = self.string(key, DURATION)?;
        let duration = duration::parse(&text);
        if let Err(error) = &duration {
            let of_variable = "the variable holds no duration, such as \"30s\"".to_owned();
            self.complain_of(&text, if text.from_environment { of_variable } else { error.to_string() });
        }
        duration.ok()
    }

    /// A duration above zero.
    pub(crate) fn time_limit(&self, key: &'static str) -> Option<Duration> {
        let limit = self.duration(key)?;
        if limit.is_zero() {
            self.complain_in(key, self.place_of(key), "it must be more than zero, as in \"10s\"");
        }
        Some(limit)
    }

    pub(crate) fn choice<T: Copy>(&self, key: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let chosen = choices.iter().find(|(word, _)| *word == &*text).map(|(_, choice)| *choice);
        if chosen.is_none() {
            let words = choices.iter().map(|(word, _)| *word);
            let hint = nearest(&text, words.clone()).map(|near| format!("; did you mean {near:?}?"));
            let quoted = one_of(&words.map(|word| format!("{word:?}")).collect::<Vec<_>>());
            let found = if text.from_environment { "what the variable holds".into() } else { format!("{:?}", &*text) };
            self.complain_of(&text, format!("it must be {quoted}, not {found}{}", hint.unwrap_or_default()));
        }
        chosen
    }

    /// A path; a relative one starts at the directory of the configuration file.
    pub(crate) fn path(&self, key: &'static str) -> Option<PathBuf> {
        self.filled(key).map(|text| self.resolve(&text))
    }

    /// An array of paths; an empty one is left out after the complaint.
    pub(crate) fn paths(&self, key: &'static str) -> Option<Vec<PathBuf>> {
        let mut texts = self.texts(key)?;
        texts.retain(|text| self.ensure(text, !text.is_empty(), EMPTY_PATH));
        Some(texts.iter().map(|text| self.resolve(text)).collect())
    }

    pub(crate) fn resolve(&self, text: &Text) -> PathBuf {
        self.check_path(text);
        self.context.directory.join(&**text)
    }

    pub(crate) fn check_path(&self, text: &Text) {
        if self.ensure(text, !text.is_empty(), EMPTY_PATH) && text.starts_with('~') && text.raw.contains('~') {
            self.complain_in(text.key, text.at, "the home of another user is not looked up; write its whole path");
        }
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
