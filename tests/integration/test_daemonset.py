# SPDX-License-Identifier: GPL-3.0-only
"""contrib/kubernetes/daemonset.yaml: it names what exists, asks for no more than is needed, and what it asks for is
enough: deepmon-execd measures in a container with these mounts and capabilities."""

import json
import re
import subprocess
import tomllib

from stage import host
from stage.cgroups import Container
from stage.lineprotocol import find, parse_line
from stage.process import Skip, find_program

from support import SOURCE, duty, two_cpus
from test_capabilities import ALL, finish, libraries

MANIFEST = SOURCE / "contrib" / "kubernetes" / "daemonset.yaml"
DOCKERFILE = SOURCE / "contrib" / "container" / "Dockerfile"
NODE = {"NODE_NAME": "node-1", "NODE_IP": "127.0.0.1"}
# A pod's container, as containerd's files tell of it.
IDENTITY = "c1" * 32
NAMES = {"container-name": "web", "sandbox-name": "web-0", "sandbox-namespace": "shop"}


def objects():
    """{kind: object}; there is one of each."""
    try:
        import yaml  # pylint: disable=import-outside-toplevel
    except ImportError as error:
        raise Skip("no parser of YAML", needs="python3-yaml") from error
    return {each["kind"]: each for each in yaml.safe_load_all(MANIFEST.read_text())}


def pod(found):
    return found["DaemonSet"]["spec"]["template"]["spec"]


def telegraf(found):
    """Telegraf's configuration, with the variables of its environment replaced as it does."""
    (container,) = pod(found)["containers"]
    given = {each["name"] for each in container["env"]}
    text = found["ConfigMap"]["data"]["telegraf.conf"]
    assert set(re.findall(r"\$\{(\w+)\}", text)) <= given == NODE.keys(), given
    return tomllib.loads(re.sub(r"\$\{(\w+)\}", lambda match: NODE[match[1]], text))


def test_manifest_is_whole(t):
    found = objects()
    (container,) = pod(found)["containers"]
    volumes = {each["name"] for each in pod(found)["volumes"]}
    t.equal({each["name"] for each in container["volumeMounts"]}, volumes, "volumes that are mounted")
    t.equal([each for each in container["volumeMounts"] if each.get("readOnly") is not True], [], "mounts to write to")
    t.equal({"CAP_" + name for name in container["securityContext"]["capabilities"]["add"]}, set(ALL), "capabilities")
    t.equal(container["securityContext"]["capabilities"]["drop"], ["ALL"], "capabilities dropped")
    t.equal({"privileged", "allowPrivilegeEscalation"} & container["securityContext"].keys(), set(), "more than those")
    t.equal({"hostPID", "hostNetwork", "hostIPC"} & pod(found).keys(), set(), "the host's namespaces")
    account = found["ServiceAccount"]["metadata"]
    t.equal(pod(found)["serviceAccountName"], account["name"], "whom the pods run as")
    t.equal([(each["name"], each["namespace"]) for each in found["ClusterRoleBinding"]["subjects"]],
            [(account["name"], account["namespace"])], "who is given the role")
    t.equal(found["ClusterRoleBinding"]["roleRef"]["name"], found["ClusterRole"]["metadata"]["name"], "the role given")
    template = found["DaemonSet"]["spec"]["template"]["metadata"]["labels"]
    t.equal(found["DaemonSet"]["spec"]["selector"]["matchLabels"], template, "labels of the pods")
    t.true(f"-t {container['image']} " in DOCKERFILE.read_text(), "the image is the one that the Dockerfile makes")


def test_role_is_the_one_in_the_readme(t):
    rules = {(name, verb) for rule in objects()["ClusterRole"]["rules"]
             for name in rule["resources"] for verb in rule["verbs"]}
    told = re.findall(r"resources: \[(\S+)\], verbs: \[(\w+)\]", (SOURCE / "README.md").read_text())
    t.true(told, "rules in README.md")
    t.equal(rules, set(told), "rules")


def test_its_options_are_accepted(t):
    conf = telegraf(objects())
    (block,) = conf["inputs"]["execd"]
    t.equal((block["command"][0], block["data_format"]), ("/usr/bin/deepmon-execd", "influx"), "what is run")
    t.equal(block["command"][1:3], ["--signal", block["signal"]], "signal of both")
    done = subprocess.run([t.built("deepmon-execd"), *block["command"][1:], "--version"], capture_output=True,
                          timeout=10, check=False)
    t.equal((done.returncode, done.stderr), (0, b""), "status and stderr")


def busy_pod(t, containerd_root):
    """A container of a pod that is busy, as its cgroup and containerd's files tell of it."""
    t.enter(Container(f"cri-containerd-{IDENTITY}.scope")).run(duty, two_cpus()[0], 0.5)
    config = containerd_root / "io.containerd.runtime.v2.task/k8s.io" / IDENTITY / "config.json"
    config.parent.mkdir(parents=True)
    config.write_text(json.dumps({"ociVersion": "1.0.2", "annotations": {
        "io.kubernetes.cri." + name: value for name, value in (NAMES | {"container-type": "container"}).items()}}))


def bundle(t, found):
    """What a runtime makes of the pod: its mounts and capabilities, and deepmon-execd's one report."""
    directory = t.state / "bundle"
    (directory / "rootfs").mkdir(parents=True)
    subprocess.run([find_program("runc", "docker", "runc"), "spec", "--bundle", directory], check=True)
    config = json.loads((directory / "config.json").read_text())
    (container,) = pod(found)["containers"]
    (block,) = telegraf(found)["inputs"]["execd"]
    capabilities = ["CAP_" + name for name in container["securityContext"]["capabilities"]["add"]]
    config["process"] |= {"terminal": False, "args": [block["command"][0], *block["command"][3:], "--once"],
                          "capabilities": {which: capabilities for which in ("bounding", "effective", "permitted")}}
    binary = t.built("deepmon-execd")
    sources = {block["command"][0]: binary, **{path: path for path in libraries(binary)}}
    paths = {each["name"]: each["hostPath"]["path"] for each in pod(found)["volumes"] if "hostPath" in each}
    for mount in container["volumeMounts"]:
        if mount["name"] in paths:
            sources[mount["mountPath"]] = paths[mount["name"]]
    # All is the host's own, but the files of a runtime and a kubelet.
    for inside, outside in sources.items():
        if inside.startswith(("/host/run/", "/host/var/")):
            sources[inside] = t.state / outside.lstrip("/")
            sources[inside].mkdir(parents=True, exist_ok=True)
    config["mounts"] += [{"destination": inside, "type": "bind", "options": ["rbind", "ro"], "source": str(outside)}
                         for inside, outside in sources.items()]
    config["root"]["readonly"] = False  # where mounts are put; what is run writes nothing
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def test_what_it_asks_for_is_enough(t):
    host.require_bpf()
    found = objects()
    busy_pod(t, t.state / "run/containerd")
    name = f"daemonset-{t.state.name}"
    directory, state = bundle(t, found), t.state / "runc"
    try:
        done = finish(["runc", "--root", state, "run", "--bundle", directory, name])
    finally:
        finish(["runc", "--root", state, "delete", "--force", name])
    lines = done.stderr.decode(errors="replace").splitlines()
    t.equal(done.returncode, 0, f"its status ({lines})")
    report = [parse_line(line) for line in done.stdout.decode().splitlines()]
    (point,) = find(report, "deepmon_container", container_name="web")
    t.equal([point.tags.get(tag) for tag in ("namespace", "pod_name", "node")], ["shop", "web-0", NODE["NODE_NAME"]],
            "what is known of the container")
    t.true(point.fields["cpu_time_ns"] > 0, "its CPU time")
    for measurement in ("deepmon_container_memory", "deepmon_total_network"):
        t.true(find(report, measurement), measurement)
    t.true(find(report, "deepmon_total", kind="kernel"), "eBPF's account: the kernel's threads")
    t.note("; ".join(line[:120] for line in lines))
