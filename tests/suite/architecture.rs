//! Holds the picture of ARCHITECTURE.md: which room may use which, where the dangerous calls live. The sources are parsed,
//! so that grouped, nested and relative imports, paths in expressions and inline modules all count.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// What every room may use.
const LEAVES: &[&str] = &["model", "clock", "log", "redact", "mcp", "wording"];

/// What a room may use besides itself and the leaves.
fn allowed(room: &str) -> Option<&'static [&'static str]> {
    Some(match room {
        "model" => &[],
        "clock" | "log" | "redact" | "mcp" | "wording" => &[],
        "exit" => &["fs"],
        "fs" | "yaml" | "dotenv" => &[],
        "proc" | "http" | "exposition" => &["fs"],
        "trust" => &["fs"],
        "config" => &["fs", "exit", "trust", "metrics"],
        "plan" => &["config", "fs", "proc", "trust", "yaml", "dotenv"],
        "unusual" => &[],
        "show" => &["unusual"],
        "check" => &["proc", "http", "fs", "exposition", "dotenv"],
        "metrics" => &["exposition"],
        "serve" => &["exit"],
        "sink" => &["exit", "config", "metrics", "http", "fs", "exposition"],
        "state" => &["fs", "unusual"],
        "cli" => &["config"],
        // Strings the rooms together.
        "commands" | "pass" | "doctor" | "main" | "lib" | "fuzzing" => return None,
        other => panic!("src/{other} is in no room of the picture; give it a place in tests/suite/architecture.rs"),
    })
}

/// Every Rust source below a directory.
pub(crate) fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a source directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// What a file uses outside its tests.
#[derive(Debug, Default)]
struct Used {
    /// Rooms, by `crate::…` or `super::…`.
    rooms: BTreeSet<String>,
    /// Calls such as `File::create`, the last two segments of the path.
    calls: BTreeSet<String>,
    has_unsafe: bool,
}

struct Source {
    room: String,
    path: PathBuf,
    used: Used,
}

/// Every source file that is not for tests or fuzzing alone.
fn all_sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    let parsed = found.into_iter().map(|path| {
        let file = syn::parse_file(&std::fs::read_to_string(&path).expect("text")).expect("Rust");
        (path.strip_prefix(&root).expect("below src").to_owned(), file)
    });
    let parsed: Vec<(PathBuf, syn::File)> = parsed.collect();
    let for_tests: Vec<Vec<String>> = parsed.iter().flat_map(|(path, file)| modules_for_tests(path, file)).collect();
    let source = |(path, file): (PathBuf, syn::File)| {
        let module = module_of(&path);
        let room = module.first().cloned().unwrap_or_else(|| "lib".to_owned());
        (!for_tests.iter().any(|test| module.starts_with(test))).then(|| Source {
            room,
            used: used(&file, module),
            path,
        })
    };
    parsed.into_iter().filter_map(source).collect()
}

/// The files that a file declares for tests or fuzzing alone: `#[cfg(test)] mod proof;`.
fn modules_for_tests(path: &Path, file: &syn::File) -> Vec<Vec<String>> {
    let declared = file.items.iter().filter_map(|item| match item {
        syn::Item::Mod(item) if item.content.is_none() && is_for_tests(&item.attrs) => Some(item.ident.to_string()),
        _ => None,
    });
    declared.map(|name| module_of(path).into_iter().chain([name]).collect()).collect()
}

/// `check/mcp/mod.rs` is the module `check::mcp`.
fn module_of(below: &Path) -> Vec<String> {
    let path = below.with_extension("");
    let parts = path.iter().map(|part| part.to_string_lossy().into_owned());
    parts.filter(|part| !["mod", "lib", "main"].contains(&part.as_str())).collect()
}

fn used(file: &syn::File, module: Vec<String>) -> Used {
    let mut reader = Reader { module, used: Used::default() };
    reader.visit_file(file);
    reader.used
}

struct Reader {
    module: Vec<String>,
    used: Used,
}

impl Reader {
    /// Notes where a path leads. Only `crate::` and `super::` can leave the room.
    fn path(&mut self, segments: &[String]) {
        let ups = segments.iter().take_while(|segment| *segment == "super").count();
        let absolute: Vec<&String> = match segments.first().map(String::as_str) {
            Some("crate") => segments.iter().skip(1).collect(),
            Some("super") if ups <= self.module.len() => {
                let above = &self.module[..self.module.len() - ups];
                above.iter().chain(&segments[ups..]).collect()
            }
            _ => return,
        };
        self.used.rooms.extend(absolute.first().map(|room| (*room).clone()));
    }

    fn tree(&mut self, tree: &syn::UseTree, before: &[String]) {
        let with = |segment: &syn::Ident| before.iter().cloned().chain([segment.to_string()]).collect::<Vec<_>>();
        match tree {
            syn::UseTree::Path(path) => self.tree(&path.tree, &with(&path.ident)),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(tree, before)),
            syn::UseTree::Name(name) => self.path(&with(&name.ident)),
            syn::UseTree::Rename(rename) => self.path(&with(&rename.ident)),
            syn::UseTree::Glob(_) => self.path(before),
        }
    }
}

/// Whether a `#[cfg(…)]` names tests or fuzzing.
fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return false };
        let text = list.tokens.to_string();
        !text.contains("not") && (text.contains("test") || text.contains("fuzzing"))
    })
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.path(&segments);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        // What is in a macro is not parsed: its tokens are.
        for after in call.tokens.to_string().replace(' ', "").split("crate::").skip(1) {
            let room: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            self.used.rooms.insert(room);
        }
        visit::visit_macro(self, call);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(path) = &*call.func {
            let last: Vec<String> = path.path.segments.iter().rev().take(2).map(|s| s.ident.to_string()).collect();
            self.used.calls.insert(last.into_iter().rev().collect::<Vec<_>>().join("::"));
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        self.used.has_unsafe = true;
        visit::visit_expr_unsafe(self, block);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.used.has_unsafe |= signature.unsafety.is_some();
        visit::visit_signature(self, signature);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.used.has_unsafe |= item.unsafety.is_some();
        visit::visit_item_impl(self, item);
    }
}

#[test]
fn every_way_to_name_a_room_is_seen_and_tests_do_not_count() {
    let text = "
        use crate::{config::{self, settings::Settings}, http as web};
        use super::super::plan::due;
        mod inner { use super::super::super::sink::*; }
        fn f() -> crate::state::State { assert!(crate::fs::exists()); unsafe { File::create(x) } }
        #[cfg(test)] mod tests { use crate::commands; }
        #[cfg(any(test, fuzzing))] pub(crate) fn g() { crate::doctor::x(); }
    ";
    let used = used(&syn::parse_file(text).expect("Rust"), vec!["check".into(), "mcp".into()]);
    let rooms: Vec<&str> = used.rooms.iter().map(String::as_str).collect();
    assert_eq!(rooms, ["config", "fs", "http", "plan", "sink", "state"]);
    assert!(used.has_unsafe && used.calls.contains("File::create"));
}

#[test]
fn rooms_use_only_what_the_picture_allows() {
    let mut broken = Vec::new();
    for Source { room, path, used } in all_sources() {
        let Some(allowed) = allowed(&room) else { continue };
        let strange = |other: &&String| {
            **other != room && !LEAVES.contains(&other.as_str()) && !allowed.contains(&other.as_str())
        };
        broken.extend(used.rooms.iter().filter(strange).map(|other| format!("{} uses {other}", path.display())));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_picture_has_no_circles() {
    let rooms: BTreeSet<String> = all_sources().into_iter().map(|source| source.room).collect();
    let mut left: Vec<&String> = rooms.iter().filter(|room| allowed(room).is_some()).collect();
    while !left.is_empty() {
        let free = |room: &&String| {
            let uses = allowed(room)
                .unwrap_or_default()
                .iter()
                .chain(LEAVES.iter().filter(|_| !LEAVES.contains(&room.as_str())));
            uses.filter(|used| **used != room.as_str()).all(|used| !left.iter().any(|other| other.as_str() == *used))
        };
        let (ends, rest): (Vec<&String>, Vec<&String>) = left.iter().copied().partition(free);
        assert!(!ends.is_empty(), "these use each other: {rest:?}");
        left = rest;
    }
}

#[test]
fn every_room_has_its_line_in_the_picture() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).expect("text");
    let rooms: BTreeSet<String> = all_sources().into_iter().map(|source| source.room).collect();
    for room in rooms.iter().filter(|room| !["main", "lib", "fuzzing"].contains(&room.as_str())) {
        assert!(text.contains(&format!("`{room}`")), "ARCHITECTURE.md does not name {room}");
    }
}

#[test]
fn unsafe_code_stands_in_one_file() {
    let with_unsafe: Vec<PathBuf> =
        all_sources().into_iter().filter(|source| source.used.has_unsafe).map(|source| source.path).collect();
    assert_eq!(with_unsafe, [Path::new("proc/sys.rs")]);
}

#[test]
fn processes_are_started_in_proc_and_files_replaced_in_fs() {
    let mut broken = Vec::new();
    for Source { room, path, used } in all_sources() {
        for call in ["Command::new", "fs::write", "File::create", "OpenOptions::new"] {
            let home = if call == "Command::new" { "proc" } else { "fs" };
            let excused = call == "OpenOptions::new" && room == "proc";
            if used.calls.contains(call) && room != home && !excused {
                broken.push(format!("{} calls {call}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
