#!/usr/bin/env bash
# Judges the dependencies by deny.toml: licences, duplicates, sources; and by the advisories of RustSec where a copy of
# their database is at hand: ADVISORY_DB names a clone of it, else GitHub is asked.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/target/lint/bin:$PATH"
command -v cargo-deny >/dev/null || { echo "cargo-deny is missing: make deps" >&2; exit 1; }
cargo deny --locked check --hide-inclusion-graph licenses bans sources

database=https://github.com/RustSec/advisory-db # as cargo-deny spells it
if [ -n "${ADVISORY_DB:-}" ]; then
  # git reads the clone wherever it is asked for the original.
  export GIT_CONFIG_COUNT=1 GIT_CONFIG_VALUE_0="$database"
  GIT_CONFIG_KEY_0="url.file://$(realpath "$ADVISORY_DB").insteadOf"
  export GIT_CONFIG_KEY_0
elif ! timeout 10 git ls-remote --quiet "$database" HEAD >/dev/null 2>&1; then
  echo "advisories not checked: $database cannot be reached and ADVISORY_DB names no copy" >&2
  exit 0
fi
cargo deny --locked check --hide-inclusion-graph advisories
