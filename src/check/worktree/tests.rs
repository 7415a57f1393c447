//! The tables of docs/worktrees.md are made from those in the code.

use std::fmt::Write;
use std::path::Path;

use super::{agents, reports, runners};
use crate::model::worktree::{Status, StatusSource, TestStatus};

fn block(page: &str, name: &str, made: &str) -> String {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = page.split_once(&begin).expect("the beginning of the block");
    let (_, after) = rest.split_once(&end).expect("the end of the block");
    format!("{before}{begin}{made}{end}{after}")
}

fn code(words: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    words.into_iter().map(|word| format!("`{}`", word.as_ref())).collect::<Vec<_>>().join(", ")
}

fn runner_table() -> String {
    let mut table = format!("| command | words |\n|---|---|\n| {} | any |\n", code(runners::RUNNERS));
    for (tools, words) in runners::TOOLS.iter().chain(runners::BUILDERS) {
        let _ = writeln!(table, "| {} | {} |", code(*tools), code(*words));
    }
    table
}

fn agent_table() -> String {
    let mut table = "| command | client |\n|---|---|\n".to_owned();
    let same = agents::CLIENTS.iter().map(|client| (client, client));
    for (command, client) in same.chain(agents::OTHER_COMMANDS.iter().map(|(command, client)| (command, client))) {
        let _ = writeln!(table, "| `{command}` | {client} |");
    }
    table
}

#[test]
fn the_page_says_what_the_tables_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/worktrees.md");
    let page = std::fs::read_to_string(&path).expect("the page");
    let places = format!(
        "- files: {}\n- all `*.xml` in: {}\n",
        code(reports::places::FILES),
        code(reports::places::DIRECTORIES)
    );
    let made = block(&page, "reports", &places);
    let made = block(&made, "runners", &runner_table());
    let made = block(&made, "agents", &agent_table());
    if std::env::var_os("LAB_PROBE_BLESS").is_some() {
        std::fs::write(&path, &made).expect("written");
    }
    assert!(made == page, "run this test with LAB_PROBE_BLESS=1 to bring docs/worktrees.md up to date");
    for source in StatusSource::ALL {
        assert!(page.contains(&format!("| `{}` |", source.as_str())), "{source:?}");
    }
    for words in [code(Status::ALL.iter().map(|s| s.as_str())), code(TestStatus::ALL.iter().map(|s| s.as_str()))] {
        assert!(page.contains(&words), "{words}");
    }
}
