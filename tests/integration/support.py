# SPDX-License-Identifier: GPL-3.0-only
"""deepmon on the stage: what several of the tests do."""

import os
from pathlib import Path

from stage.collectd import Collectd
from stage.execd_parent import ExecdParent
from stage.influxd import Influxd

SOURCE = Path(__file__).resolve().parent.parent.parent
TYPES = SOURCE / "collectd-plugin" / "types.db"
CPUS = os.sysconf("SC_NPROCESSORS_ONLN")
SECOND = 1_000_000_000  # ns

# The line protocol's `kind`s that make up all the CPU time there is.
KINDS = ("container", "system", "kernel", "idle", "other")


def influxd(t):
    return t.enter(Influxd(t.state / "influxd", TYPES))


def execd(t, *arguments, **settings):
    """deepmon-execd under a stand-in for its agent, until the test ends."""
    settings.setdefault("log", t.state / "execd.log")
    return t.enter(ExecdParent(t.built("deepmon-execd"), list(arguments), **settings))


def collectd(t, options=None, plugin=None, **settings):
    """collectd with our plugin, until the test ends."""
    return t.enter(Collectd(t.state / "collectd", plugin or t.built("deepmon.so"), options, **settings))


def sysroot_options(root):
    """Points deepmon at another /sys, and at this host's own cgroups still."""
    return {"SysRoot": str(root), "CgroupRoot": "/sys/fs/cgroup"}


def csv(t):
    """collectd's csv plugin as `more` configuration, and the directory of what it writes."""
    directory = t.state / "csv"
    return f'LoadPlugin csv\n<Plugin csv>\n  DataDir "{directory}"\n</Plugin>', directory
