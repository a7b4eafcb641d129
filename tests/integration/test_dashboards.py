# SPDX-License-Identifier: GPL-3.0-only
"""The dashboards in contrib/grafana: each query of each panel, its variables filled in as Grafana does, finds something
in a real InfluxDB with what a busy container and a busy pod did, by either path."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from stage import host
from stage.cgroups import hierarchies, join
from stage.collectd import Collectd
from stage.dockerd import container_cgroup
from stage.execd_parent import command_line
from stage.process import wait_until

from support import SOURCE, collectd, execd, influxd, node_with
from test_block import LoopDevice, count_on, use_device
from test_daemonset import NAMES, busy_pod
from test_docs import busy_container, documented, rows
from test_experiment import with_host

DIRECTORY = SOURCE / "contrib" / "grafana"
# What a person picks of what a variable offers.
PICKED = {"host": "stage", "container": "busy", "experiment": "night run"}
DATABASES = {"telegraf": "deepmon", "collectd": "collectd"}
KINDS = {"host", "container", "cluster", "experiment"}


def dashboards(path):
    return {file.stem: json.loads(file.read_text()) for file in sorted((DIRECTORY / path).glob("*.json"))}


def queries(dashboard):
    """(title of the panel, query)."""
    return [(panel["title"], target["query"]) for panel in dashboard["panels"] for target in panel["targets"]]


def variables(dashboard):
    """Those that are queries."""
    return [each for each in dashboard["templating"]["list"] if each["type"] == "query"]


# ---- As they are written --------------------------------------------------------------------------------


def test_there_is_each_of_both_schemas(t):
    uids = []
    for path in DATABASES:
        t.equal(dashboards(path).keys(), KINDS, f"dashboards of {path}")
        for name, dashboard in dashboards(path).items():
            uids.append(dashboard["uid"])
            t.true(36 <= dashboard["schemaVersion"] <= 38, f"{path}/{name} is of Grafana 9 or 10")
            sources = {part["datasource"]["uid"] for panel in dashboard["panels"] for part in (panel, *panel["targets"])}
            t.equal(sources | {each["datasource"]["uid"] for each in variables(dashboard)}, {"${datasource}"},
                    f"where {path}/{name} asks")
            given = {each["name"] for each in dashboard["templating"]["list"]} | {"timeFilter", "__interval"}
            asked = {name for _, query in queries(dashboard) for name in re.findall(r"\$\{?(\w+)", query)}
            t.equal(asked - given, set(), f"variables that {path}/{name} has not")
            ids = [panel["id"] for panel in dashboard["panels"]]
            t.equal(len(set(ids)), len(ids), f"numbers of the panels of {path}/{name}")
    t.equal(len(set(uids)), len(uids), "uids, each of one dashboard")


def test_they_are_of_grafanas_schema(t):
    """Against the types of Grafana's own dashboards, which refuse what they do not know: JSON is TypeScript, too."""
    node, directory = node_with(t, "@grafana/schema")
    types = directory / "node_modules/@grafana/schema/dist/esm/raw/dashboard/x/dashboard_types.gen"
    begin = f'import type {{ Dashboard }} from "{types}";\nexport const dashboard: Dashboard =\n'
    texts = {f"{path}-{file.stem}": file.read_text() for path in DATABASES for file in (DIRECTORY / path).glob("*.json")}
    texts["wrong"] = next(iter(texts.values())).replace('"gridPos"', '"gridPosition"', 1)
    sources = [t.state / f"{name}.ts" for name in texts]
    for source, text in zip(sources, texts.values()):
        source.write_text(begin + text)
    done = subprocess.run([node, directory / "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--skipLibCheck",
                           "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler", *sources],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=100, check=False)
    complaints = [line for line in done.stdout.decode().splitlines() if line.strip()]
    t.equal([line for line in complaints if "wrong.ts" not in line and not line.startswith(" ")], [], "what tsc has against them")
    t.true(any("gridPosition" in line for line in complaints), "what is not in the schema is found", complaints)


def test_names_are_documented(t):
    """A tag that is not there makes an answer poorer, not empty: each name is looked up."""
    known, types = documented(t), {row[2] for row in rows(t, "collectd-rows")}
    for path in DATABASES:
        for name, dashboard in dashboards(path).items():
            for _, query in queries(dashboard) + [(None, each["query"]) for each in variables(dashboard)]:
                measurements = set(re.findall(r'FROM "(\w+)"', query))
                t.equal(len(measurements), 1, f"measurements in {query}")
                if path == "collectd":
                    t.equal(set(re.findall("\"type\" = '(\\w+)'", query)) - types, set(), f"types not known in {query}")
                    words = {"deepmon_value", "host", "instance", "type", "type_instance", "value"}
                else:
                    of = measurements.pop()
                    words = {of, *known[of, "field"], *known.get((of, "tag"), ()), "host", "experiment"}
                words |= set(re.findall(r'AS "([^"]+)"', query))
                t.equal(set(re.findall(r'"([^"]+)"', query)) - words, set(), f"names not known in {path}/{name}: {query}")


# ---- As they are asked ----------------------------------------------------------------------------------


def filled(query, chosen):
    """As Grafana does it: `:regex` escapes, but for what stands for all; the time shown and the step between points."""
    values = {"timeFilter": "time > now() - 1h", "__interval": "1s"}

    def value(match):
        name, how = match[1] or match[3], match[2]
        if name in values:
            return values[name]
        picked, is_all = chosen[name]
        return re.escape(picked) if how and not is_all else picked

    return re.sub(r"\$\{(\w+)(:regex)?\}|\$(\w+)", value, query)


def choose(influx, dashboard, database, whole):
    """{variable: (what is picked, whether it stands for all)}, each of what its query offers; all of it, if whole."""
    chosen = {}
    for variable in variables(dashboard):
        name = variable["name"]
        pattern = re.compile(variable["regex"].strip("/") or "(.*)")

        def offered(query=filled(variable["query"], chosen), pattern=pattern):
            found = (pattern.match(row["value"]) for row in influx.query(query, database))
            return [match[1] for match in found if match]

        wait_until(lambda: PICKED[name] in offered(), 15, f"{PICKED[name]} in what {variable['query']} offers")
        chosen[name] = (variable["allValue"], True) if whole and variable.get("includeAll") else (PICKED[name], False)
    return chosen


def lacking(query, answer):
    """What is not in the answer to a query: any row, a value in some column, the pod, one of the names asked for."""
    if not answer:
        return "rows"
    for column in answer[0]:
        if all(row[column] is None for row in answer):
            return f"a value of {column}"
    if "namespace" in answer[0] and not any(row["namespace"] == NAMES["sandbox-namespace"] for row in answer):
        return "the pod's namespace"
    if "owner_name" in answer[0] and not any(row["owner_name"] for row in answer):
        return "the pod's owner"
    for alternatives in re.findall(r"[\^-]\((\w+(?:\|\w+)+)\)", query):
        for each in alternatives.split("|"):
            if not any(each in str(row.get("type_instance", "")) for row in answer):
                return each
    return None


def use_disk(cgroup, path, device):
    """In a container's cgroups, for ever: files, and a device past the page cache."""
    for root in hierarchies():
        if (root / cgroup).is_dir():
            join(root / cgroup)
    while True:
        with open(path, "w+b", buffering=0) as file:
            file.write(bytes(8192))
            os.fsync(file.fileno())
            file.seek(0)
            file.read(8192)
        use_device(device.path, 1 << 20, 1 << 20)
        time.sleep(0.2)


def busy_disk(t, identifier):
    """The container that has the id uses files and a device of ours, too."""
    directory = container_cgroup(identifier)
    cgroup = next(str(directory.relative_to(root)) for root in hierarchies() if directory.is_relative_to(root))
    device = t.enter(LoopDevice(t.state / "disk"))
    count_on(device, cgroup)
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            use_disk(cgroup, t.state / "file", device)
        finally:
            os._exit(1)
    t.stack.callback(os.waitpid, pid, 0)
    t.stack.callback(os.kill, pid, signal.SIGKILL)


# What some panels take, beside what a report has by itself; the counters are the kernel's own where there are no others.
WHOLE = {"FileIO": "full", "ContainerFiles": 3, "TopFiles": 3, "Peers": 3, "Processes": 3, "ProportionalMemory": "on",
         "ProportionalMemoryInterval": 1, "CyclesEvent": "cpu-clock", "InstructionsEvent": "task-clock"}


def test_each_panel_finds_something(t):
    host.require_bpf()
    influx = influxd(t)
    busy_pod(t, t.state / "containerd")
    options = busy_container(t) | {"FileIO": "counts", "ContainerdRoot": str(t.state / "containerd")}
    experiment = options | {"Experiment": PICKED["experiment"]}
    (identifier,) = [path.name for path in (Path(options["DockerRoot"]) / "containers").iterdir()]
    busy_disk(t, identifier)
    execd(t, *command_line(experiment | WHOLE), interval=1, forward=with_host(influx, PICKED["host"]))
    collectd(t, options | WHOLE, interval=1, network_port=influx.collectd_port)
    t.enter(Collectd(t.state / "collectd-experiment", t.built("deepmon.so"), experiment, interval=1,
                     network_port=influx.collectd_port))
    pending = sorted({(f"{path}/{name}: {title}", filled(query, chosen), database)
                      for path, database in DATABASES.items()
                      for name, dashboard in dashboards(path).items()
                      for chosen in (choose(influx, dashboard, database, whole) for whole in (True, False))
                      for title, query in queries(dashboard)})
    t.note(f"{len(pending)} queries")
    t.true(pending, "queries")
    end = time.monotonic() + 20
    while pending and time.monotonic() < end:
        time.sleep(1)
        found = [(*each, lacking(each[1], influx.query(each[1], each[2]))) for each in pending]
        pending, missing = ([each[:3] for each in found if each[3]],
                            [f"{title} lacks {what}: {query}" for title, query, _, what in found if what])
    t.equal(missing, [], "panels that lack something")
