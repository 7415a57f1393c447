#!/usr/bin/env bash
# usage: tests/e2e/run.sh BINARY      boot a systemd, install the package with BINARY into it and go through the steps
#        tests/e2e/run.sh --possible  say why this machine cannot do that, and exit 1
#
# The booted system is this machine's own `/` under an overlay whose upper layer lies in memory: nothing that happens
# inside reaches the disk. None of the machine's own units start. Root, systemd-nspawn and the packages of tests/deps.sh
# are needed. E2E_PASSES (default 3) passes are timed; E2E_KEEP=DIR keeps logs and results there; E2E_STEPS names the
# steps to go through (default: all, see inside/main.sh).
set -euo pipefail
cd "$(dirname "$0")/../.."

# Ends this script with the reason if something is missing.
possible() {
  [ "$(id -u)" = 0 ] || { echo "not root"; return 1; }
  local tool
  for tool in systemd-nspawn unshare mount dpkg-deb; do
    command -v "$tool" >/dev/null || { echo "$tool is not installed"; return 1; }
  done
  unshare -m --propagation private true 2>/dev/null || { echo "no mount namespace may be made here"; return 1; }
  unshare -m --propagation private sh -c '
    mount -t tmpfs tmpfs /mnt && mkdir /mnt/upper /mnt/work /mnt/root &&
    mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root' 2>/dev/null ||
    { echo "no overlay over / may be mounted here"; return 1; }
}

# The control groups this script runs in, as directories: a booted system gets one of its own below each, so that limits
# that hold here go on holding. Of version 1 those that systemd has a use for; the rest stays as it is.
groups() {
  local controllers path
  if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
    echo /sys/fs/cgroup
    return
  fi
  while IFS=: read -r _ controllers path; do
    case $controllers in
      '') controllers=unified path= ;;
      name=systemd) controllers=systemd ;;
      memory | pids | cpu | cpuacct | cpu,cpuacct) ;;
      *) continue ;;
    esac
    path=/sys/fs/cgroup/$controllers${path%/}
    [ ! -w "$path/cgroup.procs" ] || echo "$path"
  done </proc/self/cgroup
}

# An interpreter that every user may start and that runs `$3…` with the servers' packages. Those are put where every
# user may read them; here they can lie below a home that only its owner enters.
interpreter() {
  local candidate
  for candidate in "$1" "/usr/bin/$2"; do
    [ -x "$candidate" ] || continue
    # By way of env: setpriv itself still has root's capabilities when it looks for what it starts.
    if setpriv --reuid 65534 --clear-groups env "$candidate" --version >/dev/null 2>&1 &&
      PYTHONPATH=$PWD/target/servers/python "$candidate" "${@:3}" >/dev/null 2>&1; then
      echo "$candidate"
      return
    fi
  done
  echo "no $2 that every user may start; the servers of make deps need one" >&2
  return 1
}

if [ "${1:-}" = --possible ]; then
  possible
  exit
fi
binary=$(realpath "$1")
possible || exit 1
python=$(interpreter "$(python3 -c 'import sys; print(sys.executable)')" python3 -c 'import pydantic_core')
node=$(interpreter "$(readlink -f "$(command -v node)")" node --version)

# In a mount namespace of its own, so that no mount outlives the run.
if [ -z "${E2E_INSIDE_NAMESPACE:-}" ]; then
  E2E_INSIDE_NAMESPACE=1 exec unshare -m --propagation private "$0" "$binary"
fi

began=$(date +%s.%N)
machine=lab-e2e-$$
groups=$(groups)
# With its controllers in version 1, limits can be seen at work only there.
# Version 2 counts the CPU of every unit by itself: E2E_UNIFIED=1 shows what a pass takes where version 1 has no group for it.
case $groups in */memory*) unified=${E2E_UNIFIED:-0} ;; *) unified=1 ;; esac
scratch=$(mktemp -d)
finish() {
  umount -R "$scratch/memory" 2>/dev/null || true
  rmdir "$scratch/memory" "$scratch" "/run/systemd/nspawn/propagate/$machine" 2>/dev/null || true
  local group
  for group in $groups; do
    [ ! -d "$group/$machine" ] || find "$group/$machine" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}
trap finish EXIT

memory=$scratch/memory
mkdir "$memory"
mount -t tmpfs -o size=3g,mode=0755 tmpfs "$memory"
mkdir "$memory"/{upper,work,root,results}
results=$memory/results
mount -t overlay overlay -o "lowerdir=/,upperdir=$memory/upper,workdir=$memory/work" "$memory/root"
root=$memory/root

# Two packages, the second only newer. Speed matters here, size does not.
export PACKAGE_COMPRESSION=gzip
packages=$memory/packages
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
mkdir -p "$root/opt/e2e"
PACKAGE_VERSION=$version+newer packaging/package.sh "$binary" "$packages" deb >/dev/null
mv "$packages"/lab-probe_*.deb "$root/opt/e2e/new.deb"
packaging/package.sh "$binary" "$packages" deb >/dev/null
cp "$packages"/lab-probe_*.deb "$root/opt/e2e/old.deb"
lintian --allow-root --display-info --pedantic "$packages"/lab-probe_*.deb >"$results/lintian" 2>&1 ||
  echo "E: lintian failed" >>"$results/lintian"

cp -r tests/e2e/inside "$root/opt/e2e/inside"
# Where everything that the steps read is put; every user may go down to the servers.
mkdir "$root/opt/e2e/servers" "$root/opt/e2e/source"
{
  echo "python=$python"
  echo "node=$node"
  echo "passes=${E2E_PASSES:-3}"
  echo "steps='${E2E_STEPS:-}'"
} >"$root/opt/e2e/settings"
# Gone and made anew it hides this machine's own: nothing is enabled.
rm -rf "$root/etc/systemd/system" "$root/etc/lab-probe"
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
# What somebody's pass has delivered on this machine is none of this system's.
rm -f "$root"/var/lib/prometheus/node-exporter/*
# It would forbid the package to stop its timers.
rm -f "$root/usr/sbin/policy-rc.d"
cp tests/e2e/inside/e2e.service "$root/etc/systemd/system/"
ln -s ../e2e.service "$root/etc/systemd/system/multi-user.target.wants/e2e.service"
ln -s /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
# What control groups of version 2 count by themselves.
install -d "$root/etc/systemd/system.conf.d"
printf '[Manager]\nDefaultCPUAccounting=yes\n' >"$root/etc/systemd/system.conf.d/e2e.conf"
# The machine's own journal is not ours to add to.
rm -rf "$root/var/log/journal"

(
  for group in $groups; do
    mkdir "$group/$machine"
    echo "$BASHPID" >"$group/$machine/cgroup.procs"
  done
  SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=$unified exec timeout --kill-after=10 $((720 + 40 * ${E2E_PASSES:-3})) systemd-nspawn \
    --quiet --register=no --keep-unit --private-network --machine="$machine" \
    --bind="$results:/results" --bind-ro="$(realpath target/servers):/opt/e2e/servers" \
    --bind-ro="$PWD:/opt/e2e/source" -D "$root" /opt/e2e/inside/init
) </dev/null >"$results/console" 2>&1 || true

if [ -n "${E2E_KEEP:-}" ]; then mkdir -p "$E2E_KEEP"; cp -r "$results/." "$E2E_KEEP/"; fi
echo "--- steps"
cat "$results/report" 2>/dev/null || true
if grep -q '^[EWIP]: ' "$results/lintian"; then echo "FAIL lintian is silent"; cat "$results/lintian"; else echo "ok   lintian is silent"; fi
echo "--- figures"
cat "$results/figures" 2>/dev/null || true
echo "whole run: $(echo "$(date +%s.%N) $began" | awk '{printf "%.1f", $1 - $2}') s"
failed=$(cat "$results/report" 2>/dev/null | grep -c '^FAIL' || true)
if grep -q '^[EWIP]: ' "$results/lintian"; then failed=$((failed + 1)); fi
if [ ! -e "$results/done" ]; then
  echo "--- the steps did not come to their end; console and log:"
  tail -n 15 "$results/console" "$results/log" 2>/dev/null || true
  exit 1
fi
if [ "$failed" -gt 0 ]; then
  echo "--- $failed failed; the log of the steps:"
  tail -n 60 "$results/log"
  echo "--- failed:"
  grep '^FAIL' "$results/report" || true
  exit 1
fi
