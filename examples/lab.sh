#!/usr/bin/env bash
# Makes a small LAB to try lab-probe on: MCP servers that work and that don't, a repository with two worktrees, and one
# environment of the trading system. Needs nothing but git, gzip and the lab-probe binary, whose own `lab-probe mcp` is
# the MCP server that works.
#
# usage: examples/lab.sh DIRECTORY LAB_PROBE_BINARY
set -euo pipefail

lab=$1
probe=$(realpath "$2")
rm -rf "$lab"
mkdir -p "$lab"/{home,textfile,thunes/logs,thunes/data}
lab=$(realpath "$lab")

# A project's MCP servers, as a client's config has them.
cat >"$lab/.mcp.json" <<JSON
{
  "mcpServers": {
    "lab": { "command": "$probe", "args": ["--config", "$lab/lab-probe.toml", "mcp"] },
    "typo": { "command": "mcp-server-flesystem", "args": ["."] },
    "search": { "command": "npx", "args": ["-y", "search-mcp"], "env": { "API_KEY": "\${SEARCH_API_KEY}" } },
    "broken": { "command": "sh", "args": ["-c", "echo 'Error: DATABASE_URL is not set' >&2; exit 1"] }
  }
}
JSON

# A repository with one finished and one unfinished worktree.
git_() { git -c user.name=lab -c user.email=lab@localhost -c init.defaultBranch=main "$@"; }
git_ init -q "$lab/app"
echo 'print("hello")' >"$lab/app/app.py"
git_ -C "$lab/app" add -A
git_ -C "$lab/app" commit -qm "Start"
git_ -C "$lab/app" worktree add -q "$lab/app-feature" -b feature
echo 'print("hello, world")' >"$lab/app-feature/app.py"
printf 'test_status="failing"\n' >"$lab/app-feature/.worktree"

# What the trading system writes.
now=$(date -u +%Y-%m-%dT%H:%M:%S)
# A SQLite database with one closed and one open position, gzipped: not everybody has sqlite3.
base64 -d <<DATABASE | gzip -d >"$lab/thunes/data/positions.db"
H4sIAAAAAAACAwsO9MksSVVIyy/KTSxRMGZgYmBkZHBQUGBgADIhGAYYgZgFjU8IMDHoJTPyghQz
WjIA0fABjS6M7OLy8oxN4SWJSTmpBfnFmSWZ+XnFcAaTc5CrY4irQoijk4+rAlxYIzNFwdMvxNXd
NUghIMjT1zEoUsHbNVJHobgyNyk/RyHENSJER6GwNDGvJLOkUgFoho+OQmpeSVFlfEFRZnIqikhJ
Zm4qVEdqRWYJqgqQAJKCgrwcqExxSWJJaTFYWBMUN0yMZQyMq4HEKKATMGbiYpBmZzYGMkWdQpxD
g11C7AOSfC99XPmH8c4EIwMjU11DA10DyxADSytDIysDU/8AV79gRogmZmN2SXRNN1bANVmEGJpY
GVtYGRkx3tFBFjWzMjCyMjG0f3MGBM46+/gHu7oAAC/38o0ABAAA
DATABASE
cat >"$lab/thunes/logs/audit_trail.jsonl" <<JSONL
{"timestamp": "$now", "event": "TRADE_APPROVED", "symbol": "BTCUSDT", "side": "BUY", "quote_qty": 10.0, "strategy_id": "demo", "daily_pnl": 0.0, "open_positions": 1}
{"timestamp": "$now", "event": "TRADE_REJECTED", "reason": "cool_down_active", "symbol": "BTCUSDT", "side": "BUY"}
JSONL

cat >"$lab/lab-probe.toml" <<TOML
[probe]
state_dir = "$lab/state"
labels = { host = "lab" }

[mcp]
discover = false
config_files = ["$lab/.mcp.json"]
expected = ["fetch"]

[worktree]
repos = ["$lab/app"]

[[thunes]]
environment = "paper"
root = "$lab/thunes"

[output.textfile]
directory = "$lab/textfile"
TOML
