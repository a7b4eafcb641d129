# SPDX-License-Identifier: GPL-3.0-only
"""The plugin as collectd's users meet it: loads, reports by its own types, unloads, speaks its name."""

import time

from stage import host
from stage.process import wait_until

from support import KINDS, SECOND, collectd, influxd

# How the daemon's own lines begin, and those of the stock plugins that the stage loads.
DAEMONS_WORDS = ("plugin_load:", "Initialization complete", "Exiting normally", "collectd: Stopping",
                 "network plugin:", "Systemd detected", "logfile plugin:", "Notification: ")


def values(influx, condition):
    return influx.query(f"SELECT value FROM deepmon_value WHERE {condition} GROUP BY instance, type_instance",
                        "collectd")


def test_values_arrive_by_types_of_its_own(t):
    host.require_bpf()
    influx = influxd(t)
    daemon = collectd(t, interval=1, network_port=influx.collectd_port)
    wait_until(lambda: values(influx, "type = 'deepmon_cpu_percent'"), 15, "a percentage in InfluxDB")
    for kind in set(KINDS) - {"other"}:
        wait_until(lambda: values(influx, f"type = 'deepmon_cpu_ns' AND instance = 'total-{kind}'"), 10,
                   f"the total of kind {kind}")
    instances = influx.query('SHOW TAG VALUES FROM deepmon_value WITH KEY = "instance"', "collectd")
    t.note(f"plugin instances: {sorted(row['value'] for row in instances)}")
    lost = [line for line in daemon.log() if "data set" in line.lower() or "dataset" in line.lower()]
    t.equal(lost, [], "lines about types that collectd does not know")

    start = time.monotonic()
    status = daemon.stop()
    t.note(f"stopped in {time.monotonic() - start:.2f} s")
    t.equal(status, 0, "exit status of collectd")
    t.true(any("Exiting normally" in line for line in daemon.log()), "collectd exits normally",
           daemon.log()[-3:])


def test_every_line_of_ours_begins_with_our_name(t):
    host.require_bpf()
    influx = influxd(t)
    daemon = collectd(t, {"NoSuchOption": 1}, interval=1, network_port=influx.collectd_port)
    time.sleep(2)
    daemon.stop()
    ours = [text for _, text in daemon.our_log() if text.startswith("deepmon plugin: ")]
    t.true(ours, "lines that begin with 'deepmon plugin: '", daemon.log())
    strange = [line for line in daemon.log()
               if not line.split("] ", 2)[-1].startswith((*DAEMONS_WORDS, "deepmon plugin: "))]
    t.equal(strange, [], "lines that are neither the daemon's nor begin with our name")


def test_an_interval_of_its_own(t):
    host.require_bpf()
    influx = influxd(t)
    collectd(t, interval=60, plugin_interval=2, network_port=influx.collectd_port)
    condition = "type = 'deepmon_cpu_ns' AND instance = 'total-idle'"
    rows = wait_until(lambda: (found := values(influx, condition)) and len(found) >= 3 and found, 15,
                      "three reports by an interval of 2 s")
    steps = [(later["time"] - earlier["time"]) / SECOND for earlier, later in zip(rows, rows[1:])]
    t.note(f"steps of {', '.join(f'{step:.3f}' for step in steps)} s")
    t.within(sum(steps) / len(steps), 2, 0.1, "mean step")
