#!/usr/bin/env bash
# Validates the textfile directory five times a second, to the end: a line for each look that found trouble, each pass
# seen, and each file that was written in place (one inode, two contents). Without systemctl: to ask PID 1 would wake it
# and make its timers look better than they are.
. /opt/e2e/inside/lib.sh
looks=0
declare -A written
last=
while [ ! -e "$results/watched" ]; do
  if [ -e "$textfile" ]; then
    looks=$((looks + 1))
    echo "$looks" >"$results/looks"
    seen=$(stat -c '%i %y' "$textfile" 2>/dev/null) || seen=
    inode=${seen%% *} time=${seen#* }
    if [ -n "$seen" ]; then
      [ "${written[$inode]:-$time}" = "$time" ] || echo "written in place: $seen" >>"$results/trouble"
      written[$inode]=$time
    fi
    /opt/e2e/lab-probe verify "$textfiles" >"$results/verdict" 2>&1 || { date; cat "$results/verdict"; } >>"$results/trouble"
    pass=$(last_pass)
    if [ -n "$pass" ] && [ "$pass" != "$last" ]; then
      echo "$pass" >>"$results/passes"
      last=$pass
    fi
  fi
  sleep 0.15
done
