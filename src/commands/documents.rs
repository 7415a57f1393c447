//! `man`: made from the command line's one declaration and from the starter file.

use clap::CommandFactory;
use clap_mangen::Man;
use roff::{Inline, Roff, bold, roman};

use crate::cli::{Cli, ManPage};
use crate::config::starter::STARTER;
use crate::exit::{self, Exit};

pub(super) fn man(page: ManPage) -> anyhow::Result<Exit> {
    match page {
        ManPage::LabProbe => super::print(&String::from_utf8_lossy(&man_page().map_err(exit::bug)?)),
        ManPage::Configuration => super::print(&configuration_page()),
    }
}

/// lab-probe.toml(5): the starter file, prose as text and each setting as a tagged paragraph.
fn configuration_page() -> String {
    let mut page = Roff::new();
    page.control("TH", ["lab-probe.toml", "5", " ", concat!("lab-probe ", env!("CARGO_PKG_VERSION"))]);
    page.control("SH", ["NAME"]).text([roman("lab-probe.toml - configuration of lab-probe")]);
    page.control("SH", ["DESCRIPTION"]);
    let mut prose: Vec<Inline> = Vec::new();
    // Not every roff reads UTF-8.
    let starter = STARTER.replace('…', "...");
    for line in starter.lines() {
        let setting = line.strip_prefix('#').filter(|rest| rest.starts_with(|c| c != ' ')).unwrap_or(line);
        if let Some(text) = line.strip_prefix("# ") {
            prose.push(roman(text));
            continue;
        } else if setting.starts_with('[') {
            page.control("SH", [setting]);
        } else if !setting.is_empty() && setting != "#" {
            page.control("TP", []).text([bold(setting)]);
        }
        if !prose.is_empty() {
            for line in prose.drain(..) {
                page.text([line]);
            }
            page.control("PP", []);
        }
    }
    page.to_roff() + include_str!("man_configuration_tail.roff")
}

fn man_page() -> std::io::Result<Vec<u8>> {
    let mut command = Cli::command();
    command.build();
    let page = Man::new(command.clone()).section("1");
    let mut out = Vec::new();
    page.render_title(&mut out)?;
    page.render_name_section(&mut out)?;
    page.render_synopsis_section(&mut out)?;
    page.render_description_section(&mut out)?;
    page.render_options_section(&mut out)?;
    out.extend_from_slice(b".SH COMMANDS\n");
    describe(&command, "lab\\-probe", &mut out)?;
    out.extend_from_slice(include_bytes!("man_tail.roff"));
    Ok(out)
}

/// One `.SS` for each command: its sentence, its arguments, its own options.
fn describe(parent: &clap::Command, path: &str, out: &mut Vec<u8>) -> std::io::Result<()> {
    for command in parent.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set()) {
        let path = format!("{path} {}", command.get_name());
        let not_own = |arg: &clap::Arg| arg.is_global_set() || arg.get_id() == "help";
        let own = command.clone().mut_args(|arg| if not_own(&arg) { arg.hide(true) } else { arg });
        let page = Man::new(own);
        let mut sections = Vec::new();
        page.render_description_section(&mut sections)?;
        page.render_options_section(&mut sections)?;
        let text = String::from_utf8_lossy(&sections);
        let lines = text.lines().filter(|line| !line.starts_with(".SH ")).map(|line| format!("{line}\n"));
        out.extend(format!(".SS {path}\n{}", lines.collect::<String>()).into_bytes());
        describe(command, &path, out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::parse;

    #[test]
    fn every_example_of_the_man_page_is_a_command_line() {
        let page = String::from_utf8(man_page().expect("a page")).expect("text").replace("\\-", "-");
        let (_, examples) = page.split_once(".SH EXAMPLES\n").expect("examples");
        let (examples, _) = examples.split_once("\n.SH").expect("an end");
        let commands = examples.lines().filter_map(|line| line.strip_prefix("\\fBlab-probe ")?.strip_suffix("\\fR"));
        let lines: Vec<Vec<String>> = commands.filter_map(shlex::split).collect();
        assert_eq!(lines.len(), 9, "{lines:?}");
        for line in lines {
            let whole = std::iter::once("lab-probe".to_owned()).chain(line.clone());
            assert!(parse(whole.map(Into::into)).is_ok(), "{line:?}");
        }
    }

    #[test]
    fn the_page_of_the_configuration_has_every_line_of_the_starter_file() {
        let page = configuration_page().replace("\\-", "-").replace("\\\\", "\\").replace("...", "…");
        let page: Vec<&str> = page.lines().map(|line| line.trim_start_matches("\\&")).collect();
        for line in STARTER.lines().map(|line| line.trim_start_matches('#').trim()).filter(|line| !line.is_empty()) {
            let shown = [line.to_owned(), format!("\\fB{line}\\fR"), format!(".SH {line}")];
            assert!(page.iter().any(|found| shown.iter().any(|shown| shown == found)), "{line}");
        }
    }
}
