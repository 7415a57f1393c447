# The daily report, to a stand-in for Telegram's Bot API.

daily_report() {
  printf '\n[telegram]\napi_url = "http://127.0.0.1:8081"\n' >>"$home/.config/lab-probe/config.toml"
  (umask 077; echo 12345:secret >/etc/lab-probe/telegram-token; echo -100 >/etc/lab-probe/telegram-chat-id)
  install -d "/etc/systemd/system/lab-probe-summary@$user.service.d"
  printf '[Service]\nLoadCredential=telegram-token:/etc/lab-probe/telegram-token\nLoadCredential=telegram-chat-id:/etc/lab-probe/telegram-chat-id\n' \
    >"/etc/systemd/system/lab-probe-summary@$user.service.d/bot.conf"
  systemctl daemon-reload
  systemd-run --quiet --unit=e2e-bot "$python" /opt/e2e/inside/bot.py
  within 10 curl -s -o /dev/null http://127.0.0.1:8081/
  check "the daily report is sent" systemctl start "lab-probe-summary@$user.service"
  same "by the bot of the credential, to its chat" \
    "$(grep -c '^/bot12345:secret/sendMessage .*-100' "$results/bot")" 1
  check "it is of the day whose 23:00 UTC was the last" grep -q "$(date -u -d '23 hours ago' +%F)" "$results/bot"
  check "a second start sends nothing" systemctl start "lab-probe-summary@$user.service"
  same "one message came" "$(grep -c sendMessage "$results/bot")" 1
  check "the timer of the report is enabled" systemctl enable --now --quiet "lab-probe-summary@$user.timer"
  configure
}
