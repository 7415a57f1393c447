//! The `lab-probe` binary: parse the command line, run one command, exit with its code.

use std::process::ExitCode;

use lab_probe::proc::supervisor;

fn main() -> ExitCode {
    if supervisor::is_wanted(std::env::args_os()) {
        return supervisor::main();
    }
    lab_probe::commands::main(std::env::args_os())
}
