#!/usr/bin/env bash
# usage: docs/build.sh      build the documentation as a site below target/book/html
set -euo pipefail
cd "$(dirname "$0")/.."

tools=target/docs-tools
if ! cmp -s docs/requirements.txt "$tools/requirements.txt"; then
  rm -rf "$tools"
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$tools" -r docs/requirements.txt
  cp docs/requirements.txt "$tools/"
fi

src=target/book/src
rm -rf target/book
mkdir -p "$src"
# The pages, and what they show or link to, where they are in the repository.
git ls-files -z --cached --others --exclude-standard '*.md' 'docs/images/*' LICENSE src/config/starter.toml monitoring/thunes/lab_probe_events.py |
  while IFS= read -rd '' file; do install -D -m 0644 "$file" "$src/$file"; done
# mdBook wants its summary at the root of the pages.
sed -E 's#\]\(#](docs/#; s#docs/\.\./##' docs/SUMMARY.md >"$src/SUMMARY.md"
rm "$src/docs/SUMMARY.md"
"$tools/bin/mdbook" build
echo "the book: target/book/html/index.html"
