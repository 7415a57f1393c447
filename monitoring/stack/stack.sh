#!/usr/bin/env bash
# The stack as plain processes from Debian's packages, for machines without containers. `make stack` and `make stack-down`.
#
#   stack.sh up      start what is not running, give new configuration to what is
#   stack.sh down    end what `up` started
#   stack.sh status  one line for each process
#
# With STACK_OWNER=PID what `up` started ends when that process has ended, however it ended; tests use it.
#
# The configuration is the containers' own: ../setup.sh fills it in, and only addresses differ. Everything lies below
# target/stack: config/ data/ log/ run/. Settings: ../.env, see .env.example; ports below.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
dir=${STACK_DIR:-$here/../target/stack}
bind=127.0.0.1
prometheus_port=${PROMETHEUS_PORT:-9091}
alertmanager_port=${ALERTMANAGER_PORT:-9093}
pushgateway_port=${PUSHGATEWAY_PORT:-9092}
node_port=${NODE_EXPORTER_PORT:-9100}
victoria_port=${VICTORIA_PORT:-8428}
rules=${STACK_RULES:-$here/prometheus/rules}
names=(victoria-metrics pushgateway node-exporter alertmanager prometheus)

fail() { echo "stack: $*" >&2; exit 1; }
say() { echo "stack: $*" >&2; }

need() {
  local missing=() pair
  for pair in prometheus:prometheus prometheus-alertmanager:prometheus-alertmanager \
    prometheus-node-exporter:prometheus-node-exporter prometheus-pushgateway:prometheus-pushgateway \
    victoria-metrics:victoria-metrics; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
  done
  [ ${#missing[@]} -eq 0 ] || fail "not installed: ${missing[*]}; on Debian: apt-get install --no-install-recommends ${missing[*]}"
}

# A number may be another process's by now; number and start time together are ours. A zombie has ended, whoever is to
# reap it.
started_at() { sed -n 's/.*) \([^ZX]\)/\1/p' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }
running() { # NAME -> its pid
  local pid start
  { read -r pid start <"$dir/run/$1.pid"; } 2>/dev/null || return 1
  [ -n "$start" ] && [ "$(started_at "$pid")" = "$start" ] && echo "$pid"
}

answers() { # PORT PATH
  local line
  exec 3<>"/dev/tcp/$bind/$1" || return 1
  printf 'GET %s HTTP/1.0\r\nHost: %s\r\n\r\n' "$2" "$bind" >&3
  read -r -t 5 line <&3 || true
  exec 3>&- 3<&-
  [[ $line == *" 200 "* ]]
} 2>/dev/null

launch() { # NAME PORT READY-PATH COMMAND…
  local name=$1 port=$2 ready=$3 pid
  shift 3
  if pid=$(running "$name"); then
    kill -HUP "$pid" # new configuration; the exporters and the storage have none and would die of it
    return
  fi
  if (exec 3<>"/dev/tcp/$bind/$port") 2>/dev/null; then
    fail "port $port for $name is taken by something else, perhaps the service that Debian's package starts by itself" \
      "(systemctl disable --now prometheus prometheus-alertmanager prometheus-node-exporter prometheus-pushgateway victoria-metrics);" \
      "end that, or choose another port: PROMETHEUS_PORT, ALERTMANAGER_PORT, PUSHGATEWAY_PORT, NODE_EXPORTER_PORT, VICTORIA_PORT"
  fi
  setsid nohup "$@" >>"$dir/log/$name.log" 2>&1 </dev/null &
  pid=$!
  echo "$pid $(started_at "$pid")" >"$dir/run/$name.pid"
  local tries
  for ((tries = 0; tries < 150; tries++)); do
    if answers "$port" "$ready"; then return; fi
    running "$name" >/dev/null || { tail -n 5 "$dir/log/$name.log" >&2; fail "$name ended at once; its log is $dir/log/$name.log"; }
    sleep 0.2
  done
  fail "$name did not get ready in 30 seconds; its log is $dir/log/$name.log"
}

keep_or_launch() { # the same, for processes that take no new configuration
  running "$1" >/dev/null || launch "$@"
}

textfile_directory() {
  local named
  named=${LAB_TEXTFILE_DIR:-$(sed -n 's/^LAB_TEXTFILE_DIR=//p' "$here/.env" 2>/dev/null || true)}
  [ -z "$named" ] || { echo "$named"; return; }
  # Where the probe writes without being told: the system's directory if it may, else below its state.
  local system=/var/lib/prometheus/node-exporter own=${XDG_STATE_HOME:-$HOME/.local/state}/lab-probe/textfile
  if [ -w "$system" ] || compgen -G "$system/lab-probe*.prom" >/dev/null; then echo "$system"; else mkdir -p "$own"; echo "$own"; fi
}

configure() {
  mkdir -p "$dir"/{config,data,log,run}
  dir=$(cd "$dir" && pwd)
  chmod 700 "$dir/config"
  TARGETS="node=$bind:$node_port pushgateway=$bind:$pushgateway_port alertmanager=$bind:$alertmanager_port \
    prometheus=$bind:$prometheus_port victoria-metrics=$bind:$victoria_port" \
    sh "$here/setup.sh" "$dir/config"
  local prometheus=$dir/config/prometheus
  mkdir -p "$prometheus"
  sed "s#http://victoria-metrics:8428#http://$bind:$victoria_port#" "$here/prometheus/prometheus.yml" >"$prometheus/prometheus.yml"
  rm -rf "$prometheus/rules" && cp -r "$rules" "$prometheus/rules"
  # Added hosts (targets/node-*.yml) stay; what setup made is replaced.
  mkdir -p "$prometheus/targets" && cp "$dir/config/targets"/*.yml "$prometheus/targets/"
  promtool check config "$prometheus/prometheus.yml" >"$dir/log/check.log" 2>&1 || { cat "$dir/log/check.log" >&2; fail "Prometheus's configuration is not valid"; }
  amtool check-config "$dir/config/alertmanager/alertmanager.yml" >"$dir/log/check.log" 2>&1 || { cat "$dir/log/check.log" >&2; fail "Alertmanager's configuration is not valid"; }
}

up() {
  need
  configure
  if [ -n "${STACK_OWNER:-}" ]; then
    echo "$STACK_OWNER $(started_at "$STACK_OWNER")" >"$dir/owner"
    setsid "$0" watch >/dev/null 2>&1 </dev/null &
  fi
  local textfile
  textfile=$(textfile_directory)
  keep_or_launch victoria-metrics "$victoria_port" /health victoria-metrics \
    -storageDataPath="$dir/data/victoria" -retentionPeriod=2y -httpListenAddr="$bind:$victoria_port"
  keep_or_launch pushgateway "$pushgateway_port" /-/ready prometheus-pushgateway --web.listen-address="$bind:$pushgateway_port" \
    --persistence.file="$dir/data/pushgateway"
  keep_or_launch node-exporter "$node_port" / prometheus-node-exporter \
    --web.listen-address="$bind:$node_port" --collector.textfile.directory="$textfile"
  launch alertmanager "$alertmanager_port" /-/ready prometheus-alertmanager \
    --config.file="$dir/config/alertmanager/alertmanager.yml" --storage.path="$dir/data/alertmanager" \
    --web.listen-address="$bind:$alertmanager_port" --cluster.listen-address=
  launch prometheus "$prometheus_port" /-/ready prometheus \
    --config.file="$dir/config/prometheus/prometheus.yml" --storage.tsdb.path="$dir/data/prometheus" \
    --storage.tsdb.retention.time=30d --web.listen-address="$bind:$prometheus_port" --web.enable-lifecycle
  say "Prometheus    http://$bind:$prometheus_port"
  say "Alertmanager  http://$bind:$alertmanager_port"
  say "Pushgateway   http://$bind:$pushgateway_port"
  say "node_exporter http://$bind:$node_port, textfiles from $textfile"
  say "long-term     http://$bind:$victoria_port/vmui"
}

# Until `down` removes the file or the owner has ended.
watch() {
  local pid start
  while read -r pid start <"$dir/owner"; do
    if [ "$(started_at "$pid")" != "$start" ]; then down; fi
    sleep 1
  done 2>/dev/null
}

down() {
  local name pid tries i
  rm -f "$dir/owner"
  for ((i = ${#names[@]} - 1; i >= 0; i--)); do
    name=${names[i]}
    if pid=$(running "$name"); then
      kill -TERM "$pid"
      for ((tries = 0; tries < 100; tries++)); do
        running "$name" >/dev/null || break
        sleep 0.1
      done
      if running "$name" >/dev/null; then kill -KILL "$pid"; fi
      say "$name ended"
    fi
    rm -f "$dir/run/$name.pid"
  done
}

status() {
  local name pid rc=0
  for name in "${names[@]}"; do
    if pid=$(running "$name"); then echo "$name runs as $pid"; else echo "$name does not run"; rc=1; fi
  done
  return $rc
}

case ${1:-} in
  up | down | status | watch) "$1" ;;
  *) fail "usage: stack.sh up|down|status" ;;
esac
