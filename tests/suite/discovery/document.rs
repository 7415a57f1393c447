//! `docs/discovery.md` lists what the table of clients has.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lab_probe::config::environment::Platform;
use lab_probe::plan::mcp;
use serde_json::Value;

use super::{Tree, clients, corpus, patiently};

/// The table of clients, a row each.
pub(super) fn rows() -> Vec<Value> {
    let table: Value = toml::from_str(include_str!("../../../src/plan/mcp/clients.toml")).expect("TOML");
    table["client"].as_array().expect("rows").clone()
}

fn text<'v>(row: &'v Value, key: &str) -> &'v str {
    row[key].as_str().unwrap_or_else(|| panic!("{key} of {row}"))
}

/// The key at the top of a client's files under which its servers stand.
fn list(row: &Value) -> &str {
    row["keys"]["container"][0].as_str().unwrap_or("mcpServers")
}

/// Which variables a client expands in which of its strings.
fn variables(row: &Value) -> String {
    match row["variables"].as_array().map(Vec::as_slice) {
        None => "not verified: none are expanded".into(),
        Some([]) => "none: strings stand as they are".into(),
        Some(forms) => forms.iter().map(|form| form.as_str().expect("a form")).collect::<Vec<_>>().join(", "),
    }
}

/// Where each client's files are on one platform, with `~`, `PROJECT` and absolute paths as the document has them.
fn files(platform: Platform) -> Vec<(&'static str, String)> {
    let mut tree = Tree::new().in_project();
    tree.environment.platform = platform;
    let project = tree.path("project");
    let shown = |path: &Path| {
        let below = |root: PathBuf, sign: &str| Some(format!("{sign}{}", path.strip_prefix(root).ok()?.display()));
        below(tree.path("home"), "~/")
            .or_else(|| below(project.clone(), "PROJECT/"))
            .or_else(|| below(tree.path("root"), "/"))
            .unwrap_or_else(|| panic!("{} is nowhere", path.display()))
    };
    let files = mcp::files(&tree.settings, &tree.environment, patiently());
    files.into_iter().map(|file| (file.source, shown(&file.path))).collect()
}

fn table() -> String {
    let (linux, macos) = (files(Platform::Linux), files(Platform::MacOs));
    let mut made = String::from("| client | files | list | variables | written in |\n|---|---|---|---|---|\n");
    for row in rows() {
        let name = text(&row, "name");
        let of = |files: &[(&str, String)]| -> Vec<String> {
            files.iter().filter(|(source, _)| *source == name).map(|(_, path)| format!("`{path}`")).collect()
        };
        let (linux, macos) = (of(&linux), of(&macos));
        let on_macos: Vec<String> = macos.iter().filter(|path| !linux.contains(path)).cloned().collect();
        let mut places = linux.join("<br>");
        if !on_macos.is_empty() {
            places += &format!("<br>on macOS {}", on_macos.join(", "));
        }
        made += &format!(
            "| {} (`{name}`) | {places} | `{}` | {} | {} |\n",
            text(&row, "title"),
            list(&row),
            variables(&row),
            text(&row, "documented")
        );
    }
    made
}

/// How much there is of what, and of how much of it the tests hold a small file.
fn figures() -> String {
    let (clients, linux, macos) = (rows().len(), files(Platform::Linux), files(Platform::MacOs));
    let forms = clients::ROWS.iter().map(|(_, _, _, servers)| servers.len()).sum::<usize>() + corpus::forms();
    let all: BTreeSet<&(&str, String)> = linux.iter().chain(&macos).collect();
    format!(
        "{clients} clients, {} places ({} on Linux, {} on macOS). The tests hold {forms} forms of entries in {} small files.\n",
        all.len(),
        linux.len(),
        macos.len(),
        clients::ROWS.len() + corpus::files()
    )
}

/// `document` with what stands between two markers replaced.
fn written(document: &str, name: &str, made: &str) -> String {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = document.split_once(&begin).expect("the opening marker");
    let (_, after) = rest.split_once(&end).expect("the closing marker");
    format!("{before}{begin}{made}{end}{after}")
}

#[test]
fn the_document_lists_every_client_with_its_files() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/discovery.md");
    let document = std::fs::read_to_string(&path).expect("docs/discovery.md");
    let made = written(&written(&document, "clients", &table()), "figures", &figures());
    if std::env::var_os("LAB_PROBE_BLESS").is_some() {
        std::fs::write(&path, made).expect("written");
    } else {
        assert_eq!(document, made, "run this test with LAB_PROBE_BLESS=1 to bring docs/discovery.md up to date");
    }
}

#[test]
fn for_every_client_without_a_known_rule_the_document_says_where_it_was_looked_for() {
    let document = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/discovery.md"));
    let document = document.expect("docs/discovery.md");
    let (_, table) =
        document.split_once("| client | its documentation and source | besides |\n|---|---|---|\n").expect("there");
    let lines = table.lines().take_while(|line| line.starts_with("| "));
    let looked_for: BTreeSet<&str> = lines.filter_map(|row| row.split(" | ").next()?.strip_prefix("| ")).collect();
    let clients = rows();
    let unknown = clients.iter().filter(|row| row["variables"].is_null());
    assert_eq!(looked_for, unknown.map(|row| text(row, "title")).collect());
}

#[test]
fn a_home_that_has_every_client_is_read_in_one_plan() {
    let tree = Tree::new();
    for (_, file, text, _) in clients::ROWS {
        tree.write(file, text);
    }
    let plan = tree.plan();
    let seen: BTreeSet<&str> =
        plan.targets.iter().flat_map(|target| &target.origins).map(|origin| origin.source.as_str()).collect();
    assert_eq!(seen, rows().iter().map(|row| text(row, "name")).collect());
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
}
