#!/usr/bin/env python3
"""Draws the README's pictures from real runs over the example LAB: the terminal as SVG, the page as PNG, dark and light.

usage: docs/images/make.py BINARY       needs chromium and the packages of docs/requirements.txt (`make pictures`)
"""
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COLUMNS = 112
PAGE = (1100, 1000)
PAPER = {"dark": ((13, 17, 23), (230, 237, 243)), "light": ((255, 255, 255), (31, 35, 40))}
INK = {
    "dark": [(110, 118, 129), (255, 123, 114), (63, 185, 80), (210, 153, 34), (88, 166, 255), (188, 140, 255), (57, 197, 207), (177, 186, 196)],
    "light": [(36, 41, 47), (207, 34, 46), (17, 99, 41), (149, 56, 0), (9, 105, 218), (130, 80, 223), (27, 124, 131), (110, 119, 129)],
}
# rich's own has fonts from elsewhere and a window around the text.
FORMAT = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} HEIGHT" role="img"
 aria-label="lab-probe in a terminal"><style>
{styles}
.{unique_id}-matrix {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
 font-size: {char_height}px; line-height: {line_height}px }}
</style><rect width="100%" height="100%" rx="8" fill="PAPER"/><g class="{unique_id}-matrix" transform="translate(12, 6)">{backgrounds}{matrix}</g></svg>
"""


def in_terminal(command, environment):
    """The bytes that a program writes to a terminal of this width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, COLUMNS, 0, 0))
    child = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # EIO: the terminal is closed
            break
        if not piece:
            break
        shown += piece
    child.wait(timeout=60)
    return shown.decode().replace("\r\n", "\n")


def svg(text, scheme):
    paper, ink = PAPER[scheme], INK[scheme]
    theme = TerminalTheme(*paper, ink, ink)
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(text.rstrip("\n")), soft_wrap=True)
    drawn = console.export_svg(title="", theme=theme, code_format=FORMAT, unique_id="t", font_aspect_ratio=0.6)
    # rich ends each line with an empty piece, and leaves room for a window's title.
    drawn = re.sub(r"<text[^>]*>\s*</text>", "", drawn)
    bottom = max(float(y) for y in re.findall(r'<text[^>]* y="([\d.]+)"', drawn))
    drawn = drawn.replace("HEIGHT", f"{bottom + 22:.0f}").replace("PAPER", "#%02x%02x%02x" % paper[0])
    return "\n".join(line.rstrip() for line in drawn.splitlines()) + "\n"


def main():
    binary = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="lab-probe-pictures-") as scratch:
        # A name that a reader may see: the example LAB shows paths.
        lab = Path(scratch) / "lab"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([ROOT / "examples/lab.sh", lab, binary], check=True, **quiet)
        environment = {"HOME": str(lab / "home"), "PATH": "/usr/local/bin:/usr/bin:/bin", "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        probe = [binary, "--config", lab / "lab-probe.toml"]
        shown = in_terminal([*probe, "--once", "--fresh"], environment).replace(f"{lab}/", "~/LAB/").replace(str(scratch), "~")
        page = Path(scratch) / "page.html"
        subprocess.run([*probe, "report", "--html", page], check=True, env=environment, **quiet)
        for scheme in PAPER:
            (HERE / f"terminal-{scheme}.svg").write_text(svg(shown, scheme), encoding="utf-8")
            picture = HERE / f"page-{scheme}.png"
            mode = ["--force-dark-mode"] if scheme == "dark" else []
            subprocess.run(
                ["timeout", "-k", "5", "90", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *mode,
                 f"--user-data-dir={scratch}/chromium", f"--window-size={PAGE[0]},{PAGE[1]}", f"--screenshot={picture}", page.as_uri()],
                check=True, **quiet)
            print(*(f"{p.name}: {p.stat().st_size / 1024:.0f} KiB" for p in (HERE / f"terminal-{scheme}.svg", picture)), sep="\n")


if __name__ == "__main__":
    main()
