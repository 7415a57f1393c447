//! Every section and key of the configuration, and the TOML type of each, in one table.
//!
//! [`check`] walks a parsed file along the table and reports whatever does not fit, so that what reads values
//! afterwards ([`super::block`]) never has to: there, a value of the wrong type is simply not there. The starter file
//! and `config show` are compared with the table by tests.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnose::{nearest, one_of};

/// One `[section]`, or one kind of `[[block]]`.
#[derive(Debug)]
pub(crate) struct Section {
    /// As messages and headers write it, brackets included; empty for the top level.
    pub(crate) header: &'static str,
    /// Its keys, in the order that the starter file and `config show` have.
    pub(crate) keys: &'static [Key],
}

/// One key of a section.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
}

/// What a key's value looks like in TOML.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    Text,
    /// A web address, which may hold a credential.
    Url,
    /// A program; somebody may write arguments after it.
    Command,
    Duration,
    Flag,
    Count,
    Amount,
    TextList,
    /// Arguments of a program, which may hold a secret.
    Arguments,
    StatusList,
    TextMap,
    /// Variables or headers, whose values are secrets.
    SecretMap,
    Table(&'static Section),
    Tables(&'static Section),
}

const fn key(name: &'static str, form: Form) -> Key {
    Key { name, form }
}

use Form::{
    Amount, Arguments, Command, Count, Duration, Flag, SecretMap, StatusList, Table, Tables, Text, TextList, TextMap,
    Url,
};

pub(crate) static ROOT: Section = Section {
    header: "",
    keys: &[
        key("probe", Table(&PROBE)),
        key("mcp", Table(&MCP)),
        key("worktree", Table(&WORKTREE)),
        key("thunes", Tables(&THUNES)),
        key("service", Tables(&SERVICE)),
        key("anomaly", Table(&ANOMALY)),
        key("output", Table(&OUTPUT)),
        key("telegram", Table(&TELEGRAM)),
        key("doctor", Table(&DOCTOR)),
    ],
};

static PROBE: Section = Section {
    header: "[probe]",
    keys: &[key("deadline", Duration), key("max_starts", Count), key("state_dir", Text), key("labels", TextMap)],
};

static MCP: Section = Section {
    header: "[mcp]",
    keys: &[
        key("discover", Flag),
        key("config_files", TextList),
        key("expected", TextList),
        key("health_dir", Text),
        key("ttl", Duration),
        key("retry_after", Duration),
        key("timeout", Duration),
        key("list_tools", Flag),
        key("ca_file", Text),
        key("server", Tables(&MCP_SERVER)),
    ],
};

static MCP_SERVER: Section = Section {
    header: "[[mcp.server]]",
    keys: &[
        key("name", Text),
        key("command", Command),
        key("args", Arguments),
        key("env", SecretMap),
        key("cwd", Text),
        key("url", Url),
        key("transport", Text),
        key("headers", SecretMap),
        key("ca_file", Text),
        key("health_command", Arguments),
        key("disabled", Flag),
        key("ttl", Duration),
        key("retry_after", Duration),
        key("timeout", Duration),
        key("list_tools", Flag),
    ],
};

static WORKTREE: Section = Section {
    header: "[worktree]",
    keys: &[
        key("repos", TextList),
        key("base", Text),
        key("ttl", Duration),
        key("idle_ttl", Duration),
        key("retry_after", Duration),
        key("timeout", Duration),
        key("test_reports", TextList),
        key("test_runners", TextList),
        key("named", Tables(&WORKTREE_NAMED)),
    ],
};

static WORKTREE_NAMED: Section =
    Section { header: "[[worktree.named]]", keys: &[key("name", Text), key("path", Text)] };

static THUNES: Section = Section {
    header: "[[thunes]]",
    keys: &[
        key("environment", Text),
        key("root", Text),
        key("positions_db", Text),
        key("journals", TextList),
        key("logs", TextList),
        key("metrics_url", Url),
        key("max_daily_loss", Amount),
        key("ttl", Duration),
        key("retry_after", Duration),
        key("timeout", Duration),
    ],
};

static SERVICE: Section = Section {
    header: "[[service]]",
    keys: &[
        key("name", Text),
        key("url", Url),
        key("headers", SecretMap),
        key("expect_status", StatusList),
        key("body_contains", Text),
        key("body_matches", Text),
        key("ca_file", Text),
        key("tcp", Text),
        key("unit", Text),
        key("user", Flag),
        key("process", Text),
        key("ttl", Duration),
        key("retry_after", Duration),
        key("timeout", Duration),
    ],
};

static ANOMALY: Section = Section { header: "[anomaly]", keys: &[key("enabled", Flag), key("exclude", TextList)] };

static OUTPUT: Section = Section {
    header: "[output]",
    keys: &[key("textfile", Table(&OUTPUT_TEXTFILE)), key("pushgateway", Table(&OUTPUT_PUSHGATEWAY))],
};

static OUTPUT_TEXTFILE: Section =
    Section { header: "[output.textfile]", keys: &[key("directory", Text), key("file", Text)] };

static OUTPUT_PUSHGATEWAY: Section = Section {
    header: "[output.pushgateway]",
    keys: &[
        key("url", Url),
        key("job", Text),
        key("grouping", TextMap),
        key("username", Text),
        key("password_file", Text),
        key("bearer_token_file", Text),
        key("ca_file", Text),
        key("timeout", Duration),
        key("retries", Count),
    ],
};

static TELEGRAM: Section =
    Section { header: "[telegram]", keys: &[key("chat_id", Text), key("token_file", Text), key("api_url", Url)] };

static DOCTOR: Section = Section {
    header: "[doctor]",
    keys: &[key("prometheus", Url), key("alertmanager", Url), key("grafana", Url), key("node_exporter", Url)],
};

impl Section {
    /// The key of this name.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// "in [mcp]", for sentences.
    pub(crate) fn place(&self) -> String {
        if self.header.is_empty() { "at the top level".into() } else { format!("in {}", self.header) }
    }

    /// This section and all below it.
    pub(crate) fn all(&'static self) -> Vec<&'static Section> {
        let below = self.keys.iter().filter_map(|key| match key.form {
            Table(section) | Tables(section) => Some(section),
            _ => None,
        });
        std::iter::once(self).chain(below.flat_map(Section::all)).collect()
    }
}

impl Form {
    /// What would be right, as the end of "must be …".
    fn wanted(self) -> String {
        match self {
            Text | Url | Command => "a string in quotes".into(),
            Duration => "a duration in quotes, as in \"30s\", \"5m\" or \"1h30m\"".into(),
            Flag => "true or false".into(),
            Count => "a whole number".into(),
            Amount => "a number".into(),
            TextList | Arguments => "an array of strings, as in [\"one\", \"two\"]".into(),
            StatusList => "an HTTP status or an array of them, as in [200, 204]".into(),
            TextMap | SecretMap => "a table of strings, as in { NAME = \"value\" }".into(),
            Table(section) => format!("a table, written {}", section.header),
            Tables(section) => format!("an array of tables, each written {}", section.header),
        }
    }
}

/// Reports every key of `table` that `section` does not have and every value that is not of its key's form.
/// `report` takes a byte offset and a sentence.
pub(crate) fn check(table: &DeTable<'_>, section: &'static Section, report: &mut impl FnMut(usize, String)) {
    for (name, value) in table {
        match section.key(name.get_ref()) {
            Some(key) => check_value(value, key, section, report),
            None => report(name.span().start, unknown_key(name.get_ref(), value.get_ref(), section)),
        }
    }
}

fn check_value(
    value: &Spanned<DeValue<'_>>,
    key: &'static Key,
    section: &'static Section,
    report: &mut impl FnMut(usize, String),
) {
    let mut mismatch = |value: &Spanned<DeValue<'_>>| {
        report(value.span().start, wrong_form(value.get_ref(), key, section));
    };
    match (key.form, value.get_ref()) {
        (Text | Url | Command | Duration, DeValue::String(_)) | (Flag, DeValue::Boolean(_)) => {}
        (Count | StatusList, DeValue::Integer(_)) | (Amount, DeValue::Integer(_) | DeValue::Float(_)) => {}
        (TextList | Arguments, DeValue::Array(items)) => {
            items.iter().filter(|item| !matches!(item.get_ref(), DeValue::String(_))).for_each(mismatch);
        }
        (StatusList, DeValue::Array(items)) => {
            items.iter().filter(|item| !matches!(item.get_ref(), DeValue::Integer(_))).for_each(mismatch);
        }
        (TextMap | SecretMap, DeValue::Table(entries)) => {
            entries.values().filter(|entry| !matches!(entry.get_ref(), DeValue::String(_))).for_each(mismatch);
        }
        (Table(inner), DeValue::Table(table)) => check(table, inner, report),
        (Tables(inner), DeValue::Array(items)) => {
            for item in items.iter() {
                match item.get_ref() {
                    DeValue::Table(table) => check(table, inner, report),
                    _ => report(item.span().start, wrong_form(item.get_ref(), key, section)),
                }
            }
        }
        _ => mismatch(value),
    }
}

fn unknown_key(written: &str, value: &DeValue<'_>, section: &'static Section) -> String {
    // A whole section has no home where only a value may stand: [output.prometheus] is no key of [doctor].
    let is_table = matches!(value, DeValue::Table(_));
    let fits = |key: &Key| matches!(key.form, Table(_) | Tables(_) | TextMap | SecretMap) == is_table;
    let names = section.keys.iter().map(|key| key.name);
    let hint = match nearest(written, names.clone()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => {
            match ROOT
                .all()
                .into_iter()
                .filter(|other| other.key(written).is_some_and(fits))
                .collect::<Vec<_>>()
                .as_slice()
            {
                [] => format!("its keys are {}", names.collect::<Vec<_>>().join(", ")),
                homes => format!("it belongs in {}", one_of(&homes.iter().map(|home| home.header).collect::<Vec<_>>())),
            }
        }
    };
    format!("unknown key {written:?} {}; {hint}", section.place())
}

fn wrong_form(found: &DeValue<'_>, key: &'static Key, section: &'static Section) -> String {
    let hint = match (key.form, found) {
        (Duration, DeValue::Integer(seconds)) => format!("; did you mean \"{seconds}s\"?"),
        (Flag, DeValue::String(text)) if matches!(text.as_ref(), "true" | "false") => {
            format!("; did you mean {text} without quotes?")
        }
        _ => String::new(),
    };
    format!("{:?} {} must be {}, not {}{hint}", key.name, section.place(), key.form.wanted(), kind(found))
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
        check(table.get_ref(), &ROOT, &mut |at, message| problems.push((at, message)));
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
                "unknown key \"url\" in [output]; it belongs in [[mcp.server]], [[service]] or [output.pushgateway]",
            ),
            ("[output]\nzzz = 1", "unknown key \"zzz\" in [output]; its keys are textfile, pushgateway"),
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
                "[[service]]\nexpect_status = \"200\"",
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
