# `[[service]]`: units of both managers in every state, and processes, through the confined unit and by hand.

services() {
  local name
  unit_file /etc/systemd/system good simple "/bin/sleep 601"
  unit_file /etc/systemd/system bad simple /bin/false
  unit_file /etc/systemd/system slow notify "/bin/sleep 600"
  install -d -o "$user" -g "$user" "$home/.config/systemd" "$home/.config/systemd/user"
  unit_file "$home/.config/systemd/user" good simple "/bin/sleep 600"
  unit_file "$home/.config/systemd/user" bad simple /bin/false
  # A manager has the groups that its user had when it started.
  usermod -aG lab-probe "$user"
  loginctl enable-linger "$user"
  within 20 as_user systemctl --user is-active --quiet default.target
  systemctl daemon-reload
  systemctl start e2e-good.service
  systemctl start --no-block e2e-bad.service e2e-slow.service
  ln -s /dev/null /etc/systemd/system/e2e-masked.service
  as_user systemctl --user start e2e-good.service
  as_user systemctl --user start --no-block e2e-bad.service
  within 10 systemctl is-failed --quiet e2e-bad.service
  within 10 as_user systemctl --user is-failed --quiet e2e-bad.service
  same "the states are what they should be" "$(systemctl is-active e2e-good e2e-bad e2e-slow e2e-gone | tr '\n' ' ')" \
    "active failed activating inactive "

  configure services
  check "a pass with services works" pass
  service_is good 1
  service_is bad 0 exited
  service_is slow 0 exited
  service_is gone 0 not_configured
  service_is masked 0 disabled
  service_is own-good 1
  service_is own-bad 0 exited
  service_is process 1
  service_is no-process 0 exited
  as_user lab-probe check --format json own-bad bad gone slow >"$results/services.json"
  for name in "journalctl --unit e2e-bad.service" "journalctl --user --unit e2e-bad.service" \
    "the system manager knows no unit e2e-gone.service" "e2e-slow.service is activating (start)" \
    "result exit-code, exit status 1"; do
    check "check says: $name" grep -qF "$name" "$results/services.json"
  done
  systemctl stop e2e-good.service
  check "a pass after a unit has stopped works" pass
  service_is good 0 exited
  service_is process 0 exited

  # The user's manager stays for the next step.
  systemctl stop e2e-slow.service
  as_user systemctl --user stop e2e-good.service
  rm /etc/systemd/system/e2e-masked.service
  configure
}

# unit_file DIRECTORY NAME TYPE COMMAND
unit_file() { printf '[Service]\nType=%s\nExecStart=%s\nTimeoutStartSec=infinity\n' "$3" "$4" >"$1/e2e-$2.service"; }

# service_is NAME UP [REASON]
service_is() {
  same "service $1 is $2 ${3:-}" "$(series "lab_service_up{service_name=\"$1\"}") $(
    sed -n "s/^lab_service_failure{service_name=\"$1\",reason=\"\([a-z_]*\)\"} 1$/\1/p" "$textfile")" "$2 ${3:-}"
}
