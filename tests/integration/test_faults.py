# SPDX-License-Identifier: GPL-3.0-only
"""Bad input: each gives one clear line (which thing, which value, what to do), and the rest goes on."""

import subprocess
import time

from stage import host
from stage.execd_parent import command_line
from stage.lineprotocol import find
from stage.process import find_program, wait_until
from stage.rapl import PackageTree

from support import collectd, csv, execd, sysroot_options


# ---- Options ------------------------------------------------------------------------------------


def refused(t, *arguments):
    """Runs deepmon-execd with options that it must refuse; the one line that it says."""
    done = subprocess.run([t.built("deepmon-execd"), *arguments], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=10, check=False)
    lines = done.stderr.decode(errors="replace").splitlines()
    t.note(f"{' '.join(arguments)}: {lines[0] if lines else 'nothing'}")
    t.equal((done.returncode, len(lines), done.stdout), (2, 1, b""), f"status, lines and output ({lines})")
    return lines


def test_execd_refuses_a_misspelt_option(t):
    t.one_line(refused(t, "--smaple-interval", "1"), "smaple-interval")


def test_execd_refuses_a_value_out_of_range(t):
    t.one_line(refused(t, "--sample-interval", "900"), "sample", "interval", "900", "60")


def test_execd_refuses_a_value_that_is_no_number(t):
    t.one_line(refused(t, "--max-cgroups", "abc"), "max", "cgroups", "abc")


def test_execd_refuses_a_strange_word(t):
    t.one_line(refused(t, "--cgroup-hierarchy", "blkio"), "hierarchy", "blkio", "cpuacct")


def test_execd_refuses_an_event_that_is_none(t):
    t.one_line(refused(t, "--cache-misses-event", "cache-mises"), "CacheMissesEvent", "cache-mises", "perf list",
               "r412e", "none")


def collectd_warns(t, options, *words):
    """collectd with that configuration: one line of ours with those words, and values all the same."""
    host.require_bpf()
    more, values = csv(t)
    daemon = collectd(t, options, interval=1, more=more)
    wait_until(lambda: list(values.glob("*/deepmon-total-idle/deepmon_cpu_ns*")), 10,
               "values in spite of the bad option")
    time.sleep(1)
    lines = [text for _, text in daemon.our_log()]
    t.note(t.one_line(lines, *words))
    severities = {severity for severity, text in daemon.our_log() if words[0].lower() in text.lower()}
    t.true(severities <= {"warning", "error"}, "it is a warning or an error", severities)
    t.equal(daemon.stop(), 0, "exit status of collectd")


def test_collectd_warns_of_a_misspelt_option(t):
    collectd_warns(t, {"SmapleInterval": 1}, "SmapleInterval")


def test_collectd_warns_of_a_value_out_of_range(t):
    collectd_warns(t, {"SampleInterval": 900}, "SampleInterval", "900", "60")


def test_collectd_warns_of_an_event_that_is_none(t):
    collectd_warns(t, {"CacheMissesEvent": "cache-mises"}, "CacheMissesEvent", "cache-mises")


# ---- Energy counters ----------------------------------------------------------------------------


def joules(report, zone):
    return [point.fields["energy_joules"] for point in find(report, "deepmon_zone_energy", zone=zone)
            if "energy_joules" in point.fields]


def one_bad_counter(t, damage, *words, from_the_start):
    """Of two packages the second's counter is damaged, before deepmon starts or while it runs."""
    host.require_bpf()
    tree = t.enter(PackageTree(t.state / "sys"))
    if from_the_start:
        damage(tree)
    parent = execd(t, *command_line(sysroot_options(tree.root)), "--sample-interval", "0.2", interval=0.5)
    parent.wait_for_batches(3, 10)
    if not from_the_start:
        t.true(joules(parent.reports()[-1], "package-1"), "energy of package-1 before the damage")
        damage(tree)
    parent.wait_for_batches(len(parent.batches) + 4, 10)

    t.note(t.one_line(parent.stderr_lines, *words))
    report = parent.reports()[-1]
    t.true(find(report, "deepmon_total"), "CPU time goes on", report)
    good = [joules(report, "package-0") for report in parent.reports()[-3:]]
    t.true(all(good) and good[0] < good[-1], "energy of package-0 goes on", good)
    return tree, parent


def unreadable(tree):
    tree.make_unreadable(1)


def truncated(tree):
    tree.say(1, "")


def no_number(tree):
    tree.say(1, "abc\n")


def test_a_counter_unreadable_from_the_start(t):
    one_bad_counter(t, unreadable, "intel-rapl:1", from_the_start=True)


def test_a_counter_truncated_from_the_start(t):
    one_bad_counter(t, truncated, "intel-rapl:1", from_the_start=True)


def test_a_counter_that_says_abc_from_the_start(t):
    one_bad_counter(t, no_number, "intel-rapl:1", "abc", from_the_start=True)


def no_figure_while_bad(t, parent):
    """A gap is a gap: a counter that cannot be read has no power, and not a power of zero."""
    watts = [point.fields.get("power_watts") for point in
             find(parent.reports()[-1], "deepmon_zone_energy", zone="package-1")]
    t.equal([value for value in watts if value is not None], [], "power of package-1 while it can't be read")


def test_a_counter_that_becomes_unreadable_and_comes_back(t):
    tree, parent = one_bad_counter(t, unreadable, "package-1", "energy_uj", from_the_start=False)
    no_figure_while_bad(t, parent)
    tree.mend(1)
    wait_until(lambda: any("power_watts" in point.fields for point in
                           find(parent.reports()[-1], "deepmon_zone_energy", zone="package-1")), 10,
               "power of package-1 after it was mended")


def test_a_counter_that_becomes_truncated(t):
    _, parent = one_bad_counter(t, truncated, "package-1", "energy_uj", from_the_start=False)
    no_figure_while_bad(t, parent)


def test_a_counter_that_comes_to_say_abc(t):
    _, parent = one_bad_counter(t, no_number, "package-1", "abc", from_the_start=False)
    no_figure_while_bad(t, parent)


def test_no_powercap_at_all(t):
    host.require_bpf()
    (t.state / "sys").mkdir()
    parent = execd(t, *command_line(sysroot_options(t.state / "sys")), interval=0.5)
    parent.wait_for_batches(3, 10)
    t.note(t.one_line(parent.stderr_lines, "energy", str(t.state / "sys")))
    t.true(find(parent.reports()[-1], "deepmon_total"), "CPU time goes on")
    t.equal([point for point in parent.points() if point.measurement.endswith("_energy")], [],
            "points of energy, where there is none")


# ---- Permissions --------------------------------------------------------------------------------

BPF_CAPABILITIES = "-bpf,-perfmon,-sys_admin"


def test_no_permission_to_load_bpf(t):
    host.require_root()
    tree = t.enter(PackageTree(t.state / "sys"))
    setpriv = find_program("setpriv", None, "util-linux")
    parent = execd(t, *command_line(sysroot_options(tree.root)), interval=0.5,
                   prefix=[setpriv, "--inh-caps", BPF_CAPABILITIES, "--bounding-set", BPF_CAPABILITIES])
    parent.wait_for_batches(4, 10)
    t.note(t.one_line(parent.stderr_lines, "bpf"))
    t.one_line(parent.stderr_lines, "bpf", "CAP_BPF")
    first, last = (joules(parent.reports()[index], "package-0") for index in (-3, -1))
    t.true(first and last and first < last, "energy of the zones goes on", (first, last))


def test_nothing_to_measure_at_all(t):
    """Neither BPF nor energy nor cgroups: it says why and ends, for its agent to show."""
    host.require_root()
    (t.state / "sys").mkdir()
    (t.state / "cgroup").mkdir()
    setpriv = find_program("setpriv", None, "util-linux")
    done = subprocess.run([setpriv, "--inh-caps", BPF_CAPABILITIES, "--bounding-set", BPF_CAPABILITIES,
                           t.built("deepmon-execd"), "--once",
                           *command_line(sysroot_options(t.state / "sys") |
                                         {"CgroupRoot": str(t.state / "cgroup")})],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=15, check=False)
    lines = done.stderr.decode(errors="replace").splitlines()
    t.note(f"status {done.returncode}: {' / '.join(lines)}")
    t.true(done.returncode > 0, "a status that is neither 0 nor a signal", done.returncode)
    t.one_line(lines, "CgroupRoot", str(t.state / "cgroup"))
    t.one_line(lines, "no energy")
