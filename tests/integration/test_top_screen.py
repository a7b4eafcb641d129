# SPDX-License-Identifier: GPL-3.0-only
"""deepmon-top's screen, in a terminal with real keys: the figures of a recording, and a live host."""

import http.client
import http.server
import os
import re
import signal
import subprocess
import time

from stage import host
from stage.cgroups import Container
from stage.process import Skip, find_program, free_port, wait_until
from stage.tmux import Terminal

from support import duty, made_up_host, two_cpus
from test_recording import record

PAGES = ["overview", "power", "energy", "memory", "disk", "files", "tcp", "tcp-latency", "http", "http-latency"]
NAME, CELL = 32, 10  # columns that --batch text has for them
SCREEN_CELL = 8
SERVED_MS = 3
LONG = 6000  # seconds of a recording that takes some to go through
COLOR = re.compile(r"\x1b\[[0-9;]*3[0-7][m;]")


def screen(t, *arguments, columns=80, lines=24, **environment):
    return t.enter(Terminal([t.built("deepmon-top"), *arguments], columns, lines, **environment))


def replayed(t, path, *arguments, **settings):
    """A recording, at its end."""
    terminal = screen(t, "--replay", path, "--speed", "1000", *arguments, **settings)
    terminal.wait_for(" END")
    return terminal


def tables(t, path, page, *arguments):
    """What --batch says of the last sample of a recording: (titles, {name: cells})."""
    return last_table(t, "--replay", path, "--page", page, *arguments)


def last_table(t, *arguments):
    done = subprocess.run([t.built("deepmon-top"), "--batch", "text", *arguments], capture_output=True, timeout=60,
                          check=True)
    head, *rows = [line for line in done.stdout.decode().split("\n\n")[-1].split("\n") if line][-200:]
    while not head.startswith("NAME"):
        head, *rows = rows
    count = (len(head) - NAME) // CELL

    def cells(line):
        return [line[NAME + CELL * i:NAME + CELL * (i + 1)].strip() for i in range(count)]

    return cells(head), {row[:NAME].strip(): cells(row) for row in rows}


def table(text, count):
    """What a screen has: (titles, [(name, cells)]) of the lines between the head and the sum; nothing of one that is
    still being drawn."""
    lines = text.split("\n")
    end = next((i for i, line in enumerate(lines) if line.startswith("Sum of")), 0)
    if end < 5:
        return [], []
    width = len(lines[4])
    width = max(width, max(len(line) for line in lines))
    name = width - count * SCREEN_CELL

    def cells(line):
        line = line.ljust(width)
        return [line[name + SCREEN_CELL * i:name + SCREEN_CELL * (i + 1)].strip() for i in range(count)]

    rows = [(line[:name].rstrip(), cells(line)) for line in lines[5:end] if line.strip()]
    return cells(lines[4]), rows


def names(text, count=9):
    return [name for name, _ in table(text, count)[1]]


def shown(name):
    """That a page is chosen."""
    return lambda text: name in text.split("\n")[3]


def test_pages_have_the_figures_of_batch(t):
    path, _ = record(t, seconds=2)
    terminal = replayed(t, path, "--filter", "image:web", columns=160, lines=40)
    measured = 0
    for page in PAGES:
        titles, expected = tables(t, path, page, "--filter", "image:web")
        text = terminal.wait_for(lambda text: titles == table(text, len(titles))[0])
        got_titles, rows = table(text, len(titles))
        t.equal(got_titles, titles, f"titles of the page {page}")
        t.true("web one" in dict(rows), f"the container on {page}", text)
        for name, cells in rows:
            t.equal(cells, expected[name], f"{page} of {name}")
            measured += sum(cell != "-" for cell in cells)
        terminal.keys("Right")
    terminal.keys("Escape")
    t.true(measured > 40, "figures that were measured", measured)
    t.note(f"{measured} figures on {len(PAGES)} pages as --batch has them")
    text = terminal.wait_for("- web one")
    t.true(any(line.startswith("  (other)") for line in text.split("\n")), "processes under their container", text)
    terminal.keys("Right")
    terminal.wait_for(lambda text: "WR/s" in text.split("\n")[4])
    terminal.keys("Right")
    terminal.wait_for("Of a recording nothing is known")
    terminal.keys("q")
    t.true("status 0, terminal as it was" in terminal.wait_for_end(), "its end")


def test_keys(t):
    path, _ = record(t, seconds=1)
    terminal = replayed(t, path)
    terminal.type("/name:web")
    terminal.wait_for(lambda text: "Sum of 1 " in text and "/name:web_" in text)
    terminal.type(" bogus>")
    terminal.wait_for("there is no column bogus")
    terminal.keys("Escape")
    terminal.wait_for(lambda text: "Sum of 1 " not in text and "_" not in text.split("\n")[21])
    terminal.type("/image:web")
    terminal.keys("Enter", "n")
    text = terminal.wait_for("Filter: image:web")
    t.equal(names(text, 8), sorted(names(text, 8)), "by name")
    terminal.keys("r")
    terminal.wait_for(lambda text: names(text, 8) == sorted(names(text, 8), reverse=True))
    terminal.keys(">", "r")

    def by_cpu(text, way=True):
        percents = [float(cells[0]) for _, cells in table(text, 8)[1]]
        return percents == sorted(percents, reverse=way) and len(percents) > 1

    terminal.wait_for(lambda text: by_cpu(text, False))
    terminal.keys("r")
    terminal.wait_for(by_cpu)
    for _ in range(4):
        terminal.keys("g")
    text = terminal.wait_for("- web (")
    members = [line for line in text.split("\n") if line.startswith("  ")]
    t.true(len(members) >= 2, "containers under their image", text)
    terminal.keys("Home", "Enter")
    text = terminal.wait_for("+ web (")
    t.true(not any(line.startswith("  web one") for line in text.split("\n")), "a group that is folded", text)
    terminal.keys("Enter")
    terminal.wait_for("- web (")
    terminal.keys("Down", "Enter")
    text = terminal.wait_for(lambda text: "(peak" in text)
    t.true("container " in text.split("\n")[4], "whose detail it is", text)
    t.true(any(block in text for block in "▁▂▃▄▅▆▇█"), "bars", text)
    terminal.keys("?")
    text = terminal.wait_for("the next page, the one before")
    terminal.keys("PgDn", "PgDn", "PgDn")
    terminal.wait_for("cpu_percent")
    terminal.keys("q")
    t.true("status 0, terminal as it was" in terminal.wait_for_end(), "its end")
    t.equal(terminal.asked("alternate_on"), "0", "the screen it was started from")


def test_time_of_a_recording(t):
    path, _ = record(t, seconds=3)
    terminal = screen(t, "--replay", path, "--speed", "0.1")
    terminal.wait_for("recorded, 0 of")
    terminal.keys("Space")
    terminal.wait_for("FROZEN")
    before = terminal.lines()[5:20]
    terminal.keys(".", ".", ".", ".", ".", ".")
    terminal.wait_for(lambda text: "recorded, 0 of" not in text and text.split("\n")[5:20] != before)
    terminal.keys("}")
    text = terminal.wait_for(lambda text: text.split("\n")[0].split("recorded, ")[1].split(" ")[0] ==
                             text.split("\n")[0].split(" of ")[1].split(" ")[0])
    last = table(text, 8)
    terminal.keys("[")
    terminal.wait_for("recorded, 0 of")
    terminal.keys("}")
    text = terminal.wait_for(lambda text: "recorded, 0 of" not in text)
    t.equal(table(text, 8), last, "the last sample, gone to twice")
    terminal.keys("+", "+")
    terminal.wait_for("x0.5")


def test_sizes_and_the_mouse(t):
    path, _ = record(t, seconds=1)
    terminal = replayed(t, path, "--filter", "image:web")
    for columns, lines in ((120, 40), (40, 10), (20, 6), (5, 2), (80, 24)):
        terminal.resize(columns, lines)
        wait_until(lambda: len(terminal.lines()) >= lines, 10, "the new size")
    terminal.wait_for(lambda text: "qQuit" in text.split("\n")[23] and text.split("\n")[21:23] != ["", ""])
    terminal.click(14, 3)
    terminal.wait_for("CORE W")
    column = terminal.lines()[4].index("CORE W")
    terminal.click(column, 4)
    text = terminal.wait_for("CORE W")
    terminal.click(2, 6)
    second = names(text, 8)[1]
    terminal.click(2, 6)
    text = terminal.wait_for("(peak")
    t.true(second in text.split("\n")[4], f"the detail of {second}", text)


def test_terminals_of_all_kinds(t):
    path, _ = record(t, seconds=1)
    plain = replayed(t, path, LC_ALL="C", TERM="vt100")
    plain.keys("Enter")
    text = plain.wait_for("(peak")
    t.true(text.isascii() and "#" in text, "bars without UTF-8", text)
    t.equal(COLOR.findall(plain.colored()), [], "colours of a terminal that has none")
    t.true(COLOR.search(replayed(t, path).colored()), "colour")
    t.equal(COLOR.findall(replayed(t, path, NO_COLOR="1").colored()), [], "colours with NO_COLOR")
    unknown = screen(t, "--replay", path, TERM="bogus")
    unknown.wait_for("no description of the terminal \"bogus\"")
    t.true("status 2" in unknown.wait_for_end(), "status with an unknown terminal")


def test_killed_it_leaves_the_terminal_as_it_was(t):
    path, _ = record(t, seconds=1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGSEGV, signal.SIGABRT):
        for keys in ((), ("/", "w"), ("Enter",), ("?",)):
            if keys and number not in (signal.SIGTERM, signal.SIGSEGV):
                continue
            terminal = replayed(t, path)
            terminal.keys(*keys)
            t.equal(terminal.asked("alternate_on"), "1", "a screen of its own")
            os.kill(wait_until(lambda shown=terminal: shown.pid("deepmon-top"), 5, "deepmon-top"), number)
            t.true("terminal as it was" in terminal.wait_for_end(), f"the terminal after {number.name}")
            for what, expected in (("alternate_on", "0"), ("cursor_flag", "1"), ("mouse_any_flag", "0")):
                t.equal(terminal.asked(what), expected, f"{what} after {number.name}")
            terminal.__exit__()


def test_keys_are_answered_amid_a_seek(t):
    """A day's end, gone to from a recording's beginning, takes a while; nobody waits for it."""
    path = made_up_host(t, LONG)
    terminal = screen(t, "--replay", path, "--speed", "0.001")
    terminal.wait_for("recorded, 0 of")
    terminal.keys("Space")
    for _ in range(LONG // 60 - 1):
        terminal.keys("}")
    text = terminal.wait_for("SEEKING")
    terminal.keys("Right")
    text = terminal.wait_for("[power]")
    t.true("SEEKING" in text.split("\n")[0], "a page that is shown while it seeks", text)
    wanted = (LONG // 60 - 1) * 60
    text = terminal.wait_for(f"recorded, {wanted} of", 60)
    terminal.wait_for("FROZEN")
    terminal.keys("[")
    terminal.wait_for("SEEKING")
    terminal.keys("q")
    t.true("status 0, terminal as it was" in terminal.wait_for_end(), "its end amid a seek")


def test_suspended_and_gone_on_with(t):
    path, top = made_up_host(t, 5), t.built("deepmon-top")
    terminal = t.enter(Terminal(["bash", "--norc", "--noprofile", "-i"], PS1="shell> "))
    terminal.wait_for("shell>")
    terminal.type(f"{top} --replay {path} --speed 1000")
    terminal.keys("Enter")
    terminal.wait_for(" END")
    terminal.keys("C-z")
    terminal.wait_for("Stopped")
    for what, expected in (("alternate_on", "0"), ("cursor_flag", "1"), ("mouse_any_flag", "0")):
        t.equal(terminal.asked(what), expected, f"{what} while it is stopped")
    terminal.type("fg")
    terminal.keys("Enter")
    terminal.wait_for("[overview]")
    t.equal(terminal.asked("mouse_any_flag"), "1", "the mouse when it goes on")
    terminal.keys("Right")
    terminal.wait_for("[power]")
    terminal.keys("q")
    terminal.wait_for(lambda text: text.rstrip().endswith("shell>"))
    t.equal(terminal.asked("alternate_on"), "0", "the screen at its end")


def test_killed_while_its_terminal_takes_nothing(t):
    terminal = screen(t, "--replay", made_up_host(t, 600), "--speed", "5")
    terminal.wait_for("recorded, 2 of")
    terminal.keys("C-s")
    before = terminal.text()
    time.sleep(1)
    t.equal(terminal.text(), before, "a screen that was told to stop")
    os.kill(terminal.pid("deepmon-top"), signal.SIGTERM)
    t.true("terminal as it was" in terminal.wait_for_end(), "the terminal at its end")
    for what, expected in (("alternate_on", "0"), ("cursor_flag", "1"), ("mouse_any_flag", "0")):
        t.equal(terminal.asked(what), expected, f"{what} at its end")


def test_live(t):
    host.require_bpf()
    container = t.enter(Container())
    container.run(duty, two_cpus()[0], 0.5)
    terminal = screen(t, "--interval", "0.5", "--filter", f"name:{container.name}", "--network", "off")

    def busy(text):
        rows = [line for line in text.split("\n") if line.startswith(container.name)]
        return rows and float(rows[0].split()[1]) > 1

    terminal.wait_for(busy, 60)
    text = terminal.wait_for(lambda text: "% CPU" in text.split("\n")[2], 30)
    t.true("every 0.5 s" in text.split("\n")[0] and "Containers" in text, "the header", text)
    terminal.keys("Escape", "Left")
    text = terminal.wait_for("STATE    OF")
    t.true(any(line.split()[0] in ("ok", "missing") for line in text.split("\n")[5:12] if line.strip()),
           "what the host has", text)
    terminal.keys("Right")
    for _ in range(6):
        terminal.keys("Right")
    terminal.wait_for("Network is off (--network on)")
    terminal.keys("Space")
    terminal.wait_for("FROZEN")
    terminal.keys("q")
    t.true("status 0, terminal as it was" in terminal.wait_for_end(), "its end")


def serve(port):
    """Answers each request after SERVED_MS."""
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            time.sleep(SERVED_MS / 1000)
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x" * 1000)

        def log_message(self, *_):
            pass

    http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()


def ask(port):
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            while True:
                connection.request("GET", "/")
                connection.getresponse().read()
                time.sleep(0.01)
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)


def test_live_http(t):
    host.require_bpf()
    server, client = t.enter(Container()), t.enter(Container())
    port = free_port()
    server.run(serve, port)
    client.run(ask, port)
    terminal = screen(t, "--interval", "0.5", "--page", "http", "--filter", f"name:{server.name}")

    def row(text):
        titles, rows = table(text, 8) if "Sum of" in text else ([], [])
        return dict(zip(titles, rows[0][1])) if rows else {}

    text = terminal.wait_for(lambda text: row(text).get("TRANS/s", "-") not in ("-", "0"), 60)
    t.equal(row(text)["2xx/s"], row(text)["TRANS/s"], "responses of status 200 of all")
    t.true(float(row(text)["MEAN ms"]) >= SERVED_MS * 0.99, "mean latency of what waits so long", text)
    terminal.keys("Right")
    text = terminal.wait_for(lambda text: row(text).get("P50", "-") != "-")
    t.true(float(row(text)["P50"]) >= SERVED_MS * 0.99, "the median", text)


def test_who_may_not(t):
    host.require_bpf()
    setpriv = find_program("setpriv", None, "util-linux")
    user = [setpriv, "--reuid=65534", "--clear-groups", t.built("deepmon-top")]
    if subprocess.run([*user, "--version"], capture_output=True, check=False).returncode:
        raise Skip("another user may not execute what was built here")
    terminal = t.enter(Terminal(user))
    text = terminal.wait_for("Not permitted", 60)
    t.true("setcap" in text and "cap_bpf,cap_perfmon" in text, "what it needs", text)
    terminal.keys("q")
    t.true("status 0, terminal as it was" in terminal.wait_for_end(), "its end")
