"""Events of a trading application for lab-probe, one JSON object a line.

No dependencies, Python 3.8 or newer, POSIX. Copy this file beside the application's modules and call it where the
events happen:

    from lab_probe_events import Journal

    journal = Journal("logs/metrics_events.jsonl")
    journal.order_placed("binance", "MARKET", "BUY", latency_ms=41.7, symbol="BTCUSDT")

Any number of threads and processes may write to one file, and it may be renamed or copied and truncated at any time:
every line is opened for, locked, written in one call and closed again. Nothing here ever raises into the application
and nothing waits longer than ``lock_timeout`` seconds: what cannot be written is dropped, counted in
``Journal.dropped`` and said once in the log. Writing a line takes some tens of microseconds.
"""

import datetime
import errno
import fcntl
import json
import logging
import math
import os
import threading
import time

__all__ = ["Journal"]

_log = logging.getLogger(__name__)

# lab-probe skips longer lines.
_MAX_LINE_BYTES = 1 << 20
# A file that is renamed again and again between opening and locking is given up on.
_MAX_REOPENS = 20


class Journal:
    """Appends events to one file."""

    def __init__(self, path, lock_timeout=0.25):
        self.path = os.fspath(path)
        self.lock_timeout = lock_timeout
        self.dropped = 0
        self._said = False
        self._count_lock = threading.Lock()

    # The events that lab-probe knows. Each returns whether it was written.

    def order_placed(self, venue, order_type, side, latency_ms=None, **more):
        """An order was accepted by the exchange, `latency_ms` after it was sent."""
        return self.write("ORDER_PLACED", venue=venue, order_type=order_type, side=side, latency_ms=latency_ms, **more)

    def ws_connected(self, symbol, **more):
        """The market-data stream of a symbol delivers."""
        return self.write("WS_CONNECTED", symbol=symbol, **more)

    def ws_disconnected(self, symbol, **more):
        """The market-data stream of a symbol does not deliver any more."""
        return self.write("WS_DISCONNECTED", symbol=symbol, **more)

    def ws_gap(self, symbol, gap_seconds, **more):
        """So much time lay between two messages of a stream."""
        return self.write("WS_GAP", symbol=symbol, gap_seconds=gap_seconds, **more)

    def circuit_breaker(self, breaker_name, state, **more):
        """A circuit breaker is now `closed`, `half-open` or `open`."""
        return self.write("CIRCUIT_BREAKER", breaker_name=breaker_name, state=state, **more)

    def write(self, event, **fields):
        """Appends any event; True if the whole line was written."""
        try:
            now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
            record = {"timestamp": now.isoformat(), "event": event}
            record.update(fields)
            line = json.dumps(_plain(record), default=str, allow_nan=False, ensure_ascii=True).encode("ascii") + b"\n"
            if len(line) > _MAX_LINE_BYTES:
                raise ValueError("the event is larger than 1 MiB")
            self._append(line)
            return True
        except Exception as error:  # noqa: BLE001: monitoring never stops trading
            self._drop(error)
            return False

    def _drop(self, error):
        with self._count_lock:
            self.dropped += 1
            first, self._said = not self._said, True
        if first:
            _log.warning("an event for lab-probe was dropped, further ones are only counted: %s", error)

    def _append(self, line):
        descriptor = self._open_locked()
        try:
            end = os.fstat(descriptor).st_size
            # A writer that died in the middle of a line: its beginning gets a line of its own and spoils nothing.
            if end and not _ends_with_newline(descriptor, end):
                line = b"\n" + line
            written = os.write(descriptor, line)
            if written != len(line):
                # The disk is full. Half a line would spoil the next one; nobody else writes while this is locked.
                os.ftruncate(descriptor, end)
                raise OSError(errno.ENOSPC, "only a part of the line could be written")
        finally:
            os.close(descriptor)

    def _open_locked(self):
        """Opens the file and locks it; makes sure that it is still the file of that name."""
        deadline = time.monotonic() + self.lock_timeout
        for _ in range(_MAX_REOPENS):
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                _lock(descriptor, deadline)
                if _is_at(descriptor, self.path):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
        raise OSError(errno.EAGAIN, "the file is renamed faster than it can be locked")


def _lock(descriptor, deadline):
    """Takes the lock without waiting past the deadline: a stuck reader must not stop the application."""
    pause = 0.0002
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(pause)
            pause = min(pause * 2, 0.005)


def _is_at(descriptor, path):
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _ends_with_newline(descriptor, end):
    return os.pread(descriptor, 1, end - 1) == b"\n"


def _plain(value):
    """Numbers that JSON does not have become null, whatever they are in."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
