#!/usr/bin/env python3
"""A large journal beside `wc -l`: read from its beginning, and the next tick after a thousand more lines; and a large database.

    benches/ingest.py          (after `make build`; JOURNAL_MB=1024 for a gigabyte, 300 by default)

The journal is written below target/bench and deleted afterwards; every line of it has to be counted.
"""

import json
import os
import re
import shutil
import sqlite3
import sys

from common import OUT, PROBE, compile_c, measured, medians, need, row, write_part

MEGABYTES = int(os.environ.get("JOURNAL_MB", "300"))
POSITIONS = 100_000
ROUNDS = 3
MORE = 1000
CONFIG = """[probe]
state_dir = "{work}/state"
deadline = "2m"
[output.textfile]
directory = "{work}/out"
[worktree]
repos = []
[mcp]
discover = false
[[thunes]]
environment = "bench"
root = "{work}"
journals = {journals}
logs = []
timeout = "110s"
"""
APPROVED = '"symbol": "BTCUSDT", "side": "BUY", "quote_qty": 50.0, "daily_pnl": -5.0, "open_positions": 1'
REJECTED = '"symbol": "BTCUSDT", "side": "BUY", "reason": "duplicate_position", "daily_pnl": -5.0'
ORDER = '"venue": "binance", "order_type": "MARKET", "side": "BUY", "latency_ms": 84.0, "symbol": "BTCUSDT"'
GAP = '"symbol": "BTCUSDT", "gap_seconds": 0.7'
EVENTS = [("TRADE_APPROVED", APPROVED), ("ORDER_PLACED", ORDER), ("TRADE_REJECTED", REJECTED), ("WS_GAP", GAP)]


def lines(count):
    """Lines of a trading day, one event after the other."""
    def line(n):
        event, rest = EVENTS[n % len(EVENTS)]
        second, micro = divmod(n * 7919, 1_000_000)
        at = f"2026-07-01T{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}.{micro:06}"
        return f'{{"timestamp": "{at}", "event": "{event}", {rest}}}\n'

    return "".join(map(line, range(count))).encode()


def write_journal(path):
    """Returns how many lines it has."""
    block = lines(50_000)
    blocks = max(1, (MEGABYTES << 20) // len(block))
    with path.open("wb") as journal:
        for _ in range(blocks):
            journal.write(block)
    return blocks * 50_000


def counted(work):
    """Lines of the journal that the pass has read so far."""
    text = (work / "out/lab-probe.prom").read_text()
    return sum(float(value) for value in re.findall(r"^thunes_journal_lines_total\{[^}]*\} (\S+)$", text, re.M))


def measure(work):
    starter = compile_c("measured.c", "bin/measured", "-static")
    journal = work / "logs/audit_trail.jsonl"
    (work / "out").mkdir()
    journal.parent.mkdir()
    config = work / "lab-probe.toml"
    config.write_text(CONFIG.format(work=work, journals='["logs/audit_trail.jsonl"]'))
    env = {"HOME": str(work), "PATH": os.environ["PATH"]}
    tick = [need(PROBE, "make build"), "-q", "--config", config]
    total = write_journal(journal)
    size = journal.stat().st_size
    whole, count, next_tick, idle = [], [], [], []
    for _ in range(ROUNDS):
        shutil.rmtree(work / "state", ignore_errors=True)
        whole.append(measured(starter, tick, env))
        check(counted(work), total)
        count.append(measured(starter, ["wc", "-l", journal], env))
        with journal.open("ab") as end:
            end.write(lines(MORE))
        total += MORE
        next_tick.append(measured(starter, tick, env))
        check(counted(work), total)
        idle.append(measured(starter, tick, env))
    whole, count, next_tick, idle = map(medians, (whole, count, next_tick, idle))
    speed = f"{size / 2**20:.0f} MiB of journal, {size / 2**20 / whole[0]:,.0f} MiB/s, {whole[2] / 2**20:.1f} MiB resident"
    return [
        row("a journal from its beginning", whole[0], count[0], "wc -l", "s", note=speed),
        row(f"the tick after {MORE:,} more lines", next_tick[0], idle[0], "a tick without any", "s", note="the same journal"),
    ]


def write_positions(path, count):
    """A database of closed positions, the newest of today."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as database:
        database.execute(
            "CREATE TABLE positions(id INTEGER PRIMARY KEY AUTOINCREMENT, symbol TEXT, quantity REAL, entry_price REAL, entry_time TEXT,"
            " exit_price REAL, exit_time TEXT, pnl REAL, status TEXT, order_id TEXT, created_at TEXT, exit_order_id TEXT)"
        )
        moment = "strftime('%Y-%m-%dT%H:%M:%S', 'now', '-' || n || ' minutes')"
        database.execute(
            "WITH RECURSIVE count(n) AS (SELECT ? UNION ALL SELECT n - 1 FROM count WHERE n > 1)"
            " INSERT INTO positions(symbol, quantity, entry_price, entry_time, exit_price, exit_time, pnl, status)"
            f" SELECT 'BTCUSDT', 0.1, 60000, {moment}, 59990, {moment}, -1, 'CLOSED' FROM count",
            (count,),
        )
    database.close()


def measure_positions(work):
    """A tick that reads a database of 100,000 positions beside one that reads a hundred."""
    starter = compile_c("measured.c", "bin/measured", "-static")
    env = {"HOME": str(work), "PATH": os.environ["PATH"]}
    ticks = {}
    for count in (100, POSITIONS):
        home = work / f"positions-{count}"
        (home / "out").mkdir(parents=True)
        write_positions(home / "data/positions.db", count)
        config = home / "lab-probe.toml"
        config.write_text(CONFIG.format(work=home, journals="[]"))
        tick = [PROBE, "-q", "--config", config]
        ticks[count] = medians([measured(starter, tick, env) for _ in range(2 * ROUNDS + 1)])
        orders = re.findall(r"^thunes_orders_placed_total\{[^}]*\} (\S+)$", (home / "out/lab-probe.prom").read_text(), re.M)
        check(sum(map(float, orders)), 2 * count)
    few, many = ticks[100], ticks[POSITIONS]
    return [
        row(f"a tick with {POSITIONS:,} positions in the database: CPU", many[1], few[1], "with 100", "s"),
        row("the same: resident memory", many[2], few[2], "with 100", "B"),
    ]


def check(found, expected):
    if found != expected:
        sys.exit(f"{found:.0f} lines were counted, {expected} were written")


def main():
    work = OUT / "ingest"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        write_part("ingest", measure(work) + measure_positions(work))
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
