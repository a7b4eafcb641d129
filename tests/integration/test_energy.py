# SPDX-License-Identifier: GPL-3.0-only
"""Whose energy it is, held against the simulator's model, which knows it; and the books close to the µJ."""

import mmap
import os
import time

from stage import host
from stage.cgroups import Cgroup, burn_ns
from stage.execd_parent import command_line
from stage.lineprotocol import find
from stage.process import Skip, StageError
from stage.rapl import RaplSim

from support import (CPUS, SECOND, check_shared_by, duty, execd, growth, microjoules, one,
                     reports_without_system, spin, sysroot_options, two_cpus)

ALONE = "the simulated host's energy is shared by all that runs"

DOMAINS = ("package", "core", "dram")
IDLE_WATTS = {"IdlePackageWatts": 10, "IdleCoreWatts": 0, "IdleDramWatts": 2}  # rapl-sim's, of one zone
WATTS = {"package": 30, "core": 16, "dram": 5}  # of a zone with one busy CPU
POLICIES = {
    "proportional": {"IdlePolicy": "proportional"},
    "separate": {"IdlePolicy": "separate", **IDLE_WATTS},
    "equal": {"IdlePolicy": "equal", **IDLE_WATTS},
}
STEP_MS = 200  # of 100 at least the simulator tells the truth of every step
WINDOW_SECONDS = 10
TOLERANCE = 0.02
STOLEN_MOST = 0.08  # is allowed for, of what a hypervisor took
QUIET = 0.3  # in use, of a socket that is quiet enough to learn from
PAGE = mmap.PAGESIZE


# ---- The stage ----------------------------------------------------------------------------------


def containers(t, *keys):
    """{key: (cgroup, its container's name)}: cgroups where Docker's would be, of ids that nobody has."""
    docker = t.enter(Cgroup()).child("docker")
    ids = {key: os.urandom(32).hex() for key in keys}
    return {key: (docker.child(identifier), identifier[:12]) for key, identifier in ids.items()}


def simulate(t, stage, **settings):
    """The simulator, which tells the truth of those containers."""
    two_cpus()
    cgroups = {key: cgroup.directory for key, (cgroup, _) in stage.items()}
    return t.enter(RaplSim(t.state / "rapl", t.built("rapl-sim"), cgroups=cgroups, **settings))


def metered(t, simulator, options, **settings):
    """deepmon-execd on the simulator's tree; no Docker is asked for names."""
    options = sysroot_options(simulator.root) | {"DockerRoot": t.state, "DockerSocket": ""} | options
    return execd(t, *command_line(options), **settings)


def report_at_steps(simulator, parents, seconds):
    """A report just after each step of the simulator, so that both look at the same stretches of time."""
    ends, size = time.monotonic() + seconds, simulator.truth_file.stat().st_size
    while time.monotonic() < ends:
        if size != simulator.truth_file.stat().st_size:
            size = simulator.truth_file.stat().st_size
            for parent in parents:
                parent.tick()
        time.sleep(0.002)


def work(stage):
    """All of one CPU, half of the other, and a fifth of both."""
    first, second = two_cpus()
    stage["whole"][0].run(spin, first)
    stage["half"][0].run(duty, second, 0.5)
    stage["fifth"][0].run(duty, first, 0.2)
    stage["fifth"][0].run(duty, second, 0.2)


# ---- What must hold in every report -------------------------------------------------------------


def energies(report, measurement, domain, tag):
    """{tag: energy in µJ}."""
    return {point.tags[tag]: microjoules(point.fields["energy_joules"])
            for point in find(report, measurement, domain=domain)}


def check_books(t, reports):
    """Parts, zones and host are the same energy to the µJ, and so are containers while none has ended."""
    checked = 0
    for report in reports:
        for point in find(report, "deepmon_host_energy"):
            domain, host_uj = point.tags["domain"], microjoules(point.fields["energy_joules"])
            parts = energies(report, "deepmon_total_energy", domain, "kind")
            zones = energies(report, "deepmon_zone_energy", domain, "zone")
            t.equal((sum(parts.values()), sum(zones.values())), (host_uj, host_uj),
                    f"µJ of {domain}: all parts {parts}, all zones {zones}")
            checked += 1
            if not one(report, "deepmon_total_churn", kind="container").fields["ended_cgroups"]:
                each = energies(report, "deepmon_container_energy", domain, "container_name")
                t.equal(sum(each.values()), parts["container"], f"µJ of {domain}: all containers {each}")
    return checked


def check_never_back(t, reports):
    """No energy counter goes back, whatever comes, goes and comes again."""
    last = {}
    for report in reports:
        for point in report:
            if "energy_joules" not in point.fields:
                continue
            joules = point.fields["energy_joules"]
            t.true(joules >= last.get(point.series, 0), f"{point.series} does not go back",
                   f"{last.get(point.series)} and then {joules}")
            last[point.series] = joules


def check_watts(t, reports):
    """Watts are the joules' growth over one interval, which is the same for all in a report."""
    for before, after in zip(reports, reports[1:]):
        known = {point.series: point.fields["energy_joules"] for point in before
                 if "energy_joules" in point.fields}
        seconds = []
        for point in after:
            joules = point.fields.get("energy_joules", 0) - known.get(point.series, 0)
            if point.series in known and point.measurement.endswith("_energy") and joules > 0.5:
                seconds.append(joules / point.fields["power_watts"])
        t.true(seconds, "figures that grew by 0.5 J", after)
        # Both counters are rounded to a µJ.
        t.between(max(seconds) / min(seconds), 1, 1 + 1e-5, "the longest interval over the shortest")
        stamped = (after[0].time_ns - before[0].time_ns) / SECOND
        t.between(seconds[0], stamped - 0.2, stamped + 0.2, "seconds of the interval, against the timestamps")


def readings_of(truth, reports, zone):
    """The simulator's step that each report saw in that zone: deepmon counts from what the counter said at
    its start, so there is one distance between the two that fits all reports, to the µJ."""
    choices = []
    for report in reports:
        told = microjoules(one(report, "deepmon_zone_energy", zone=zone).fields["energy_joules"])
        choices.append({record["zones"][zone] - told: record for record in truth.records
                        if report[0].time_ns - 3 * SECOND < record["time_ns"] <= report[0].time_ns})
    fitting = set(choices[0]).intersection(*choices[1:])
    if len(fitting) != 1:
        raise StageError(f"{len(fitting)} ways to see the simulator's counter in the reports' {zone}")
    distance = fitting.pop()
    return [choice[distance] for choice in choices]


def steps_read(truth, reports):
    """[(report, the simulator's step that it saw)] but for those during which a step was under way."""
    zones = [readings_of(truth, reports, zone) for zone in truth.records[0]["zones"]]
    return [(report, steps[0]) for report, *steps in zip(reports, *zones)
            if all(step is steps[0] for step in steps)]


# ---- Attribution --------------------------------------------------------------------------------


def check_joules(t, got, true_uj, domain, stolen, what):
    """Within TOLERANCE of the truth, and what CPU time can cost that the kernel did not see used."""
    true = true_uj / 1e6
    with t.apart():
        t.within(got, true, TOLERANCE + min(stolen * WATTS[domain] / true, STOLEN_MOST), f"{what}: J of {domain}")


def truth_of(policy, key, domain, steps, bearers):
    """What the container used from the first of those steps to the last, in µJ."""
    kind = "proportional_uj" if policy == "proportional" else "dynamic_uj"
    used = steps[-1]["cgroups"][key][kind][domain] - steps[0]["cgroups"][key][kind][domain]
    if policy == "equal":
        used += sum((after["idle_uj"][domain] - before["idle_uj"][domain]) / count
                    for before, after, count in zip(steps, steps[1:], bearers[1:]))
    return used


def close_ends(pairs):
    """Those pairs but for some at both ends, so that the first report and the last came soon after their step:
    in between it does not matter."""

    def late(index):
        report, step = pairs[index]
        return report[0].time_ns - step["time_ns"]

    first = min(range(len(pairs) // 5), key=late)
    last = min(range(len(pairs) * 4 // 5, len(pairs)), key=late)
    return pairs[first:last + 1]


def check_policy(t, policy, stage, truth, reports, stolen):
    reports, steps = zip(*close_ends(steps_read(truth, reports)))
    bearers = [one(report, "deepmon_total_churn", kind="container").fields["reported"] for report in reports]
    t.true(len(reports) > WINDOW_SECONDS, "reports that saw one step", f"{len(reports)}")
    for key, (_, name) in stage.items():
        for domain in DOMAINS:
            got = growth(reports[0], reports[-1], "deepmon_container_energy", "energy_joules",
                         container_name=name, domain=domain)
            check_joules(t, got, truth_of(policy, key, domain, steps, bearers), domain, stolen,
                         f"{policy}, {key}")


def test_each_idle_policy_against_the_model(t):
    """Two sockets, three domains, three containers; all policies at once, over the same seconds."""
    host.require_bpf()
    stage = containers(t, "whole", "half", "fifth")
    simulator = simulate(t, stage, sockets=2, period_ms=STEP_MS)
    work(stage)
    # SampleInterval: no samples but the reports'.
    parents = {policy: metered(t, simulator, options | {"SampleInterval": 60}, signal="STDIN", ticking=False)
               for policy, options in POLICIES.items()}
    time.sleep(1)
    stolen = host.Stolen()
    report_at_steps(simulator, parents.values(), WINDOW_SECONDS)
    time.sleep(0.3)
    all_reports = {policy: reports_without_system(parent)[1:] for policy, parent in parents.items()}
    truth, stolen = simulator.truth(), stolen.seconds()
    t.note(f"{stolen:.2f} CPU seconds stolen")

    for policy, reports in all_reports.items():
        check_policy(t, policy, stage, truth, reports, stolen)
        t.note(f"{policy}: {check_books(t, reports)} sums of {len(reports)} reports are exact to the µJ")
        check_never_back(t, reports)
        check_watts(t, reports)


def busiest_of_quietest(truth, reports):
    """In the quietest stretch between two reports, how much of a socket was in use; of the sockets the most.
    What a socket did is learnt from each of these stretches."""
    return max(min(truth.between(before[0].time_ns, after[0].time_ns, "busy_ns", socket) /
                   (after[0].time_ns - before[0].time_ns) for before, after in zip(reports, reports[1:]))
               for socket in ("0", "1")) * 2 / CPUS


def wait_for_quiet(t, simulator, parent):
    """Others may keep this host busy: without any quiet second nobody could learn what idles."""
    used = 1
    for _ in range(6):
        parent.wait_for_batches(max(4, len(parent.batches) + 1), 10)
        time.sleep(0.2)  # the truth must be past the last report
        used = busiest_of_quietest(simulator.truth(), reports_without_system(parent))
        if used < QUIET:
            t.note(f"in a quiet second the sockets were in use for {used:.1%} at most")
            return
    raise Skip(f"others use {used:.0%} of a socket at least: what idles can't be learnt")


def test_learned_idle_power_against_the_model(t):
    """Nobody says what idles: deepmon learns it from a host that is quiet first, and then busy."""
    host.require_bpf()
    stage = containers(t, "whole", "half", "fifth")
    simulator = simulate(t, stage, sockets=2, period_ms=5)
    parent = metered(t, simulator, {"IdlePolicy": "separate"}, interval=1)
    wait_for_quiet(t, simulator, parent)
    work(stage)
    learnt, stolen = len(parent.batches) + 4, host.Stolen()
    parent.wait_for_batches(learnt + 8, 20)
    time.sleep(0.2)
    reports = reports_without_system(parent)
    check_learned(t, stage, simulator.truth(), reports[learnt - 1], reports[learnt + 7], stolen.seconds())
    check_books(t, reports)


def check_learned(t, stage, truth, first, last, stolen):
    start, end = first[0].time_ns, last[0].time_ns
    for domain in DOMAINS:
        joules = growth(first, last, "deepmon_total_energy", "energy_joules", kind="idle", domain=domain)
        true_joules = truth.between(start, end, "idle_uj", domain) / 1e6
        t.note(f"learned: idle power of {domain}: {joules / (end - start) * SECOND:.3f} W of both sockets, "
               f"{true_joules / (end - start) * SECOND:.3f} W in truth")
        for key, (_, name) in stage.items():
            got = growth(first, last, "deepmon_container_energy", "energy_joules", container_name=name,
                         domain=domain)
            check_joules(t, got, truth.between(start, end, "cgroups", key, "dynamic_uj", domain), domain,
                         stolen, f"learned, {key}")


# ---- Memory's energy ----------------------------------------------------------------------------


def fault():
    """Faults in page after page, for ever."""
    area = mmap.mmap(-1, 1024 * PAGE)
    area.madvise(mmap.MADV_NOHUGEPAGE)
    while True:
        for offset in range(0, len(area), PAGE):
            area[offset] = 1
        area.madvise(mmap.MADV_DONTNEED)


def test_memory_energy_follows_cache_misses(t):
    """Page faults stand for cache misses, which few virtual machines count."""
    host.require_bpf()
    stage = containers(t, "faulting", "spinning")
    simulator = simulate(t, stage, period_ms=20)
    stage["faulting"][0].run(fault)
    stage["spinning"][0].run(duty, two_cpus()[0], 0.7)
    # No samples in between: each report is one division of energy.
    parent = metered(t, simulator, {"CacheMissesEvent": "page-faults", "IdlePolicy": "proportional",
                                    "SampleInterval": 60}, interval=0.5)
    parent.wait_for_batches(8, 15)
    reports = parent.reports()[1:]

    for before, after in zip(reports, reports[1:]):
        check_shared_by(t, before, after, "dram", ("_perf", "cache_misses"))
        check_shared_by(t, before, after, "package", ("", "energy_weight"))
    check_books(t, reports)
    for key, (_, name) in stage.items():
        faults = growth(reports[0], reports[-1], "deepmon_container_perf", "cache_misses", container_name=name)
        joules = {domain: growth(reports[0], reports[-1], "deepmon_container_energy", "energy_joules",
                                 container_name=name, domain=domain) for domain in ("package", "dram")}
        t.note(f"{key}: {faults} faults, {joules['package']:.2f} J of package, {joules['dram']:.3f} J of dram")
    t.between(joules["dram"] / joules["package"], 0, 0.05, "J of dram over J of package where nothing faults")


# ---- Coming and going ---------------------------------------------------------------------------

LIVES = 3
LIFE_NS = 500_000_000


def live_once(docker, identifier):
    """A container's whole life, between two reports; it ends after the simulator has seen all it did."""
    cgroup = docker.child(identifier)
    cgroup.run(lambda: (time.sleep(0.02), burn_ns(LIFE_NS)))
    os.waitpid(cgroup.processes.pop(), 0)
    time.sleep(0.05)
    cgroup.remove()
    time.sleep(0.05)


def test_what_ended_is_not_lost_and_goes_on_under_its_name(t):
    """A container lives for half a second of CPU time, three times, always between two reports."""
    host.require_bpf()
    docker, identifier = t.enter(Cgroup()).child("docker"), os.urandom(32).hex()
    simulator = t.enter(RaplSim(t.state / "rapl", t.built("rapl-sim"), period_ms=10,
                                cgroups={"short": docker.directory / identifier}))
    parent = metered(t, simulator, {"SampleInterval": 60, **POLICIES["separate"]}, signal="STDIN",
                     ticking=False)

    def report():
        parent.tick()
        parent.wait_for_batches(len(parent.batches) + 1, 10)

    stolen = host.Stolen()
    for _ in range(2):
        report()
    for _ in range(LIVES):
        live_once(docker, identifier)
        report()
        report()
    reports, truth = reports_without_system(parent), simulator.truth().records[-1]["cgroups"]["short"]
    check_books(t, reports)
    check_never_back(t, reports)
    seen = [find(report, "deepmon_container_energy", container_name=identifier[:12], domain="package")
            for report in reports]
    last = one(reports[-1], "deepmon_self").fields
    told = [(len(find(report, "deepmon_host_energy")), sorted(point.tags["container_name"] for point in
             find(report, "deepmon_container"))) for report in reports]
    t.equal([len(points) for points in seen], [0, 0] + [1, 0] * LIVES,
            f"points of {identifier[:12]} in each report (domains and containers: {told}; events dropped: "
            f"{last['events_dropped']}; ended unreported: {last['ended_unreported']})")
    for domain in DOMAINS:
        last = one(reports[-2], "deepmon_container_energy", container_name=identifier[:12], domain=domain)
        check_joules(t, last.fields["energy_joules"], truth["dynamic_uj"][domain], domain, stolen.seconds(),
                     f"{LIVES} lives")
        kept = one(reports[-1], "deepmon_total_energy", kind="container", domain=domain)
        t.true(kept.fields["energy_joules"] >= last.fields["energy_joules"], "the total has it still", kept)


# ---- A counter that wraps -----------------------------------------------------------------------

RANGE_UJ = 1_000_000_000


def test_a_counter_that_wraps_between_two_reports(t):
    """A kilojoule of range at 600 to 1000 W; the agent asks every 5 s, deepmon looks inside."""
    host.require_bpf()
    simulator = t.enter(RaplSim(t.state / "rapl", t.built("rapl-sim"), period_ms=STEP_MS, domains="package",
                                range_uj=RANGE_UJ, idle_watts=600, busy_watts=200))
    parent = metered(t, simulator, {"SampleInterval": 0.2}, interval=5)
    parent.wait_for_batches(2, 20)
    time.sleep(0.2)
    reports, truth = reports_without_system(parent), simulator.truth()
    steps = readings_of(truth, reports, "package-0")
    counters = [one(report, "deepmon_zone", zone="package-0").fields for report in reports]
    wraps = counters[-1]["wraps"] - counters[0]["wraps"]
    t.note(f"{wraps} wraps in {(reports[-1][0].time_ns - reports[0][0].time_ns) / SECOND:.1f} s; "
           "energy is the simulator's to the µJ")
    t.equal([fields["anomalies"] for fields in counters], [0] * len(counters), "anomalies")
    t.equal(wraps, steps[-1]["zones"]["package-0"] // RANGE_UJ - steps[0]["zones"]["package-0"] // RANGE_UJ,
            "wraps")
    check_books(t, reports)
    check_watts(t, reports)
