# SPDX-License-Identifier: GPL-3.0-only
"""collectd's notifications, by its write_http: a warning of what fails, and an okay of each that is well again."""

import json
import signal
import time

from stage import host, writers
from stage.cgroups import Container
from stage.kubernetes import Server
from stage.process import wait_until
from stage.rapl import PackageTree

from support import collectd, sysroot_options
from test_kubernetes import PODS, SERVICES, Node


def notifications(server):
    """[(severity, message)] of ours."""
    found = []
    for body in list(server.bodies):
        for each in json.loads(body):
            if each["labels"]["alertname"].startswith("collectd_deepmon"):
                found.append((each["labels"]["severity"], each["annotations"]["summary"]))
    return found


class Notified:
    """A collectd whose notifications are looked at."""

    def __init__(self, t, options):
        self.server = t.enter(writers.http_receiver())
        more = writers.write_http(self.server, "    Notifications true", "    Metrics false")
        self.daemon = collectd(t, options, interval=1, more=more)

    def count(self, severity, *words):
        return len([text for each, text in notifications(self.server)
                    if each == severity and all(word in text for word in words)])

    def wait_for(self, severity, *words, seconds=20):
        wait_until(lambda: self.count(severity, *words), seconds, f"a notification: {severity} {' … '.join(words)}")


def test_of_a_kubelet_and_an_api_server_that_answer_again(t):
    host.require_bpf()
    node = Node(t)
    kubelet = t.enter(Server({"/pods": PODS}, *node.certificate))
    api = t.enter(Server(SERVICES, *node.certificate))
    node.start("c1")
    notified = Notified(t, {"HostRoot": str(node.root), "SysRoot": "/sys", "ProcRoot": "/proc", "Kubelet": kubelet.url(),
                            "KubernetesAPI": api.url(), "KubernetesCA": str(node.authority.certificate),
                            "KubernetesToken": str(node.token), "KubeletInterval": 1})
    wait_until(lambda: api.requests, 20, "a question to the API server")
    for server, option, path in ((kubelet, "Kubelet: ", "/pods"),
                                 (api, "KubernetesAPI: ", "/api/v1/namespaces/shop/services")):
        t.equal(notified.count("OKAY", option), 0, f"{option} notifications of a recovery, as nothing failed")
        good, server.answers[path] = server.answers[path], 500
        notified.wait_for("WARNING", option, server.url())
        server.answers[path] = good
        notified.wait_for("OKAY", option, server.url(), "answers")
        t.equal([notified.count(severity, option) for severity in ("WARNING", "OKAY")], [1, 1], f"{option} notifications")


def test_of_names_that_can_be_read_again(t):
    """What may not be opened, root included: a link that leads to itself."""
    host.require_bpf()
    docker = t.state / "docker"
    docker.mkdir()
    (docker / "containers").symlink_to("containers")
    notified = Notified(t, {"DockerRoot": str(docker)})
    notified.wait_for("WARNING", "first digits of their ids", str(docker))
    (docker / "containers").unlink()
    (docker / "containers").mkdir()
    notified.wait_for("OKAY", "they go by their names", seconds=40)


def test_of_memory_that_can_be_read_again(t):
    """A process of a container that a proc file system of ours has, with something else in place of its figures."""
    host.require_bpf()
    container = t.enter(Container())
    pid = container.run(signal.pause)
    proc = t.state / "proc"
    (proc / str(pid)).mkdir(parents=True)
    rollup = proc / str(pid) / "smaps_rollup"
    rollup.write_text("Rss: many kB\n")
    notified = Notified(t, {"ProcRoot": str(proc), "ProportionalMemory": True, "ProportionalMemoryInterval": 1,
                            "ReportSystem": False, "Container": container.name})
    notified.wait_for("WARNING", "ProportionalMemory: ")
    rollup.write_text("Rss: 8 kB\nPss: 8 kB\nPrivate_Clean: 4 kB\nPrivate_Dirty: 4 kB\n")
    notified.wait_for("OKAY", "ProportionalMemory: ", "can be read")


def test_of_energy_that_is_measured_again(t):
    host.require_bpf()
    tree = t.enter(PackageTree(t.state / "sys"))
    notified = Notified(t, sysroot_options(tree.root) | {"SampleInterval": 0.2})
    time.sleep(2)
    tree.make_unreadable(1)
    notified.wait_for("WARNING", "energy of package-1 is not measured")
    tree.mend(1)
    notified.wait_for("OKAY", "energy of package-1 is measured again")
    t.note(f"{len(notifications(notified.server))} notifications: {[text[:60] for _, text in notifications(notified.server)]}")
    t.equal([notified.count(severity, "energy of package-1") for severity in ("WARNING", "OKAY")], [1, 1],
            "notifications of each")


def test_they_are_bounded(t):
    """Many counters that go and come back."""
    host.require_bpf()
    packages = 20
    tree = t.enter(PackageTree(t.state / "sys", packages))
    notified = Notified(t, sysroot_options(tree.root) | {"SampleInterval": 0.05, "MaxLogLines": 12})
    for package in range(1, packages):
        tree.make_unreadable(package)
        time.sleep(0.15)
        tree.mend(package)
    time.sleep(2)
    said = len([text for _, text in notified.daemon.our_log() if text.startswith("deepmon plugin: ")])
    told = len(notifications(notified.server))
    t.note(f"{told} notifications, {said} lines of log")
    t.between(said, 8, 12, "lines of log, where MaxLogLines is 12")
    t.between(told, 5, 12, "notifications")
