#!/usr/bin/env bash
# usage: packaging/package.sh BINARY DIRECTORY [deb] [rpm]
#
# Builds packages of a release binary (default: both kinds) below DIRECTORY, which is made anew, with nfpm: the tree of
# `make install` under /usr, rules, dashboards and documents. DEBFULLNAME and DEBEMAIL name who builds them, as for
# Debian's tools; PACKAGE_VERSION is another version than Cargo.toml's, PACKAGE_COMPRESSION another compression
# than xz. The same input gives the same packages.
set -euo pipefail
cd "$(dirname "$0")/.."

binary=$1 out=$2
shift 2
[ $# -gt 0 ] || set -- deb rpm
nfpm=target/package-tools/bin/nfpm
[ -x $nfpm ] || { echo "nfpm is missing: make deps" >&2; exit 1; }

# ELF's e_machine tells what it was built for.
case $(od -An -tu2 -j18 -N2 "$binary" | tr -d ' ') in
  62) PACKAGE_ARCH=amd64 ;;
  183) PACKAGE_ARCH=arm64 ;;
  *) echo "$binary is built neither for amd64 nor for arm64" >&2; exit 1 ;;
esac
PACKAGE_VERSION=${PACKAGE_VERSION:-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)}
PACKAGE_MAINTAINER="${DEBFULLNAME:-The lab-probe authors} <${DEBEMAIL:-lab-probe@packages.invalid}>"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
PACKAGE_TREE=$out/tree
# The oldest C library that has every symbol; none for a static binary.
libc=$(objdump -T "$binary" 2>/dev/null | grep -o 'GLIBC_2\.[0-9]*' | sort -Vu | tail -n 1 | cut -d_ -f2 || true)
export PACKAGE_ARCH PACKAGE_VERSION PACKAGE_MAINTAINER SOURCE_DATE_EPOCH

rm -rf "$out"
mkdir -p "$PACKAGE_TREE"
umask 022
# What both kinds have alike.
lay() {
  local tree=$1 doc=$1/usr/share/doc/lab-probe file
  rm -rf "$tree"
  packaging/install.sh install "$tree" /usr "$binary"
  # Another architecture's it cannot; release binaries are stripped anyway.
  strip --strip-unneeded --remove-section=.comment "$tree/usr/bin/lab-probe" 2>/dev/null || true
  find "$tree/usr/share/man" -type f -exec gzip -9n {} +
  install -d "$doc/docs" "$tree/usr/share/lab-probe"
  cp -r monitoring/prometheus/rules monitoring/grafana/dashboards "$tree/usr/share/lab-probe/"
  cp README.md "$doc/"
  for file in docs/*.md; do [ "$file" = docs/SUMMARY.md ] || cp "$file" "$doc/docs/"; done
  gzip -9nc CHANGELOG.md >"$doc/CHANGELOG.md.gz"
  [ ! -e "${NOTICE:-}" ] || gzip -9nc "$NOTICE" >"$doc/NOTICE.gz"
}

# What nfpm reads for one kind: the template, and every file of the tree with what it is to the package manager.
describe() {
  local kind=$1 file what mtime
  mtime=$(date -u -d "@$SOURCE_DATE_EPOCH" +%FT%TZ)
  sed "s/compression: xz/compression: ${PACKAGE_COMPRESSION:-xz}/" packaging/nfpm.yaml
  [ -z "$depends" ] || echo "depends: ['$depends']"
  if [ "$kind" = rpm ]; then
    printf -- '- semver: %s-1\n  date: %s\n  packager: %s\n  changes:\n    - note: See CHANGELOG.md.\n' \
      "$PACKAGE_VERSION" "$mtime" "$PACKAGE_MAINTAINER" >"$out/changelog.yaml"
    echo "changelog: $out/changelog.yaml"
  fi
  echo 'contents:'
  (cd "$PACKAGE_TREE" && find . -type f -printf '%P\n' | sort) | while IFS= read -r file; do
    what=
    case $file in
      etc/*) what='config|noreplace' ;;
      usr/share/licenses/*) [ "$kind" = deb ] || what=license ;;
      usr/share/doc/* | usr/share/man/*) [ "$kind" = deb ] || what=doc ;;
    esac
    printf '  - {src: "%s", dst: "%s", type: "%s", file_info: {mtime: %s}}\n' "$PACKAGE_TREE/$file" "/$file" "$what" "$mtime"
  done
}

for kind; do
  lay "$PACKAGE_TREE"
  doc=$PACKAGE_TREE/usr/share/doc/lab-probe
  if [ "$kind" = deb ]; then
    # Debian's zsh looks here.
    install -d "$PACKAGE_TREE/usr/share/zsh/vendor-completions"
    mv "$PACKAGE_TREE/usr/share/zsh/site-functions/_lab-probe" "$PACKAGE_TREE/usr/share/zsh/vendor-completions/_lab-probe"
    rmdir "$PACKAGE_TREE/usr/share/zsh/site-functions"
    cat >"$doc/copyright" <<COPYRIGHT
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: lab-probe
Comment: NOTICE.gz has the licences of the libraries that are linked in.

Files: *
Copyright: 2026 The lab-probe authors
License: Expat
$(sed -n '5,$s/^$/./; 5,$s/^/ /; 5,$p' LICENSE)
COPYRIGHT
    printf 'lab-probe (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- %s  %s\n' \
      "$PACKAGE_VERSION" "$PACKAGE_MAINTAINER" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" | gzip -9n >"$doc/changelog.gz"
    install -D -m 0644 packaging/lintian-overrides "$PACKAGE_TREE/usr/share/lintian/overrides/lab-probe"
    # A few bytes that name the compilers; strip of the build machine may not know the other architecture.
    if readelf -S "$PACKAGE_TREE/usr/bin/lab-probe" | grep -q '\.comment'; then
      echo 'lab-probe: binary-has-unneeded-section * [usr/bin/lab-probe]' >>"$PACKAGE_TREE/usr/share/lintian/overrides/lab-probe"
    fi
  else
    install -D -m 0644 LICENSE "$PACKAGE_TREE/usr/share/licenses/lab-probe/LICENSE"
  fi
  find "$PACKAGE_TREE" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  depends=
  if [ -n "$libc" ]; then
    [ "$kind" = deb ] && depends="libc6 (>= $libc)" || depends="libc.so.6(GLIBC_$libc)(64bit)"
  fi
  describe "$kind" >"$out/nfpm.yaml"
  "$nfpm" package --config "$out/nfpm.yaml" --packager "$kind" --target "$out/" | sed -n 's/^created package: //p'
  rm -rf "$PACKAGE_TREE" "$out/nfpm.yaml" "$out/changelog.yaml"
done
