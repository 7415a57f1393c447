//! The `lab-probe` binary: parse the command line, run one command, exit with its code.

use std::process::ExitCode;

fn main() -> ExitCode {
    lab_probe::commands::main(std::env::args_os())
}
