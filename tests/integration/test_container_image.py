# SPDX-License-Identifier: GPL-3.0-only
"""contrib/container/Dockerfile: a real Docker builds the image from our package, and a real containerd runs it with what
contrib/kubernetes/daemonset.yaml gives, and no more; from in there it measures this host's containers.

No registry is asked: the image of Debian is one that mmdebstrap makes, and in place of Telegraf stands a script that
reads Telegraf's configuration and runs what that says. Debian's Docker can't run it: it knows no CAP_BPF.
"""

import io
import re
import tarfile
from pathlib import Path

from stage import host
from stage.chroot import kept_archive
from stage.containerd import Containerd
from stage.dockerd import Dockerd
from stage.lineprotocol import find, parse_line
from stage.process import pids_mentioning, wait_until

from test_capabilities import ALL
from test_daemonset import DOCKERFILE, IDENTITY, NAMES, NODE, objects, pod
from test_package import make_package

ALONE = "its tests make what the next one takes"

TELEGRAF = """\
#!/bin/sh
# Runs the command of inputs.execd in the file that --config names, as Telegraf does with signal = "STDIN".
test "$1" = --config || exit 2
words=$(sed -n '/command = \\[/,/\\]/p' "$2" | grep -v '^ *#' | grep -o '"[^"]*"' | tr '\\n' ' ')
eval "set -- $words"
while sleep 1; do echo; done | "$@"
"""
NAMESPACE = "k8s.io"
DEBIAN = ["ca-certificates"]  # beside what is essential
# What containerd gives, unless it is told otherwise.
USUAL = ("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW", "SETFCAP",
         "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT")
NUMBERS = {"CAP_DAC_READ_SEARCH": 2, "CAP_SYS_PTRACE": 19, "CAP_PERFMON": 38, "CAP_BPF": 39}


def base_images():
    """Those that the Dockerfile takes, its arguments filled in."""
    text = DOCKERFILE.read_text()
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", text, re.MULTILINE))
    return re.findall(r"^FROM (\S+)", re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], text), re.MULTILINE)


def write_telegrafs_tree(path):
    """An archive with the script alone."""
    with tarfile.open(path, mode="w") as tree:
        script = tarfile.TarInfo("usr/bin/telegraf")
        script.mode, script.size = 0o755, len(TELEGRAF)
        tree.addfile(script, io.BytesIO(TELEGRAF.encode()))
    return path


def build_image(t, name):
    """The image as an archive."""
    package = make_package(t)
    telegraf, debian = base_images()
    trees = {telegraf: write_telegrafs_tree(t.state / "telegraf.tar"),
             debian: kept_archive(t.build, DEBIAN)}
    saved = t.state / "image.tar"
    with Dockerd(t.state / "dockerd") as dockerd:
        for image, archive in trees.items():
            with open(archive, "rb") as tree:
                dockerd.docker.cli("import", "-", image, stdin=tree, seconds=120)
        # The daemon has no network of its own to give.
        dockerd.docker.cli("build", "--network", "host", "-f", DOCKERFILE, "-t", name, package.parent, seconds=180)
        dockerd.docker.cli("save", "-o", saved, name, seconds=120)
    return saved


def given(t, found, runtime):
    """What the pod is given, in ctr's words; the runtime's files are that containerd's, the kubelet's the test's."""
    spec = pod(found)
    (container,) = spec["containers"]
    security = container["securityContext"]
    config = t.state / "telegraf"
    config.mkdir()
    for name, text in found["ConfigMap"]["data"].items():
        (config / name).write_text(text)
    t.equal((security["runAsUser"], security["capabilities"]["drop"]), (0, ["ALL"]), "user, and capabilities dropped")
    # A cluster may give no profile of seccomp, which allows more.
    words = ["--seccomp", "--allow-new-privs", *(["--read-only"] if security["readOnlyRootFilesystem"] else []),
             *(word for name, value in NODE.items() for word in ("--env", f"{name}={value}")),
             *(word for name in USUAL for word in ("--cap-drop", f"CAP_{name}")),
             *(word for name in security["capabilities"]["add"] for word in ("--cap-add", f"CAP_{name}"))]
    outside = {each["name"]: each.get("hostPath", {}).get("path", config) for each in spec["volumes"]}
    outside["containers"] = runtime.state_root / "io.containerd.runtime.v2.task"
    outside["logs"] = t.state / "logs"
    outside["logs"].mkdir()
    for mount in container["volumeMounts"]:
        words += ["--mount", f"type=bind,src={outside[mount['name']]},dst={mount['mountPath']},options=rbind:ro"]
    return words


# Each of these has the time of a test, and is kept for the next.
def test_there_is_a_package(t):
    t.true(make_package(t).exists(), "the package")


def test_there_is_a_debian(t):
    with tarfile.open(kept_archive(t.build, DEBIAN)) as tree:
        t.true("./etc/debian_version" in tree.getnames(), "a Debian in it")


def bounds_of(pid):
    """The capabilities that a process has, and those that it may have."""
    status = dict(line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "Cap" in line)
    return int(status["CapEff"], 16), int(status["CapBnd"], 16)


def runs_in(pid, container):
    """Whether that is deepmon-execd itself, in a container of that id."""
    process = Path(f"/proc/{pid}")
    return process.joinpath("comm").read_text() == "deepmon-execd\n" and f"/{NAMESPACE}/{container}" in \
        process.joinpath("cgroup").read_text()


def test_the_image_measures_this_hosts_containers(t):
    host.require_bpf()
    found = objects()
    (container,) = pod(found)["containers"]
    saved = build_image(t, container["image"])
    runtime = t.enter(Containerd(t.state / "containerd"))
    runtime.ctr("--namespace", NAMESPACE, "images", "import", saved, seconds=120)
    saved.unlink()
    runtime.run(IDENTITY, "/bin/sh", "-c", "while :; do :; done", namespace=NAMESPACE, annotations={
        "io.kubernetes.cri." + name: value for name, value in (NAMES | {"container-type": "container"}).items()})
    output, errors = t.state / "stdout", t.state / "stderr"
    with open(output, "wb") as stdout, open(errors, "wb") as stderr:
        runtime.run_image("deepmon", f"docker.io/library/{container['image']}:latest", *given(t, found, runtime),
                          namespace=NAMESPACE, stdout=stdout, stderr=stderr)

    def whole_reports():
        text = output.read_text()
        points = [parse_line(line) for line in text[:text.rfind("\n") + 1].splitlines()]
        return [point for point in points if point.time_ns != points[-1].time_ns]

    def of_the_pod():
        points = find(whole_reports(), "deepmon_container", container_name=NAMES["container-name"])
        return points if len(points) >= 3 else None

    points = wait_until(of_the_pod, 30, lambda: f"three reports of the pod ({errors.read_text()[-600:]})")
    first, last = points[0], points[-1]
    t.true(last.fields["cpu_time_ns"] > first.fields["cpu_time_ns"], "the pod's CPU time grows")
    t.equal([last.tags.get(tag) for tag in ("namespace", "pod_name", "node")],
            [NAMES["sandbox-namespace"], NAMES["sandbox-name"], NODE["NODE_NAME"]], "what is known of the pod")
    for measurement, tags in (("deepmon_total", {"kind": "kernel"}), ("deepmon_container_memory", {}),
                              ("deepmon_total_network", {})):
        t.true(find(whole_reports(), measurement, **tags), f"{measurement} {tags}")
    expected = sum(1 << NUMBERS[name] for name in ALL)
    t.equal([bounds_of(pid) for pid in pids_mentioning("/usr/bin/deepmon-execd") if runs_in(pid, "deepmon")],
            [(expected, expected)], "its capabilities, and those that it may have")
    t.note("; ".join(line[:120] for line in errors.read_text().splitlines()))
