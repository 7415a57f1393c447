#!/usr/bin/env bash
# usage: install.sh [install [DESTDIR [PREFIX [BINARY]]]]
#        install.sh uninstall [DESTDIR [PREFIX]]
#
# Puts everything where systemd, man and the shells look below PREFIX (default /usr/local); below /etc only the example
# configuration. A live configuration is never touched. It is part of the archives, too, with the binary beside it.
# PRINTER, a lab-probe that runs here, prints the man pages and completions where BINARY is for another architecture.
set -euo pipefail
cd "$(dirname "$0")"
[ -d systemd ] || cd ..

action=${1:-install} destdir=${2:-} prefix=${3:-/usr/local} binary=${4:-./lab-probe}
destdir=${destdir%/} prefix=${prefix%/}
printer=$(realpath "${PRINTER:-$binary}")
# It is written into units, for systemd and a shell to read: what either takes for more than a letter would break them.
case $prefix/ in
  [!/]*) echo "PREFIX must begin with a slash, as in /usr/local; it is $prefix" >&2; exit 2 ;;
  *[!A-Za-z0-9/._+~:@-]*) echo "PREFIX may hold letters, digits and / . _ + ~ : @ - only; it is $prefix" >&2; exit 2 ;;
esac
root=$destdir$prefix
example=$destdir/etc/lab-probe/config.toml.example

system_units=(lab-probe@.service lab-probe@.timer lab-probe-failure@.service lab-probe-summary@.service lab-probe-summary@.timer)
user_units=(lab-probe.service lab-probe.timer)

# from, to, mode; the units' /usr/local becomes the prefix.
put() {
  install -d "$(dirname "$2")"
  sed "s#/usr/local/bin/lab-probe#$prefix/bin/lab-probe#g" "$1" >"$2"
  chmod "$3" "$2"
}

install_all() {
  install -D -m 0755 "$binary" "$root/bin/lab-probe"
  for unit in "${system_units[@]}"; do put "systemd/system/$unit" "$root/lib/systemd/system/$unit" 0644; done
  for unit in "${user_units[@]}"; do put "systemd/user/$unit" "$root/lib/systemd/user/$unit" 0644; done
  put systemd/sysusers.d/lab-probe.conf "$root/lib/sysusers.d/lab-probe.conf" 0644
  put systemd/tmpfiles.d/lab-probe.conf "$root/lib/tmpfiles.d/lab-probe.conf" 0644
  made "$root/share/man/man1/lab-probe.1" man
  made "$root/share/man/man5/lab-probe.toml.5" man lab-probe.toml
  made "$root/share/bash-completion/completions/lab-probe" completions bash
  made "$root/share/zsh/site-functions/_lab-probe" completions zsh
  made "$root/share/fish/vendor_completions.d/lab-probe.fish" completions fish
  made "$example" config init -
}

# A file that the binary itself prints: file, arguments.
made() {
  local file=$1
  shift
  install -d "$(dirname "$file")"
  "$printer" "$@" >"$file"
  chmod 0644 "$file"
}

uninstall_all() {
  rm -f "$root/bin/lab-probe"
  for unit in "${system_units[@]}"; do rm -f "$root/lib/systemd/system/$unit"; done
  for unit in "${user_units[@]}"; do rm -f "$root/lib/systemd/user/$unit"; done
  rm -f "$root/lib/sysusers.d/lab-probe.conf" "$root/lib/tmpfiles.d/lab-probe.conf" \
    "$root/share/man/man1/lab-probe.1" "$root/share/man/man5/lab-probe.toml.5" "$root/share/bash-completion/completions/lab-probe" \
    "$root/share/zsh/site-functions/_lab-probe" "$root/share/fish/vendor_completions.d/lab-probe.fish" "$example"
  # Directories that are empty now; on a live system not those that every system has.
  local directories=(lib/systemd/system lib/systemd/user lib/systemd lib/sysusers.d lib/tmpfiles.d share/man/man1 share/man/man5
    share/bash-completion/completions share/bash-completion share/zsh/site-functions share/zsh
    share/fish/vendor_completions.d share/fish)
  if [ -n "$destdir" ]; then directories+=(lib bin share/man share); fi
  local directory
  for directory in "${directories[@]}"; do
    [ "$root" = /usr ] || rmdir "$root/$directory" 2>/dev/null || true
  done
  rmdir "$destdir/etc/lab-probe" 2>/dev/null || true
  # A staging directory that holds nothing else is ours too.
  if [ -n "$destdir" ]; then
    (cd "$destdir" && rmdir -p ".$prefix" etc) 2>/dev/null || true
    rmdir "$destdir" 2>/dev/null || true
  fi
}

# On a running system, not when staging into DESTDIR.
apply() {
  [ -z "$destdir" ] && [ "$(id -u)" = 0 ] || return 0
  if [ "$action" = install ]; then
    command -v systemd-sysusers >/dev/null && systemd-sysusers "$root/lib/sysusers.d/lab-probe.conf"
    # The directory is node_exporter's; without it there is nothing to open up.
    if [ -d /var/lib/prometheus ]; then systemd-tmpfiles --create "$root/lib/tmpfiles.d/lab-probe.conf"; fi
  fi
  if [ "$action" = uninstall ]; then close_textfiles; fi
  if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
}

# What sysusers and tmpfiles have opened, and the textfile that nobody renews any more.
close_textfiles() {
  local textfiles=/var/lib/prometheus/node-exporter
  rm -f "$textfiles/lab-probe.prom"
  getent group lab-probe >/dev/null || return 0
  # A member of the group may have put links here: only plain files change their group, and no link is followed.
  if [ -d "$textfiles" ] && [ ! -L "$textfiles" ]; then
    find -P "$textfiles" -mindepth 1 -maxdepth 1 -type f -group lab-probe -exec chgrp -h root {} +
    chgrp -h root "$textfiles"
    chmod g-ws "$textfiles"
  fi
  groupdel lab-probe
}

# Timers that are enabled on the running system would go on without a binary.
stop() {
  [ -z "$destdir" ] && [ "$(id -u)" = 0 ] && [ -d /run/systemd/system ] || return 0
  local link
  for link in /etc/systemd/system/timers.target.wants/lab-probe{,-summary}@*.timer; do
    [ ! -L "$link" ] || systemctl disable --now --quiet "${link##*/}"
  done
}

case $action in
  install) install_all; apply ;;
  uninstall) stop; uninstall_all; apply ;;
  *) echo "usage: $0 [install|uninstall [DESTDIR [PREFIX [BINARY]]]]" >&2; exit 2 ;;
esac
