#!/usr/bin/env bash
# usage: tests/run.sh [ARGUMENT…]      `cargo test` with every test, or with those that can run here
#
# Installs what can be installed (tests/deps.sh). What still lacks a program is left out and named at the end; for
# continuous integration (CI is set) that is a failure. Arguments go to the test binaries.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -n "${CI:-}" ]; then tests/deps.sh; else tests/deps.sh some; fi

# A program or a directory of `make deps`, and the tests that need it.
needs=(
  "chromium summary::a_real_browser"
  "docker-compose monitoring::"
  "dpkg-deb systemd::"
  "node mcp_clients:: mcp_http:: monitoring:: real_servers:: worktree::reports"
  "prometheus exposition:: monitoring:: node_exporter::"
  "prometheus-alertmanager monitoring::"
  "prometheus-node-exporter node_exporter:: random_textfiles:: verify::"
  "prometheus-pushgateway pushgateway::"
  "python3 costs:: discovery:: mcp_stdio:: monitoring:: secrets:: thunes_helper::"
  "strace attack::"
  "systemd-analyze systemd::"
  "victoria-metrics monitoring::"
  "target/clients mcp_clients::"
  "target/monitoring-tools monitoring::"
  "target/package-tools systemd::"
  "target/servers mcp_http:: mcp_stdio:: real_servers::"
  "target/test-runners worktree::reports"
)
skip=() left=()
for need in "${needs[@]}"; do
  what=${need%% *}
  if [ "${what#target/}" != "$what" ]; then [ ! -d "$what" ] || continue; else ! command -v "$what" >/dev/null || continue; fi
  for filter in ${need#* }; do
    skip+=(--skip "$filter")
    left+=("$filter* ($what is missing)")
  done
done
if [ ${#left[@]} -gt 0 ] && [ -n "${CI:-}" ]; then
  echo "not installed, see \`make deps\`: ${left[*]}" >&2
  exit 1
fi

# Debian 12's git is older than the other format of references, and everything else works with it.
if command -v git >/dev/null && ! git init -h 2>&1 | grep -q -e --ref-format; then
  skip+=(--skip where_its_head_is_a_ref)
  left+=("*where_its_head_is_a_ref (git is older than 2.45)")
fi

result=0
if [ ${#left[@]} -eq 0 ]; then
  cargo test --locked -- "$@" || result=$?
else
  cargo test --locked --lib --bins -- "$@" || result=$?
  cargo test --locked --test suite -- "${skip[@]}" "$@" || result=$?
fi
if [ ${#left[@]} -gt 0 ]; then
  echo "left out, because something they need is not here (\`make deps\` as root installs it on Debian):" >&2
  printf '  %s\n' "${left[@]}" >&2
fi
exit "$result"
