# What a pass needs, and that servers which want more than the unit allows cost only themselves.

limits_at_work() {
  local drop_ins=/etc/systemd/system/$unit.service.d
  printf '[Service]\nExecStopPost=+/opt/e2e/inside/measure\n' >"$drop_ins/measure.conf"
  systemctl daemon-reload
  check "a pass that is measured works" pass
  . "$results/measured"
  [ -z "$cpu" ] || figure "CPU of a pass, probe and servers: $(echo "$cpu" | awk '{ printf "%.2f s", $1 / 1e9 }')"
  if [ -z "$peak" ]; then
    figure "memory of a pass: this system has no memory controller, so no limit can be seen at work"
    rm "$drop_ins/measure.conf"
    systemctl daemon-reload
    return
  fi
  figure "memory of a pass at its peak, probe and servers, page cache included: $(echo "$peak" | awk '{ printf "%.0f MB", $1 / 1e6 }') of $(property MemoryMax | awk '{ printf "%.0f MB", $1 / 1e6 }')"
  at_most "memory of a pass stays far below the unit's limit, in bytes" "$peak" 1000000000
  same "no process was killed for memory, no fork refused" "$killed ${refused:-0}" "0 0"

  printf '[Service]\nMemoryMax=200M\nTasksMax=40\nCPUQuota=20%%\n' >"$drop_ins/small.conf"
  systemctl daemon-reload
  glutton memory 0
  . "$results/measured"
  at_most "a server that takes 600 MB: the pass stays within MemoryMax=200M, in bytes" "$peak" 209715200
  check "the server was killed for it ($killed process)" test "$killed" -ge 1
  glutton tasks 0
  . "$results/measured"
  check "a server that forks without end is refused more than TasksMax=40 ($refused times)" test "${refused:-0}" -ge 1
  # With a fifth of a core it has not computed for the whole pass, so nobody knows whether it is slow.
  glutton cpu ""
  . "$results/measured"
  check "a server that spins is held back by CPUQuota=20 % ($throttled times)" test "${throttled:-0}" -ge 1
  # Of the pass's 8 s and what its end takes.
  [ -z "$cpu" ] || at_most "… and gets no more than that, in nanoseconds of CPU" "$cpu" 2000000000
  rm "$drop_ins/measure.conf" "$drop_ins/small.conf"
  systemctl daemon-reload
  configure
}

# glutton WHAT HEALTH: a pass with such a server, within the limits, and the server's health after it; "" means no sample.
glutton() {
  local before
  before=$(last_pass)
  configure glutton "$1"
  check "a pass with a server that takes $1 without end succeeds" pass
  check "… delivers" test "$(last_pass)" != "$before"
  same "… and the health of the server is ${2:-absent}" "$(series 'lab_mcp_server_health{server_name="glutton"}')" "$2"
  check "… of which nothing is left" within 5 nothing_runs
}
