//! What the words of a process's command line say of the program that it really runs.

/// Programs whose own name says nothing about what they run, without a version (`python3.11`).
pub(super) const INTERPRETERS: &[&str] =
    &["bash", "bun", "dash", "deno", "java", "node", "nodejs", "perl", "php", "pypy", "python", "ruby", "sh", "zsh"];

/// Programs that start another one and wait for it.
pub(super) const LAUNCHERS: &[&str] = &[
    "npm", "npx", "pnpm", "pnpx", "yarn", "bunx", "uv", "uvx", "pipx", "poetry", "env", "nice", "nohup", "setsid",
    "stdbuf", "sudo", "timeout", "direnv", "mise",
];

pub(super) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A program's name without its directory and version: `python` of `/usr/bin/python3.11`.
pub(super) fn program_name(path: &str) -> &str {
    base_name(path).trim_end_matches(|c: char| c.is_ascii_digit() || c == '.')
}
