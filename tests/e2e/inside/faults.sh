# A server that hangs, SIGKILL and a stop in the middle of a pass, a full disk, a pass beside a person's.

hanging_server() {
  configure hang
  check "a pass with a hanging server succeeds" pass
  at_most "it ends by its deadline of 12 s" "$(series lab_probe_pass_duration_seconds)" 13
  same "the server that hangs for its timeout is down" "$(series 'lab_mcp_server_health{server_name="hang"}')" 0
  same "of the one that the deadline cut off nothing is said" "$(series 'lab_mcp_server_health{server_name="hang-longer"}')" ""
  same "the others are up" "$(series 'lab_mcp_server_health{server_name="own"}') $(series 'lab_mcp_server_health{server_name="node"}')" "1 1"
  check "nothing of it is left" within 5 nothing_runs
}

killed() {
  local before hooks begun
  before=$(last_pass)
  hooks=$(hooked)
  systemctl start --no-block "$unit.service"
  check "a pass to be killed is under way" within 20 hanging
  begun=$(now)
  kill -9 "$(property MainPID)"
  within 20 nothing_runs
  at_most "SIGKILL in mid-pass: all is cleared within 5 s" "$(since "$begun")" 5
  within 5 ended
  same "what was delivered stays" "$(last_pass)" "$before"
  check "the failure hook is called" within 5 hooked_more_than "$hooks"
  check "the next pass works" pass
}

hooked_more_than() { [ "$(hooked)" -gt "$1" ]; }
ended() { [ "$(property ActiveState)" != activating ] && [ "$(property ActiveState)" != deactivating ]; }

stopped() {
  local hooks begun
  hooks=$(hooked)
  systemctl start --no-block "$unit.service"
  check "a pass to be stopped is under way" within 20 hanging
  begun=$(now)
  systemctl stop "$unit.service"
  at_most "a stop in mid-pass: all is cleared within 5 s" "$(since "$begun")" 5
  check "nothing of it runs" nothing_runs
  same "a stop is no failure" "$(property Result) $(property ActiveState) $(hooked)" "success inactive $hooks"
  configure
}

full_state() {
  local state=$home/.local/state/lab-probe hooks before
  hooks=$(hooked)
  before=$(last_pass)
  mount -t tmpfs -o "size=64k,mode=0700,uid=$(id -u "$user")" tmpfs "$state"
  head -c 1M /dev/zero >"$state/filler"
  check "a pass on a full state file system reports a failure" not pass
  check "it delivers all the same" test "$(last_pass)" != "$before"
  same "its exit code is 1" "$(property ExecMainStatus)" 1
  check "the failure hook is called for it" within 5 hooked_more_than "$hooks"
  umount "$state"
  check "with space again the next pass works" pass
}

locked() {
  local hooks
  hooks=$(hooked)
  configure hang
  runuser -u "$user" -- /usr/bin/lab-probe --once --format none &
  check "a person's pass is under way" within 20 hanging
  check "a pass beside a person's is no failure" pass
  same "it gives way" "$(property ExecMainStatus) $(hooked)" "75 $hooks"
  wait
  configure
}

bad_configuration() {
  local hooks before
  hooks=$(hooked)
  before=$(last_pass)
  echo 'nonsense' >>"$home/.config/lab-probe/config.toml"
  check "a broken configuration is a failure" not pass
  same "its exit code is 2" "$(property ExecMainStatus)" 2
  check "the failure hook is called for that too" within 5 hooked_more_than "$hooks"
  same "what was delivered stays then too" "$(last_pass)" "$before"
  configure
}

# LAB_PROBE_PATH= in the environment file replaces the built-in list.
own_path() {
  mkdir /opt/e2e/tools
  mv "$home/.local/bin/like-npx" "$home/.nvm/versions/node/v22.0.0/bin/like-node" /opt/e2e/tools/
  check "a pass without a server's program works" pass
  same "the server is down" "$(series 'lab_mcp_server_health{server_name="like-npx"}')" 0
  echo LAB_PROBE_PATH=/opt/e2e/tools >/etc/lab-probe/environment
  check "a pass with a PATH of its own works" pass
  same "the server is found there" "$(series 'lab_mcp_server_health{server_name="like-npx"}')" 1
}

# The unit for `systemctl --user`, by the manager that lingers since the services.
user_manager() {
  local before
  before=$(last_pass)
  without_pushgateway
  check "the user's manager runs" within 20 as_user systemctl --user is-active --quiet default.target
  check "a pass by the user's manager works" as_user systemctl --user start lab-probe.service
  check "it delivers into node_exporter's directory" test "$(last_pass)" != "$before"
  check "the user's timer is enabled" as_user systemctl --user enable --now --quiet lab-probe.timer
  finds timer ok "lab-probe.timer is active, last run"
  as_user systemctl --user disable --now --quiet lab-probe.timer
  loginctl disable-linger "$user"
  configure
}

as_user() { runuser -u "$user" -- env "XDG_RUNTIME_DIR=/run/user/$(id -u "$user")" "$@"; }
