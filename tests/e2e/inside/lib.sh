# What the steps share: verdicts, figures, the configuration under test, the textfile.

results=/results
textfiles=/var/lib/prometheus/node-exporter
textfile=$textfiles/lab-probe.prom
user=alice
home=/home/$user
unit=lab-probe@$user
# passes, python, node
. /opt/e2e/settings

# check NAME COMMAND…: a line of the report.
check() {
  local name=$1
  shift
  if "$@"; then echo "ok   $name" >>"$results/report"; else echo "FAIL $name" >>"$results/report"; fi
}

# same NAME GOT WANTED
same() {
  if [ "$2" = "$3" ]; then
    echo "ok   $1" >>"$results/report"
  else
    echo "FAIL $1: $2, not $3" >>"$results/report"
  fi
}

# at_most NAME GOT LIMIT: numbers, fractions too.
at_most() {
  if [ -n "$2" ] && awk -v got="$2" -v limit="$3" 'BEGIN { exit !(got <= limit) }'; then
    echo "ok   $1: $2" >>"$results/report"
  else
    echo "FAIL $1: $2, more than $3" >>"$results/report"
  fi
}

figure() { echo "$*" >>"$results/figures"; }

not() { ! "$@"; }

now() { date +%s.%N; }

since() { echo "$(now) $1" | awk '{ printf "%.2f", $1 - $2 }'; }

# within SECONDS COMMAND…: until it succeeds.
within() {
  local end=$(($(date +%s) + $1))
  shift
  until "$@"; do
    [ "$(date +%s)" -lt "$end" ] || return 1
    sleep 0.1
  done
}

# The value of one series in the textfile, or nothing.
series() { awk -v series="$1" 'index($0, series " ") == 1 { print substr($0, length(series) + 2) }' "$textfile" 2>/dev/null; }

last_pass() { series lab_probe_last_pass_timestamp_seconds; }

property() { systemctl show --value -p "$1" "$unit.service"; }

# Processes of the user, whatever they are called.
processes() { pgrep -u "$user" -a || true; }

nothing_runs() { [ -z "$(processes)" ]; }

# How often the failure hook has run.
hooked() { cat /run/hooked 2>/dev/null | grep -c "^$user" || true; }

# A pass outside of the timer, to its end; the unit's own verdict is the exit code.
pass() { systemctl start "$unit.service"; }

# A pass is under way, and both processes of its server that hangs are up.
hanging() { [ "$(pgrep -u "$user" -xc sleep)" -ge 2 ]; }

# configure [hang | glutton WHAT | services]: the user's configuration; with one server that hangs for all of its timeout
# and one that hangs until the pass's own deadline; with lab-probe and a server that takes what it can get alone; with services.
configure() {
  local file=$home/.config/lab-probe/config.toml
  cat >"$file.new" <<TOML
# of alice
[probe]
deadline = "25s"
[mcp]
discover = false
ttl = "0s"
retry_after = "0s"
timeout = "20s"
health_dir = "~/health"
[[mcp.server]]
name = "own"
command = "lab-probe"
args = ["mcp"]
# In ~/.local/bin, and what it starts below ~/.nvm; writes to ~/.npm and ~/.cache as npx and uvx do.
[[mcp.server]]
name = "like-npx"
command = "like-npx"
[[mcp.server]]
name = "node"
command = "$node"
args = ["/opt/e2e/servers/npm/node_modules/@modelcontextprotocol/server-everything/dist/index.js"]
[[mcp.server]]
name = "python"
command = "$python"
args = ["-B", "-m", "mcp_server_fetch"]
env = { PYTHONPATH = "/opt/e2e/servers/python" }
[output.textfile]
directory = "$textfiles"
[output.pushgateway]
url = "http://127.0.0.1:9091"
bearer_token_file = "\${CREDENTIALS_DIRECTORY}/push-token"
grouping = { instance = "e2e" }
[doctor]
prometheus = "http://127.0.0.1:9090"
TOML
  if [ "${1:-}" = hang ]; then
    sed -i 's/^deadline = .*/deadline = "12s"/' "$file.new"
    cat >>"$file.new" <<TOML
[[mcp.server]]
name = "hang"
command = "/opt/e2e/inside/hang"
timeout = "4s"
[[mcp.server]]
name = "hang-longer"
command = "/opt/e2e/inside/hang"
TOML
  fi
  case ${1:-} in
    glutton)
      sed -i -e '/^\[\[mcp.server\]\]/,/^\[output.textfile\]/ { /^\[output.textfile\]/! d }' \
        -e '/^health_dir/d' -e 's/^deadline = .*/deadline = "8s"/' -e 's/^timeout = .*/timeout = "4s"/' "$file.new"
      printf '[[mcp.server]]\nname = "glutton"\ncommand = "/opt/e2e/inside/glutton"\nargs = ["%s", "%s"]\n' "$2" "$python" >>"$file.new"
      ;;
    services)
      local name
      for name in good bad slow gone masked; do
        printf '[[service]]\nname = "%s"\nunit = "e2e-%s.service"\n' "$name" "$name" >>"$file.new"
      done
      for name in good bad; do
        printf '[[service]]\nname = "own-%s"\nunit = "e2e-%s.service"\nuser = true\n' "$name" "$name" >>"$file.new"
      done
      printf '[[service]]\nname = "process"\nprocess = "sleep 601"\n' >>"$file.new"
      printf '[[service]]\nname = "no-process"\nprocess = "no-such-daemon --serve"\n' >>"$file.new"
      ;;
  esac
  chown "$user:" "$file.new"
  mv "$file.new" "$file"
}

# The secret for it is not there for the user's manager, nor after a purge.
without_pushgateway() { sed -i '/^\[output.pushgateway\]/,$d' "$home/.config/lab-probe/config.toml"; }
