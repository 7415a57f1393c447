# A user's timer, what node_exporter, Prometheus and the Pushgateway get, and what systemd says of the service.

prepare() {
  useradd --create-home --shell /bin/bash "$user"
  install -d -o "$user" -g "$user" "$home/.config" "$home/.config/lab-probe" "$home/.local" "$home/.local/bin" "$home/health"
  printf '#!/bin/sh\nmkdir -p ~/.npm ~/.cache && : >~/.npm/written && : >~/.cache/written && exec like-node mcp\n' >"$home/.local/bin/like-npx"
  install -d "$home/.nvm/versions/node/v22.0.0/bin"
  ln -s /usr/bin/lab-probe "$home/.nvm/versions/node/v22.0.0/bin/like-node"
  printf '#!/bin/sh\nexit 0\n' >"$home/health/mcp-notes-health"
  chmod 0755 "$home/.local/bin/like-npx" "$home/health/mcp-notes-health"
  chown -R "$user:" "$home"
  configure

  # The hook of failed passes, and a secret that only root can read.
  install -d /etc/lab-probe
  printf '#!/bin/sh\necho "$1" >>/run/hooked\n' >/etc/lab-probe/on-failure
  chmod 0755 /etc/lab-probe/on-failure
  (umask 077; echo token-of-the-test >/etc/lab-probe/push-token)
  install -d "/etc/systemd/system/$unit.service.d"
  printf '[Service]\nLoadCredential=push-token:/etc/lab-probe/push-token\n' >"/etc/systemd/system/$unit.service.d/secret.conf"

  # Debian's own units and directories.
  rm -rf /etc/prometheus/rules
  install -D -m 0644 -t /etc/prometheus/rules /opt/e2e/source/monitoring/prometheus/rules/*.yml
  cat >/etc/prometheus/prometheus.yml <<YAML
global: { scrape_interval: 2s }
rule_files: [/etc/prometheus/rules/*.yml]
scrape_configs:
  - job_name: node
    static_configs: [{ targets: ["127.0.0.1:9100"] }]
YAML
  systemctl daemon-reload
  systemctl start prometheus-node-exporter prometheus prometheus-pushgateway
  systemd-run --quiet --unit=e2e-watch /opt/e2e/inside/watch.sh
}

enough_passes() { [ "$(cat "$results/passes" 2>/dev/null | wc -l)" -ge "$passes" ]; }

timed_passes() {
  check "the timer is enabled" systemctl enable --now --quiet "$unit.timer"
  check "$passes passes come" within $((45 + 31 * passes)) enough_passes
  awk 'NR > 1 { print $1 - last } { last = $1 }' "$results/passes" >"$results/intervals"
  same "passes are 30 seconds apart" "$(awk '$1 < 26 || $1 > 34' "$results/intervals" | tr '\n' ' ')" ""
  figure "intervals over $(wc -l <"$results/passes") passes: $(awk '
    { sum += $1; n++; off = $1 > 30 ? $1 - 30 : 30 - $1; if (off > worst) worst = off }
    END { printf "mean %.3f s, at most %.3f s off 30", sum / n, worst }' "$results/intervals")"
}

service_as_seen() {
  local name
  for name in own like-npx node python notes; do
    same "server $name is up under the unit's confinement" "$(series "lab_mcp_server_health{server_name=\"$name\"}")" 1
  done
  check "servers write to ~/.npm and ~/.cache" test -e "$home/.npm/written" -a -e "$home/.cache/written"
  check "the state lies in the user's home" test -e "$home/.local/state/lab-probe"
  same "it is the user's" "$(stat -c %U "$home/.local/state/lab-probe")" "$user"
  same "the textfile is readable for node_exporter" "$(stat -c '%U %a' "$textfile")" "$user 644"
  systemctl stop "$unit.timer"
  within 30 nothing_runs
  timed_passes_ended=$(($(date +%s) + 1))
  sleep 1
  check "nothing runs between passes" nothing_runs
  same "no pass has failed" "$(hooked)" 0
  local exposure
  exposure=$(systemd-analyze security "$unit.service" | awk '/Overall exposure/ { for (i = 1; i <= NF; i++) if ($i ~ /^[0-9.]+$/) print $i }')
  at_most "exposure of the service" "$exposure" 2.5
  figure "exposure of the service: $exposure"
  figure "controllers of this system: $(cat /sys/fs/cgroup/cgroup.controllers 2>/dev/null || awk -F: '{ print $2 }' /proc/self/cgroup | xargs)"
}

scraped() {
  check "node_exporter serves the textfile" grep -q 'lab_mcp_server_health{server_name="own"} 1' \
    <(curl -s http://127.0.0.1:9100/metrics)
  same "node_exporter has nothing to complain about" \
    "$(curl -s http://127.0.0.1:9100/metrics | grep '^node_textfile_scrape_error')" "node_textfile_scrape_error 0"
  check "Prometheus answers a query" within 20 answered
}

answered() {
  curl -s 'http://127.0.0.1:9090/api/v1/query' --data-urlencode 'query=lab_mcp_server_health{server_name="node"}' |
    grep -q '"value":\[[0-9.]*,"1"\]'
}

pushed() {
  check "the Pushgateway has the group, with a secret by LoadCredential" grep -q \
    'lab_mcp_server_health{instance="e2e",job="lab_probe",server_name="own"} 1' <(curl -s http://127.0.0.1:9091/metrics)
}

# Lines of the unit itself, the manager's included, for the timed passes alone: nothing failed in them.
journal() {
  journalctl -o short-iso --no-pager --until "@$timed_passes_ended" -u "$unit.service" >"$results/journal-of-passes"
  figure "journal lines a pass: $(grep -vc -e '^-- ' "$results/journal-of-passes" | awk -v n="$passes" '{ printf "%.2f", $1 / n }')"
  same "each good pass has one line in the journal" "$(grep -vc -e '^-- ' "$results/journal-of-passes")" "$passes"
  same "… that says what it found" "$(grep -c '5 targets: 5 fresh' "$results/journal-of-passes")" "$passes"
  check "problems carry their priority" test -n "$(journalctl -q -p err -u "$unit.service")"
}
