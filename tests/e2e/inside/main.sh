#!/usr/bin/env bash
# The steps, in a booted system; PID 1 powers it off when they end.
set -u
. /opt/e2e/inside/lib.sh
set -x
figure "boot until the first step: $(awk '{ print $1 }' /proc/uptime >/dev/null; systemd-analyze time 2>/dev/null | head -n 1; echo "$(systemctl show --value -p UserspaceTimestampMonotonic) $(systemctl show --value -p ActiveEnterTimestampMonotonic basic.target)" | awk '{ printf "%.2f s to basic.target", ($2 - $1) / 1e6 }')"

. /opt/e2e/inside/package.sh
. /opt/e2e/inside/passes.sh
. /opt/e2e/inside/faults.sh
. /opt/e2e/inside/limits.sh
. /opt/e2e/inside/services.sh
. /opt/e2e/inside/doctor.sh
. /opt/e2e/inside/chains.sh
. /opt/e2e/inside/report.sh

watched() {
  touch "$results/watched"
  sleep 1
  same "the textfile is good at every look ($(cat "$results/looks") looks)" "$(cat "$results/trouble" 2>/dev/null)" ""
}

for step in ${steps:-install_package prepare timed_passes service_as_seen scraped pushed doctor_walks doctor_chains
  hanging_server killed stopped full_state locked bad_configuration limits_at_work own_path services user_manager
  daily_report journal upgrade watched remove purge by_hand}; do
  "$step"
done
journalctl --no-pager -o short-precise >"$results/journal" 2>&1
touch "$results/done"
