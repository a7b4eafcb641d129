# SPDX-License-Identifier: GPL-3.0-only
"""deepmon-top's screens against those in tests/fixtures/screens, of a made-up host and with real keys.

`make screens` keeps them as they are now: look at the difference before committing it.
"""

import difflib
import os
import subprocess
import sys
import time

from stage.process import StageError, wait_until
from stage.tmux import Terminal

from support import SOURCE, made_up_host

KEPT = SOURCE / "tests" / "fixtures" / "screens"
PICTURE = KEPT / "picture.ansi"
SECONDS = 40  # that the host is recorded
STILL = 0.5  # seconds without a change
RENEWS = os.environ.get("KEEP_SCREENS") == "1"

# What is on the screen after which keys, those of the lines before included. "/…" is typed.
PAGES = (
    ("overview", ()),
    ("power", ("Right",)),
    ("energy", ("Right",)),
    ("memory", ("Right",)),
    ("disk", ("Right",)),
    ("files", ("Right",)),
    ("tcp", ("Right",)),
    ("tcp-latency", ("Right",)),
    ("http", ("Right",)),
    ("http-latency", ("Right",)),
    ("processes", ("Tab",)),
    ("devices", ("Tab",)),
    ("sources", ("Tab",)),
)
USES = (
    ("namespaces", ("Tab", "g")),
    ("pods", ("g",)),
    ("folded", ("Home", "Enter")),
    ("images", ("g", "g")),
    ("projects", ("g",)),
    ("services", ("g",)),
    ("ungrouped", ("g", "g", "g")),
    ("decimal", ("u",)),
    ("hours", ("u",)),
    ("exact", ("u",)),
    ("filter-typed", ("u", "/!image:redis cpu_percent>20 shop")),
    ("filtered", ("Enter",)),
    ("all-again", ("Escape",)),
    ("by-name", ("n",)),
    ("the-other-way", (">", ">", "r")),
    ("columns-to-the-right", ("r", ">", ">", ">", ">", ">", ">", ">")),
    ("units", ("<", "<", "<", "<", "<", "<", "<", "<", "e")),
    ("totals", ("e", "e")),
    ("containers", ("e",)),
    ("detail", ("Home", "Down", "Enter")),
    ("detail-of-power", ("Right",)),
    ("processes-of-one", ("p",)),
    ("devices-of-one", ("Escape", "Tab", "Tab", "Tab", "Home", "Down", "Down", "d")),
    ("help", ("Escape", "?")),
    ("help-below", ("PgDn", "PgDn")),
)
WALKS = (
    ("utf8-80x24", 80, 24, {}, PAGES + USES),
    ("plain-80x24", 80, 24, {"LC_ALL": "C", "TERM": "vt100"}, (
        ("overview", ()), ("pods", ("g", "g")), ("detail", ("g", "g", "g", "g", "g", "g", "g", "Down", "Enter")),
        ("help", ("?",)))),
    ("utf8-140x40", 140, 40, {}, PAGES[:4] + (("detail", ("Down", "Enter")), ("exact", ("Escape", "u", "u", "u")))),
    ("plain-140x40", 140, 40, {"LC_ALL": "C", "TERM": "vt100"}, (
        ("overview", ()), ("detail", ("Down", "Down", "Enter")))),
    ("utf8-60x16", 60, 16, {}, PAGES[:2] + (("detail", ("Down", "Enter")), ("help", ("?",)))),
)


def still(look):
    """What is on the screen when it changes no more."""
    seen = [look()]

    def is_still():
        time.sleep(STILL)
        before, seen[0] = seen[0], look()
        return before == seen[0]

    wait_until(is_still, 30, "a screen that does not change")
    return seen[0]


def compare(t, path, look, what):
    """The screen, as soon as it is the kept one; or keeps it."""
    if RENEWS:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(still(look), encoding="utf-8")
        return
    kept = path.read_text(encoding="utf-8")
    try:
        wait_until(lambda: look() == kept, 15, "the kept screen")
    except StageError:
        lines = difflib.unified_diff(kept.split("\n"), look().split("\n"), f"kept: {path.relative_to(SOURCE)}",
                                     "on the screen", lineterm="")
        with t.apart():
            t.true(False, f"{what} is as it was kept (else: make screens)", "\n" + "\n".join(lines))


def walk(t, name, columns, lines, environment, steps):
    terminal = t.enter(Terminal([t.built("deepmon-top"), "--replay", made_up_host(t, SECONDS), "--speed", "1000"], columns, lines,
                                **environment))
    terminal.wait_for(" END")
    for step, keys in steps:
        for key in keys:
            if key.startswith("/"):
                terminal.type(key)
            else:
                terminal.keys(key)
        compare(t, KEPT / name / f"{step}.txt", terminal.text, f"{name}/{step}")
    kept = {path.stem for path in (KEPT / name).glob("*.txt")}
    t.equal(sorted(kept - {step for step, _ in steps}), [], f"screens kept of {name} that nothing shows any more")
    t.note(f"{len(steps)} screens as they were kept")


def test_pages_and_all_that_keys_do(t):
    walk(t, *WALKS[0])


def test_plain(t):
    walk(t, *WALKS[1])


def test_wide(t):
    walk(t, *WALKS[2])


def test_wide_and_plain(t):
    walk(t, *WALKS[3])


def test_small(t):
    walk(t, *WALKS[4])


def test_the_picture(t):
    """With colours, amid the recording; and the picture made of it is the one in README.md."""
    terminal = t.enter(Terminal([t.built("deepmon-top"), "--replay", made_up_host(t, SECONDS), "--from", "30", "--speed", "0.1",
                                 "--group", "project"], 100, 30))
    terminal.wait_for("recorded, 30 of")
    compare(t, PICTURE, terminal.colored, "the picture's screen")
    if RENEWS:
        return
    made = subprocess.run([sys.executable, SOURCE / "tests" / "screens" / "svg.py", PICTURE], capture_output=True,
                          check=True, timeout=30)
    picture = SOURCE / "contrib" / "top" / "deepmon-top.svg"
    t.true(picture.read_bytes() == made.stdout, f"{picture.name} is made of the kept screen: make docs",
           "it differs")
    t.true(f"({picture.relative_to(SOURCE)})" in (SOURCE / "README.md").read_text(encoding="utf-8"),
           "the picture is in README.md", "it is not")
