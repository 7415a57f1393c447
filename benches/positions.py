#!/usr/bin/env python3
"""A positions database of 100,000 rows: the tick after a commit beside the tick after none, and SQL that says the same.

    benches/positions.py       (after `make build`; ROWS=1000000 for more)

The database is written below target/bench and deleted afterwards; every pass has to count what was written.
"""

import datetime
import os
import re
import shutil
import sqlite3
import sys
import time

from common import OUT, PROBE, compile_c, measured, medians, need, row, write_part

ROWS = int(os.environ.get("ROWS", "100000"))
ROUNDS = 15
# Every tenth of a thousand is still open.
OPEN_EVERY = ROWS // 10
COLUMNS = "symbol, quantity, entry_price, entry_time, exit_price, exit_time, pnl, status, order_id, created_at, exit_order_id"
SCHEMA = """CREATE TABLE positions(id INTEGER PRIMARY KEY AUTOINCREMENT, symbol TEXT, quantity REAL, entry_price REAL,
 entry_time TEXT, exit_price REAL, exit_time TEXT, pnl REAL, status TEXT, order_id TEXT, created_at TEXT, exit_order_id TEXT)"""
# What somebody would write who asks SQLite for the same numbers in one go.
SQL = """SELECT COUNT(*), SUM(status = 'OPEN'), SUM(status = 'CLOSED'), MAX(entry_time), MAX(exit_time),
 SUM(CASE WHEN status = 'CLOSED' AND date(exit_time) = date('now') THEN pnl END) FROM positions"""


def positions():
    """Five minutes apart; the last is of today."""
    at = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) - datetime.timedelta(minutes=5 * ROWS)
    for number in range(ROWS):
        at += datetime.timedelta(minutes=5, microseconds=number % 977 - 488)
        entry, exit_ = at.isoformat(), (at + datetime.timedelta(seconds=90)).isoformat()
        common = ("BTCUSDT", 0.01 + number / 1e7, 50_000 + number * 7_919 % 100_000 / 100, entry)
        if number % OPEN_EVERY == 0:
            yield (*common, None, None, None, "OPEN", str(10**10 + number), entry, None)
        else:
            yield (*common, 50_001.5, exit_, number / 1e5 - 0.4, "CLOSED", str(10**10 + number), entry, str(2 * 10**10 + number))


def write_database(path, mode):
    """A writer that stays, as the application does; its commits are not checkpointed in write-ahead mode."""
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute(f"PRAGMA journal_mode = {mode}")
    writer.execute("PRAGMA synchronous = OFF")
    writer.execute(SCHEMA)
    writer.execute("BEGIN")
    writer.executemany(f"INSERT INTO positions({COLUMNS}) VALUES({', '.join('?' * 11)})", positions())
    writer.execute("COMMIT")
    if mode == "WAL":
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return writer


def open_positions(work):
    text = (work / "out/lab-probe.prom").read_text()
    found = re.search(r'^thunes_open_positions\{environment="bench"\} (\S+)$', text, re.M)
    return float(found.group(1)) if found else None


def check(found, expected):
    if found != expected:
        sys.exit(f"{found} positions were open, {expected} are")


def by_sql(path):
    """Seconds of opening the database and asking it once."""
    begun = time.perf_counter()
    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    reader.execute(SQL).fetchall()
    reader.close()
    return time.perf_counter() - begun


def measure(work, mode):
    starter = compile_c("measured.c", "bin/measured", "-static")
    for directory in ("out", "data"):
        (work / directory).mkdir(parents=True)
    config = work / "lab-probe.toml"
    config.write_text(
        f'[probe]\nstate_dir = "{work}/state"\n[output.textfile]\ndirectory = "{work}/out"\n[worktree]\nrepos = []\n'
        f'[mcp]\ndiscover = false\n[[thunes]]\nenvironment = "bench"\nroot = "{work}"\nlogs = []\n'
    )
    tick = [need(PROBE, "make build"), "-q", "--config", config]
    env = {"HOME": str(work), "PATH": os.environ["PATH"]}
    database = work / "data/positions.db"
    writer = write_database(database, mode)
    changed, sql = [], []
    for number in range(ROUNDS):
        # The ids begin with one, and each is the first of a thousand that was open.
        status = ("CLOSED", "OPEN")[number % 2]
        writer.execute("UPDATE positions SET status = ?, exit_time = '2025-02-01T00:00:00' WHERE id = 1", (status,))
        changed.append(measured(starter, tick, env))
        check(open_positions(work), 10 - (status == "CLOSED"))
        sql.append(by_sql(database))
    # What was written a moment ago is read again, since file times have steps.
    time.sleep(2.5)
    measured(starter, tick, env)
    unchanged = [measured(starter, tick, env) for _ in range(ROUNDS)]
    check(open_positions(work), 9)
    writer.close()
    return medians(changed), medians(unchanged), sorted(sql)[len(sql) // 2], database.stat().st_size


def rows(mode, found):
    changed, unchanged, sql, size = found
    spent = changed[0] - unchanged[0]
    of = f"{ROWS:,} positions, {size / 2**20:.1f} MiB, {'write-ahead' if mode == 'WAL' else 'rollback'} journal"
    cost = f"{of}: +{spent * 1000:.1f} ms, +{(changed[1] - unchanged[1]) * 1000:.1f} ms of CPU"
    return [
        row("the tick after a commit", changed[0], unchanged[0], "a tick after none", "s", note=cost),
        row("reading them", spent, sql, "one SQL query in Python", "s", "≤ 1", note=of),
    ]


def main():
    work = OUT / "positions"
    shutil.rmtree(work, ignore_errors=True)
    try:
        write_part("positions", [line for mode in ("DELETE", "WAL") for line in rows(mode, measure(work / mode, mode))])
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
