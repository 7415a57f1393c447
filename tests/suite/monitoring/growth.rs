//! What grows with hosts, servers and worktrees: the README's numbers, counted again in a real pass.

use super::lab::RealLab;
use super::tools::{monitoring, text};

/// The LAB that figures are given for.
const SERVERS: usize = 18;
const WORKTREES: usize = 5;
const ENVIRONMENTS: usize = 2;
const SERVICES: usize = 2;

fn thousands(number: usize) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", number / 1000, number % 1000) }
}

#[test]
fn what_grows_with_hosts_servers_and_worktrees_is_as_the_readme_says() {
    let textfiles = tempfile::tempdir().expect("a directory");
    let lab = RealLab::new(textfiles.path());
    // The second pass finds another list of tools, which is a series of its own from then on.
    lab.pass();
    lab.pass();
    let samples = lab.samples();
    let with = |part: &str| samples.iter().filter(|sample| sample.contains(part)).count();
    let server = with("server_name=\"rag-query\"");
    let down = with("lab_mcp_server_failure{server_name=\"broken\"");
    let worktree = with("worktree_name=\"docs\"");
    let environment = with("environment=\"testnet\"");
    let service = with("service_name=\"listener\"");
    let of_something = ["server_name=", "worktree_name=", "environment=", "service_name="];
    let host = samples.iter().filter(|sample| !of_something.iter().any(|label| sample.contains(label))).count();
    assert_eq!(down, 1, "a server that is down has one reason");

    let lab_of = |servers: usize, worktrees: usize| {
        host + servers * server + worktrees * worktree + ENVIRONMENTS * environment + SERVICES * service
    };
    let one = lab_of(SERVERS, WORKTREES);
    let readme = text(monitoring("README.md"));
    let lines = [
        format!("| host | {host} |"),
        format!("| MCP server | {server} |"),
        format!("| worktree | {worktree} |"),
        format!("| trading environment | {environment} |"),
        format!("| service | {service} |"),
        format!(
            "**{one}** series: {host} + {SERVERS} × {server} + {WORKTREES} × {worktree} + {ENVIRONMENTS} × {environment} + {SERVICES} × {service}"
        ),
        format!("| 10 such hosts | {} |", thousands(10 * one)),
        format!("| 1 host, 128 worktrees | {} |", thousands(lab_of(SERVERS, 128))),
        format!("| 1 host, 200 servers | {} |", thousands(lab_of(200, WORKTREES))),
    ];
    let missing: Vec<_> = lines.iter().filter(|line| !readme.contains(line.as_str())).collect();
    assert!(missing.is_empty(), "monitoring/README.md does not say {missing:#?}");
}
