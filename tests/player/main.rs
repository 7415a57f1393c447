//! A player that can be many MCP servers on standard streams, good, odd and hostile ones: `player ACT`.
//!
//! Built as an example, so that it never ships. Each act is a few lines; `ACTS` is the table of all.

#![expect(
    clippy::exit,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::zombie_processes,
    reason = "a player of bad servers does what a good program does not"
)]

mod acts;
mod processes;
mod server;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let act = args.next().unwrap_or_default();
    match acts::ACTS.iter().chain(processes::ACTS).find(|(name, _)| *name == act) {
        Some((_, play)) => {
            play();
            ExitCode::SUCCESS
        }
        None => {
            for (name, _) in acts::ACTS.iter().chain(processes::ACTS) {
                println!("{name}");
            }
            ExitCode::from(64)
        }
    }
}
