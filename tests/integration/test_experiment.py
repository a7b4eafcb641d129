# SPDX-License-Identifier: GPL-3.0-only
"""The same Experiment on several hosts, and the README's queries that sum over them."""

import re
import time

from stage import host
from stage.cgroups import Container
from stage.lineprotocol import parse_line
from stage.process import wait_until
from stage.rapl import RaplSim

from support import SOURCE, collectd, duty, execd, influxd, one, reports_without_system, two_cpus

EXPERIMENT = "night run"


def queries():
    """The README's two: of Telegraf's schema, of collectd's."""
    return re.findall(r"^```influxql\n(.*?)^```", (SOURCE / "README.md").read_text(), re.MULTILINE | re.DOTALL)


def with_host(influx, name):
    """What an agent does to lines on their way: its tag."""

    def forward(text):
        lines = [re.sub(r"^([^ ,]+)", rf"\1,host={name}", line) for line in text.decode().splitlines()]
        return influx.write(("\n".join(lines) + "\n").encode())

    return forward


def grown(reports, domain):
    first, last = (one(report, "deepmon_total_energy", kind="container", domain=domain).fields["energy_joules"]
                   for report in (reports[0], reports[-1]))
    return last - first


def test_two_hosts_are_summed_by_one_query(t):
    host.require_bpf()
    influx = influxd(t)
    simulator = t.enter(RaplSim(t.state / "sim", t.built("rapl-sim")))
    t.enter(Container()).run(duty, two_cpus()[0], 0.4)
    options = ("--sys-root", simulator.root, "--cgroup-root", "/sys/fs/cgroup")
    hosts = [execd(t, *options, "--experiment", EXPERIMENT, interval=0.5, forward=with_host(influx, name),
                   log=t.state / f"{name}.log") for name in ("a", "b")]
    other = execd(t, *options, "--experiment", "another", interval=0.5, forward=with_host(influx, "c"),
                  log=t.state / "c.log")
    for parent in (*hosts, other):
        parent.wait_for_batches(6, 20)
    for parent in (*hosts, other):
        parent.stop()
    t.equal([parent.errors for parent in hosts], [[], []], "what InfluxDB refused")
    for parent in hosts:
        tagless = [line for batch in parent.batches for line in batch.lines
                   if parse_line(line).tags.get("experiment") != EXPERIMENT]
        t.equal(tagless, [], "lines without the experiment's tag")
    answer = {row["domain"]: row["sum"] for row in influx.query(queries()[0])}
    for domain in ("package", "core", "dram"):
        t.within(answer[domain], sum(grown(reports_without_system(parent), domain) for parent in hosts), 1e-6,
                 f"J of {domain} on two hosts, by the README's query")


def test_collectd_puts_it_before_the_instance(t):
    host.require_bpf()
    influx = influxd(t)
    simulator = t.enter(RaplSim(t.state / "sim", t.built("rapl-sim")))
    t.enter(Container()).run(duty, two_cpus()[0], 0.4)
    collectd(t, {"SysRoot": str(simulator.root), "CgroupRoot": "/sys/fs/cgroup", "Experiment": EXPERIMENT},
             interval=1, network_port=influx.collectd_port)
    time.sleep(4)
    rows = wait_until(lambda: [row for row in influx.query(queries()[1], "collectd") if row["sum"]], 15,
                      "joules in the answer to the README's query")
    instances = {row["value"] for row in influx.query("SHOW TAG VALUES FROM deepmon_value WITH KEY = instance",
                                                      "collectd")}
    t.true(any(row["type_instance"].startswith("package-") for row in rows), "joules of the package", rows)
    t.equal([each for each in instances if not each.startswith(f"{EXPERIMENT}-")], [],
            "instances without the experiment")
