# SPDX-License-Identifier: GPL-3.0-only
"""Many cgroups, many containers, and many that come and go: what deepmon costs, holds and lets go of.

By hand: DEEPMON_CGROUPS=10000 makes as many in a minute, where it is 2000 in as much less; DEEPMON_CHURN_SECONDS=60
lets containers come and go for that long.
"""

import os
import time
from pathlib import Path

from stage import host
from stage.cgroups import Cgroup, burn_ns, join, removed
from stage.lineprotocol import find, parse_line
from stage.process import open_files, resident_kib, wait_until

from support import CPUS, SECOND, execd, one, system_name
from test_identity import Host, burn_within, container_id, containers, is_strangers

ALONE = "it counts the host's cgroups, and what a sample costs beside them"

# ---- Idle ones, and those that come and go -------------------------------------------------------

OF, CONTAINERS = 10_000, 1_000  # cgroups of which so many are containers


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def own_cost(parent):
    return find(parent.reports()[-1], "deepmon_self")[0].fields


def test_10000_cgroups_of_which_1000_are_containers(t):
    host.require_bpf()
    by_hand = Host(t)
    for number in range(CONTAINERS):
        identifier = container_id(f"{number:04x}")
        by_hand.write_docker(identifier, f"c{number}")
        by_hand.make(identifier)
    system = by_hand.top.child("system.slice")
    for number in range(OF - CONTAINERS):
        (system.directory / f"unit{number}.service").mkdir()
    options = [*by_hand.options(), "--max-cgroups", "16384", "--memory", "off", "--block-devices", "0"]

    empty = t.enter(Cgroup())
    base = execd(t, "--cgroup-root", "/sys/fs/cgroup", "--sample-interval", "60", *options, signal="STDIN",
                 ticking=False)
    base.tick()
    base.wait_for_batches(1, 60)
    pid = base.process.pid
    started = cpu_seconds(pid)
    t.note(f"start and first report: {started:.2f} s of CPU time, {resident_kib(pid) / 1024:.0f} MiB resident")
    t.between(started, 0, 1, "seconds of CPU time to start and report once")
    told = containers(base)
    t.equal(len(told), CONTAINERS, "containers reported")
    t.true(all(name.startswith("c") for name in told), "all by their names", sorted(told)[:3])
    units = [p for p in find(base.reports()[-1], "deepmon_system") if "unit" in p.tags["cgroup"]]
    t.equal(units, [], "units that never ran")

    costs = []
    for count in range(2, 8):
        before = cpu_seconds(pid)
        base.tick()
        base.wait_for_batches(count, 20)
        costs.append(cpu_seconds(pid) - before)
    t.note(f"a report of {CONTAINERS} idle containers among {OF} cgroups: "
           f"{sum(costs) / len(costs) * 1e3:.0f} ms of CPU time, of which the sample "
           f"{own_cost(base)['sample_duration_ns'] / 1e6:.2f} ms of wall time")
    removed(empty.directory)
    for directory in system.directory.iterdir():
        if directory.is_dir():
            removed(directory)


def cost_of_a_sample(parent, seconds=3):
    """CPU ns of one, between two reports, by deepmon's own account."""
    costs = []
    for _ in range(2):
        batches = len(parent.batches)
        parent.tick()
        parent.wait_for_batches(batches + 1, 20)
        costs.append(own_cost(parent))
        if len(costs) < 2:
            time.sleep(seconds)
    samples = costs[1]["samples"] - costs[0]["samples"]
    return (costs[1]["sample_cpu_time_ns"] - costs[0]["sample_cpu_time_ns"]) / samples, samples


def test_a_steady_sample_does_no_work_for_idle_containers(t):
    host.require_bpf()
    by_hand = Host(t)
    parent = execd(t, *by_hand.options(), "--sample-interval", "0.05", "--memory", "off", "--block-devices", "0",
                   signal="STDIN", ticking=False)
    cost_of_a_sample(parent, 0)
    without, _ = cost_of_a_sample(parent)
    for number in range(CONTAINERS):
        identifier = container_id(f"{number:04x}")
        by_hand.write_docker(identifier, f"c{number}")
        by_hand.make(identifier)
    cost_of_a_sample(parent, 0)
    t.equal(len(containers(parent)), CONTAINERS, "containers reported")
    beside, samples = cost_of_a_sample(parent)
    t.note(f"a sample takes {without / 1e3:.0f} us of CPU time, beside {CONTAINERS} idle containers {beside / 1e3:.0f} us "
           f"({samples} samples)")
    t.true(beside < 1.5 * without + 20_000, "it takes what it took without them, and no 20 ns more for each of them",
           (without, beside))


CHURN_SECONDS = int(os.environ.get("DEEPMON_CHURN_SECONDS", "5"))  # by hand: a minute
FILES_OUTLIVE = 10  # containers: a runtime takes some 100 ms to clear away what it knew of one


def forget_container(by_hand, number):
    path = by_hand.docker_config(container_id(f"{number:08x}"))
    if path.exists():
        path.unlink()
        path.parent.rmdir()


def live_as_container(by_hand, number):
    identifier = container_id(f"{number:08x}")
    by_hand.write_docker(identifier, f"job-{number % 10}")
    directory = by_hand.make(identifier)
    burn_within(directory, 500_000)
    wait_until(lambda: removed(directory), 5, f"the end of {directory}", poll=0.001)
    if number >= FILES_OUTLIVE:
        forget_container(by_hand, number - FILES_OUTLIVE)


def test_100_containers_a_second_leave_nothing_behind(t):
    host.require_bpf()
    by_hand = Host(t)
    parent = execd(t, *by_hand.options(), "--max-ended", "16", interval=1)
    for number in range(100):
        live_as_container(by_hand, number)
    parent.wait_for_batches(len(parent.batches) + 3, 20)
    pid = parent.process.pid
    before = (open_files(pid), resident_kib(pid), own_cost(parent))
    start = time.monotonic()
    for number in range(100, 100 + 100 * CHURN_SECONDS):
        live_as_container(by_hand, number)
        time.sleep(max(0, start + (number - 99) / 100 - time.monotonic()))
    t.note(f"{100 * CHURN_SECONDS} containers in {time.monotonic() - start:.1f} s")
    parent.wait_for_batches(len(parent.batches) + 3, 20)
    after = (open_files(pid), resident_kib(pid), own_cost(parent))
    t.note(f"open files {before[0]}, {after[0]}; resident KiB {before[1]}, {after[1]}; cgroups "
           f"{before[2]['cgroups_tracked']}, {after[2]['cgroups_tracked']}; slots "
           f"{before[2]['slots_used']}, {after[2]['slots_used']}")
    t.equal(after[0], before[0], "open files")
    t.true(after[1] - before[1] < 1024, "resident memory grew by less than 1 MiB", (before[1], after[1]))
    with t.apart():
        t.true(abs(after[2]["slots_used"] - before[2]["slots_used"]) <= 16,
               "slots in use, but for what else came to the host", (before[2], after[2]))
    names = {point.tags["container_name"] for report in parent.reports()
             for point in find(report, "deepmon_container") if not is_strangers(point)}
    t.true({f"job-{number}" for number in range(10)} <= names, "each goes by its name", sorted(names)[:20])
    # One that found no turn in 100 ms on a busy machine goes by its id.
    t.true(len(names) <= 16, "and hardly one by another", sorted(names))


# ---- Those that appear by the thousand ------------------------------------------------------------

CGROUPS = int(os.environ.get("DEEPMON_CGROUPS", "2000"))
PER_SECOND = 10_000 / 60
BURN_NS = 1_000_000
ONE_OF = 5  # cgroups is a container
NARROW = 256  # cgroups that the second deepmon accounts one by one
TOLERANCE = 0.02
KINDS = ("container", "system", "other")


class Worker:
    """A process that uses some CPU time when it is told to, and sleeps while it is put somewhere else.

    cpuacct charges a running task's time at ticks, all of it to where the task is by then: only for a task
    that is moved while it does not run are its figures exact.
    """

    def __enter__(self):
        (go, self.go), (self.done, done) = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.go)
            while os.read(go, 1):
                burn_ns(BURN_NS)
                os.write(done, b"x")
            os._exit(0)
        os.close(go)
        os.close(done)
        return self

    def work_in(self, directory):
        join(directory, self.pid)
        os.write(self.go, b"x")
        os.read(self.done, 1)

    def __exit__(self, *_):
        os.close(self.go)
        os.close(self.done)
        os.waitpid(self.pid, 0)


def appear(by_hand, worker, number):
    """One more cgroup that used some CPU time and stays."""
    if number % ONE_OF:
        directory = by_hand.top.directory / f"unit{number}.service"
        directory.mkdir()
    else:
        identifier = container_id(f"{number:08x}")
        by_hand.write_docker(identifier, f"job-{number}")
        directory = by_hand.make(identifier)
    worker.work_in(directory)


def cpu_of(report, measurement, own):
    return sum(point.fields["cpu_time_ns"] for point in find(report, measurement) if own(point))


def check_against_the_kernel(t, by_hand, report):
    """All that was used in our cgroups, by the kernel's account of the one above them."""
    containers_ns = cpu_of(report, "deepmon_container", lambda point: point.tags["container_name"].startswith("job-"))
    units_ns = cpu_of(report, "deepmon_system", lambda point: point.tags["cgroup"].startswith(system_name(by_hand.top)))
    t.within((containers_ns + units_ns) / SECOND, by_hand.top.usage_ns() / SECOND, TOLERANCE,
             f"CPU seconds of {CGROUPS} cgroups, against the kernel's of the one above")


def check_lines_add_up(t, parent):
    """To the ns: what is not told one by one is in (other), and counters left out stand in an earlier report."""
    last = {}
    reports = parent.reports()
    for report in reports:
        for entity, tag in (("container", "container_name"), ("system", "cgroup")):
            for point in find(report, f"deepmon_{entity}"):
                last[entity, point.tags[tag]] = point.fields["cpu_time_ns"]
    for entity in ("container", "system"):
        t.equal(sum(value for (kind, _), value in last.items() if kind == entity),
                one(reports[-1], "deepmon_total", kind=entity).fields["cpu_time_ns"],
                f"CPU time of all lines of kind {entity}, against its total")


def used_since(before, after):
    return {kind: one(after, "deepmon_total", kind=kind).fields["cpu_time_ns"]
            - sum(point.fields["cpu_time_ns"] for point in find(before, "deepmon_total", kind=kind)) for kind in KINDS}


def check_both_saw_as_much(t, first, last, sums):
    """But for what all CPUs did from the one's sample to the other's."""
    apart = sum(abs(reports["wide"][0].time_ns - reports["narrow"][0].time_ns) for reports in (first, last)) / SECOND
    expected = sum(sums["wide"].values()) / SECOND
    t.within(sum(sums["narrow"].values()) / SECOND, expected, TOLERANCE + apart * CPUS / expected,
             "CPU seconds of all groups where most found no slot, against where all did")


def reports_of_both(**parents):
    """A report of each at the same moment, while nothing else is waited for."""
    counts = {name: len(parent.batches) for name, parent in parents.items()}
    for parent in parents.values():
        parent.tick()
    for name, parent in parents.items():
        parent.wait_for_batches(counts[name] + 1, 60)
    # Of thousands of lines, parsed once.
    return {name: [parse_line(line) for line in parent.batches[counts[name]].lines]
            for name, parent in parents.items()}


def test_cgroups_that_appear_by_the_thousand(t):
    host.require_bpf()
    by_hand = Host(t)
    few = ["--memory", "off", "--block-devices", "0"]
    wide = execd(t, *by_hand.options(), *few, "--max-cgroups", "32768", "--max-units", "65536", "--max-containers",
                 "65536", signal="STDIN", ticking=False, log=t.state / "wide.log")
    narrow = execd(t, *by_hand.options(), *few, "--max-cgroups", str(NARROW), "--max-units", "20", "--max-containers",
                   "20", signal="STDIN", ticking=False, log=t.state / "narrow.log")
    first = reports_of_both(wide=wide, narrow=narrow)
    pids = [parent.process.pid for parent in (wide, narrow)]
    before = [(cpu_seconds(pid), resident_kib(pid), open_files(pid)) for pid in pids]

    worker = t.enter(Worker())
    start, ticks = time.monotonic(), 1
    for number in range(CGROUPS):
        appear(by_hand, worker, number)
        time.sleep(max(0, start + (number + 1) / PER_SECOND - time.monotonic()))
        if time.monotonic() > start + ticks:
            narrow.tick()
            ticks += 1
    t.note(f"{CGROUPS} cgroups in {time.monotonic() - start:.1f} s, {ticks} reports")
    narrow.wait_for_batches(ticks, 20)
    last = reports_of_both(wide=wide, narrow=narrow)
    after = [(cpu_seconds(pid), resident_kib(pid)) for pid in pids]

    report = last["wide"]
    told = [point for point in find(report, "deepmon_container") if not is_strangers(point)]
    t.equal(len([point for point in told if point.tags["container_name"].startswith("job-")]), CGROUPS // ONE_OF,
            "containers told one by one, by their names")
    check_against_the_kernel(t, by_hand, report)

    check_lines_add_up(t, narrow)
    refused = own_cost(narrow)["slots_refused"]
    t.true(refused > 0, f"cgroups past {NARROW} were refused a slot", refused)
    t.note(t.one_line(narrow.stderr_lines, "MaxCgroups", str(NARROW), "other"))
    sums = {name: used_since(first[name], last[name]) for name in first}
    t.note(f"CPU time by kind, ms: " + "; ".join(f"{name} " + ", ".join(
        f"{kind} {value / 1e6:.0f}" for kind, value in of.items()) for name, of in sums.items()))
    t.true(sums["narrow"]["other"] > 0, "what is past MaxCgroups is in the total of kind other", sums)
    check_both_saw_as_much(t, first, last, sums)

    for name, pid, (cpu, kib), (cpu_before, kib_before, files), most in (
            ("wide", pids[0], after[0], before[0], 2 + CGROUPS * 5 // 1024),
            ("narrow", pids[1], after[1], before[1], 4)):
        t.note(f"{name}: {(cpu - cpu_before) / CGROUPS * 1e6:.0f} µs of CPU time for each cgroup, its reports "
               f"included; resident memory grew by {(kib - kib_before) / 1024:.1f} MiB")
        t.true((cpu - cpu_before) / CGROUPS < 0.002, f"{name}: less than 2 ms of CPU time for each", cpu - cpu_before)
        t.between((kib - kib_before) / 1024, -100, most, f"{name}: MiB by which resident memory grew")
        # A file of a name may be open just now.
        wait_until(lambda: open_files(pid) <= files, 10, f"{name}: as many open files as before ({files})")
