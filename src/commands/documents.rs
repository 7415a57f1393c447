//! `completions` and `man`: made from the command line's one declaration.

use clap::CommandFactory;

use crate::cli::{Cli, CompletionsArgs};
use crate::exit::{Exit, Failed};

/// Prints the completions of a shell.
pub fn completions(args: &CompletionsArgs) -> Exit {
    let mut out = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "lab-probe", &mut out);
    printed(&out)
}

/// Prints the man page, every command with its options.
///
/// # Errors
/// Only where the page cannot be rendered, which would be a bug.
pub fn man() -> Result<Exit, Failed> {
    Ok(printed(&man_page().map_err(Failed::bug)?))
}

/// The page in roff.
///
/// # Errors
/// Only where the page cannot be rendered, which would be a bug.
pub fn man_page() -> std::io::Result<Vec<u8>> {
    let mut command = Cli::command();
    command.build();
    let page = clap_mangen::Man::new(command.clone()).section("1");
    let mut out = Vec::new();
    page.render_title(&mut out)?;
    page.render_name_section(&mut out)?;
    page.render_synopsis_section(&mut out)?;
    page.render_description_section(&mut out)?;
    page.render_options_section(&mut out)?;
    out.extend_from_slice(b".SH COMMANDS\n");
    describe(&command, "lab-probe", &mut out)?;
    out.extend_from_slice(include_bytes!("man_tail.roff"));
    Ok(out)
}

/// One `.SS` for each command: its sentence, its arguments, its own options.
fn describe(parent: &clap::Command, path: &str, out: &mut Vec<u8>) -> std::io::Result<()> {
    for command in parent.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set()) {
        let path = format!("{path} {}", command.get_name());
        let mut text = format!(".SS {}\n", escape(&path));
        if let Some(about) = command.get_long_about().or_else(|| command.get_about()) {
            text.push_str(&format!("{}\n", escape(&about.to_string())));
        }
        let own = |arg: &&clap::Arg| !arg.is_global_set() && arg.get_id() != "help" && !arg.is_hide_set();
        for arg in command.get_arguments().filter(own) {
            text.push_str(&format!(".TP\n\\fB{}\\fR\n", escape(&arg_form(arg))));
            text.push_str(&format!("{}\n", escape(&arg.get_help().map(ToString::to_string).unwrap_or_default())));
        }
        out.extend_from_slice(text.as_bytes());
        describe(command, &path, out)?;
    }
    Ok(())
}

/// `--format FORMAT`, `NAME…`.
fn arg_form(arg: &clap::Arg) -> String {
    let value = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let takes_value = arg.get_action().takes_values();
    match (arg.get_long(), value) {
        (Some(long), Some(value)) if takes_value => format!("--{long} {value}"),
        (Some(long), _) => format!("--{long}"),
        (None, Some(value)) if arg.get_num_args().is_some_and(|range| range.max_values() > 1) => format!("[{value}…]"),
        (None, Some(value)) => value,
        (None, None) => arg.get_id().to_string(),
    }
}

/// Text that roff takes as text.
fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    text.lines()
        .map(|line| if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() })
        .collect::<Vec<_>>()
        .join("\n")
}

fn printed(bytes: &[u8]) -> Exit {
    if super::print(&String::from_utf8_lossy(bytes)) { Exit::Done } else { Exit::Trouble }
}
