# SPDX-License-Identifier: GPL-3.0-only
"""A program in a terminal of tmux: real keys in, what is on the screen out."""

import os
import shlex
import subprocess
import tempfile

from stage.process import find_program, wait_until

ENDED = "ended with status"


class Terminal:
    """Ends with the program's status on the screen, and the terminal as the program left it."""

    def __init__(self, command, columns=80, lines=24, **environment):
        self.tmux = find_program("tmux", None, "tmux")
        self.command = [str(word) for word in command]
        self.size = (columns, lines)
        self.environment = {"LC_ALL": "C.UTF-8", "TZ": "UTC", **environment}

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="deepmon-tmux-")
        self.socket = os.path.join(self.directory.name, "socket")
        # The shell tells what the terminal was before and is after it.
        words = " ".join(f"{key}={shlex.quote(value)}" for key, value in self.environment.items())
        script = (f"before=$(stty -g); env {words} {shlex.join(self.command)}; status=$?; "
                  f"test \"$before\" = \"$(stty -g)\" && left='as it was'; "
                  f"echo \"{ENDED} $status, terminal ${{left:-changed}}\"; exec sleep 600")
        columns, lines = self.size
        self.run("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(lines),
                 f"/bin/sh -c {shlex.quote(script)}")
        return self

    def __exit__(self, *_):
        subprocess.run([self.tmux, "-S", self.socket, "kill-server"], capture_output=True, check=False)
        self.directory.cleanup()

    def run(self, *words):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("TMUX")}
        done = subprocess.run([self.tmux, "-S", self.socket, *words], capture_output=True, timeout=20, check=True,
                              env={**environment, "LC_ALL": "C.UTF-8"})
        return done.stdout.decode()

    def lines(self, *options):
        return self.run("capture-pane", "-p", *options).split("\n")

    def text(self):
        return "\n".join(self.lines())

    def colored(self):
        """The screen with the escape sequences of its styles."""
        return self.run("capture-pane", "-p", "-e")

    def keys(self, *names):
        """Names of tmux: Tab, Enter, Escape, Left; or characters."""
        for name in names:
            self.run("send-keys", name)

    def type(self, text):
        self.run("send-keys", "-l", text)

    def click(self, column, line):
        """As a mouse of xterm's first kind does it: pressed, and let go; from 0."""
        for button in ("20", "23"):
            self.run("send-keys", "-H", "1b", "5b", "4d", button, f"{33 + column:x}", f"{33 + line:x}")

    def resize(self, columns, lines):
        self.run("resize-window", "-x", str(columns), "-y", str(lines))

    def asked(self, what):
        """Of tmux itself: alternate_on, cursor_flag, mouse_any_flag."""
        return self.run("display-message", "-p", f"#{{{what}}}").strip()

    def pid(self, name):
        """Of the program."""
        shell = int(self.asked("pane_pid"))
        children = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(shell)], capture_output=True, check=False)
        for line in children.stdout.decode().splitlines():
            number, command = line.split(None, 1)
            if command.strip() == name:
                return int(number)
        return None

    def wait_for(self, wanted, seconds=20):
        """Until the screen has a text, or what `wanted` says of it is true; returns the screen."""
        seen = [""]

        def there():
            seen[0] = self.text()
            return wanted(seen[0]) if callable(wanted) else wanted in seen[0]

        wait_until(there, seconds, lambda: f"{wanted!r} on the screen, which is\n{seen[0]}\n, ")
        return seen[0]

    def wait_for_end(self, seconds=20):
        """The line that tells how it ended."""
        screen = self.wait_for(ENDED, seconds)
        return next(line for line in screen.split("\n") if ENDED in line)
