//! Every section and key of the configuration, and the TOML type of each, in one table.
//!
//! [`check`] walks a parsed file along the table and reports whatever does not fit, so that what reads values
//! afterwards ([`super::block`]) never has to: there, a value of the wrong type is simply not there. A test compares the
//! starter file with the table.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnose::{nearest, one_of};

/// One `[section]`, or one kind of `[[block]]`.
#[derive(Debug)]
pub(crate) struct Section {
    /// As messages and headers write it, brackets included; empty for the top level.
    pub(crate) header: &'static str,
    keys: &'static [(Form, &'static [&'static str])],
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    Text,
    Duration,
    Flag,
    Count,
    Amount,
    TextList,
    StatusList,
    TextMap,
    Table(&'static Section),
    Tables(&'static Section),
}

use Form::{Amount, Count, Duration, Flag, StatusList, Table, Tables, Text, TextList, TextMap};

pub(crate) static ROOT: Section = Section {
    header: "",
    keys: &[
        (Table(&PROBE), &["probe"]),
        (Table(&MCP), &["mcp"]),
        (Table(&WORKTREE), &["worktree"]),
        (Tables(&THUNES), &["thunes"]),
        (Tables(&SERVICE), &["service"]),
        (Table(&ANOMALY), &["anomaly"]),
        (Table(&OUTPUT), &["output"]),
        (Table(&TELEGRAM), &["telegram"]),
        (Table(&NTFY), &["ntfy"]),
        (Table(&SLACK), &["slack"]),
        (Table(&WEBHOOK), &["webhook"]),
        (Table(&DOCTOR), &["doctor"]),
    ],
};

static PROBE: Section = Section {
    header: "[probe]",
    keys: &[(Duration, &["deadline"]), (Count, &["max_starts"]), (Text, &["state_dir"]), (TextMap, &["labels"])],
};

static MCP: Section = Section {
    header: "[mcp]",
    keys: &[
        (Flag, &["discover", "list_tools"]),
        (TextList, &["config_files", "expected"]),
        (Text, &["health_dir", "ca_file"]),
        (Duration, &["ttl", "retry_after", "timeout"]),
        (Tables(&MCP_SERVER), &["server"]),
    ],
};

static MCP_SERVER: Section = Section {
    header: "[[mcp.server]]",
    keys: &[
        (Text, &["name", "command", "cwd", "url", "transport", "ca_file"]),
        (TextList, &["args", "health_command"]),
        (TextMap, &["env", "headers"]),
        (Flag, &["disabled", "list_tools"]),
        (Duration, &["ttl", "retry_after", "timeout"]),
    ],
};

static WORKTREE: Section = Section {
    header: "[worktree]",
    keys: &[
        (TextList, &["repos", "test_reports", "test_runners"]),
        (Text, &["base"]),
        (Duration, &["ttl", "idle_ttl", "retry_after", "timeout"]),
        (Tables(&WORKTREE_NAMED), &["named"]),
    ],
};

static WORKTREE_NAMED: Section = Section { header: "[[worktree.named]]", keys: &[(Text, &["name", "path"])] };

static THUNES: Section = Section {
    header: "[[thunes]]",
    keys: &[
        (Text, &["environment", "root", "positions_db", "metrics_url"]),
        (TextList, &["journals", "logs"]),
        (Amount, &["max_daily_loss"]),
        (Duration, &["ttl", "retry_after", "timeout"]),
    ],
};

static SERVICE: Section = Section {
    header: "[[service]]",
    keys: &[
        (Text, &["name", "url", "body_contains", "body_matches", "ca_file", "tcp", "unit", "process"]),
        (TextMap, &["headers"]),
        (StatusList, &["expect_status"]),
        (Flag, &["user"]),
        (Duration, &["ttl", "retry_after", "timeout"]),
    ],
};

static ANOMALY: Section = Section { header: "[anomaly]", keys: &[(Flag, &["enabled"]), (TextList, &["exclude"])] };

static OUTPUT: Section = Section {
    header: "[output]",
    keys: &[
        (Table(&OUTPUT_TEXTFILE), &["textfile"]),
        (Table(&OUTPUT_PUSHGATEWAY), &["pushgateway"]),
        (Table(&OUTPUT_HEARTBEAT), &["heartbeat"]),
    ],
};

static OUTPUT_HEARTBEAT: Section = Section { header: "[output.heartbeat]", keys: &[(Text, &["url"])] };

static OUTPUT_TEXTFILE: Section = Section { header: "[output.textfile]", keys: &[(Text, &["directory", "file"])] };

static OUTPUT_PUSHGATEWAY: Section = Section {
    header: "[output.pushgateway]",
    keys: &[
        (Text, &["url", "job", "username", "password_file", "bearer_token_file", "ca_file"]),
        (TextMap, &["grouping"]),
        (Duration, &["timeout"]),
        (Count, &["retries"]),
    ],
};

static TELEGRAM: Section = Section { header: "[telegram]", keys: &[(Text, &["chat_id", "token_file", "api_url"])] };

static RECEIVER: &[(Form, &[&str])] = &[(Text, &["url", "url_file", "token_file"])];
static NTFY: Section = Section { header: "[ntfy]", keys: RECEIVER };
static SLACK: Section = Section { header: "[slack]", keys: RECEIVER };
static WEBHOOK: Section = Section { header: "[webhook]", keys: RECEIVER };

static DOCTOR: Section =
    Section { header: "[doctor]", keys: &[(Text, &["prometheus", "alertmanager", "grafana", "node_exporter"])] };

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
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().flat_map(|(_, names)| names.iter().copied())
    }

    pub(crate) fn form(&self, name: &str) -> Option<Form> {
        self.keys.iter().find(|(_, names)| names.contains(&name)).map(|(form, _)| *form)
    }

    pub(crate) fn place(&self) -> String {
        if self.header.is_empty() { "at the top level".into() } else { format!("in {}", self.header) }
    }

    pub(crate) fn all(&'static self) -> Vec<&'static Section> {
        let below = self.keys.iter().filter_map(|(form, _)| match form {
            Table(section) | Tables(section) => Some(*section),
            _ => None,
        });
        std::iter::once(self).chain(below.flat_map(Section::all)).collect()
    }
}

impl Form {
    fn wanted(self) -> String {
        match self {
            Text => "a string in quotes".into(),
            Duration => "a duration in quotes, as in \"30s\", \"5m\" or \"1h30m\"".into(),
            Flag => "true or false".into(),
            Count => "a whole number".into(),
            Amount => "a number".into(),
            TextList => "an array of strings, as in [\"one\", \"two\"]".into(),
            StatusList => "an HTTP status or an array of them, as in [200, 204]".into(),
            TextMap => "a table of strings, as in { NAME = \"value\" }".into(),
            Table(section) => format!("a table, written {}", section.header),
            Tables(section) => format!("an array of tables, each written {}", section.header),
        }
    }
}

/// Reports every key of `table`, which begins `at`, that `section` does not have, every value that is not of its key's form,
/// and every rule between keys that is broken. `report` takes a byte offset and a sentence.
pub(crate) fn check(table: &DeTable<'_>, at: usize, section: &'static Section, report: &mut impl FnMut(usize, String)) {
    for (name, value) in table {
        let key = name.get_ref();
        match (section.form(key), value.get_ref()) {
            (None, found) => report(name.span().start, unknown_key(key, found, section)),
            (Some(Table(inner)), DeValue::Table(table)) => check(table, value.span().start, inner, report),
            (Some(form @ Tables(inner)), DeValue::Array(items)) => {
                for item in items.iter() {
                    match item.get_ref() {
                        DeValue::Table(table) => check(table, item.span().start, inner, report),
                        found => report(item.span().start, wrong_form(found, key, form, section)),
                    }
                }
            }
            (Some(form), _) => {
                for wrong in mismatches(form, value) {
                    report(wrong.span().start, wrong_form(wrong.get_ref(), key, form, section));
                }
            }
        }
    }
    check_rules(table, at, section, report);
}

fn check_rules(table: &DeTable<'_>, at: usize, section: &Section, report: &mut impl FnMut(usize, String)) {
    let present = |keys: &[&'static str]| -> BTreeMap<usize, &str> {
        keys.iter().filter_map(|key| Some((table.get(*key)?.span().start, *key))).collect()
    };
    let broken = |key: &str, what: String| format!("{key:?} {}: {what}", section.place());
    // A key that is missed is mostly there, misspelt, and was told.
    let mut complete = table.keys().all(|key| section.form(key.get_ref()).is_some());
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
}

/// The value, or those of its elements, that are not of this form.
fn mismatches<'v, 'd>(form: Form, value: &'v Spanned<DeValue<'d>>) -> Vec<&'v Spanned<DeValue<'d>>> {
    let is_text = |item: &&Spanned<DeValue<'_>>| matches!(item.get_ref(), DeValue::String(_));
    match (form, value.get_ref()) {
        (Text | Duration, DeValue::String(_)) | (Flag, DeValue::Boolean(_)) => Vec::new(),
        (Count | StatusList, DeValue::Integer(_)) | (Amount, DeValue::Integer(_) | DeValue::Float(_)) => Vec::new(),
        (TextList, DeValue::Array(items)) => items.iter().filter(|item| !is_text(item)).collect(),
        (TextMap, DeValue::Table(entries)) => entries.values().filter(|entry| !is_text(entry)).collect(),
        (StatusList, DeValue::Array(items)) => {
            items.iter().filter(|item| !matches!(item.get_ref(), DeValue::Integer(_))).collect()
        }
        _ => vec![value],
    }
}

fn unknown_key(written: &str, value: &DeValue<'_>, section: &Section) -> String {
    // A whole section has no home where only a value may stand: [output.prometheus] is no key of [doctor].
    let is_table = matches!(value, DeValue::Table(_));
    let fits = |form: Form| matches!(form, Table(_) | Tables(_) | TextMap) == is_table;
    let homes = ROOT.all().into_iter().filter(|other| other.form(written).is_some_and(fits)).map(|home| home.header);
    let hint = match (nearest(written, section.names()), &homes.collect::<Vec<_>>()[..]) {
        (Some(near), _) => format!("did you mean {near:?}?"),
        (None, []) => format!("its keys are {}", section.names().collect::<Vec<_>>().join(", ")),
        (None, homes) => format!("it belongs in {}", one_of(homes)),
    };
    format!("unknown key {written:?} {}; {hint}", section.place())
}

fn wrong_form(found: &DeValue<'_>, key: &str, form: Form, section: &Section) -> String {
    let hint = match (form, found) {
        (Duration, DeValue::Integer(seconds)) => format!("; did you mean \"{seconds}s\"?"),
        (Flag, DeValue::String(text)) if matches!(text.as_ref(), "true" | "false") => {
            format!("; did you mean {text} without quotes?")
        }
        _ => String::new(),
    };
    format!("{key:?} {} must be {}, not {}{hint}", section.place(), form.wanted(), kind(found))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<(usize, String)> {
        let table = DeTable::parse(text).expect("TOML");
        let mut problems = Vec::new();
        check(table.get_ref(), 0, &ROOT, &mut |at, message| problems.push((at, message)));
        problems
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
                "[[service]]\nurl = \"http://h\"\nexpect_status = \"200\"",
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
