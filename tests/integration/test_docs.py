# SPDX-License-Identifier: GPL-3.0-only
"""What the documents say is so: the generated parts are fresh, and all that is reported stands in them; what
a reader would paste from README.md, and the sample configurations, run as they are."""

import re
import subprocess
import time
import tomllib

from stage import host
from stage.dockerd import Dockerd
from stage.execd_parent import ExecdParent, command_line
from stage.influxd import STOCK_TYPES
from stage.lineprotocol import parse
from stage.process import find_program, wait_until
from stage.rapl import RaplSim

from support import SOURCE, collectd, csv, execd, influxd, sysroot_options

README = SOURCE / "README.md"
COLLECTD_CONF = SOURCE / "collectd-plugin" / "collectd.conf"
TELEGRAF_CONF = SOURCE / "telegraf-execd" / "telegraf.conf"
# Asks a server of its own over HTTP, again and again: busy enough.
SERVE_AND_SPIN = ("sh", "-c", "httpd -p 127.0.0.1:8080 -h /; "
                  "while :; do wget -q -O /dev/null http://127.0.0.1:8080/bin/busybox; done")
PAGES = (SOURCE / "collectd-plugin" / "deepmon.5", SOURCE / "telegraf-execd" / "deepmon-execd.8")
TOP_PAGE = SOURCE / "contrib" / "top" / "deepmon-top.1"
PYTHON_TYPES = {int: "integer", float: "float", str: "string"}


def catalogue(t, *arguments):
    return subprocess.run([t.built("catalogue"), *map(str, arguments)], capture_output=True, check=True,
                          timeout=10).stdout.decode()


def rows(t, part):
    return [line.split("\t") for line in catalogue(t, part).splitlines()]


# ---- Generated --------------------------------------------------------------------------------------


def test_generated_documents_are_fresh(t):
    for path, part in ((README, "contents"), (README, "metrics"), (README, "options"), (COLLECTD_CONF, "collectd.conf"),
                       (TELEGRAF_CONF, "telegraf.conf"), (PAGES[0], "options.five"), (PAGES[1], "options.eight"),
                       (PAGES[1], "execd.own")):
        t.true(f"generated: {part}" in path.read_text(), f"{path.name} has a region for {part}")
    for path, text in ((SOURCE / "collectd-plugin" / "types.db", catalogue(t, "types.db")),
                       *((path, catalogue(t, "fill", path))
                         for path in (README, COLLECTD_CONF, TELEGRAF_CONF, *PAGES))):
        name = path.relative_to(SOURCE)
        t.true(path.read_text() == text, f"{name} agrees with the catalogues: run make docs",
               f"{name} differs")


def test_links_in_readme_lead_somewhere(t):
    text = README.read_text()
    headings = re.findall(r"^#{1,3} (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    anchors = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    t.equal([each for each in anchors if anchors.count(each) > 1], [], "headings of one address")
    links = re.findall(r"\]\(([^)]+)\)", text)
    t.true(len(links) > 20, "links", links)
    t.equal([link for link in links if link.startswith("#") and link[1:] not in anchors], [], "links to no heading")
    t.equal([link for link in links if not link.startswith(("#", "http")) and not (SOURCE / link.split("#")[0]).exists()],
            [], "links to no file")


def test_manual_pages_are_without_fault(t):
    version = subprocess.run([t.built("deepmon-execd"), "--version"], capture_output=True, check=True).stdout.decode()
    for page in (*PAGES, TOP_PAGE):
        text = page.read_text()
        t.true(f'"deepmon {version.split()[1]}"' in text, f"{page.name} is of this version", text.splitlines()[1])
        for command in (["mandoc", "-Tlint", page], ["groff", "-man", "-ww", "-z", "-Tutf8", page]):
            program = find_program(command[0], "man", {"groff": "groff-base"}.get(command[0], command[0]))
            done = subprocess.run([program, *command[1:]], capture_output=True, timeout=20, check=False)
            t.equal((done.returncode, (done.stdout + done.stderr).decode()), (0, ""), f"{command[0]} of {page.name}")


def test_manual_of_top_has_its_options(t):
    told = subprocess.run([t.built("deepmon-top"), "--help"], capture_output=True, check=True, timeout=10)
    options = re.findall(r"^  --([a-z-]+)", told.stdout.decode(), re.M)
    page = TOP_PAGE.read_text().replace("\\-", "-")
    t.true(len(options) > 5, "options in --help", options)
    t.equal([name for name in options if f"--{name}" not in page], [], f"options that {TOP_PAGE.name} lacks")


def test_collectd_knows_the_other_types(t):
    """A type that is not ours is in collectd's types.db, with one value of a kind that fits."""
    stock = {}
    for line in STOCK_TYPES.read_text().splitlines():
        name, *sources = line.split("#")[0].split() or [""]
        stock[name] = [source.split(":")[1] for source in sources]
    for _, _, name, kind, _, _ in rows(t, "collectd-rows"):
        if name.startswith("deepmon_"):
            continue
        t.true(name in stock, f"{name} is in {STOCK_TYPES}, or begins with deepmon_", name)
        # A GAUGE takes any number; a DERIVE only whole ones that grow.
        t.true(stock[name] in (["GAUGE"], [kind]), f"{name} fits a {kind}", stock[name])


def test_messages_in_troubleshooting_are_said(t):
    """README.md names lines of the log; each part between its gaps is in some source."""
    sources = "".join(path.read_text() for part in ("common", "collectd-plugin", "telegraf-execd")
                      for path in sorted((SOURCE / part).glob("*.c")))
    sources = re.sub(r'"\s*\n\s*"', "", sources)
    messages = re.findall(r"^\| \*([^*]+)\* \|", README.read_text(), re.MULTILINE)
    t.true(len(messages) >= 4, "messages in README.md", messages)
    parts = {part.strip(": ") for message in messages for part in message.split("…")} - {""}
    t.equal([part for part in sorted(parts) if part not in sources], [], "words that deepmon never says")


def test_tests_in_the_table_of_faults_exist(t):
    """README.md names for each fault the test that does it."""
    table = README.read_text().split("<!-- faults -->")[1].split("<!-- end of faults -->")[0]
    rows_of_faults = [line.split(" | ") for line in table.splitlines()[3:] if line]
    t.true(len(rows_of_faults) >= 10, "faults in the table", len(rows_of_faults))
    there = {f"{path.stem.removeprefix('test_')}.{name}" for path in (SOURCE / "tests/integration").glob("test_*.py")
             for name in re.findall(r"^def test_(\w+)\(", path.read_text(), re.MULTILINE)}
    for row in rows_of_faults:
        t.equal(len(row), 4, f"columns of {row[0]}")
        named = re.findall(r"`([\w.]+)`", row[3])
        t.true(named, f"a test of {row[0]}", row)
        t.equal([name for name in named if name not in there], [], f"tests of {row[0]} that there are not")


def test_one_file_serves_both(t):
    """The sample for collectd, with every option set to its default, is a file that deepmon-execd takes."""
    conf = t.state / "deepmon.conf"
    conf.write_text(re.sub(r"^  #(?=\w)", "  ", COLLECTD_CONF.read_text(), flags=re.MULTILINE))
    t.true("\n  SampleInterval 1\n" in conf.read_text(), "options at their default in it")
    done = subprocess.run([t.built("deepmon-execd"), "--config", conf, "--check-config"], capture_output=True,
                          timeout=10, check=False)
    t.equal((done.returncode, done.stderr, done.stdout), (0, b"", b""), "status and what was said")


# ---- Reported ---------------------------------------------------------------------------------------


def busy_container(t):
    """A container that is busy, also on its network, and counters that are simulated: the options to see both."""
    dockerd = t.enter(Dockerd(t.state / "dockerd"))
    dockerd.docker.run("busy", *SERVE_AND_SPIN)
    simulator = t.enter(RaplSim(t.state / "rapl", t.built("rapl-sim"), domains="package,core,dram"))
    return sysroot_options(simulator.root) | {"DockerRoot": str(dockerd.data_root),
                                              "DockerSocket": str(dockerd.socket),
                                              "Network": "on", "HTTP": "on", "LatencyBuckets": "true"}


def documented(t):
    """{(measurement, "tag" or "field"): {name: type}}."""
    known = {}
    listed = subprocess.run([t.built("deepmon-execd"), "--list-metrics"], capture_output=True, check=True, timeout=10)
    for measurement, kind, name, of, *_ in (line.split("\t") for line in listed.stdout.decode().splitlines()):
        known.setdefault((measurement, kind), {})[name] = of
    return known


def check_documented(t, known, point):
    tags, fields = (known.get((point.measurement, kind), {}) for kind in ("tag", "field"))
    t.true(fields, f"{point.measurement} is in DEEPMON_MEASUREMENTS", point)
    t.equal(point.tags.keys() - tags.keys(), set(), f"tags of {point.measurement} that are not documented")
    for field, value in point.fields.items():
        t.equal(PYTHON_TYPES[type(value)], fields.get(field), f"type of {point.measurement} {field}")


def test_lines_are_documented(t):
    host.require_bpf()
    options = busy_container(t) | {"ProportionalMemory": "on", "ProportionalMemoryInterval": 0.2}
    parent = execd(t, *command_line(options), interval=0.5)
    parent.wait_for_batches(4, 15)
    known, seen = documented(t), {}
    for point in parent.points():
        check_documented(t, known, point)
        seen.setdefault(point.measurement, set()).update(point.tags, point.fields)
    for measurement in sorted(seen):
        never = {name for kind in ("tag", "field") for name in known.get((measurement, kind), {})}
        never -= seen[measurement]
        if never:
            t.note(f"{measurement}: {', '.join(sorted(never))} did not occur here")
    missing = {"deepmon_container", "deepmon_container_energy", "deepmon_total", "deepmon_zone_energy",
               "deepmon_container_network", "deepmon_container_transactions", "deepmon_container_buckets"}
    t.equal(missing - seen.keys(), set(), "measurements that did not come")


def test_example_output_is_documented(t):
    known = documented(t)
    points = [point for text in snippets("text") for point in parse(text)]
    t.true(len(points) >= 5, "example lines", len(points))
    for point in points:
        check_documented(t, known, point)


def identifier_pattern(entity, instance, name, type_instance, qualifier):
    """A regular expression of the csv plugin's paths for a row of the documentation."""
    ends = "-".join("[^-]+" for _ in qualifier.split("-")) if qualifier else ""
    named = "-".join(filter(None, (re.escape(type_instance), ends)))
    return (f"deepmon-{entity}" + ("-.+" if instance else "") + "/" + name
            + (f"-{named}" if named else "") + r"-\d{4}-\d\d-\d\d")


def test_identifiers_in_collectd_are_documented(t):
    host.require_bpf()
    more, directory = csv(t)
    collectd(t, busy_container(t), interval=1, more=more)
    wait_until(lambda: list(directory.glob("*/deepmon-container-busy/power-*")), 15, "power of the container")
    wait_until(lambda: list(directory.glob("*/deepmon-container-busy/total_requests-http-server*")), 15,
               "its transactions")
    known = re.compile("|".join(identifier_pattern(entity, instance, name, type_instance, qualifier)
                                for entity, instance, name, _, type_instance, qualifier
                                in rows(t, "collectd-rows")))
    paths = sorted(str(path.relative_to(path.parent.parent)) for path in directory.glob("*/deepmon-*/*"))
    t.note(f"{len(paths)} identifiers")
    t.equal([path for path in paths if not known.fullmatch(path)], [], "identifiers that are not documented")


# ---- Pasted -----------------------------------------------------------------------------------------


def snippets(language):
    found = re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"README.md has no {language}"
    return found


class PastedExecd(ExecdParent):
    """The command that a configuration of Telegraf's has, with the binary that was built."""

    def __init__(self, t, conf):
        block = tomllib.loads(conf)["inputs"]["execd"][0]
        self.pasted = block["command"]
        t.equal(self.pasted[0], "/usr/bin/deepmon-execd", "where the binary is installed")
        t.note(f"{' '.join(self.pasted)}, signal {block['signal']}")
        super().__init__(t.built("deepmon-execd"), signal=block["signal"], interval=1)

    def command(self):
        return [self.program, *self.pasted[1:]]


def check_telegraf(t, conf):
    parent = t.enter(PastedExecd(t, conf))
    parent.wait_for_batches(1, 15)
    t.true(parent.points(), "points")
    t.equal(parent.stop().status, 0, f"its status (stderr: {parent.stderr_lines})")
    t.equal([line for line in parent.stderr_lines if line.startswith("E!")], [], "errors")


def check_collectd(t, conf):
    more, directory = csv(t)
    daemon = collectd(t, interval=1, more=more, conf=conf)
    wait_until(lambda: list(directory.glob("*/deepmon-total-idle/deepmon_cpu_ns*")), 10, "values in collectd")
    # In a virtual machine there is one more, about energy.
    t.equal([text for _, text in daemon.our_log() if "ignored" in text or "unknown" in text.lower()], [],
            "complaints about options")
    t.equal(daemon.stop(), 0, "exit status of collectd")


def test_readme_telegraf(t):
    host.require_bpf()
    for snippet in snippets("toml"):
        check_telegraf(t, snippet)


def test_sample_telegraf_conf(t):
    host.require_bpf()
    check_telegraf(t, TELEGRAF_CONF.read_text())


def test_sample_telegraf_conf_options(t):
    """Each option that it shows is accepted with the default that it shows."""
    shown = re.findall(r'^  ##   ("--.*)$', TELEGRAF_CONF.read_text(), re.MULTILINE)
    arguments = [word for line in shown for word in tomllib.loads(f"words = [{line}]")["words"]]
    t.true(len(shown) >= 10, "options shown", len(shown))
    done = subprocess.run([t.built("deepmon-execd"), *arguments, "--version"], capture_output=True, timeout=10,
                          check=False)
    t.equal((done.returncode, done.stderr), (0, b""), "status and stderr")


def test_readme_collectd(t):
    host.require_bpf()
    for snippet in snippets("apache"):
        check_collectd(t, snippet)


def test_sample_collectd_conf(t):
    host.require_bpf()
    check_collectd(t, COLLECTD_CONF.read_text())


def test_sample_collectd_conf_with_every_option(t):
    host.require_bpf()
    conf, count = re.subn(r"^  #(?=[A-Z])", "  ", COLLECTD_CONF.read_text().split("<Plugin", 1)[1],
                          flags=re.MULTILINE)
    t.true(count >= 10, "options shown", count)
    check_collectd(t, "LoadPlugin deepmon\n<Plugin" + conf)


def test_readme_queries(t):
    """Each finds something, of the path whose names it has."""
    host.require_bpf()
    influx = influxd(t)
    options = busy_container(t)
    execd(t, *command_line(options), interval=1, forward=influx.write)
    collectd(t, options, interval=1, network_port=influx.collectd_port)
    time.sleep(6)
    for query in snippets("sql"):
        database = "collectd" if "deepmon_value" in query else "deepmon"
        found = wait_until(lambda q=query, d=database: [row for row in influx.query(q, d) if "busy" in str(row)],
                           10, f"the container in the answer to {query}")
        t.note(f"{query.splitlines()[0]} …: {found[-1]}")
