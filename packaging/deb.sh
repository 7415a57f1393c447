#!/usr/bin/env bash
# usage: packaging/deb.sh BINARY [DIRECTORY]
#
# Builds lab-probe_VERSION_ARCH.deb below DIRECTORY (default target/deb, made anew) from a release binary with
# dpkg-deb: the tree of `make install` under /usr, maintainer scripts, copyright and changelog. DEBFULLNAME and DEBEMAIL
# name who builds it, as for Debian's tools.
set -euo pipefail
cd "$(dirname "$0")/.."

binary=$1
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
arch=$(dpkg --print-architecture)
# The binary prints its own man page, so a package is made where it runs. ELF's e_machine tells what it was built for.
case $(od -An -tu2 -j18 -N2 "$binary" | tr -d ' ') in 62) built_for=amd64 ;; 183) built_for=arm64 ;; *) built_for=$arch ;; esac
if [ "$built_for" != "$arch" ]; then
  echo "$binary is built for $built_for and this system is $arch: build it and the package on a system for $built_for" >&2
  exit 1
fi
out=${2:-target/deb}
tree=$out/tree
maintainer="${DEBFULLNAME:-The lab-probe authors} <${DEBEMAIL:-lab-probe@packages.invalid}>"
# The same input gives the same package.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}

rm -rf "$out"
mkdir -p "$tree/DEBIAN"
chmod 0755 "$tree" "$tree/DEBIAN"
umask 022
packaging/install.sh install "$tree" /usr "$binary"
strip --strip-unneeded --remove-section=.comment "$tree/usr/bin/lab-probe"
gzip -9n "$tree/usr/share/man/man1/lab-probe.1"
# Debian's zsh looks here.
install -d "$tree/usr/share/zsh/vendor-completions"
mv "$tree/usr/share/zsh/site-functions/_lab-probe" "$tree/usr/share/zsh/vendor-completions/_lab-probe"
rmdir "$tree/usr/share/zsh/site-functions"

doc=$tree/usr/share/doc/lab-probe
install -d "$doc"
cat >"$doc/copyright" <<COPYRIGHT
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: lab-probe

Files: *
Copyright: 2026 The lab-probe authors
License: Expat
$(sed -n '5,$s/^$/./; 5,$s/^/ /; 5,$p' LICENSE)
COPYRIGHT
{
  echo "lab-probe ($version) unstable; urgency=medium"
  echo
  echo "  * See CHANGELOG.md."
  echo
  echo " -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n >"$doc/changelog.gz"
gzip -9nc CHANGELOG.md >"$doc/CHANGELOG.md.gz"
install -D -m 0644 packaging/debian/lintian-overrides "$tree/usr/share/lintian/overrides/lab-probe"

# Rust's unwinder is a shared library of GCC.
unwinder=$(objdump -p "$binary" | grep -q 'NEEDED *libgcc_s' && echo ", libgcc-s1" || true)
libc=$(objdump -T "$binary" | grep -o 'GLIBC_2\.[0-9]*' | sort -Vu | tail -n 1 | cut -d_ -f2)
cat >"$tree/DEBIAN/control" <<CONTROL
Package: lab-probe
Version: $version
Architecture: $arch
Maintainer: $maintainer
Installed-Size: $(du -sk --exclude=DEBIAN "$tree" | cut -f1)
Depends: libc6 (>= $libc)$unwinder
Recommends: prometheus-node-exporter, systemd
Suggests: prometheus, prometheus-alertmanager, git
Section: utils
Priority: optional
Description: health of MCP servers, git worktrees and a trading system for Prometheus
 lab-probe checks what a developer's LAB stands on (MCP servers, git
 worktrees) and the trading system beside it, all in parallel under one
 deadline, and hands the result to Prometheus: as a textfile for
 node_exporter or to a Pushgateway. It is one synchronous binary without a
 daemon, fired by systemd timers every 30 seconds.
CONTROL
(cd "$tree" && find etc -type f -printf '/%p\n') >"$tree/DEBIAN/conffiles"
for script in postinst prerm postrm; do install -m 0755 "packaging/debian/$script" "$tree/DEBIAN/$script"; done
install -m 0644 packaging/debian/triggers "$tree/DEBIAN/triggers"
(cd "$tree" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"

dpkg-deb --root-owner-group --build "$tree" "$out/lab-probe_${version}_${arch}.deb"
