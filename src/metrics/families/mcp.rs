//! `lab_mcp_server_*`.

use crate::metrics::catalogue::*;
use crate::metrics::vectors::Samples;
use crate::model::mcp::{Era, McpFacts, McpMemory, McpVerdict, ServerProcesses};
use crate::redact::shortened;

/// Longest version string of a server that becomes a label, in characters: a server must not grow the exposition at will.
const MAX_VERSION_CHARS: usize = 128;

pub(super) fn add_observed(name: &str, facts: &McpFacts, samples: &mut Samples) {
    let health = match facts.verdict() {
        McpVerdict::Down => 0.0,
        McpVerdict::Up => 1.0,
        McpVerdict::NotConfigured => 2.0,
    };
    samples.add(&LAB_MCP_SERVER_HEALTH, [name], health);
    if let Some(failure) = &facts.failure {
        samples.add(&LAB_MCP_SERVER_FAILURE, [name, failure.reason.as_str()], 1.0);
    }
    samples.add(&LAB_MCP_SERVER_HANDSHAKE_SECONDS, [name], facts.handshake.map(|d| d.as_secs_f64()));
    samples.add(&LAB_MCP_SERVER_TOOLS, [name], facts.tools.map(|n| n as f64));
    samples.add(&LAB_MCP_SERVER_TOOLS_BYTES, [name], facts.tools_bytes.map(|n| n as f64));
    if let Some(transport) = facts.transport {
        let version = |text: &Option<String>| shortened(text.as_deref().unwrap_or_default(), MAX_VERSION_CHARS);
        let labels = [
            name,
            transport.as_str(),
            facts.era.map_or("", Era::as_str),
            &version(&facts.protocol_version),
            &version(&facts.server_version),
        ];
        samples.add(&LAB_MCP_SERVER_INFO, labels, 1.0);
    }
    samples.add(&LAB_MCP_SERVER_CPU_SECONDS, [name], facts.cpu.map(|d| d.as_secs_f64()));
    samples.add(&LAB_MCP_SERVER_MAX_RSS_BYTES, [name], facts.max_rss_bytes.map(|n| n as f64));
}

pub(super) fn add_processes(name: &str, processes: &ServerProcesses, samples: &mut Samples) {
    for (state, totals) in [("attached", processes.attached), ("orphaned", processes.orphaned)] {
        samples.add(&LAB_MCP_SERVER_PROCESSES, [name, state], totals.count as f64);
        samples.add(&LAB_MCP_SERVER_PROCESSES_RSS_BYTES, [name, state], totals.rss_bytes as f64);
    }
}

/// What outlives a check. Every verdict has its counter from the start, so that a first failure is an increase.
pub(super) fn add_remembered(name: &str, memory: &McpMemory, samples: &mut Samples) {
    samples.add(&LAB_MCP_SERVER_TOOLS_CHANGED_TIMESTAMP_SECONDS, [name], memory.tools_changed_at);
    for verdict in McpVerdict::ALL {
        let checks = memory.checks.get(verdict.as_str()).copied().unwrap_or(0);
        samples.add(&LAB_MCP_SERVER_CHECKS_TOTAL, [name, verdict.as_str()], checks as f64);
    }
}
