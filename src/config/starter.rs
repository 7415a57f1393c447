//! The starter file that `config init` writes: every setting, commented out, with its default.

pub const STARTER: &str = include_str!("starter.toml");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use toml::{Table, Value};

    use super::*;
    use crate::config::environment::HostEnvironment;
    use crate::config::schema::{ROOT, Section};
    use crate::config::settings::Settings;
    use crate::config::{ConfigError, load_in};

    /// One line of the starter.
    struct Line {
        /// Its text, uncommented if it is a setting.
        text: String,
        /// Whether it is a commented setting or header rather than prose.
        setting: bool,
        /// Whether it is a setting without default, or part of a block, which is an example as a whole.
        example: bool,
    }

    fn lines() -> Vec<Line> {
        let mut in_block = false;
        let lines = STARTER.lines().map(|line| {
            let uncommented = line.strip_prefix('#').filter(|rest| rest.starts_with(|c| c != ' '));
            let text = uncommented.unwrap_or(line).to_owned();
            if text.starts_with('[') {
                in_block = text.starts_with("[[") || text.starts_with("[output.");
            }
            let example = in_block || text.ends_with("# example");
            Line { text, setting: uncommented.is_some(), example }
        });
        lines.collect()
    }

    /// The starter with the settings uncommented that `keep` wants.
    fn uncommented(keep: impl Fn(&Line) -> bool) -> String {
        lines()
            .iter()
            .map(|line| if line.setting && !keep(line) { "\n".into() } else { format!("{}\n", line.text) })
            .collect()
    }

    /// Everything that may stand together.
    fn whole() -> String {
        uncommented(|line| !line.text.contains("# instead of "))
    }

    fn load(text: &str, home: &Path) -> Result<Settings, ConfigError> {
        let path = home.join("config.toml");
        std::fs::write(&path, text).expect("written");
        let variables = [
            ("RAG_TOKEN", "t"),
            ("ISSUES_TOKEN", "t"),
            ("HEALTH_TOKEN", "t"),
            ("HEARTBEAT_ID", "i"),
            ("SLACK_WEBHOOK", "s"),
        ];
        load_in(Some(&path), &HostEnvironment::new(Some(home), home, &variables))
    }

    #[test]
    fn the_starter_as_it_stands_and_its_defaults_uncommented_are_the_defaults() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let defaults = load("", home.path()).expect("defaults");
        assert_eq!(load(STARTER, home.path()).expect("the starter"), defaults);
        assert_eq!(lines().iter().filter(|line| line.setting && !line.example).count(), 17, "there are defaults");
        assert_eq!(load(&uncommented(|line| !line.example), home.path()).expect("defaults, uncommented"), defaults);
    }

    #[test]
    fn an_output_section_of_defaults_changes_nothing_but_that_it_was_chosen() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let settings = load(&whole(), home.path()).expect("everything uncommented");
        let textfile = settings.output.textfile.expect("a textfile");
        assert_eq!(textfile.directory, Path::new("/var/lib/prometheus/node-exporter"));
        let defaults = load("", home.path()).expect("defaults");
        assert_eq!(textfile.file, defaults.output.textfile.expect("a textfile").file);
        let bare = load("[output.pushgateway]\nurl = \"http://127.0.0.1:9092\"", home.path()).expect("a gateway");
        let (bare, full) = (bare.output.pushgateway.expect("one"), settings.output.pushgateway.expect("one"));
        assert_eq!((bare.job, bare.timeout, bare.retries), (full.job, full.timeout, full.retries));
        assert!(settings.output.broken.is_empty() && settings.warnings.is_empty());
    }

    #[test]
    fn an_example_block_shows_the_defaults_of_its_kind() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let settings = load(&whole(), home.path()).expect("loaded");
        let bare = "[[thunes]]\nenvironment = \"testnet\"\nroot = \"~/LAB/projects/THUNES\"\n\
                    [[service]]\nname = \"x\"\ntcp = \"h:1\"\n[[mcp.server]]\nname = \"x\"\nurl = \"http://h\"\n";
        let bare = load(bare, home.path()).expect("loaded");
        let (mut shown, plain) = (settings.thunes[0].clone(), &bare.thunes[0]);
        shown.target.metrics_url = None;
        shown.target.max_daily_loss = None;
        assert_eq!(shown, *plain);
        assert_eq!(settings.services[0].schedule, bare.services[0].schedule);
        assert_eq!(settings.mcp.servers[0].schedule, bare.mcp.servers[0].schedule);
        assert_eq!(settings.mcp.servers[1].list_tools, bare.mcp.servers[0].list_tools);
    }

    #[test]
    fn every_key_there_is_stands_in_the_starter_and_no_other() {
        let table: Table = uncommented(|_| true).parse().expect("TOML");
        compare(&ROOT, &[&table]);
    }

    fn compare(section: &Section, tables: &[&Table]) {
        let known: BTreeSet<&str> = section.names().collect();
        let shown: BTreeSet<&str> = tables.iter().flat_map(|table| table.keys().map(String::as_str)).collect();
        assert_eq!(shown, known, "{}", section.place());
        for (key, inner) in section.children() {
            let values: Vec<&Value> = tables.iter().filter_map(|table| table.get(key)).collect();
            let items = values.iter().filter_map(|value| value.as_array()).flatten();
            let below = values.iter().copied().chain(items).filter_map(Value::as_table);
            compare(inner, &below.collect::<Vec<_>>());
        }
    }
}
