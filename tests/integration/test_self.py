# SPDX-License-Identifier: GPL-3.0-only
"""What deepmon says that it costs itself, against what the kernel says of it."""

import json
import os
import subprocess
import time
from pathlib import Path

from stage import host
from stage.cgroups import Cgroup
from stage.execd_parent import command_line
from stage.process import find_program, wait_until
from stage.rapl import RaplSim

from support import SECOND, duty, execd, growth, one, reports_without_system, sysroot_options, two_cpus

ALONE = "it holds what deepmon costs against what the kernel says"

ROUNDS = 10_000
TICK_NS = SECOND // 100  # the longest a kernel has
TOLERANCE = 0.02


def own(report):
    return one(report, "deepmon_self").fields


def ping_pong(cpu):
    """Two processes on one CPU that wake each other: at least two switches a round."""
    os.sched_setaffinity(0, {cpu})
    (one_in, one_out), (other_in, other_out) = os.pipe(), os.pipe()
    if os.fork() == 0:
        for _ in range(ROUNDS):
            os.write(other_out, os.read(one_in, 1))
        os._exit(0)
    for _ in range(ROUNDS):
        os.write(one_out, b"x")
        os.read(other_in, 1)
    os.wait()


def run_to_its_end(cgroup, function, *arguments):
    pid = cgroup.run(function, *arguments)
    wait_until(lambda: os.waitpid(pid, os.WNOHANG)[0], 20, "the end of a worker")
    cgroup.processes.remove(pid)


def test_runs_of_its_program(t):
    host.require_bpf()
    cgroup = t.enter(Cgroup())
    parent = execd(t, "--bpf-stats", "on", signal="STDIN", ticking=False)
    parent.tick()
    parent.wait_for_batches(1, 10)
    run_to_its_end(cgroup, ping_pong, two_cpus()[0])
    parent.tick()
    parent.wait_for_batches(2, 10)
    before, after = reports_without_system(parent)
    runs, run_time = (growth(before, after, "deepmon_self", field) for field in ("bpf_runs", "bpf_run_time_ns"))
    t.note(f"{runs} runs of {run_time / runs:.0f} ns each, during {2 * ROUNDS} switches of our own at least")
    t.true(runs >= 2 * ROUNDS, f"{2 * ROUNDS} runs at least", runs)
    t.between(run_time / runs, 20, 5000, "ns of a run")


def programs_of(pid):
    """The ids of the BPF programs that a process has open."""
    found = set()
    for file in Path(f"/proc/{pid}/fdinfo").iterdir():
        found |= {int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith("prog_id:")}
    return found


def programs_runs(pid):
    """Runs of those of its programs that hang on hooks, by the kernel; the others it runs itself."""
    done = subprocess.run([find_program("bpftool", None, "bpftool"), "-j", "prog", "show"], capture_output=True,
                          check=True)
    ours = programs_of(pid)
    return sum(program.get("run_cnt", 0) for program in json.loads(done.stdout) if program["id"] in ours
               and not program["name"].startswith(("cpu_flush", "file_io_flush", "file_io_begin")))


def test_runs_of_all_its_programs(t):
    """Those of the network and of file I/O, too: between two accounts of the kernel's own."""
    host.require_bpf()
    parent = execd(t, "--bpf-stats", "on", "--network", "on", "--file-io", "counts", signal="STDIN", ticking=False)
    parent.tick()
    parent.wait_for_batches(1, 10)
    pid = parent.process.pid
    for count in range(2, 5):
        earliest = programs_runs(pid)
        parent.tick()
        parent.wait_for_batches(count, 10)
        latest = programs_runs(pid)
        fields = own(reports_without_system(parent)[-1])
        t.note(f"{fields['bpf_runs']} runs, between {earliest} and {latest}")
        t.between(fields["bpf_runs"], earliest, latest, "runs of all programs")
        t.equal(fields["file_io_refused"], 0, "tasks without memory for their file I/O")


def test_runs_are_absent_without_statistics(t):
    host.require_bpf()
    parent = execd(t, interval=0.5)
    parent.wait_for_batches(2, 10)
    for report in parent.reports():
        t.equal([name for name in own(report) if name.startswith("bpf_run")], [],
                "figures of the program's runs")


def scheduled_ns(pid):
    """CPU time of all threads of a process, by the scheduler."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir())


def resident_bytes(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def test_process_against_the_kernel(t):
    """The kernel's figures are taken just before and just after each report, while deepmon sleeps."""
    host.require_bpf()
    parent = execd(t, "--sample-interval", "0.05", signal="STDIN", ticking=False)
    pid, brackets = parent.process.pid, []
    for count in range(1, 31):
        time.sleep(0.1)
        earliest = scheduled_ns(pid)
        parent.tick()
        parent.wait_for_batches(count, 10)
        brackets.append((earliest, scheduled_ns(pid)))
    reports = reports_without_system(parent)
    for report, (least, most) in zip(reports, brackets):
        t.between(own(report)["process_cpu_time_ns"], least - TICK_NS, most + TICK_NS, "process_cpu_time_ns")
    used = own(reports[-1])["process_cpu_time_ns"] - own(reports[0])["process_cpu_time_ns"]
    scheduled = brackets[-1][1] - brackets[0][1]
    t.note(f"CPU time over {len(reports)} reports: {used / 1e6:.2f} ms, {scheduled / 1e6:.2f} ms by schedstat")
    t.between(used, scheduled * (1 - TOLERANCE) - TICK_NS, scheduled * (1 + TOLERANCE) + TICK_NS,
              "growth of process_cpu_time_ns")
    t.true(0 < growth(reports[0], reports[-1], "deepmon_self", "sample_cpu_time_ns") <= used + TICK_NS,
           "the samples' part of it")
    resident, kernel = own(reports[-1])["resident_bytes"], resident_bytes(pid)
    t.note(f"resident: {resident / 1e6:.2f} MB, {kernel / 1e6:.2f} MB by VmRSS")
    t.between(resident, 0.9 * kernel, 1.1 * kernel, "resident_bytes")


def test_samples_are_those_asked_for(t):
    host.require_bpf()
    for step in (0.1, 0.25):
        parent = execd(t, "--sample-interval", str(step), interval=0.5)
        parent.wait_for_batches(6, 15)
        reports = reports_without_system(parent)
        before, after = reports[0], reports[-1]
        seconds = (after[0].time_ns - before[0].time_ns) / SECOND
        got = growth(before, after, "deepmon_self", "samples")
        # Each report is one; those of the timer that came too late to tell them apart were taken as one.
        most = seconds / step + len(reports) - 1
        t.note(f"every {step} s and with each report: {got} samples in {seconds:.2f} s, {most:.1f} expected")
        t.between(got, 0.8 * most - 2, most + 2, f"samples taken every {step} s")
        parent.stop()


def test_energy_of_its_own(t):
    host.require_bpf()
    cgroup = t.enter(Cgroup())
    cgroup.run(duty, two_cpus()[0], 0.5)
    simulator = t.enter(RaplSim(t.state / "rapl", t.built("rapl-sim"), period_ms=10))
    # One sample for each report, so that both tell of the same one.
    options = sysroot_options(simulator.root) | {"BpfStats": "on", "SampleInterval": 60, "IdlePackageWatts": 10,
                                                 "ProportionalMemory": "on", "ProportionalMemoryInterval": 0.2}
    parent = execd(t, *command_line(options), interval=0.5)
    parent.wait_for_batches(7, 15)
    reports = reports_without_system(parent)
    for report in reports:
        fields = own(report)
        t.between(fields["energy_skew_ns"], 1, fields["sample_duration_ns"], "energy_skew_ns")
    skews = [own(report)["energy_skew_ns"] for report in reports]
    t.note(f"skew between energy and CPU time: {min(skews) / 1e3:.0f} to {max(skews) / 1e3:.0f} µs")
    for before, after in zip(reports, reports[1:]):
        check_own_energy(t, before, after)
    t.true(growth(reports[0], reports[-1], "deepmon_self", "survey_cpu_time_ns") > 0, "surveys are in it")
    joules, watts = (own(reports[-1])[field] for field in ("energy_joules", "power_watts"))
    t.note(f"of its own: {joules:.4f} J, at last {watts * 1000:.2f} mW")
    t.true(joules > 0 and watts > 0, "energy and power of its own", (joules, watts))


def check_own_energy(t, before, after):
    """Its part of the CPU time in use, of the packages' energy in use."""
    kinds = ("container", "system", "kernel", "other")
    busy = sum(growth(before, after, "deepmon_total", "cpu_time_ns", kind=kind) for kind in kinds)
    joules = sum(growth(before, after, "deepmon_total_energy", "energy_joules", kind=kind, domain="package")
                 for kind in kinds)
    used = sum(growth(before, after, "deepmon_self", field)
               for field in ("sample_cpu_time_ns", "survey_cpu_time_ns", "bpf_run_time_ns"))
    expected = joules * used / busy
    t.between(growth(before, after, "deepmon_self", "energy_joules"), 0.999 * expected - 2e-6,
              1.001 * expected + 2e-6, "J of its own")
    seconds = (after[0].time_ns - before[0].time_ns) / SECOND
    t.between(own(after)["power_watts"], 0.5 * expected / seconds, 2 * expected / seconds, "W of its own")


def test_without_energy_none_is_told(t):
    host.require_bpf()
    (t.state / "sys").mkdir()
    parent = execd(t, *command_line(sysroot_options(t.state / "sys")), interval=0.5)
    parent.wait_for_batches(2, 10)
    for report in parent.reports():
        fields = own(report).keys()
        t.equal(fields & {"energy_skew_ns", "energy_joules", "power_watts"}, set(), "figures of energy")
