# SPDX-License-Identifier: GPL-3.0-only
"""A real collectd with a plugin of ours in it, its log in a file, its values sent to InfluxDB."""

import shutil
from pathlib import Path

from .process import Daemon, Skip, StageError, find_program, wait_until

STOCK_PLUGINS = (Path("/usr/lib/collectd"), Path("/usr/lib64/collectd"))

# PluginDir holds from its line on, so the stock plugins come first and ours last. Our types.db is not
# listed: the plugin has to register its types by itself.
CONFIG = """\
Hostname "{hostname}"
FQDNLookup false
BaseDir "{state}"
PIDFile "{state}/collectd.pid"
Interval {interval}

LoadPlugin logfile
<Plugin logfile>
  LogLevel "info"
  File "{log}"
  Timestamp true
  PrintSeverity true
</Plugin>
{more}
{network}
{deepmon}
"""

# Without a flush, values wait until they fill a packet: that takes long where there are few.
NETWORK = """\
<LoadPlugin network>
  FlushInterval 1
</LoadPlugin>
<Plugin network>
  Server "127.0.0.1" "{port}"
</Plugin>
"""


def quoted(value):
    """A value as collectd.conf has it: numbers and booleans bare, text in quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def plugin_block(name, options):
    """A <Plugin> block; a list gives one line for each of its values."""
    lines = [f"  {key} {quoted(value)}"
             for key, values in options.items()
             for value in (values if isinstance(values, (list, tuple)) else [values])]
    return "\n".join([f"<Plugin {name}>", *lines, "</Plugin>"])


class Collectd(Daemon):
    """collectd -f. `plugin` is our deepmon.so (None: none); `more` is any further configuration.

    `conf` is text that loads and configures our plugin, in place of `options` and `plugin_interval`.
    """

    name = "collectd"

    def __init__(self, state, plugin=None, options=None, interval=2, plugin_interval=None,
                 network_port=None, more="", hostname="stage", conf=None):
        super().__init__(state)
        self.plugin = plugin
        self.options = options or {}
        self.interval = interval
        self.plugin_interval = plugin_interval
        self.network_port = network_port
        self.more = more
        self.hostname = hostname
        self.conf = conf
        self.log_file = self.state / "collectd.log"

    def prepare(self):
        self.log_file.unlink(missing_ok=True)
        (self.state / "collectd.conf").write_text(CONFIG.format(
            hostname=self.hostname, state=self.state, interval=self.interval, log=self.log_file,
            more=self.more, network=NETWORK.format(port=self.network_port) if self.network_port else "",
            deepmon=self.deepmon_config() if self.plugin else ""))

    def deepmon_config(self):
        """Our plugin from a directory that holds a copy of it alone: collectd refuses a symlink."""
        if not Path(self.plugin).exists():
            raise StageError(f"{self.plugin} is missing: build it first (make)")
        directory = self.state / "plugins"
        directory.mkdir(exist_ok=True)
        shutil.copy(self.plugin, directory / "deepmon.so")
        if self.conf:
            return "\n".join([f'PluginDir "{directory}"', self.conf, f'PluginDir "{stock_plugins()}"'])
        load = "LoadPlugin deepmon"
        if self.plugin_interval:
            load = f"<LoadPlugin deepmon>\n  Interval {self.plugin_interval}\n</LoadPlugin>"
        return "\n".join([f'PluginDir "{directory}"', load, plugin_block("deepmon", self.options),
                          f'PluginDir "{stock_plugins()}"'])

    def command(self):
        program = find_program("collectd", "collectd", "collectd-core")
        return [program, "-f", "-C", self.state / "collectd.conf"]

    def ready(self):
        return any("Initialization complete" in line for line in self.log())

    def log(self):
        """The lines of its log so far, each beginning with [time] [severity]."""
        try:
            return self.log_file.read_text(errors="replace").splitlines()
        except OSError:
            return []

    def our_log(self):
        """(severity, text) of what our plugin said, and of what the daemon said about it."""
        found = []
        for line in self.log():
            if "deepmon" in line and line.count("] ") >= 2:
                severity, text = line.split("] ", 2)[1:]
                found.append((severity.strip("[] "), text))
        return found

    def wait_for_log(self, text, seconds=10):
        return wait_until(lambda: next((line for line in self.log() if text in line), None), seconds,
                          f"{text!r} in {self.log_file}")


def stock_plugins():
    """Where collectd's own plugins are, with the multiarch directories of other distributions."""
    for directory in (*STOCK_PLUGINS, *sorted(Path("/usr/lib").glob("*/collectd"))):
        if (directory / "logfile.so").exists():
            return directory
    raise Skip("collectd's plugin directory was not found (Debian package collectd-core)", needs="collectd")
