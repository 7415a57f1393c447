//! Every section and key of the configuration, and what holds between keys, in two tables.
//!
//! [`check`] reports keys that a section does not have and rules that are broken; the type of a value is checked where it
//! is read ([`super::block`]). A test compares the starter file with the tables.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::diagnose::{nearest, one_of};

/// One `[section]`, or one kind of `[[block]]`.
#[derive(Debug)]
pub(crate) struct Section {
    /// As messages and headers write it, brackets included; empty for the top level.
    pub(crate) header: &'static str,
    /// Keys with a value.
    values: &'static [&'static str],
    /// Keys with a table of strings.
    maps: &'static [&'static str],
}

const fn section(header: &'static str, values: &'static [&'static str], maps: &'static [&'static str]) -> Section {
    Section { header, values, maps }
}

pub(crate) static ROOT: Section = section("", &[], &[]);

#[rustfmt::skip] // A row for each key would fill the screen.
pub(super) static SECTIONS: &[Section] = &[
    section("[probe]", &["deadline", "max_starts", "state_dir"], &["labels"]),
    section("[mcp]", &[
        "discover", "list_tools", "config_files", "expected", "health_dir", "ca_file", "ttl", "retry_after", "timeout",
    ], &[]),
    section("[[mcp.server]]", &[
        "name", "command", "cwd", "url", "transport", "ca_file", "args", "health_command", "disabled", "list_tools", "ttl",
        "retry_after", "timeout",
    ], &["env", "headers"]),
    section("[worktree]", &[
        "repos", "test_reports", "test_runners", "base", "ttl", "idle_ttl", "retry_after", "timeout",
    ], &[]),
    section("[[worktree.named]]", &["name", "path"], &[]),
    section("[[thunes]]", &[
        "environment", "root", "positions_db", "metrics_url", "journals", "logs", "max_daily_loss", "ttl", "retry_after",
        "timeout",
    ], &[]),
    section("[[service]]", &[
        "name", "url", "body_contains", "body_matches", "ca_file", "tcp", "unit", "process", "expect_status", "user", "ttl",
        "retry_after", "timeout",
    ], &["headers"]),
    section("[anomaly]", &["enabled", "exclude"], &[]),
    section("[output]", &[], &[]),
    section("[output.textfile]", &["directory", "file"], &[]),
    section("[output.pushgateway]", &[
        "url", "job", "username", "password_file", "bearer_token_file", "ca_file", "timeout", "retries",
    ], &["grouping"]),
    section("[output.heartbeat]", &["url"], &[]),
    section("[telegram]", &["chat_id", "token_file", "api_url"], &[]),
    section("[ntfy]", &["url", "url_file", "token_file"], &[]),
    section("[slack]", &["url", "url_file", "token_file"], &[]),
    section("[webhook]", &["url", "url_file", "token_file"], &[]),
    section("[doctor]", &["prometheus", "alertmanager", "grafana", "node_exporter"], &[]),
];

enum Rule {
    /// One of these has to be there, and only one.
    One(&'static [&'static str]),
    /// At most one of these can be there.
    Either(&'static [&'static str]),
    /// The first only go with one of the second.
    With(&'static [&'static str], &'static [&'static str]),
}

use Rule::{Either, One, With};

/// What holds between the keys of a section, by its header.
static RULES: &[(&str, Rule)] = &[
    ("[[mcp.server]]", One(&["command", "url", "health_command"])),
    ("[[mcp.server]]", With(&["args"], &["command"])),
    ("[[mcp.server]]", With(&["env", "cwd"], &["command", "health_command"])),
    ("[[mcp.server]]", With(&["headers", "transport", "ca_file"], &["url"])),
    ("[[service]]", One(&["url", "tcp", "unit", "process"])),
    ("[[service]]", With(&["headers", "expect_status", "body_contains", "body_matches", "ca_file"], &["url"])),
    ("[[service]]", With(&["user"], &["unit"])),
    ("[output.pushgateway]", Either(&["username", "bearer_token_file"])),
    ("[output.pushgateway]", With(&["password_file"], &["username"])),
    ("[ntfy]", Either(&["url", "url_file"])),
    ("[slack]", Either(&["url", "url_file"])),
    ("[webhook]", Either(&["url", "url_file"])),
];

impl Section {
    /// The sections directly in this one, each with its key.
    pub(crate) fn children(&self) -> impl Iterator<Item = (&'static str, &'static Section)> {
        SECTIONS.iter().filter_map(|section| {
            let (parent, key) = section.path().rsplit_once('.').unwrap_or(("", section.path()));
            (parent == self.path()).then_some((key, section))
        })
    }

    fn path(&self) -> &'static str {
        self.header.trim_matches(['[', ']'])
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.values.iter().chain(self.maps).copied().chain(self.children().map(|(key, _)| key))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.names().any(|key| key == name)
    }

    pub(crate) fn place(&self) -> String {
        if self.header.is_empty() { "at the top level".into() } else { format!("in {}", self.header) }
    }
}

/// Reports every key of `table`, which begins `at`, that `section` does not have, and every rule between keys that is
/// broken. `report` takes a byte offset and a sentence. Whether there was no unknown key.
pub(crate) fn check(table: &DeTable<'_>, at: usize, section: &Section, report: &mut dyn FnMut(usize, String)) -> bool {
    let unknown: Vec<_> = table.iter().filter(|(name, _)| !section.has(name.get_ref())).collect();
    for (name, value) in &unknown {
        report(name.span().start, unknown_key(name.get_ref(), value.get_ref(), section));
    }
    let present = |keys: &[&'static str]| -> BTreeMap<usize, &str> {
        keys.iter().filter_map(|key| Some((table.get(*key)?.span().start, *key))).collect()
    };
    let broken = |key: &str, what: String| format!("{key:?} {}: {what}", section.place());
    // A key that is missed is mostly there, misspelt, and was told.
    let spelt_right = unknown.is_empty();
    let mut complete = spelt_right;
    for (_, rule) in RULES.iter().filter(|(header, _)| *header == section.header) {
        match rule {
            One(keys) if present(keys).is_empty() => {
                if std::mem::take(&mut complete) {
                    report(at, format!("{} needs one of {}", section.header, one_of(keys)));
                }
            }
            One(keys) | Either(keys) => {
                let mut present = present(keys).into_iter();
                let first = present.next().map_or("", |(_, key)| key);
                present.for_each(|(at, key)| report(at, broken(key, format!("it cannot stand beside {first:?}"))));
            }
            With(keys, others) if complete && present(others).is_empty() => {
                let others = others.iter().map(|key| format!("{key:?}")).collect::<Vec<_>>().join(" or ");
                let script = keys == &["args"] && table.contains_key("health_command");
                let hint = if script { "; arguments of a health script follow it in the same array" } else { "" };
                for (at, key) in present(keys) {
                    report(at, broken(key, format!("it only goes with {others}{hint}")));
                }
            }
            With(..) => {}
        }
    }
    spelt_right
}

fn unknown_key(written: &str, value: &DeValue<'_>, section: &Section) -> String {
    // A whole section has no home where only a value may stand: [output.prometheus] is no key of [doctor].
    let fits = |home: &&Section| home.has(written) && home.values.contains(&written) != value.is_table();
    let homes: Vec<&str> = std::iter::once(&ROOT).chain(SECTIONS).filter(fits).map(|home| home.header).collect();
    let hint = match (nearest(written, section.names()), homes.as_slice()) {
        (Some(near), _) => format!("did you mean {near:?}?"),
        (None, []) => format!("its keys are {}", section.names().collect::<Vec<_>>().join(", ")),
        (None, homes) => format!("it belongs in {}", one_of(homes)),
    };
    format!("unknown key {written:?} {}; {hint}", section.place())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::block::Context;
    use crate::config::environment::HostEnvironment;
    use crate::config::validate;

    /// What is wrong with a text that is complete but for what is looked at.
    fn problems(text: &str) -> Vec<(usize, String)> {
        let environment = HostEnvironment::new(Some(Path::new("/nowhere")), Path::new("/nowhere"), &[]);
        let context = Context::new(None, &environment, text);
        let table = DeTable::parse(text).expect("TOML");
        validate::settings(&context, table.get_ref());
        context.problems.take()
    }

    #[test]
    fn an_unknown_key_names_the_nearest_one_or_where_it_belongs_or_all_there_are() {
        for (text, message) in [
            ("[mcp]\nretry_afer = 1", "unknown key \"retry_afer\" in [mcp]; did you mean \"retry_after\"?"),
            ("[mpc]", "unknown key \"mpc\" at the top level; did you mean \"mcp\"?"),
            ("[probe]\nhealth_dir = 1", "unknown key \"health_dir\" in [probe]; it belongs in [mcp]"),
            (
                "[output]\nurl = 1",
                "unknown key \"url\" in [output]; it belongs in [[mcp.server]], [[service]], [output.pushgateway], [output.heartbeat], [ntfy], [slack] or [webhook]",
            ),
            ("[output]\nzzz = 1", "unknown key \"zzz\" in [output]; its keys are textfile, pushgateway, heartbeat"),
            ("[mcp.servers.a]", "unknown key \"servers\" in [mcp]; did you mean \"server\"?"),
        ] {
            assert_eq!(problems(text).into_iter().map(|(_, m)| m).collect::<Vec<_>>(), [message], "{text}");
        }
    }

    #[test]
    fn a_wrong_type_says_what_would_be_right() {
        for (text, message) in [
            ("mcp = 1", "\"mcp\" at the top level must be a table, written [mcp], not a whole number"),
            ("[[mcp]]", "\"mcp\" at the top level must be a table, written [mcp], not an array"),
            (
                "[service]",
                "\"service\" at the top level must be an array of tables, each written [[service]], not a table",
            ),
            (
                "thunes = [1]",
                "\"thunes\" at the top level must be an array of tables, each written [[thunes]], not a whole number",
            ),
            (
                "[mcp]\nttl = 5",
                "\"ttl\" in [mcp] must be a duration in quotes, as in \"30s\", \"5m\" or \"1h30m\", not a whole number; did you mean \"5s\"?",
            ),
            (
                "[mcp]\ndiscover = \"true\"",
                "\"discover\" in [mcp] must be true or false, not a string; did you mean true without quotes?",
            ),
            (
                "[mcp]\nexpected = [\"a\", 1]",
                "\"expected\" in [mcp] must be an array of strings, as in [\"one\", \"two\"], not a whole number",
            ),
            ("[probe]\nmax_starts = 1.5", "\"max_starts\" in [probe] must be a whole number, not a fraction"),
            (
                "[probe]\nlabels = { a = 2026-01-01 }",
                "\"labels\" in [probe] must be a table of strings, as in { NAME = \"value\" }, not a date",
            ),
            (
                "[[service]]\nname = \"h\"\nurl = \"http://h\"\nexpect_status = \"200\"",
                "\"expect_status\" in [[service]] must be an HTTP status or an array of them, as in [200, 204], not a string",
            ),
        ] {
            assert_eq!(problems(text).into_iter().map(|(_, m)| m).collect::<Vec<_>>(), [message], "{text}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_is_placed_at_the_element_that_is_wrong() {
        assert_eq!(problems("[mcp]\nexpected = [\"a\", 1]")[0].0, 23);
    }
}
