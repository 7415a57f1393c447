#!/usr/bin/env bash
# What each choice of the release profile buys: builds the binary without it below target/bench/variants and prints size,
# wall time of --version, CPU of a pass over 200 remembered and over 200 started servers, and seconds for a journal.
#
#     benches/profile.sh [VARIANT …]      minutes for each; no part of `make bench`
#
# There is no panic=abort among them: a panic in one check has to stay that target's error.
set -euo pipefail
cd "$(dirname "$0")/.."

declare -A variants=(
  [as-is]=""
  [no-lto]="profile.release.lto=\"off\""
  [thin-lto]="profile.release.lto=\"thin\""
  [units-16]="profile.release.codegen-units=16"
  [unstripped]="profile.release.strip=false"
  [opt-3]="profile.release.opt-level=3"
  [opt-2]="profile.release.opt-level=2"
  [opt-s]="profile.release.opt-level=\"s\""
  [opt-z]="profile.release.opt-level=\"z\""
)
order=(as-is no-lto thin-lto units-16 unstripped opt-3 opt-2 opt-s opt-z)
[ $# -gt 0 ] && order=("$@")

bin=target/bench/bin
mkdir -p "$bin" target/bench/variants
cc -O2 -static -o "$bin/measured" benches/measured.c
cc -O2 -static -o "$bin/stdio_server" benches/scale/stdio_server.c
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/out" "$work/logs"
server=$(realpath "$bin/stdio_server")
settings="[probe]\nstate_dir = \"$work/state\"\n[output.textfile]\ndirectory = \"$work/out\"\n[worktree]\nrepos = []\n[mcp]\ndiscover = false\n"
{
  printf '%b' "$settings"
  for n in $(seq 200); do printf '[[mcp.server]]\nname = "s%s"\ncommand = "%s"\n' "$n" "$server"; done
} >"$work/servers.toml"
{
  printf '%b' "${settings/state\"/journal\"}"
  printf '[[thunes]]\nenvironment = "bench"\nroot = "%s"\njournals = ["logs/events.jsonl"]\nlogs = []\n' "$work"
} >"$work/journal.toml"
event='{"timestamp": "2026-07-01T10:00:00.000250", "event": "ORDER_PLACED", "venue": "binance", "order_type": "MARKET", "side": "BUY", "latency_ms": 84.0, "symbol": "BTCUSDT"}'
# Not a pipe: yes ends by SIGPIPE, which `pipefail` takes for a failure.
head -n 600000 < <(yes "$event") >"$work/logs/events.jsonl"

# The median of COUNT runs of a command: column 1 is wall time, 2 CPU.
median() {
  local column=$1 count=$2
  shift 2
  for _ in $(seq "$count"); do HOME=$work "$bin/measured" "$@"; done | sort -k"$column" -g | awk -v c="$column" '{ all[NR] = $c } END { print all[int((NR + 1) / 2)] }'
}

printf '%-12s %10s %14s %16s %14s %12s\n' variant bytes "version wall" "remembered CPU" "started CPU" "journal CPU"
for name in "${order[@]}"; do
  setting=${variants[$name]?no such variant}
  cargo build --quiet --release --locked --target-dir target/bench/variants ${setting:+--config "$setting"}
  binary=target/bench/variants/release/lab-probe
  rm -rf "$work/state"
  HOME=$work "$binary" -q --config "$work/servers.toml"
  cached=$(median 2 15 "$binary" -q --config "$work/servers.toml")
  started=$(median 2 5 "$binary" -q --fresh --config "$work/servers.toml")
  scan=$(for _ in 1 2 3; do rm -rf "$work/journal"; HOME=$work "$bin/measured" "$binary" -q --config "$work/journal.toml"; done | sort -k2 -g | awk 'NR == 2 { print $2 }')
  printf '%-12s %10s %14s %16s %14s %12s\n' "$name" "$(stat -c %s "$binary")" "$(median 1 31 "$binary" --version)" "$cached" "$started" "$scan"
done
