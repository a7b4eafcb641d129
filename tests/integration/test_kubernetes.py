# SPDX-License-Identifier: GPL-3.0-only
"""Owners and services of pods, from stand-ins for the kubelet and the API server that answer well, badly, or never."""

import json
import os
import subprocess
import time

from stage import host
from stage.kubernetes import Authority, Server
from stage.lineprotocol import find, parse_line
from stage.process import find_program, wait_until

from support import SOURCE, collectd, csv, execd
from test_identity import LATE_SECONDS, POD_UID, Host, container_id, containers, named, tags_of

ALONE = "it counts the containers of the host"

FIXTURES = SOURCE / "tests" / "fixtures" / "kubernetes"
PODS = (FIXTURES / "pods.json").read_text()
SERVICES = {f"/api/v1/namespaces/{space}/services": (FIXTURES / f"services-{space}.json").read_text()
            for space in ("shop", "kube-system")}
NAMESPACES_MOST = 256
# Reports are read again and again.
SHORT = ("--report-system", "false", "--memory", "off", "--block-devices", "0")
TOKEN = "eyJhbGciOiJSUzI1NiJ9.stand-in"
# Of pods.json: the first two digits of its id, its namespace, pod and name, and who made it.
CONTAINERS = {
    "c1": ("shop", "web-7d4b9c6f5d-x2x4z", "web", "Deployment", "web", "front,web"),
    "c5": ("kube-system", "agent-tqhdf", "agent", "DaemonSet", "agent", "metrics"),
    "e1": ("shop", "db-0", "db", "StatefulSet", "db", "db,db-headless"),
    "c6": ("shop", "load-b7x9c", "load", "Job", "load", None),
}


class Node(Host):
    """A host with pods, their containers' names in containerd's files."""

    def __init__(self, t):
        super().__init__(t)
        self.authority = Authority(t.state / "ca")
        self.certificate = self.authority.sign("node-1", "IP:127.0.0.1", "DNS:localhost")
        self.token = self.root / "token"
        self.token.write_text(TOKEN + "\n")

    def make(self, identifier):
        directory = self.top.directory / "kubepods" / "burstable" / f"pod{POD_UID}" / identifier
        for above in reversed(directory.parents):
            if not above.exists():
                above.mkdir()
        directory.mkdir()
        return directory

    def start(self, digits, with_files=True):
        """A pod's container."""
        space, pod, name, *_ = CONTAINERS[digits]
        identifier = container_id(digits)
        if with_files:
            cri = "io.kubernetes.cri."
            path = self.root / "run/containerd/io.containerd.runtime.v2.task/k8s.io" / identifier / "config.json"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps({"ociVersion": "1.0.2", "annotations": {
                cri + "container-type": "container", cri + "container-name": name, cri + "sandbox-name": pod,
                cri + "sandbox-namespace": space}}))
        return self.make(identifier)

    def ask(self, kubelet, api=None, interval="1"):
        """Options to ask those."""
        return [*self.options(), *SHORT, "--kubelet", kubelet, "--kubernetes-ca", str(self.authority.certificate),
                "--kubernetes-token", str(self.token), "--kubelet-interval", interval,
                *(("--kubernetes-api", api) if api else ())]


def told_of(point):
    return tuple(point.tags.get(key) for key in
                 ("namespace", "pod_name", "container_name", "owner_kind", "owner_name", "service_name"))


def wait_for_all(parent, digits, seconds=60):
    """Until those containers are told of as pods.json has them."""
    wanted = {CONTAINERS[each][2]: CONTAINERS[each] for each in digits}

    def told():
        return {name: told_of(point) for name, point in containers(parent).items() if name in wanted}

    wait_until(lambda: told() == wanted, seconds, lambda: f"owners {wanted} (there are {told()})")


def says(parent, words):
    """Whether a line of its log has the words."""
    return any(words in line for line in list(parent.stderr_lines))


def test_owners_and_services_by_https(t):
    host.require_bpf()
    node = Node(t)
    kubelet = t.enter(Server({"/pods": PODS}, *node.certificate))
    api = t.enter(Server(SERVICES, *node.certificate))
    node.start("c1")
    node.start("c5", with_files=False)  # its name is the kubelet's to tell, too
    node.start("c6")
    parent = execd(t, *node.ask(kubelet.url() + "/", api.url("localhost")), "--container-label", "app", interval=1)
    wait_for_all(parent, ["c1", "c5", "c6"])
    t.equal(tags_of(containers(parent)["agent"], "node", "label_app", "container_image", "container_version"),
            {"node": "node-1", "label_app": "agent", "container_image": "docker.io/library/agent", "container_version": "latest"},
            "what the kubelet alone tells")
    t.equal({authorization for _, authorization in kubelet.requests + api.requests}, {f"Bearer {TOKEN}"},
            "what both were asked with")
    t.equal({path for path, _ in api.requests}, {f"{path}?resourceVersion=0" for path in SERVICES},
            "what the API server was asked for")

    # Those that come later, and services that change.
    node.start("e1")
    wait_for_all(parent, ["c1", "c5", "c6", "e1"])
    changed = json.loads(SERVICES["/api/v1/namespaces/shop/services"])
    changed["items"] = [item for item in changed["items"] if item["metadata"]["name"] != "db-headless"]
    api.answers["/api/v1/namespaces/shop/services"] = json.dumps(changed)
    wait_until(lambda: containers(parent)["db"].tags.get("service_name") == "db", 2 * LATE_SECONDS,
               "the service db alone")
    # A new token is taken up.
    node.token.write_text("another")
    wait_until(lambda: kubelet.requests[-1][1] == "Bearer another", LATE_SECONDS, "the new token")


def test_owners_are_asked_for_no_more_often_than_need_be(t):
    host.require_bpf()
    node = Node(t)
    kubelet = t.enter(Server({"/pods": PODS}))
    node.start("c1")
    parent = execd(t, *node.ask(kubelet.url(), interval="60"), interval=1)
    named(parent, "web", 60)
    wait_until(lambda: told_of(containers(parent)["web"])[3:] == ("Deployment", "web", None), LATE_SECONDS,
               "the owner, by the port without a certificate")
    t.equal({authorization for _, authorization in kubelet.requests}, {None}, "tokens sent without TLS")
    time.sleep(3)
    t.equal(len(kubelet.requests), 1, "questions, as nothing was new")
    node.start("e1")
    wait_until(lambda: (point := containers(parent).get("db")) and told_of(point)[3] == "StatefulSet",
               LATE_SECONDS, "the owner of one that the first answer told of already")
    t.equal(len(kubelet.requests), 1, "questions, as the answer was there")
    # One that the kubelet knows nothing of is asked for less and less often.
    identifier = container_id("f0")
    node.make(identifier)
    named(parent, identifier[:12])
    wait_until(lambda: len(kubelet.requests) >= 3, 4 * LATE_SECONDS, "questions for it")
    time.sleep(4)
    t.true(len(kubelet.requests) <= 5, "at most five questions", len(kubelet.requests))


def test_services_of_so_many_namespaces_are_asked_for(t):
    """And no more; the others' pods have no services."""
    host.require_bpf()
    node = Node(t)
    spaces = [f"n{number:03}" for number in range(NAMESPACES_MOST + 20)]
    pods = json.loads(PODS)
    pods["items"] += [{"metadata": {"name": "p", "namespace": space}} for space in spaces]
    kubelet = t.enter(Server({"/pods": json.dumps(pods)}, *node.certificate))
    api = t.enter(Server(SERVICES | {f"/api/v1/namespaces/{space}/services": '{"items":[]}' for space in spaces},
                         *node.certificate))
    node.start("c5")
    parent = execd(t, *node.ask(kubelet.url(), api.url(), interval="60"), interval=1)
    wait_for_all(parent, ["c5"])
    t.equal(len({path for path, _ in api.requests}), NAMESPACES_MOST, "namespaces that were asked for")


def test_a_kubelet_that_is_another_is_not_told_the_token(t):
    host.require_bpf()
    node = Node(t)
    stranger = Authority(t.state / "stranger").sign("node-1", "IP:127.0.0.1")
    other_name = node.authority.sign("other", "DNS:other.example.com")
    node.start("c5")
    for number, certificate in enumerate([stranger, other_name]):
        with Server({"/pods": PODS}, *certificate) as kubelet:
            parent = execd(t, *node.ask(kubelet.url()), interval=1, log=t.state / f"execd-{number}.log")
            named(parent, "agent", 60)
            wait_until(lambda: says(parent, "KubernetesCA must be"), LATE_SECONDS, "a line that names the remedy")
            parent.wait_for_batches(len(parent.batches) + 3, 20)
            t.equal(told_of(containers(parent)["agent"])[3:5], (None, "agent"), "what its name alone tells")
            t.equal(kubelet.requests, [], "requests that reached it")
            t.one_line(parent.stderr_lines, "W! deepmon: Kubelet: ")
            parent.stop()


def endless(handler):
    """Some 60 MB of a list, in chunks without a length, as long as somebody takes them."""
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    pod = json.dumps(json.loads(PODS)["items"][0]) + ","
    handler.wfile.write(b'{"items":[')
    for _ in range(60):
        handler.wfile.write((pod * (1_000_000 // len(pod))).encode())
    handler.close_connection = True


def cut_short(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(PODS)))
    handler.end_headers()
    handler.wfile.write(PODS[:len(PODS) // 2].encode())
    handler.close_connection = True


def redirect(handler):
    handler.send_response(302)
    handler.send_header("Location", "/elsewhere")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


HOSTILE = {
    "nothing": "",
    "no JSON": "Unauthorized",
    "no list": '{"kind":"Status","code":500}',
    "10,000 deep": '{"items":[{"metadata":' + "[" * 10_000 + "]" * 10_000 + "}]}",
    "a pod of 200,000 values": '{"items":[{"metadata":{"name":"p","namespace":"n","labels":[' + "7," * 200_000 + "7]}}]}",
    "names that are none": json.dumps({"items": [{"metadata": {"name": "../..", "namespace": "../../x?y#z"}}]}),
    "bytes": bytes(range(256)) * 100,
    "more than is read": endless,
    "less than was promised": cut_short,
    "a redirection": redirect,
    "401": 401,
    "500": 500,
}


OF_SERVICES = ("no list", "10,000 deep", "more than is read", "500")  # read as lists of pods are


def test_whatever_the_kubelet_answers_names_stay(t):
    host.require_bpf()
    node = Node(t)
    kubelet = t.enter(Server({"/pods": PODS}, *node.certificate))
    api = t.enter(Server(SERVICES, *node.certificate))
    node.start("c1")
    node.start("e1")
    parent = execd(t, *node.ask(kubelet.url(), api.url()), interval=1)
    wait_for_all(parent, ["c1", "e1"])
    for what, answer in HOSTILE.items():
        # The API server first: it is asked for namespaces, and those are the kubelet's to tell.
        for server, path in ((api, "/api/v1/namespaces/shop/services"), (kubelet, "/pods")):
            if server is api and what not in OF_SERVICES:
                continue
            before, good = len(server.requests), server.answers[path]
            server.answers[path] = answer
            wait_until(lambda: len(server.requests) > before, 30, f"a question that gets {what} as an answer")
            parent.wait_for_batches(len(parent.batches) + 1, 10)
            server.answers[path] = good
            t.equal({name: told_of(point)[3:5] for name, point in containers(parent).items()},
                    {"web": ("Deployment", "web"), "db": ("StatefulSet", "db")},
                    f"owners after the answer: {what}")
    wait_for_all(parent, ["c1", "e1"])
    t.true("/elsewhere" not in {path for path, _ in kubelet.requests}, "redirections followed", kubelet.requests)
    lines = [line for line in parent.stderr_lines if "Kubelet: " in line and line.startswith("W!")]
    t.note(f"{len(lines)} warnings about the kubelet, {len(kubelet.requests)} questions")
    t.true(0 < len(lines) <= 2 * len(HOSTILE), "a line for each way to fail", lines)


def test_a_kubelet_that_hangs_costs_but_what_it_tells(t):
    host.require_bpf()
    node = Node(t)
    kubelet = t.enter(Server({"/pods": lambda handler: handler.hang()}, *node.certificate))
    node.start("c5")
    parent = execd(t, *node.ask(kubelet.url()), signal="STDIN", ticking=False)
    parent.tick()
    parent.wait_for_batches(1, 20)
    wait_until(lambda: kubelet.requests, 10, "a question that hangs")
    took = []
    for count in range(2, 10):
        start = time.monotonic()
        parent.tick()
        parent.wait_for_batches(count, 10)
        took.append(time.monotonic() - start)
        time.sleep(0.2)
    t.note(f"reports took {sorted(took)[len(took) // 2] * 1e3:.0f} ms (median) while {len(kubelet.requests)} questions hung")
    t.between(sorted(took)[len(took) // 2], 0, 0.5, "seconds that a report takes")
    # Names that others tell are not held up either.
    identifier = container_id("d1")
    (node.top.directory / "docker").mkdir()
    Host.make(node, identifier)
    node.write_docker(identifier, "quick")

    def tick_for(name):
        parent.tick()
        time.sleep(0.3)
        return containers(parent).get(name)

    wait_until(lambda: tick_for("quick"), LATE_SECONDS, "the name of a container of Docker's")
    wait_until(lambda: says(parent, "Kubelet: "), 10, "a line about it")
    t.one_line(parent.stderr_lines, "Kubelet", "owners of pods are not told")
    start = time.monotonic()
    parent.stop()
    t.between(time.monotonic() - start, 0, 4, "seconds to end, while a question hangs")


def once(t, node, *words):
    """{name: point} of the containers of one report, and what was said."""
    done = subprocess.run([t.built("deepmon-execd"), "--once", *words], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=60, check=False)
    said = done.stderr.decode(errors="replace")
    t.equal(done.returncode, 0, f"status of --once ({said})")
    points = find([parse_line(line) for line in done.stdout.decode().splitlines()], "deepmon_container")
    return {point.tags["container_name"]: point for point in points}, said


def test_once_waits_for_what_the_kubelet_tells(t):
    host.require_bpf()
    node = Node(t)

    def late(answer):
        def answers(handler):
            time.sleep(1.5)  # by then the second of the report is over
            handler.reply(200, answer.encode())

        return answers

    kubelet = t.enter(Server({"/pods": late(PODS)}, *node.certificate))
    api = t.enter(Server({path: late(answer) for path, answer in SERVICES.items()}, *node.certificate))
    node.start("c1")
    node.start("c5", with_files=False)
    found, said = once(t, node, *node.ask(kubelet.url(), api.url()))
    for digits in ("c1", "c5"):
        name = CONTAINERS[digits][2]
        t.true(name in found, f"{name} among what is told ({said})", sorted(found))
        t.equal(told_of(found[name]), CONTAINERS[digits], f"what is told of {name}")
    t.true("did not within" not in said, "no complaint", said)


def test_once_waits_for_no_kubelet_that_hangs(t):
    host.require_bpf()
    node = Node(t)
    kubelet = t.enter(Server({"/pods": PODS}, *node.certificate))
    api = t.enter(Server({path: lambda handler: handler.hang() for path in SERVICES}, *node.certificate))
    node.start("c1")
    found, said = once(t, node, *node.ask(kubelet.url(), api.url()))
    t.true("web" in found, "a container that its files name", sorted(found))
    t.true(any("did not within" in line or "KubernetesAPI: " in line for line in said.splitlines()),
           "a line that says so", said)
    t.equal(told_of(found["web"])[5], None, "services, which nobody told")


def libraries(name):
    """Where the loader finds those that begin so."""
    listed = subprocess.run([find_program("ldconfig", "bpf", "libc-bin"), "-p"], capture_output=True, text=True,
                            check=True).stdout
    return sorted({os.path.realpath(line.split("=>")[1].strip()) for line in listed.splitlines()
                   if line.strip().startswith(name)})


def without(files):
    """A prefix of a command that sees nothing in their place."""
    hide = "".join(f"mount --bind /dev/null {file} && " for file in files)
    return [find_program("unshare", "bpf", "util-linux"), "--mount", "sh", "-c", hide + 'exec "$@"', "sh"]


def test_either_libcurl_serves_and_none_is_said(t):
    host.require_bpf()
    node = Node(t)
    kubelet = t.enter(Server({"/pods": PODS}, *node.certificate))
    stranger = t.enter(Server({"/pods": PODS}, *Authority(t.state / "stranger").sign("node-1", "IP:127.0.0.1")))
    node.start("c5")
    openssl, gnutls = libraries("libcurl.so.4"), libraries("libcurl-gnutls.so.4")
    t.true(openssl, "libcurl", openssl)
    if gnutls:
        parent = execd(t, *node.ask(kubelet.url()), interval=1, prefix=without(openssl), log=t.state / "gnutls.log")
        wait_until(lambda: "agent" in containers(parent) and told_of(containers(parent)["agent"])[3] == "DaemonSet", 20,
                   "the owner, by libcurl with GnuTLS")
        parent.stop()
        parent = execd(t, *node.ask(stranger.url()), interval=1, prefix=without(openssl), log=t.state / "stranger.log")
        wait_until(lambda: says(parent, "KubernetesCA must be"), 20, "a line with the remedy")
        t.equal(stranger.requests, [], "requests that reached a stranger")
        parent.stop()
    parent = execd(t, *node.ask(kubelet.url()), interval=1, prefix=without(openssl + gnutls))
    named(parent, "agent", 60)
    t.one_line(parent.stderr_lines, "Kubelet", "no libcurl", "install libcurl4")


def test_collectd_asks_the_kubelet_too(t):
    """Owners are no part of collectd's names, but names that the kubelet alone tells are."""
    host.require_bpf()
    node = Node(t)
    kubelet = t.enter(Server({"/pods": PODS}, *node.certificate))
    node.start("c5", with_files=False)
    more, directory = csv(t)
    daemon = collectd(t, {"HostRoot": str(node.root), "SysRoot": "/sys", "ProcRoot": "/proc",
                          "Kubelet": kubelet.url(), "KubeletCA": str(node.authority.certificate),
                          "KubernetesToken": str(node.token), "ReportSystem": False, "Memory": False},
                      interval=1, more=more)
    wait_until(lambda: [path for path in directory.glob("*/deepmon-container-kube-system_agent-tqhdf_agent")], 20,
               "the container by its pod's name in csv files")
    t.equal([text for _, text in daemon.our_log() if "ignored" in text or "Kubelet" in text and "answers" not in text],
            [], "complaints")
