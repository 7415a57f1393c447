#!/usr/bin/env bash
# Times a pass over many worktrees of one 20,000-file repository beside git itself.
#
#   benches/worktrees.sh [COUNT…]        (default: 5 50; 200 needs some 20 GB and 4 million inodes)
#
# For each count, clean and then dirty (two edits in place and a new file in each): `git status` one after another and
# two at a time; a first pass, without any memory; and a pass in which nothing has changed. Every figure is the best of
# three, in milliseconds of wall time, with the processor time beside it. Set LAB_PROBE to time another binary, BENCH_DIR to work elsewhere.
set -euo pipefail
probe=${LAB_PROBE:-$(cd "$(dirname "$0")/.." && pwd)/target/release/lab-probe}
[ -x "$probe" ] || { echo "build first: cargo build --release" >&2; exit 1; }
counts=("$@")
[ ${#counts[@]} -gt 0 ] || counts=(5 50)
work=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/lab-probe-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
export HOME=$work GIT_CONFIG_NOSYSTEM=1 LC_ALL=C
git config --global user.name bench
git config --global user.email bench@example.invalid

repository=$work/repository
git init -q -b main "$repository"
cd "$repository"
for package in $(seq 200); do
  directory=src/area$((package / 20))/package$package
  mkdir -p "$directory"
  for file in $(seq 100); do
    printf 'package %s file %s\n%.0s' "$package" "$file" {1..20} >"$directory/file$file.txt"
  done
done
git add -A
git commit -q -m files

cat >"$work/lab-probe.toml" <<END
[probe]
deadline = "10m"
state_dir = "$work/state"
[mcp]
discover = false
[worktree]
repos = ["$repository"]
timeout = "10m"
[output.textfile]
directory = "$work/out"
END
mkdir "$work/out"

one_after_another() { while read -r path; do git -C "$path" --no-optional-locks status --porcelain=v2 --branch >/dev/null; done <"$work/list"; }
two_at_a_time() { xargs -P2 -I{} git -C {} --no-optional-locks status --porcelain=v2 --branch <"$work/list" >/dev/null; }
forget() { rm -rf "$work/state"; }
a_pass() { "$probe" --config "$work/lab-probe.toml" --once --only worktree --format none; }

# best NAME PREPARATION COMMAND
best() {
  local name=$1 prepare=$2 command=$3 line least=
  for _ in 1 2 3; do
    $prepare
    line=$( { TIMEFORMAT='%R %U %S'; time $command 2>/dev/null; } 2>&1 )
    line=$(awk '{ printf "%8.0f ms wall, %8.0f ms processor", $1 * 1000, ($2 + $3) * 1000 }' <<<"$line")
    if [ -z "$least" ] || [[ $line < $least ]]; then least=$line; fi
  done
  printf '  %-34s %s\n' "$name" "$least"
}

report() {
  echo "$1"
  best 'git, one after another' true one_after_another
  best 'git, two at a time' true two_at_a_time
  best 'lab-probe, first pass' forget a_pass
  # Two more passes: one to learn what differs from the index, one so that nothing is too fresh to be trusted.
  sleep 3; a_pass 2>/dev/null; a_pass 2>/dev/null
  best 'lab-probe, nothing changed' true a_pass
}

made=0
for count in "${counts[@]}"; do
  while [ $made -lt $((count - 1)) ]; do
    made=$((made + 1))
    git worktree add -q "$work/tree$made" -b "tree$made"
  done
  git worktree list --porcelain | sed -n 's/^worktree //p' >"$work/list"
  sleep 2
  while read -r path; do git -C "$path" checkout -q . && git -C "$path" clean -qfd && git -C "$path" status >/dev/null; done <"$work/list"
  report "$count worktrees, clean"
  while read -r path; do
    echo edited >>"$path/src/area1/package25/file1.txt"
    echo edited >>"$path/src/area3/package65/file9.txt"
    echo new >"$path/src/area5/new.txt"
  done <"$work/list"
  report "$count worktrees, dirty"
done
