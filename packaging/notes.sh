#!/usr/bin/env bash
# usage: packaging/notes.sh VERSION      print what CHANGELOG.md says of a version that is to be released
set -euo pipefail
cd "$(dirname "$0")/.."
version=$1
own=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
[ "$own" = "$version" ] || { echo "Cargo.toml has version $own, not $version: correct it or the tag" >&2; exit 1; }
notes=$(awk -v heading="## $version" 'on && /^## / { exit } on { print } index($0, heading) == 1 { on = 1 }' CHANGELOG.md)
[ -n "${notes//[[:space:]]/}" ] || { echo "CHANGELOG.md has nothing below \"## $version\": see RELEASING.md" >&2; exit 1; }
printf '%s\n' "$notes"
