//! Values by key, typed and expanded.

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

impl Block<'_> {
    fn expanded(&self, key: &'static str, raw: &str, at: usize) -> Option<Text> {
        let expanded = match expand(raw, self.context.environment) {
            Ok(expanded) => expanded,
            Err(message) => {
                self.complain_in(key, at, message);
                return None;
            }
        };
        if !expanded.unset.is_empty() {
            for name in &expanded.unset {
                self.spoiled(at, format!("{name} is not set, but {} needs it", self.key_in_place(key)));
            }
            return None;
        }
        let Expanded { text: value, from_environment, .. } = expanded;
        let text = Text { value, at, key, raw: raw.to_owned(), from_environment };
        self.refuse_characters(&text, |c| c == '\0', "it holds a NUL character");
        Some(text).filter(|text| !text.contains('\0'))
    }

    pub(crate) fn text(&self, key: &'static str) -> Option<Text> {
        let value = self.value(key)?;
        let DeValue::String(raw) = value.get_ref() else { return None };
        self.expanded(key, raw, value.span().start)
    }

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
        if self.is_present() && !self.has(key) && !self.has_unknown_key() {
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
        match self.value(key)?.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            _ => None,
        }
    }

    pub(crate) fn count(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.value(key)?;
        let DeValue::Integer(integer) = value.get_ref() else { return None };
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
        let written = match value.get_ref() {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            DeValue::Float(float) => float.as_str(),
            _ => return None,
        };
        let number = written.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
        if number.is_none() {
            self.complain_in(key, value.span().start, format!("it must be a number above zero, not {written}"));
        }
        number
    }

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
                self.complain_in(key, item.span().start, format!("{integer} is no HTTP status (100 to 599)"));
            }
            status
        });
        statuses.collect()
    }

    pub(crate) fn duration(&self, key: &'static str) -> Option<Duration> {
        let text = self.text(key)?;
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

    /// An array of paths; an empty one is left out after the complaint.
    pub(crate) fn paths(&self, key: &'static str) -> Option<Vec<PathBuf>> {
        let texts = self.texts(key)?;
        let path = |text: &Text| {
            let path = self.resolve(text);
            (!text.is_empty()).then_some(path)
        };
        Some(texts.iter().filter_map(path).collect())
    }

    pub(crate) fn resolve(&self, text: &Text) -> PathBuf {
        self.check_path(text);
        self.context.directory.join(&**text)
    }

    pub(crate) fn check_path(&self, text: &Text) {
        if text.is_empty() {
            self.complain_of(text, "it is an empty path");
        } else if text.starts_with('~') && text.raw.contains('~') {
            self.complain_in(text.key, text.at, "the home of another user is not looked up; write its whole path");
        }
    }
}
