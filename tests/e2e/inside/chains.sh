# `lab-probe doctor` on four whole chains and six broken ones: what it says is what is.
#
# Each chain has a user of its own, whose timer runs, and what the others left is gone before.

doctor_chains() {
  systemctl disable --now --quiet "$unit.timer"
  within 30 nothing_runs
  rm -f "$textfiles"/*
  chains=/run/chains
  mkdir -p "$chains"
  chain_prometheus 9100 2s
  : >"$results/chains"

  # Whole: the README's path for a server; its user is no member of the group and may not write there.
  chain_user bob
  chain_timer bob
  verdict "a system timer, by its user" ok "" "" as bob
  verdict "a system timer, by root" ok "" "" env HOME=/root
  chain_end bob

  # Whole: variables and credentials that only the unit has, and a directory and a shell full of other things.
  chain_user carol '[output.textfile]
directory = "${TEXTFILES}"
[output.pushgateway]
url = "http://127.0.0.1:9091"
bearer_token_file = "${CREDENTIALS_DIRECTORY}/push-token"
grouping = { instance = "carol" }'
  install -d /etc/systemd/system/lab-probe@carol.service.d
  printf '[Service]\nLoadCredential=push-token:/etc/lab-probe/push-token\n' >/etc/systemd/system/lab-probe@carol.service.d/secret.conf
  echo "TEXTFILES=$textfiles" >/etc/lab-probe/environment
  chmod 0644 /etc/lab-probe/environment
  chain_timer carol
  verdict "a system timer with credentials, by its user elsewhere" ok "" "" in_another_place carol
  chain_end carol
  rm -r /etc/lab-probe/environment /etc/systemd/system/lab-probe@carol.service.d

  # Whole: a timer of the user's own manager, which has the group.
  chain_user dave
  usermod -aG lab-probe dave
  loginctl enable-linger dave
  within 20 as dave systemctl --user is-active --quiet default.target
  as dave systemctl --user enable --now --quiet lab-probe.timer
  within 40 test -e "$textfile"
  within 20 chain_scraped dave
  verdict "a user's timer, by its user" ok "" "" as dave
  verdict "a user's timer, by root" ok "" "" env HOME=/root
  as dave systemctl --user disable --now --quiet lab-probe.timer
  chain_end dave

  # Whole: cron; a stand-in starts a pass as cron would, and the machine has a crontab.
  chain_user erin
  usermod -aG lab-probe erin
  install -d /etc/cron.d
  echo '* * * * * erin lab-probe --once' >/etc/cron.d/lab-probe
  chain_pass erin
  within 20 chain_scraped erin
  verdict "cron, by its user" ok "" "" as erin
  verdict "cron, by root" ok "" "" env HOME=/root
  rm /etc/cron.d/lab-probe
  chain_end erin

  # Within the first seconds nothing is broken yet, and it says so.
  chain_user frank
  systemctl stop lab-probe@frank.timer
  until [ $(($(date +%s) % 30)) -le 5 ] && [ $(($(date +%s) % 30)) -ge 1 ]; do sleep 0.2; done
  systemctl start lab-probe@frank.timer
  verdict "a timer started this moment" warn timer "its first pass is still to come" as frank
  chain_end frank

  # Broken: node_exporter reads another directory.
  mkdir -p "$chains/elsewhere"
  chain_user grace "[output.textfile]
directory = \"$chains/own\""
  install -d -m 2775 -g lab-probe "$chains/own"
  chain_timer grace
  verdict "node_exporter reads another directory" fail node_exporter "--collector.textfile.directory=$chains/own" as grace
  chain_end grace

  # Broken: the user joined the group when the user's manager was up already; the user's shell is newer.
  chain_user heidi
  loginctl enable-linger heidi
  within 20 as heidi systemctl --user is-active --quiet default.target
  usermod -aG lab-probe heidi
  as heidi systemctl --user enable --now --quiet lab-probe.timer
  within 40 test -e /home/heidi/.local/state/lab-probe/state.json
  verdict "a manager older than its group" fail textfile "systemctl restart user@" as heidi
  as heidi systemctl --user disable --now --quiet lab-probe.timer
  chain_end heidi

  # Broken: a drop-in confines the unit more than the directory bears.
  chain_user ivan "[output.textfile]
directory = \"$textfiles\""
  install -d /etc/systemd/system/lab-probe@ivan.service.d
  printf '[Service]\nProtectSystem=strict\nReadWritePaths=/home\n' >/etc/systemd/system/lab-probe@ivan.service.d/strict.conf
  systemctl daemon-reload
  systemctl start lab-probe@ivan.service
  systemctl enable --now --quiet lab-probe@ivan.timer
  verdict "a directory that the unit may not write" fail textfile "ReadWritePaths=$textfiles" as ivan
  rm -r /etc/systemd/system/lab-probe@ivan.service.d
  chain_end ivan

  # Broken: Prometheus has another host's series, and not this one's.
  mkdir -p "$chains/other"
  printf '# HELP lab_probe_last_pass_timestamp_seconds x\n# TYPE lab_probe_last_pass_timestamp_seconds gauge\nlab_probe_last_pass_timestamp_seconds %s.5\n' \
    "$(date +%s)" >"$chains/other/lab-probe.prom"
  systemd-run --quiet --unit=e2e-other prometheus-node-exporter --web.listen-address=127.0.0.1:9200 \
    --collector.textfile.directory="$chains/other"
  chain_prometheus 9200 2s
  chain_user judy
  chain_timer judy no-scrape
  within 20 chain_knows 9200
  verdict "Prometheus has only another host" fail prometheus "let Prometheus scrape this host's node_exporter" as judy
  systemctl stop e2e-other
  chain_end judy
  chain_prometheus 9100 2s

  # Broken: the unit reads a configuration that cannot be used, and its user stands where a good one is.
  chain_user mallory 'surplus = 1'
  systemctl start lab-probe@mallory.service
  systemctl enable --now --quiet lab-probe@mallory.timer
  verdict "a configuration that the unit cannot use" fail config "correct the file" in_another_place mallory
  chain_end mallory

  # Broken: alerts reach nobody.
  cat >"$chains/alertmanager.yml" <<YAML
route: { receiver: none }
receivers: [{ name: none }]
YAML
  systemd-run --quiet --unit=e2e-alertmanager prometheus-alertmanager --config.file="$chains/alertmanager.yml" \
    --storage.path="$chains/alertmanager" --web.listen-address=127.0.0.1:9093 --cluster.listen-address=
  chain_prometheus 9100 2s 9093
  chain_user nina
  chain_timer nina
  verdict "no receiver" warn alertmanager "another receiver" as nina
  sed -i 's/name: none }/name: none, webhook_configs: [{ url: "http:\/\/127.0.0.1:1" }] }/' "$chains/alertmanager.yml"
  curl -s -X POST http://127.0.0.1:9093/-/reload
  verdict "a receiver that is no Telegram" ok "" "" as nina
  systemctl stop e2e-alertmanager
  chain_end nina
  chain_prometheus 9100 2s

  figure "doctor on ten chains:"
  cat "$results/chains" >>"$results/figures"
  rm -f "$textfiles"/*
  pass
  systemctl enable --quiet "$unit.timer"
}

# chain_user NAME [CONFIGURATION]: with one server to look at.
chain_user() {
  useradd --create-home --shell /bin/bash "$1"
  install -d -o "$1" -g "$1" "/home/$1/.config" "/home/$1/.config/lab-probe"
  printf '[mcp]\ndiscover = false\n[[mcp.server]]\nname = "own"\nhealth_command = ["true"]\n%s\n' "${2:-}" \
    >"/home/$1/.config/lab-probe/config.toml"
  chown "$1:" "/home/$1/.config/lab-probe/config.toml"
}

# chain_timer NAME [no-scrape]: the timer runs, a pass was made and Prometheus has it.
chain_timer() {
  systemctl daemon-reload
  systemctl enable --now --quiet "lab-probe@$1.timer"
  within 20 systemctl start "lab-probe@$1.service"
  [ -n "${2:-}" ] || within 20 chain_scraped "$1"
}

# A pass of a user as cron starts it: in cron's own control group.
chain_pass() {
  systemd-run --quiet --wait --unit=cron.service --uid="$1" --property=SupplementaryGroups=lab-probe \
    --setenv=HOME="/home/$1" --working-directory="/home/$1" lab-probe --once --format none
}

chain_scraped() { [ ! -e "$textfile" ] || scraped_lately_of "$textfile"; }
scraped_lately_of() {
  curl -s http://127.0.0.1:9090/api/v1/query --data-urlencode 'query=lab_probe_last_pass_timestamp_seconds' |
    grep -q "\"$(last_pass | awk '{ printf "%d", $1 }')"
}
chain_knows() { curl -s http://127.0.0.1:9090/api/v1/query --data-urlencode 'query=lab_probe_last_pass_timestamp_seconds' | grep -q "$1"; }

chain_end() {
  systemctl disable --now --quiet "lab-probe@$1.timer" 2>/dev/null
  loginctl disable-linger "$1" 2>/dev/null
  systemctl stop "user@$(id -u "$1").service" 2>/dev/null
  within 20 not pgrep -u "$1"
  rm -f "$textfiles"/*
  userdel --remove "$1" 2>/dev/null
}

# chain_prometheus PORT INTERVAL [ALERTMANAGER]: what is scraped; the rest of Debian's own setup stays.
chain_prometheus() {
  local alerting=""
  [ -z "${3:-}" ] || alerting="alerting: { alertmanagers: [{ static_configs: [{ targets: [\"127.0.0.1:$3\"] }] }] }"
  cat >/etc/prometheus/prometheus.yml <<YAML
global: { scrape_interval: $2 }
rule_files: [/etc/prometheus/rules/*.yml]
scrape_configs:
  - job_name: node
    static_configs: [{ targets: ["127.0.0.1:$1"] }]
$alerting
YAML
  systemctl stop prometheus
  # What was known before is another chain's.
  rm -rf /var/lib/prometheus/metrics2/*
  systemctl reset-failed prometheus
  systemctl start prometheus
  within 20 curl -sf -o /dev/null http://127.0.0.1:9090/-/ready
}

# as USER COMMAND…: as in a new shell of the user.
as() {
  local who=$1
  shift
  setpriv --reuid "$who" --regid "$who" --init-groups env -i HOME="/home/$who" USER="$who" LOGNAME="$who" PATH="$PATH" \
    XDG_RUNTIME_DIR="/run/user/$(id -u "$who")" "$@"
}

# In a repository with a trusted configuration, and with variables that no unit has.
in_another_place() {
  local who=$1
  shift
  install -d -o "$who" -g "$who" "/home/$who/elsewhere"
  printf '[mcp]\ndiscover = false\n' >"/home/$who/elsewhere/lab-probe.toml"
  chown "$who:" "/home/$who/elsewhere/lab-probe.toml"
  (cd "/home/$who/elsewhere" && as "$who" env XDG_CONFIG_HOME="/home/$who/elsewhere" "$@")
}

# verdict NAME STATUS LINK FIX COMMAND…: how doctor ends; `ok` is nothing to look at but what this machine has not got.
verdict() {
  local name=$1 status=$2 link=$3 fix=$4
  shift 4
  "$@" lab-probe doctor --format json >"$results/doctor.json" 2>>"$results/log"
  local code=$?
  cp "$results/doctor.json" "$results/doctor-${name//[^a-z]/-}.json"
  check "doctor: $name: $status" "$python" -c '
import json, sys
name, status, link, fix, code = sys.argv[1:]
checks = json.load(open("/results/doctor.json"))["checks"]
bad = [c for c in checks if c["status"] in ("warn", "fail")]
# Nobody is told in these chains but where a receiver is the matter.
bad = [c for c in bad if "no Alertmanager" not in c["evidence"]]
words = lambda c: c["evidence"] + " → " + (c["fix"] or "")
if status == "ok":
    reached = {c["link"] for c in checks if c["status"] == "ok"}
    good = not bad and {"timer", "textfile", "node_exporter", "prometheus"} <= reached
else:
    good = any(c["status"] == status and c["link"] == link and fix in words(c) for c in bad)
good = good and (code == "1") == any(c["status"] == "fail" for c in bad)
shown = "; ".join("%s %s: %s" % (c["status"], c["link"], words(c)) for c in bad) or "nothing to mend"
open("/results/chains", "a").write("  %s: %s\n" % (name, shown))
sys.exit(not good)' "$name" "$status" "$link" "$fix" "$code"
}
