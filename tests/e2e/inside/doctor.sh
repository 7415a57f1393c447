# `lab-probe doctor` beside the real manager, node_exporter and Prometheus.

doctor_walks() {
  check "a pass for the doctor to see works" pass
  within 20 as_user sh -c 'curl -s http://127.0.0.1:9090/api/v1/rules | grep -q LabProbeNoPass'
  within 15 scraped_lately
  systemctl enable --now --quiet "$unit.timer"
  finds timer ok "$unit.timer is active, last run"
  finds node_exporter ok "reads $textfile"
  finds prometheus ok "is ready and scrapes"
  finds prometheus ok "the newest pass"
  finds rules ok "group"
  figure "doctor takes $(seconds as_user lab-probe doctor) s beside a real systemd, node_exporter and Prometheus"

  systemctl stop "$unit.timer"
  finds timer fail "$unit.timer is enabled, but inactive" "sudo systemctl start $unit.timer"
  check "… and ends with 1" not as_user lab-probe doctor
  systemctl disable --quiet "$unit.timer"
  finds timer warn "no timer of lab-probe is enabled" "sudo systemctl enable --now $unit.timer"
  systemctl start "$unit.timer"
  finds timer warn "it is not enabled" "sudo systemctl enable $unit.timer"
  systemctl stop "$unit.timer"
  systemctl enable --quiet "$unit.timer"
  # Started anew, the timer may have begun a pass.
  within 30 nothing_runs

  systemctl stop prometheus-node-exporter
  finds node_exporter fail "connection refused" "sudo systemctl start prometheus-node-exporter"
  systemctl start prometheus-node-exporter
  within 10 curl -s -o /dev/null http://127.0.0.1:9100/
}

scraped_lately() {
  curl -s http://127.0.0.1:9090/api/v1/query --data-urlencode 'query=lab_probe_last_pass_timestamp_seconds' |
    grep -q "\"$(last_pass | awk '{ printf "%d", $1 }')"
}

seconds() {
  local begun
  begun=$(now)
  "$@" >/dev/null 2>&1
  since "$begun"
}

# finds LINK STATUS EVIDENCE [FIX]: the checklist has such a line.
finds() {
  as_user lab-probe doctor --format json >"$results/doctor.json" 2>>"$results/log"
  check "doctor: $1 is $2: $3" "$python" -c '
import json, sys
link, status, evidence, fix = sys.argv[1:]
checks = [c for c in json.load(open("/results/doctor.json"))["checks"] if c["link"] == link]
ok = any(c["status"] == status and evidence in c["evidence"] and fix in (c["fix"] or "") for c in checks)
if not ok: print(json.dumps(checks, indent=1))
sys.exit(not ok)' "$1" "$2" "$3" "${4:-}"
}
