//! The pages: every link leads somewhere, every page is in the book, and what is made from data is up to date.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex_lite::Regex;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page of the repository, relative to it.
fn pages() -> Vec<PathBuf> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"];
    let output = Command::new("git").args(list).current_dir(root()).output().expect("git");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).expect("names");
    names.split_terminator('\0').map(PathBuf::from).filter(|page| root().join(page).exists()).collect()
}

fn text(page: &Path) -> String {
    std::fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}

/// A page without its blocks of code.
fn prose(page: &Path) -> String {
    let mut code = false;
    let lines = text(page);
    let lines = lines.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The name that a browser jumps to for each heading, as GitHub and mdBook make it.
fn anchors(page: &Path) -> BTreeSet<String> {
    let headings = prose(page);
    let headings = headings.lines().filter(|line| line.starts_with('#'));
    let kept = |c: char| (c.is_alphanumeric() || "-_ ".contains(c)).then_some(if c == ' ' { '-' } else { c });
    headings.map(|line| line.trim_start_matches('#').trim().to_lowercase().chars().filter_map(kept).collect()).collect()
}

/// Every link of a page to something of this repository: the file, relative to the repository, and the anchor.
fn links(page: &Path) -> Vec<(PathBuf, String)> {
    let link = Regex::new(r#"\]\(([^)\s]+)\)|(?:href|src|srcset)="([^"]+)""#).expect("a pattern");
    let prose = prose(page);
    let targets = link.captures_iter(&prose).filter_map(|found| found.get(1).or(found.get(2)));
    let own = targets.map(|target| target.as_str()).filter(|target| !target.contains("://"));
    let place = |target: &str| {
        let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
        let mut path = if file.is_empty() { page.to_owned() } else { page.parent().expect("a directory").to_owned() };
        for part in Path::new(file) {
            if part == ".." {
                assert!(path.pop(), "{}: {target}", page.display())
            } else {
                path.push(part)
            };
        }
        (path, anchor.to_owned())
    };
    own.map(place).collect()
}

#[test]
fn every_link_between_pages_leads_to_a_file_and_a_heading() {
    let mut broken = Vec::new();
    for page in pages() {
        for (target, anchor) in links(&page) {
            let there = root().join(&target).exists();
            if !there || !anchor.is_empty() && !anchors(&target).contains(&anchor) {
                broken.push(format!("{}: {}#{anchor}", page.display(), target.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_page_is_in_the_book() {
    let summary = Path::new("docs/SUMMARY.md");
    let listed: BTreeSet<PathBuf> = links(summary).into_iter().map(|(page, _)| page).collect();
    let is_page = |page: &PathBuf| page != summary && !page.starts_with(".github") && !page.starts_with("tests");
    let pages: BTreeSet<PathBuf> = pages().into_iter().filter(is_page).collect();
    assert_eq!(listed, pages, "docs/SUMMARY.md lists every page once");
}

#[test]
fn a_page_links_only_to_what_the_book_has() {
    let summary = links(Path::new("docs/SUMMARY.md"));
    let build = text(Path::new("docs/build.sh"));
    for (page, _) in &summary {
        for (target, _) in links(page) {
            let listed = summary.iter().any(|(page, _)| *page == target);
            let laid = build.contains(&target.display().to_string()) || target.starts_with("docs/images");
            assert!(
                listed || laid,
                "{} links to {}, which docs/build.sh does not lay",
                page.display(),
                target.display()
            );
        }
    }
}
