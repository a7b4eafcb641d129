# SPDX-License-Identifier: GPL-3.0-only
"""What comes and goes between two reports is accounted, and a short container under its name."""

import os
import time

from stage import host
from stage.cgroups import Cgroup, burn_ns, join, read_usage_ns, removed
from stage.dockerd import Dockerd
from stage.lineprotocol import find
from stage.process import StageError, wait_until

from support import SECOND, execd

ALONE = "it counts the cgroups that come and go"

CGROUPS = 500
BURN_NS = 5_000_000
LIFE_SECONDS = 0.2  # a fifth of the time between two reports; on a quiet host it is 30 ms
TOLERANCE = 0.02


def burn_in(directory):
    """A child that is put in while it sleeps, burns and ends.

    cpuacct charges a running task's time at ticks, all of it to where the task is by then: only for a task
    that is moved while it does not run are its figures exact.
    """
    wait, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.read(wait, 1)
            burn_ns(BURN_NS)
        finally:
            os._exit(0)
    join(directory, pid)
    os.write(go, b"x")
    os.close(wait)
    os.close(go)
    os.waitpid(pid, 0)


def live_briefly(directory):
    """A cgroup's whole life; (CPU time that the kernel saw, seconds lived)."""
    born = time.monotonic()
    directory.mkdir()
    burn_in(directory)
    while True:
        used = read_usage_ns(directory)
        if removed(directory):
            return used, time.monotonic() - born
        if time.monotonic() - born > 5:
            raise StageError(f"{directory} could not be removed within 5 s")
        time.sleep(0.0005)


def churn(report):
    """(ended cgroups, their CPU time in ns) of both kinds together."""
    points = find(report, "deepmon_total_churn")
    return (sum(point.fields.get("ended_cgroups", 0) for point in points),
            sum(point.fields.get("ended_cpu_time_ns", 0) for point in points))


def test_500_short_cgroups_are_all_accounted(t):
    host.require_bpf()
    top = t.enter(Cgroup())
    parent = execd(t, interval=1)
    parent.wait_for_batches(2, 10)
    ended_before, time_before = churn(parent.reports()[-1])

    lives = [live_briefly(top.directory / f"short{number}") for number in range(CGROUPS)]
    batches = len(parent.batches)
    parent.wait_for_batches(batches + 3, 10)
    ended, ended_ns = churn(parent.reports()[-1])

    lasted = sorted(seconds for _, seconds in lives)
    t.note(f"{CGROUPS} cgroups lived {lasted[CGROUPS // 2] * 1e3:.1f} ms (median), "
           f"{lasted[-1] * 1e3:.1f} ms (longest), in {sum(lasted):.1f} s")
    t.between(lasted[CGROUPS * 95 // 100], 0, LIFE_SECONDS, "seconds that 95 % of the cgroups lived at most")
    with t.apart():
        t.true(ended - ended_before >= CGROUPS, f"ended_cgroups grew by {CGROUPS} at least",
               ended - ended_before)
    t.note(f"ended_cgroups grew by {ended - ended_before}: "
           f"what is above {CGROUPS} ended on the host meanwhile")
    with t.apart():
        t.within((ended_ns - time_before) / SECOND, sum(used for used, _ in lives) / SECOND, TOLERANCE,
                 "CPU seconds of the ended cgroups, against their cpuacct")


def test_a_short_container_goes_by_its_name(t):
    host.require_bpf()
    dockerd = t.enter(Dockerd(t.state / "dockerd"))
    parent = execd(t, "--docker-root", str(dockerd.data_root), "--docker-socket", str(dockerd.socket),
                   interval=1)
    parent.wait_for_batches(2, 10)
    identifier = dockerd.docker.run("flash", "true")

    def reported():
        return [point for point in find(parent.points(), "deepmon_container", container_name="flash")
                if point.fields.get("cpu_time_ns")]

    def names():
        return sorted({point.tags.get("container_name", "?")
                       for point in find(parent.points(), "deepmon_container")
                       if point.fields.get("container_id") == identifier})

    try:
        points = wait_until(reported, 8, "a report of the container flash")
    except StageError as error:
        raise StageError(f"{error}; containers reported: {names()}") from error
    t.note(f"flash used {points[-1].fields['cpu_time_ns'] / 1e6:.1f} ms of CPU")
    t.equal(names(), ["flash"], "the names that it was reported by")
    t.equal(points[-1].tags.get("container_image"), "deepmon-test/busybox", "its image")
