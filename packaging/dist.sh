#!/usr/bin/env bash
# usage: packaging/dist.sh        what a release publishes, below target/dist
#
# For each of ARCHS (default "amd64 arm64"): an archive as Prometheus' exporters have it, a .deb and an .rpm; beside them an
# SBOM (CycloneDX) and sha256sums.txt. LIBC is the C library to link with: gnu.2.28 (default: Debian 10, RHEL 8 and later), or
# musl for a static binary (Alpine, containers), which knows no users and host names but those of files and DNS. The same
# commit, toolchain and pins give the same files. BINARIES=DIRECTORY takes DIRECTORY/ARCH/lab-probe instead of compiling, and
# PRINTER, a lab-probe that runs here, for the man pages.
set -euo pipefail
cd "$(dirname "$0")/.."

libc=${LIBC:-gnu.2.28}
out=target/dist
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
LAB_PROBE_REVISION=$(git rev-parse --short=12 HEAD)
export LAB_PROBE_REVISION
export PATH="$PWD/target/cross-tools/bin:$PATH" PYTHONPATH="$PWD/target/cross-tools" ZIG_GLOBAL_CACHE_DIR="$PWD/target/zig"
# No path of this machine in the binaries.
export RUSTFLAGS="--remap-path-prefix=$(rustc --print sysroot)=/rust --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$PWD=/lab-probe"
umask 022

declare -A triples=([amd64]=x86_64-unknown-linux [arm64]=aarch64-unknown-linux)
# What runs here, for the man pages and completions of all.
case $(uname -m) in aarch64) own=arm64 ;; *) own=amd64 ;; esac

compile() {
  local target=${triples[$1]}-${libc%%.*}
  if command -v rustup >/dev/null; then rustup --quiet target add "$target"; fi
  cargo zigbuild --release --locked --target "${triples[$1]}-$libc"
  install -D -m 0755 "target/$target/release/lab-probe" "target/dist-binaries/$1/lab-probe"
}

archive() {
  local name=lab-probe-$version.linux-$1 binary=$2/$1/lab-probe
  local tree=$out/$name
  mkdir -p "$tree/docs"
  install -m 0755 "$binary" "$tree/lab-probe"
  install -m 0755 packaging/install.sh "$tree/install.sh"
  cp LICENSE README.md CHANGELOG.md "$out/NOTICE" "$tree/"
  cp -r systemd monitoring/prometheus/rules monitoring/grafana/dashboards "$tree/"
  for page in docs/*.md; do [ "$page" = docs/SUMMARY.md ] || cp "$page" "$tree/docs/"; done
  "$PRINTER" man >"$tree/lab-probe.1"
  "$PRINTER" man lab-probe.toml >"$tree/lab-probe.toml.5"
  "$PRINTER" config init - >"$tree/config.toml.example"
  tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --format=ustar -C "$out" -c "$name" |
    gzip -9n >"$out/$name.tar.gz"
  rm -r "$tree"
}

rm -rf "$out"
mkdir -p "$out"
binaries=${BINARIES:-target/dist-binaries}
for arch in ${ARCHS:-amd64 arm64}; do [ -n "${BINARIES:-}" ] || compile "$arch"; done
PRINTER=${PRINTER:-$binaries/$own/lab-probe}
[ -x "$PRINTER" ] || { echo "the man pages need a binary that runs here: add $own to ARCHS" >&2; exit 1; }
export PRINTER
export NOTICE=$out/NOTICE
packaging/notice.py >"$NOTICE"
for arch in ${ARCHS:-amd64 arm64}; do
  archive "$arch" "$binaries"
  packaging/package.sh "$binaries/$arch/lab-probe" "$out/packages" >/dev/null
  mv "$out"/packages/* "$out/"
  rmdir "$out/packages"
done
rm "$NOTICE"

# Of the dependencies of both: they are the same.
cyclonedx=target/dist-tools
[ -x $cyclonedx/bin/cargo-cyclonedx ] || cargo install --quiet --locked cargo-cyclonedx@0.5.9 --root $cyclonedx
# It writes beside Cargo.toml only.
$cyclonedx/bin/cargo-cyclonedx cyclonedx --quiet --format json --spec-version 1.5 --target x86_64-unknown-linux-gnu --override-filename sbom
sed "s#path+file://$PWD#path+file:///lab-probe#g" sbom.json >"$out/lab-probe-$version.cdx.json"
rm sbom.json

(cd "$out" && sha256sum -- * >sha256sums.txt.new && mv sha256sums.txt.new sha256sums.txt)
cat "$out/sha256sums.txt"
