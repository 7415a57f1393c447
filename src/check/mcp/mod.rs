//! Is an MCP server usable?
