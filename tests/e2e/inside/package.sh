# Installing, upgrading, removing and purging the package, on a running system with enabled timers.

# Everything with our name, and what the package opens for others.
traces() {
  find /etc /usr /var/lib /run/systemd -xdev -name '*lab-probe*' 2>/dev/null | grep -v -e '^/var/lib/dpkg/info/' | sort
  getent group lab-probe
  stat -c '%n %U:%G %a' "$textfiles"
}

install_package() {
  traces >"$results/before"
  check "the package installs" dpkg --install /opt/e2e/old.deb
  cp /usr/bin/lab-probe /opt/e2e/lab-probe
  same "the textfile directory belongs to the probe's group, and only that may write" \
    "$(stat -c '%U:%G %a' "$textfiles")" "root:lab-probe 2775"
  check "the man page is found" test -n "$(man -w lab-probe 2>/dev/null || ls /usr/share/man/man1/lab-probe.1.gz)"
  same "systemd has nothing to say about the units" "$(systemd-analyze verify lab-probe@games.service \
    lab-probe@games.timer lab-probe-summary@games.timer lab-probe-failure@games.service 2>&1 | grep lab-probe)" ""
}

upgrade() {
  systemctl start "$unit.timer"
  echo '# mine' >>/etc/lab-probe/config.toml
  local config live before
  config=$(cat "$home/.config/lab-probe/config.toml")
  live=$(cat /etc/lab-probe/config.toml)
  before=$(last_pass)
  check "the package upgrades" dpkg --install /opt/e2e/new.deb
  same "the newer version is installed" "$(dpkg-query -W -f '${Version}' lab-probe | grep -c newer)" 1
  same "configurations survive an upgrade" "$(cat "$home/.config/lab-probe/config.toml" /etc/lab-probe/config.toml)" "$config
$live"
  same "the timer survives an upgrade" "$(systemctl is-enabled "$unit.timer") $(systemctl is-active "$unit.timer")" "enabled active"
  pass
  check "a pass works after an upgrade" test "$(last_pass)" != "$before"
}

remove() {
  check "the package is removed" dpkg --remove lab-probe
  same "no timer runs without the package" "$(systemctl list-units --no-legend --state=active 'lab-probe*.timer')" ""
  check "no textfile stays that nobody renews" not test -e "$textfile"
  check "a removal keeps the configuration" test -e /etc/lab-probe/config.toml
}

purge() {
  check "the package is purged" dpkg --purge lab-probe
  traces >"$results/after"
  same "a purge leaves nothing" "$(diff "$results/before" "$results/after")" ""
  check "what the user keeps at home stays" test -e "$home/.config/lab-probe/config.toml"
}

# What `make install` and `make uninstall` do, in the running system.
by_hand() {
  local installer=/opt/e2e/source/packaging/install.sh
  check "make install works on a running system" "$installer" install "" /usr/local /opt/e2e/lab-probe
  without_pushgateway
  systemctl enable --now --quiet "$unit.timer"
  check "a pass works from /usr/local" pass
  check "it delivers" test -e "$textfile"
  check "make uninstall works on a running system" "$installer" uninstall "" /usr/local
  traces >"$results/after"
  same "it leaves nothing" "$(diff "$results/before" "$results/after")" ""
}
