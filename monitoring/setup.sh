#!/bin/sh
# Fills in what the shipped configuration leaves open, into OUT. The containers run it once at every start (compose
# service `setup`), `make stack` runs it too. Plain sh: it must run in the Alertmanager image's busybox.
#
#   setup.sh OUT
#
# OUT/alertmanager/   alertmanager.yml with token, chat and time zone, and its templates
# OUT/targets/        Prometheus's targets, under this host's name
# OUT/grafana/        admin_password, made here on the first start and kept
#
# Settings (.env or the environment), all optional:
#   TELEGRAM_CHAT_ID      the chat to write to, a number; groups have a negative one
#   TELEGRAM_TOKEN_FILE   the file with the bot's token        [secrets/telegram_bot_token]
#   TELEGRAM_API_URL      a Bot API server of one's own        [https://api.telegram.org]
#   LAB_HOST              this host's name in every series     [the machine's host name]
#   LAB_TIMEZONE          of the hours in which info arrives   [UTC]
#   RUNBOOK_BASE_URL      where monitoring/README.md can be read in a browser
# Given by the caller, not by people:
#   TOKEN_FILE_FOR_ALERTMANAGER   where an Alertmanager from 0.26 on finds the token; empty: write it into the file
#   CONFIG_OWNER, GRAFANA_OWNER   uid:gid that the two run as in their containers; no GRAFANA_OWNER: no password is made
#   TARGETS                       "job=address job=address …", where the targets are not the containers
set -eu
umask 077
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: setup.sh OUT}

fail() { echo "setup: $*" >&2; exit 1; }
# Each value ends in a YAML file through sed, so each is one line of harmless characters or refused.
accept() { # NAME VALUE PATTERN
  printf '%s' "$2" | grep -Eq "^($3)\$" && [ "$(printf '%s' "$2" | wc -l)" -eq 0 ] \
    || fail "$1 is not usable; it must match $3"
}

if [ -f "$here/.env" ]; then
  # The environment wins over the file, so that one start can differ.
  while IFS='=' read -r name value; do
    case $name in TELEGRAM_CHAT_ID|TELEGRAM_TOKEN_FILE|TELEGRAM_API_URL|LAB_HOST|LAB_TIMEZONE|RUNBOOK_BASE_URL)
      eval "[ -n \"\${$name:-}\" ] || $name=\$value" ;; esac
  done <"$here/.env"
fi
host=${LAB_HOST:-$(hostname)}
api=${TELEGRAM_API_URL:-https://api.telegram.org}
zone=${LAB_TIMEZONE:-UTC}
runbook=${RUNBOOK_BASE_URL:-}
chat=${TELEGRAM_CHAT_ID:-}
token_file=${TELEGRAM_TOKEN_FILE:-$here/secrets/telegram_bot_token}
accept LAB_HOST "$host" '[A-Za-z0-9._-]+'
accept TELEGRAM_API_URL "$api" 'https?://[A-Za-z0-9.:/_-]+'
accept LAB_TIMEZONE "$zone" '[A-Za-z0-9/_+-]+'
[ -z "$runbook" ] || accept RUNBOOK_BASE_URL "$runbook" 'https?://[A-Za-z0-9.:/_-]+'

(umask 022 && mkdir -p "$out/targets") # Prometheus reads it as another user
mkdir -p "$out/alertmanager/templates" ${GRAFANA_OWNER:+"$out/grafana"}

# ---- Alertmanager
config=$out/alertmanager/alertmanager.yml
token=
[ ! -s "$token_file" ] || token=$(tr -d ' \r\n' <"$token_file")
if [ -n "$chat" ] && [ -n "$token" ]; then
  accept TELEGRAM_CHAT_ID "$chat" '-?[1-9][0-9]*'
  printf '%s' "$token" | grep -Eq '^[0-9]+:[A-Za-z0-9_-]+$' \
    || fail "$token_file holds no bot token; it looks like 123456:ABC-def, as BotFather gives it"
  if [ -n "${TOKEN_FILE_FOR_ALERTMANAGER:-}" ]; then
    printf '%s' "$token" >"$out/alertmanager/telegram_bot_token"
    token_line="bot_token_file: $TOKEN_FILE_FOR_ALERTMANAGER"
  else
    token_line="bot_token: $token"
  fi
  # The script goes through a file and not through sed's arguments, where any user of the machine could read the token.
  {
    echo "s|bot_token: .*# <-|$token_line|"
    echo "s|chat_id: .*# <-|chat_id: $chat|"
    echo "s|api_url: .*# <-|api_url: $api|"
    echo "s|location: .*# <-|location: $zone|"
  } >"$out/alertmanager/.fill"
  sed -f "$out/alertmanager/.fill" "$here/alertmanager/alertmanager.yml" >"$config.new"
  rm -f "$out/alertmanager/.fill"
else
  echo "setup: no Telegram chat: set TELEGRAM_CHAT_ID in .env and put the bot's token into $token_file;" \
    "until then alerts are shown by Prometheus and Alertmanager${GRAFANA_OWNER:+ and Grafana} only" >&2
  # Receivers without a way out, instead of ones that try a made-up token every few minutes.
  awk '/^    telegram_configs:/ { skip = 1; next } skip && /^      / { next } { skip = 0; print }' \
    "$here/alertmanager/alertmanager.yml" | sed "s|location: .*# <-|location: $zone|" >"$config.new"
fi
if grep -q '# <-' "$config.new"; then fail "alertmanager.yml has a marked value that setup does not know"; fi
mv "$config.new" "$config"
for template in "$here"/alertmanager/templates/*.tmpl; do
  if [ -n "$runbook" ]; then
    sed "s|<code>lab-probe explain {{ \(.*\) }}</code>|<a href=\"$runbook#{{ \1 \| toLower }}\">runbook</a>|" "$template"
  else
    cat "$template"
  fi >"$out/alertmanager/templates/$(basename "$template")"
done

# ---- Prometheus's targets
for file in "$here"/prometheus/targets/*.yml; do
  job=$(basename "$file" .yml)
  address=
  for pair in ${TARGETS:-}; do
    [ "${pair%%=*}" != "$job" ] || address=${pair#*=}
  done
  sed -e "s|\"lab:|\"$host:|" ${address:+-e "s|targets: \\[.*\\]|targets: [$address]|"} "$file" >"$out/targets/$job.yml"
done

# ---- Grafana's admin password, where there is a Grafana
password=$out/grafana/admin_password
if [ -n "${GRAFANA_OWNER:-}" ] && [ ! -s "$password" ]; then
  LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom | head -c 32 >"$password.new"
  mv "$password.new" "$password"
  echo "setup: Grafana's admin password was made; read it in $password" >&2
fi

# Each container's user reads its own part and nothing else. Outside of containers all belongs to who runs this.
chmod 755 "$out/targets"
chmod 644 "$out"/targets/*.yml
if [ -n "${CONFIG_OWNER:-}" ]; then
  chown -R "$CONFIG_OWNER" "$out/alertmanager"
fi
if [ -n "${GRAFANA_OWNER:-}" ]; then
  chown -R "$GRAFANA_OWNER" "$out/grafana"
fi
