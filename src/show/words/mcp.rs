//! An MCP server in words.

use crate::model::mcp::{McpFacts, ProcessTotals, ServerProcesses};
use crate::redact;
use crate::wording::plural;

impl McpFacts {
    /// What was found, in one line: the reason and its evidence, or what the server offers.
    pub fn summary(&self) -> String {
        if let Some(failure) = &self.failure {
            return failure.to_string();
        }
        let mut parts = Vec::new();
        parts.extend(self.tools.map(|tools| match self.tools_truncated {
            true => format!("{tools}+ tools"),
            false => plural(tools as usize, "tool"),
        }));
        parts.extend(self.transport.map(|transport| transport.as_str().to_owned()));
        parts.extend(self.protocol_version.as_deref().map(plain_or_quoted));
        let version = self.server_version.as_deref().map_or("", |version| version.trim_start_matches('v'));
        parts.extend((!version.is_empty()).then(|| format!("v{}", plain_or_quoted(version))));
        parts.extend(self.notes.iter().cloned());
        parts.join(", ")
    }
}

impl ServerProcesses {
    /// What to do about those left behind, if there are any.
    pub fn hint(&self) -> Option<String> {
        const MOST: usize = 8;
        const MIB: u64 = 1 << 20;
        let ProcessTotals { count, rss_bytes } = self.orphaned;
        let them = if count == 1 { "it" } else { "them" };
        let pids: Vec<String> = self.orphans.iter().take(MOST).map(i32::to_string).collect();
        let more = if self.orphans.len() > MOST { " (the first of them)" } else { "" };
        (count > 0).then(|| {
            format!(
                "{} of this server left behind by a client that has ended, {} MiB: end {them} with `kill {}`{more}",
                plural(count as usize, "process"),
                rss_bytes / MIB,
                pids.join(" ")
            )
        })
    }
}

/// What a server says of itself, as a quotation unless it is a version as one would write it.
fn plain_or_quoted(text: &str) -> String {
    let plain = text.len() <= 40 && text.chars().all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c));
    if plain { text.to_owned() } else { redact::quoted(text, 60) }
}
