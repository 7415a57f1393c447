#!/usr/bin/env bash
# usage: tests/deps.sh [build|dist|some]    install what building and testing need; with `build` only what building needs,
#                                           with `dist` what packages are made with, with `some` what can be
#
# Quick when everything is there already.
#
# Debian packages are installed only where this runs as root on a system with apt; elsewhere the missing ones are
# named. Node and Python packages go below target/, pinned by the files in tests/servers/.
set -euo pipefail
cd "$(dirname "$0")/.."

# A command that must exist, and the Debian package that brings it.
needs=(
  cc:gcc
  git:git
)
only=${1:-} lenient=
[ "$only" != some ] || { only='' lenient=yes; }
[ "$only" != dist ] || needs+=(python3:python3 objdump:binutils)
[ -n "$only" ] || needs+=(
  git-lfs:git-lfs
  node:nodejs
  zsh:zsh
  fish:fish
  npm:npm
  python3:python3
  strace:strace
  valgrind:valgrind
  promtool:prometheus
  prometheus-node-exporter:prometheus-node-exporter
  prometheus-alertmanager:prometheus-alertmanager
  prometheus-pushgateway:prometheus-pushgateway
  prometheus-blackbox-exporter:prometheus-blackbox-exporter
  victoria-metrics:victoria-metrics
  docker-compose:docker-compose
  busybox:busybox
  systemd-analyze:systemd
  systemd-nspawn:systemd-container
  dbus-daemon:dbus
  chromium:chromium
  lintian:lintian
  dpkg-deb:dpkg
  objdump:binutils
)
missing=()
for need in "${needs[@]}"; do
  command -v "${need%%:*}" >/dev/null 2>&1 || missing+=("${need#*:}")
done
# What no command tells: a C compiler may come without the C library's own part, pip is a package of its own on Debian.
cc -x c -o /dev/null - <<<'int main(void) { return 0; }' 2>/dev/null || missing+=(libc6-dev)
[ "$only" = build ] || python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    # Daemons that a package would start are not wanted: tests start their own.
    policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; trap 'rm -f "$policy"' EXIT; }
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  else
    echo "install these packages first: ${missing[*]}" >&2
    [ -n "$lenient" ] || exit 1
  fi
fi

command -v cargo >/dev/null 2>&1 || { echo "install Rust first: https://rustup.rs" >&2; exit 1; }
[ "$only" != build ] || exit 0
# What follows comes by pip and npm.
[ -z "$lenient" ] || { command -v npm && python3 -m pip --version; } >/dev/null 2>&1 || exit 0

# What makes packages; and, for a release only, what compiles for both architectures.
sets=(packaging:target/package-tools)
[ "$only" != dist ] || sets+=(packaging/cross:target/cross-tools)
for set in "${sets[@]}"; do
  from=${set%%:*} to=${set#*:}
  if ! cmp -s "$from/requirements.txt" "$to/requirements.txt"; then
    rm -rf "$to"
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$to" -r "$from/requirements.txt"
    cp "$from/requirements.txt" "$to/"
  fi
done
[ "$only" != dist ] || exit 0

# The servers over HTTP and the clients below need this Node; Debian 12's own is 18.
node_since=20.19
node=target/node
if printf '%s\n' "v$node_since" "$(node --version)" | sort -CV; then
  rm -rf "$node"
elif ! cmp -s tests/node/requirements.txt "$node/requirements.txt"; then
  rm -rf "$node"
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$node" -r tests/node/requirements.txt
  cp tests/node/requirements.txt "$node/"
fi

# What checks the files below monitoring/: Grafana's own types and parsers of the compose file.
tools=target/monitoring-tools
if ! cmp -s tests/monitoring/package.json "$tools/package.json" || ! cmp -s tests/monitoring/requirements.txt "$tools/requirements.txt"; then
  rm -rf "$tools"
  mkdir -p "$tools"
  npm install --silent --no-audit --no-fund --no-package-lock --no-save --prefix "$tools" \
    $(node -p 'Object.entries(require("./tests/monitoring/package.json").dependencies).map(([n, v]) => n + "@" + v).join(" ")')
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$tools/python" -r tests/monitoring/requirements.txt
  # Last, so that an install that broke off is begun anew.
  cp tests/monitoring/package.json tests/monitoring/requirements.txt "$tools/"
fi

# What `make lint` judges the dependencies with.
lint=target/lint
if ! cmp -s tests/lint/requirements.txt "$lint/requirements.txt"; then
  rm -rf "$lint"
  mkdir -p "$lint"
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$lint" -r tests/lint/requirements.txt
  cp tests/lint/requirements.txt "$lint/"
fi

# Test runners whose reports the tests read.
runners=target/test-runners
if ! cmp -s tests/runners/package.json "$runners/package.json" || ! cmp -s tests/runners/requirements.txt "$runners/requirements.txt"; then
  rm -rf "$runners"
  mkdir -p "$runners"
  npm install --silent --no-audit --no-fund --no-package-lock --no-save --prefix "$runners" \
    $(node -p 'Object.entries(require("./tests/runners/package.json").dependencies).map(([n, v]) => n + "@" + v).join(" ")')
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$runners/python" -r tests/runners/requirements.txt
  cp tests/runners/package.json tests/runners/requirements.txt "$runners/"
fi

# Real MCP servers, from npm and PyPI, at the versions that tests/servers/ pins.
servers=target/servers
pins=(package.json package-lock.json requirements.txt)
stale=0
for pin in "${pins[@]}"; do cmp -s "tests/servers/$pin" "$servers/$pin" || stale=1; done
if [ "$stale" = 1 ]; then
  rm -rf "$servers"
  mkdir -p "$servers/npm"
  cp tests/servers/package.json tests/servers/package-lock.json "$servers/npm/"
  npm ci --silent --no-audit --no-fund --ignore-scripts --prefix "$servers/npm"
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps \
    --target "$servers/python" -r tests/servers/requirements.txt
  # Last, so that an install that broke off is begun anew.
  for pin in "${pins[@]}"; do cp "tests/servers/$pin" "$servers/"; done
fi

# Real MCP clients that drive `lab-probe mcp`. Scripts and optional packages (key rings, other systems' builds) are not
# needed. The current Python SDK and what both share are among the servers' packages; this adds 1.x.
clients=target/clients
if ! cmp -s tests/clients/package.json "$clients/package.json" || ! cmp -s tests/clients/requirements.txt "$clients/requirements.txt"; then
  rm -rf "$clients"
  mkdir -p "$clients"
  npm install --silent --no-audit --no-fund --no-package-lock --no-save --ignore-scripts --omit=optional --prefix "$clients" \
    $(node -p 'Object.entries(require("./tests/clients/package.json").dependencies).map(([n, v]) => n + "@" + v).join(" ")')
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps \
    --target "$clients/python" -r tests/clients/requirements.txt
  cp tests/clients/package.json tests/clients/requirements.txt "$clients/"
fi
