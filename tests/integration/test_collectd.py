# SPDX-License-Identifier: GPL-3.0-only
"""The plugin as collectd's users meet it: loads, reports by its own types, unloads, speaks its name."""

import re
import subprocess
import time

from stage import host, leftovers
from stage.collectd import Collectd
from stage.influxd import STOCK_TYPES
from stage.process import wait_until

from support import KINDS, SECOND, TYPES, collectd, csv, influxd

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


# Lines of a block, each of them bad: what deepmon says of it tells how it was read.
BAD_LINES = [
    "SampleInterval 0x64", "SampleInterval +99.50", "SampleInterval 1.25e+3", "SampleInterval .5e+9",
    "SampleInterval 077", "SampleInterval -5", "SampleInterval 1e9", 'SampleInterval "a\\"b\\\\c\\d"',
    "SampleInterval on", "SampleInterval no", "SampleInterval true", "SampleInterval word_1", "SampleInterval 1_000",
    "SampleInterval 10.0.0.1:80", "SampleInterval ::1", 'SampleInterval "#a" # comment',
    'SampleInterval "a\\\n      b"', "SampleInterval \\\n  99", 'SampleInterval "two\nlines"', "SampleInterval 1 2",
    "NoSuchOption 1", "CgroupHierarchy off", 'IgnoreSelected "maybe"', "MaxCgroups 1.5", 'Container "/(/"',
    "sampleinterval\t99", "SampleInterval\t 99 \t", "\n\nSampleInterval 99\n\n",
]


def test_execd_reads_a_block_as_collectd_does(t):
    """Each bad line gets the same words from both: the same value was read."""
    daemon = collectd(t, conf="\n".join(["LoadPlugin deepmon", "<Plugin deepmon>", *BAD_LINES, "</Plugin>"]))
    said = [text.removeprefix("deepmon plugin: ").removesuffix(". The option is ignored")
            for _, text in daemon.our_log() if text.endswith(". The option is ignored")]
    daemon.stop()
    t.equal(len(said), len(BAD_LINES), f"warnings of collectd's plugin: {said}")
    for line, collectds in zip(BAD_LINES, said):
        path = t.state / "deepmon.conf"
        path.write_text(f"<Plugin deepmon>\n{line}\n</Plugin>\n")
        done = subprocess.run([t.built("deepmon-execd"), "--check-config", "--config", path], capture_output=True,
                              timeout=10, check=False)
        words = re.sub("^E! deepmon: .* line [0-9]+: ", "", done.stderr.decode().rstrip("\n"))
        t.equal((done.returncode, words), (2, collectds), f"status and words of deepmon-execd about {line!r}")


def test_types_that_the_users_types_db_has(t):
    """They are the user's, and the values the same."""
    host.require_bpf()
    more, directory = csv(t)
    daemon = collectd(t, interval=1, more=f'TypesDB "{STOCK_TYPES}" "{TYPES}"\n{more}')
    wait_until(lambda: list(directory.glob("*/deepmon-total-system/deepmon_cpu_ns-2*")), 15, "values")
    complaints = [text for severity, text in daemon.our_log() if "data set" in text.lower() or severity == "error"]
    t.equal(complaints, [], "complaints about types")


def test_stopped_and_started_again(t):
    """Everything goes with the daemon, and counters begin again at 0."""
    host.require_bpf()
    more, directory = csv(t)
    daemon = Collectd(t.state / "collectd", t.built("deepmon.so"), interval=1, more=more)

    def samples():
        paths = list(directory.glob("*/deepmon-self/total_operations-samples-2*"))
        return [int(line.split(",")[1]) for line in paths[0].read_text().splitlines()[1:]] if paths else []

    for turn in range(3):
        before = len(samples())
        with daemon:
            wait_until(lambda: len(samples()) >= before + 3, 15, "three reports")
            held = leftovers.held_by(daemon.process.pid)
            t.true(held, "programs and maps while it runs")
            t.equal(daemon.stop(), 0, f"exit status of collectd, turn {turn + 1}")
        wait_until(lambda: not leftovers.remaining(held), 10, lambda: f"the end of {leftovers.remaining(held)}")
    rows = samples()
    t.note(f"samples taken: {rows}")
    t.equal(len([later for earlier, later in zip(rows, rows[1:]) if later < earlier]), 2,
            "times that the counter began again")
