# SPDX-License-Identifier: GPL-3.0-only
"""Who used it: names from real runtimes and from layouts made by hand, what is selected, and how many."""

import calendar
import json
import os
import re
import socket
import tempfile
import threading
import time
from pathlib import Path

from stage import host
from stage.cgroups import Cgroup, burn_ns, join
from stage.containerd import Containerd
from stage.dockerd import Dockerd
from stage.lineprotocol import find
from stage.podman import Podman, RootlessPodman
from stage.process import wait_until

from support import SECOND, collectd, csv, execd

ALONE = "it counts the containers of the host"

SPIN = ("sh", "-c", "while :; do :; done")
SLEEP = ("sleep", "600")
POD_UID = "0a1b2c3d-1111-2222-3333-444455556666"
LATE_SECONDS = 15  # for one report of 1 s on a machine that others load, too


def container_id(start):
    """64 digits that begin so."""
    return (start + "0123456789abcdef" * 4)[:64]


def is_strangers(point):
    """Of a container that others run on this host: our options have no files of it, so it has no name."""
    return (re.fullmatch("[0-9a-f]{12}", point.tags["container_name"])
            and "0123456789abcdef" * 3 not in point.fields.get("container_id", ""))


def containers(parent):
    """The containers of the last whole report, by name."""
    reports = parent.reports()
    points = find(reports[-1], "deepmon_container") if reports else []
    return {point.tags["container_name"]: point for point in points if not is_strangers(point)}


def with_names(parent):
    """Names of the containers that have one. What others make by hand on this host has but the id here."""
    return sorted(name for name in containers(parent) if not re.fullmatch("[0-9a-f]{12}", name))


def named(parent, name, seconds=LATE_SECONDS):
    """Waits for a container of that name and returns its point."""
    return wait_until(lambda: containers(parent).get(name), seconds,
                      lambda: f"a report of the container {name} (there are {sorted(containers(parent))})")


def tags_of(point, *keys):
    return {key: point.tags.get(key) for key in keys}


# ---- Real runtimes ------------------------------------------------------------------------------


def test_docker_containers_go_by_their_names(t):
    host.require_bpf()
    dockerd = t.enter(Dockerd(t.state / "dockerd"))
    docker = dockerd.docker
    parent = execd(t, "--docker-root", str(dockerd.data_root), "--docker-socket", str(dockerd.socket),
                   "--container-label", "team", interval=1)
    parent.wait_for_batches(2, 20)

    labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web", "team": "blue"}
    docker.cli("run", "--detach", "--network", "none", "--name", "web",
               *(f"--label={key}={value}" for key, value in labels.items()), "deepmon-test/busybox:1", *SPIN)
    docker.containers.append("web")
    start = time.monotonic()
    web = named(parent, "web")
    t.note(f"web goes by its name after {time.monotonic() - start:.1f} s")
    t.equal(tags_of(web, "compose_project", "compose_service", "label_team", "runtime", "container_image"),
            {"compose_project": "shop", "compose_service": "web", "label_team": "blue", "runtime": "docker",
             "container_image": "deepmon-test/busybox"}, "its labels")

    unified = execd(t, "--docker-root", str(dockerd.data_root), "--cgroup-hierarchy", "unified", interval=1)
    t.equal(named(unified, "web", 20).fields["container_id"], web.fields["container_id"],
            "the same container in the unified hierarchy")
    unified.stop()

    docker.cli("restart", "--time", "0", "web")
    before = containers(parent)["web"].fields["cpu_time_ns"]
    wait_until(lambda: containers(parent).get("web", web).fields["cpu_time_ns"] > before, LATE_SECONDS,
               "web going on after its restart where it was")

    # Another takes its name at once: for a moment two of that name live.
    docker.cli("rename", "web", "shop-web")
    docker.containers[docker.containers.index("web")] = "shop-web"
    young = docker.run("web", *SLEEP)
    named(parent, "shop-web", 2 * LATE_SECONDS)
    wait_until(lambda: (point := containers(parent).get("web")) and point.fields["container_id"] == young,
               2 * LATE_SECONDS, "the younger container by the name web")

    docker.cli("stop", "--time", "0", "shop-web")
    docker.cli("rename", "shop-web", "shop-www")
    docker.containers[docker.containers.index("shop-web")] = "shop-www"
    # By what reports tell: the moment that it is back, and never by its old name again.
    wait_until(lambda: "shop-web" not in containers(parent), LATE_SECONDS, "a report without the one that was stopped")
    docker.cli("start", "shop-www")
    wait_until(lambda: {"shop-web", "shop-www"} & set(containers(parent)), LATE_SECONDS, "it being back")
    t.true("shop-www" in containers(parent), "its new name, at once", sorted(containers(parent)))
    docker.cli("rename", "shop-www", "shop-web")
    docker.containers[docker.containers.index("shop-www")] = "shop-web"
    named(parent, "shop-web", 2 * LATE_SECONDS)

    docker.cli("pause", "shop-web")
    time.sleep(2.5)
    paused = containers(parent)["shop-web"].fields["cpu_time_ns"]
    time.sleep(2)
    t.equal(containers(parent)["shop-web"].fields["cpu_time_ns"], paused, "CPU time of a paused container")
    docker.cli("unpause", "shop-web")

    docker.run("idle", *SLEEP)
    before = named(parent, "idle").fields["cpu_time_ns"]
    docker.cli("exec", "idle", "sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done")
    time.sleep(2)
    t.true(containers(parent)["idle"].fields["cpu_time_ns"] - before > 20_000_000,
           "what docker exec ran is the container's", containers(parent)["idle"].fields)

    top = t.enter(Cgroup())
    docker.cli("run", "--detach", "--network", "none", "--name", "elsewhere", f"--cgroup-parent={top.path}",
               "deepmon-test/busybox:1", *SLEEP)
    docker.containers.append("elsewhere")
    t.equal(named(parent, "elsewhere").tags.get("runtime"), "docker", "runtime of one under --cgroup-parent")
    t.equal(with_names(parent), ["elsewhere", "idle", "shop-web", "web"], "all containers reported")
    docker.clean()


def started_seconds(docker, name):
    """When it started, by the daemon's own account, as a time of this host."""
    text = docker.cli("inspect", "--format", "{{.State.StartedAt}}", name)
    whole, fraction = text.rstrip("Z").split(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction}")


def check_within_one_interval(t, started, reports, first):
    """Reports are at `reports`, and the first that tells of a container that started then is at `first`."""
    after = [moment for moment in sorted(reports) if moment > started]
    t.note(f"told {first - started:.2f} s after its start; reports after {[round(m - started, 2) for m in after[:3]]} s")
    # The runtime makes the cgroup some 100 ms before the moment that it calls the start, or clears up after it.
    t.true(first in after[:2] or first < started, "the report of the interval in which it started tells of it",
           (first - started, [moment - started for moment in after[:3]]))


def test_a_name_is_there_within_one_interval_by_execd(t):
    host.require_bpf()
    dockerd = t.enter(Dockerd(t.state / "dockerd"))
    parent = execd(t, "--docker-root", str(dockerd.data_root), interval=1)
    parent.wait_for_batches(3, 20)
    for name in ("web", "db"):
        identifier = dockerd.docker.run(name, *SPIN)
        named(parent, name)
        own = [point for point in find(parent.points(), "deepmon_container")
               if point.fields.get("container_id") == identifier]
        check_within_one_interval(t, started_seconds(dockerd.docker, name),
                                  {point.time_ns / SECOND for point in find(parent.points(), "deepmon_host_energy")
                                   + find(parent.points(), "deepmon_self")}, own[0].time_ns / SECOND)
        t.equal({point.tags["container_name"] for point in own}, {name}, "all names that it was told by")


def test_a_name_is_there_within_one_interval_by_collectd(t):
    host.require_bpf()
    dockerd = t.enter(Dockerd(t.state / "dockerd"))
    more, directory = csv(t)
    collectd(t, {"DockerRoot": str(dockerd.data_root), "ReportSystem": False, "Memory": False}, interval=1, more=more)

    def moments(instance, kind):
        return [float(line.split(",")[0]) for path in directory.glob(f"*/deepmon-{instance}/{kind}*")
                for line in path.read_text().splitlines()[1:] if line]

    wait_until(lambda: len(moments("total-idle", "deepmon_cpu_ns")) >= 3, 20, "three reports in csv files")
    for name in ("web", "db"):
        identifier = dockerd.docker.run(name, *SPIN)
        told = wait_until(lambda: moments(f"container-{name}", "deepmon_cpu_ns"), LATE_SECONDS, f"values of {name}")
        check_within_one_interval(t, started_seconds(dockerd.docker, name),
                                  moments("total-idle", "deepmon_cpu_ns"), min(told))
        t.equal(moments(f"container-{identifier[:12]}", ""), [], "values under its id")


def test_podman_containers_go_by_their_names(t):
    host.require_bpf()
    podman = t.enter(Podman(t.state / "podman"))
    parent = execd(t, "--podman-root", str(podman.storage), interval=1)
    parent.wait_for_batches(2, 20)
    identifier = podman.run("notes", *SPIN)
    point = named(parent, "notes")
    t.equal(point.fields["container_id"], identifier, "its id")
    t.equal(tags_of(point, "runtime", "container_image", "container_version"),
            {"runtime": "podman", "container_image": "localhost/deepmon-test/busybox",
             "container_version": "2"}, "its labels")
    t.equal([name for name in containers(parent) if "conmon" in name], [], "conmon among the containers")

    podman.cli("rename", "notes", "papers")
    renamed = named(parent, "papers", 2 * LATE_SECONDS)
    t.equal(renamed.fields["container_id"], identifier, "the id of the one with a new name")
    young = podman.run("notes", *SLEEP)
    wait_until(lambda: (point := containers(parent).get("notes")) and point.fields["container_id"] == young,
               2 * LATE_SECONDS, "the younger container by the old name")


def test_podmans_labels_are_asked_for(t):
    host.require_bpf()
    podman = t.enter(Podman(t.state / "podman"))
    labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web", "team": "blue"}
    keys = ("compose_project", "compose_service", "label_team")
    podman.run("web", *SLEEP, labels=labels)
    parent = execd(t, "--podman-root", str(podman.storage), "--podman-socket", str(podman.socket),
                   "--container-label", "team", interval=1)
    t.equal(tags_of(named(parent, "web", 20), *keys), dict.fromkeys(keys), "its labels while nobody answers")
    with podman.service():
        wanted = dict(zip(keys, labels.values()))
        wait_until(lambda: tags_of(containers(parent)["web"], *keys) == wanted, 4 * LATE_SECONDS, f"labels {wanted}")
        podman.cli("rename", "web", "shop-web")
        t.equal(tags_of(named(parent, "shop-web", 2 * LATE_SECONDS), *keys), wanted, "its labels under its new name")
        t.equal(tags_of(containers(parent)["shop-web"], "runtime", "container_image"),
                {"runtime": "podman", "container_image": "localhost/deepmon-test/busybox"}, "what its files tell")


def test_a_users_own_podman(t):
    """podman as he has it; its container is put where systemd would have put it."""
    host.require_bpf()
    by_hand = Host(t)
    by_hand.root.chmod(0o755)
    user, home = 60000 + os.getpid() % 5000, by_hand.root / "home" / "ann"
    (by_hand.root / "etc").mkdir()
    (by_hand.root / "etc/passwd").write_text(f"root:x:0:0::/root:/bin/sh\nann:x:{user}:{user}:Ann:/home/ann:/bin/sh\n")
    home.mkdir(parents=True)
    podman = t.enter(RootlessPodman(home, user))
    identifier = podman.run("notes", *SPIN)
    pid = podman.cli("inspect", "--format", "{{.State.Pid}}", "notes")
    directory = by_hand.top.directory.joinpath("user.slice", f"user-{user}.slice", f"user@{user}.service",
                                               "user.slice", f"libpod-{identifier}.scope", "container")
    directory.mkdir(parents=True)
    join(directory, pid)
    parent = execd(t, *by_hand.options(), interval=1)
    point = named(parent, "notes", 20)
    t.equal(point.fields["container_id"], identifier, "its id")
    t.equal(tags_of(point, "runtime", "container_image", "container_version"),
            {"runtime": "podman", "container_image": "localhost/deepmon-test/busybox",
             "container_version": "2"}, "its labels")
    wait_until(lambda: containers(parent)["notes"].fields["cpu_time_ns"] > 100_000_000, LATE_SECONDS, "its CPU time")
    podman.cli("rename", "notes", "papers")
    t.equal(named(parent, "papers", 2 * LATE_SECONDS).fields["container_id"], identifier,
            "the id of the one with a new name")


def test_containerd_alone_and_under_kubernetes(t):
    host.require_bpf()
    containerd = t.enter(Containerd(t.state / "containerd"))
    top = t.enter(Cgroup())
    parent = execd(t, "--containerd-root", str(containerd.state_root), "--node-name", "node-1", "--container-label",
                   "team", interval=1)
    parent.wait_for_batches(2, 20)
    spin = ("/bin/sh", *SPIN[1:])  # without an image there is no PATH
    # Of names that no other run on this host has.
    plain, mine, team = (f"{word}-{os.getpid()}" for word in ("plain", "mine", "team"))
    containerd.run(plain, *spin)
    t.equal(named(parent, plain).tags.get("runtime"), "containerd", "runtime of ctr's container")
    containerd.run(mine, *spin, namespace=team, annotations={"team": "blue"})
    t.equal(tags_of(named(parent, mine), "runtime", "label_team"), {"runtime": "containerd", "label_team": "blue"},
            "what is told of ctr's container in a namespace of its own")

    containerd.run(plain, *spin, namespace=team)
    wait_until(lambda: len([name for name in containers(parent) if name.startswith(plain)]) == 2, LATE_SECONDS,
               lambda: f"two of one id in two namespaces (there are {sorted(containers(parent))})")
    t.equal(sorted(point.fields["container_id"] for name, point in containers(parent).items()
                   if name.startswith(plain)), [plain, f"{team}/{plain}"], "their ids")

    cri = "io.kubernetes.cri."
    pod = {cri + "sandbox-name": "web-7d4b9c6f5d-x2x4z", cri + "sandbox-namespace": "shop"}
    web, pause = container_id("c1"), container_id("c2")
    containerd.run(pause, *spin, namespace="k8s.io", cgroup=f"{top.path}/kubepods/burstable/pod{POD_UID}/{pause}",
                   annotations=pod | {cri + "container-type": "sandbox"})
    containerd.run(web, *spin, namespace="k8s.io", cgroup=f"{top.path}/kubepods/burstable/pod{POD_UID}/{web}",
                   annotations=pod | {cri + "container-type": "container", cri + "container-name": "web",
                                      cri + "image-name": "registry.example.com/team/web:1.2"})
    t.equal(tags_of(named(parent, "web"), "namespace", "pod_name", "owner_kind", "owner_name", "node",
                    "container_image", "container_version", "runtime"),
            {"namespace": "shop", "pod_name": "web-7d4b9c6f5d-x2x4z", "owner_kind": "Deployment",
             "owner_name": "web", "node": "node-1", "container_image": "registry.example.com/team/web",
             "container_version": "1.2", "runtime": "containerd"}, "labels of the pod's container")
    ids = {point.fields["container_id"] for point in containers(parent).values()}
    t.equal(ids & {plain, f"{team}/{plain}", f"{team}/{mine}", web, pause}, {plain, f"{team}/{plain}", f"{team}/{mine}", web},
            "all containers reported: no sandbox")
    wait_until(lambda: find(parent.reports()[-1], "deepmon_system", cgroup="pause"), LATE_SECONDS,
               "the sandboxes' own line")


# ---- By hand ------------------------------------------------------------------------------------


class Host:
    """Runtimes' files of a host of our own, and containers' cgroups below one of this host."""

    def __init__(self, t):
        # In /run, as a socket has a short path.
        self.root = Path(t.enter(tempfile.TemporaryDirectory(prefix="deepmon-", dir="/run")))
        self.top = t.enter(Cgroup())

    def options(self):
        return ["--host-root", str(self.root), "--sys-root", "/sys", "--proc-root", "/proc"]

    def docker_config(self, identifier):
        return self.root / "var/lib/docker/containers" / identifier / "config.v2.json"

    def write_docker(self, identifier, name, image="team/web:1"):
        path = self.docker_config(identifier)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(json.dumps({"Name": "/" + name, "Config": {"Image": image}}))
        new.rename(path)

    def make(self, identifier):
        """Its cgroup, as Docker's cgroupfs driver makes it."""
        if not (self.top.directory / "docker").exists():
            self.top.child("docker")
        directory = self.top.directory / "docker" / identifier
        directory.mkdir()
        return directory


def burn_within(directory, cpu_ns):
    """A child in the cgroup that uses that much and ends."""
    pid = os.fork()
    if pid == 0:
        try:
            join(directory)
            burn_ns(cpu_ns)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def test_a_name_that_comes_late_is_taken_up(t):
    host.require_bpf()
    by_hand = Host(t)
    identifier = container_id("d1")
    directory = by_hand.make(identifier)
    parent = execd(t, *by_hand.options(), interval=1)
    burn_within(directory, 20_000_000)
    before = named(parent, identifier[:12])
    by_hand.write_docker(identifier, "late")
    point = named(parent, "late")
    t.equal(point.fields["container_id"], identifier, "its id")
    t.true(point.fields["cpu_time_ns"] >= before.fields["cpu_time_ns"], "it took along what it used",
           point.fields)
    t.true(identifier[:12] not in containers(parent), "the id is no name any more", containers(parent))


def test_a_socket_that_hangs_costs_but_the_name(t):
    host.require_bpf()
    by_hand = Host(t)
    (by_hand.root / "run").mkdir()
    accepted, stop, answers = [], threading.Event(), threading.Event()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(by_hand.root / "run/docker.sock"))
        try:
            listener.listen(64)
            listener.settimeout(0.1)

            def accept():
                while not stop.is_set():
                    try:
                        accepted.append(listener.accept()[0])
                    except TimeoutError:
                        continue
                    if answers.is_set():
                        asked = accepted[-1].recv(4096).split(b"/")[2].decode()
                        known = json.dumps({"Name": f"/late-{asked[:2]}", "Config": {"Image": "web:1"}}).encode()
                        # Containers of others may be on this host, too.
                        accepted[-1].sendall(b"HTTP/1.0 200 OK\r\n\r\n" + known if asked in ids else
                                             b"HTTP/1.0 404 Not Found\r\n\r\n")
                        accepted.pop().close()

            thread = threading.Thread(target=accept)
            thread.start()
            ids = [container_id(f"d{digit}") for digit in "123456789"]
            for identifier in ids:
                by_hand.make(identifier)
            parent = execd(t, *by_hand.options(), signal="STDIN", ticking=False)
            parent.tick()
            parent.wait_for_batches(1, 20)
            took = []
            for count in range(2, 14):
                start = time.monotonic()
                parent.tick()
                parent.wait_for_batches(count, 10)
                took.append(time.monotonic() - start)
                time.sleep(0.2)
            t.note(f"reports took {sorted(took)[len(took) // 2] * 1e3:.0f} ms (median), {max(took) * 1e3:.0f} ms "
                   f"at most, while {len(accepted)} questions hung")
            t.true(accepted, "the socket was asked", len(accepted))
            t.between(sorted(took)[len(took) // 2], 0, 0.28, "seconds that a report takes")
            t.equal(sorted(containers(parent)), sorted(each[:12] for each in ids), "the names are the ids")
            t.one_line(parent.stderr_lines, "DockerSocket", "does not answer", str(by_hand.root / "run/docker.sock"))
            answers.set()

            def all_named():
                parent.tick()
                time.sleep(0.3)
                return sorted(containers(parent)) == [f"late-{each[:2]}" for each in ids]

            wait_until(all_named, 90, lambda: f"names, as it answers (there are {sorted(containers(parent))})")
            t.one_line(parent.stderr_lines, "DockerSocket", " answers", "go by their names")
        finally:
            stop.set()
            thread.join()
            for each in accepted:
                each.close()


def lines_and_total(parent):
    """CPU time of the last report's containers in sum, and that of their total."""
    report = parent.reports()[-1]
    total = find(report, "deepmon_total", kind="container")[0].fields["cpu_time_ns"]
    return sum(point.fields["cpu_time_ns"] for point in find(report, "deepmon_container")), total


def test_what_is_not_told_one_by_one_is_in_other(t):
    host.require_bpf()
    by_hand = Host(t)
    names = ["web-1", "web-2", "web-3", "db-1"]
    directories = {}
    for number, name in enumerate(names):
        identifier = container_id(f"d{number}")
        by_hand.write_docker(identifier, name)
        directories[name] = by_hand.make(identifier)
    parent = execd(t, *by_hand.options(), "--container", "/^web-[0-9]$/", "--max-containers", "2",
                   "--report-zones", "false", "--report-system", "no", interval=1)
    parent.wait_for_batches(1, 20)
    others = []
    for round_number in range(4):
        for number, name in enumerate(names):
            burn_within(directories[name], 4_000_000 * (1 + (number + round_number) % 4))
        batches = len(parent.batches)
        parent.wait_for_batches(batches + 1, 10)
        others.append(containers(parent).get("(other)"))
    parent.wait_for_batches(len(parent.batches) + 1, 10)
    seen = {name for report in parent.reports() for name in
            (point.tags["container_name"] for point in find(report, "deepmon_container"))}
    t.equal(sorted(seen - {"(other)"}), ["web-1", "web-2", "web-3"], "containers told one by one")
    for report in parent.reports():
        count = len([p for p in find(report, "deepmon_container") if p.tags["container_name"] != "(other)"])
        t.true(count <= 2, "at most 2 in a report", count)
        t.equal(find(report, "deepmon_system"), [], "units, which are not to be reported")
    values = [point.fields["cpu_time_ns"] for point in others if point]
    t.equal(values, sorted(values), "CPU time of (other) never goes back")

    # Counters of those that a report leaves out stand in an earlier one.
    last = {}
    for report in parent.reports():
        for point in find(report, "deepmon_container"):
            last[point.tags["container_name"]] = point.fields["cpu_time_ns"]
    _, total = lines_and_total(parent)
    t.equal(sum(last.values()), total, "CPU time of all lines, against the total of containers")


def test_two_containers_of_one_name_are_kept_apart(t):
    host.require_bpf()
    by_hand = Host(t)
    ids = [container_id("d1"), container_id("d2")]
    for identifier in ids:
        by_hand.write_docker(identifier, "web")
        by_hand.make(identifier)
    parent = execd(t, *by_hand.options(), interval=1)
    parent.wait_for_batches(3, 20)
    told = containers(parent)
    t.equal(len(told), 2, "containers reported")
    t.equal({point.fields["container_id"] for point in told.values()}, set(ids), "their ids")
    t.true("web" in told and all(name.startswith("web") for name in told), "their names", sorted(told))


def test_collectd_selects_and_keeps_long_names_apart(t):
    host.require_bpf()
    by_hand = Host(t)
    long, directories = "a" * 150, {}
    for number, name in enumerate(["web-1", "db", "other", long + "1", long + "2"]):
        identifier = container_id(f"d{number}")
        by_hand.write_docker(identifier, name)
        directories[name] = by_hand.make(identifier)
    more, directory = csv(t)
    daemon = collectd(t, {"HostRoot": str(by_hand.root), "SysRoot": "/sys", "ProcRoot": "/proc",
                          "Container": ["/^web-/", "db", "/^a+[12]$/"], "ReportSystem": False,
                          "ReportTotals": True, "Memory": False}, interval=1, more=more)

    def instances():
        return sorted(path.name.removeprefix("deepmon-") for path in directory.glob("*/deepmon-*"))

    wait_until(instances, 20, "a report in csv files")
    burn_within(directories["other"], 5_000_000)
    wait_until(lambda: len([name for name in instances() if name.startswith("container-")]) >= 5, 10,
               lambda: f"five containers in csv files (there are {instances()})")
    told = [name for name in instances() if name.startswith("container-")]
    kept = [name for name in told if "~" in name]
    t.equal(sorted(set(told) - set(kept)), ["container-(other)", "container-db", "container-web-1"],
            "containers of short names")
    t.equal(len(kept), 2, "containers of long names")
    t.true(all(len(name) == 127 for name in kept), "names of 127 bytes", [len(name) for name in kept])
    t.equal([name for name in instances() if name.startswith("system-")], [], "units")
    t.equal([text for _, text in daemon.our_log() if "ignored" in text], [], "options that were refused")
