# SPDX-License-Identifier: GPL-3.0-only
"""deepmon-execd run: what it says of a command, beside what the kernel, time and the simulator say of it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from stage import host
from stage.cgroups import cpu_hierarchy, hierarchies
from stage.process import Skip, find_program, wait_until
from stage.rapl import RaplSim

BEGIN = "import os, sys, time; sys.dont_write_bytecode = True\n"

# Where the process is in the CPU hierarchy, and what the kernel's account of that is so far.
ACCOUNT = BEGIN + """
def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass

def usage_ns():
    root, v1 = {root!r}, {v1!r}
    for line in open("/proc/self/cgroup"):
        number, controllers, path = line.rstrip().split(":", 2)
        if ("cpuacct" in controllers.split(",")) if v1 else number == "0":
            directory = root + path.removesuffix("/nested")
    try:
        return int(open(directory + "/cpuacct.usage").read())
    except FileNotFoundError:
        return int(open(directory + "/cpu.stat").read().split()[1]) * 1000
"""


def account():
    root, v1 = cpu_hierarchy()
    return ACCOUNT.format(root=str(root), v1=v1)


def left_behind():
    """Cgroups of runs that are no more."""
    return [str(each) for root in hierarchies() for each in root.glob("deepmon-run-*")
            if not Path(f"/proc/{each.name.split('-')[2]}").exists()]


def run(t, command, *options, status=0, **settings):
    """Runs it; (the figures as JSON, what it printed)."""
    host.require_bpf()
    path = t.state / "figures.json"
    path.unlink(missing_ok=True)
    with subprocess.Popen([t.built("deepmon-execd"), "run", "--json", "--output", path, *options, "--", *command],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **settings) as child:
        try:
            printed, said = child.communicate(timeout=60)
        finally:
            child.kill()
    t.equal(child.returncode, status, f"status ({said.decode(errors='replace').strip()})")
    left = [str(each) for root in hierarchies() for each in root.glob(f"deepmon-run-{child.pid}-*")]
    t.equal(left, [], "cgroups left behind")
    return json.loads(path.read_text()), printed.decode()


def python(text):
    return [sys.executable, "-c", text]


def value(report, key):
    return report["figures"][key]["mean"]


def test_cpu_time_is_the_kernels(t):
    """And that of children, some in a cgroup nested in it, is in it; all is the cgroup's own account."""
    report, printed = run(t, python(account() + """
children = [os.fork() for _ in range(1)]
if not children[0]:
    burn(0.4)
    os._exit(0)
burn(0.5)
for child in children:
    os.waitpid(child, 0)
print(usage_ns())
"""))
    stolen = report["figures"]
    t.within(value(report, "cpu_time_ns"), int(printed), 0.03, "ns of CPU time, by the cgroup's own account")
    t.true(value(report, "cpu_time_ns") > 0.9e9, "both processes' time", value(report, "cpu_time_ns"))
    t.between(value(report, "cpus_used"), 0.1, os.cpu_count(), "CPUs used")
    t.within(value(report, "user_ns") + value(report, "system_ns"), value(report, "cpu_time_ns"), 0.1,
             "ns of user and system time")
    t.true("sd" not in stolen["cpu_time_ns"], "no spread of one run")


def test_what_time_says(t):
    program = find_program("time", None, "time")
    report, _ = run(t, [program, "-o", str(t.state / "time"), "-f", "%U %S %w %c %M %F %R", *python(BEGIN + """
for _ in range(100):
    time.sleep(0.001)
data = bytearray(80_000_000)
end = time.thread_time() + 0.3
while time.thread_time() < end:
    pass
""")])
    user, system, voluntary, involuntary, resident, _major, minor = map(
        float, (t.state / "time").read_text().split()[-7:])
    t.within(value(report, "user_ns") + value(report, "system_ns"), (user + system) * 1e9, 0.1,
             "ns of user and system time")
    t.between(value(report, "voluntary_switches") - voluntary, 0, 20, "voluntary switches more than time counts")
    t.between(value(report, "involuntary_switches") - involuntary, 0, 50, "involuntary ones")
    if "largest_process_bytes" in report["figures"] or resident * 1024 > 200_000_000:
        t.within(value(report, "largest_process_bytes"), resident * 1024, 0.05, "bytes of the largest process")
    else:
        t.note("deepmon-execd itself is as large (a build with sanitizers): the largest process is not known")
    t.true(value(report, "minor_faults") > 0 and minor > 0, "minor faults", value(report, "minor_faults"))
    t.true(value(report, "peak_bytes") >= 80_000_000, "bytes of memory at its peak", value(report, "peak_bytes"))


def test_files_and_network(t):
    size = 3_000_000
    report, _ = run(t, python(BEGIN + f"""
import socket
with open({str(t.state / 'file')!r}, "wb", buffering=0) as file:
    for _ in range(100):
        file.write(b"x" * {size // 100})
a, b = socket.socketpair()
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
other, _ = server.accept()
client.sendall(b"y" * 5000)
received = 0
while received < 5000:
    received += len(other.recv(5000))
"""))
    t.between(value(report, "file_written_bytes"), size, size + 20_000, "bytes written")
    t.between(value(report, "file_write_calls"), 100, 140, "calls that wrote")
    t.equal(value(report, "tcp_sent_bytes"), 5000, "bytes sent over TCP")
    t.equal(value(report, "tcp_received_bytes"), 5000, "bytes received")
    t.equal((value(report, "tcp_opened_active"), value(report, "tcp_opened_passive")), (1, 1), "connections")


def test_energy_is_the_simulators(t):
    """The simulator models the command's cgroup: it is told its path before it is there."""
    host.require_bpf()
    root, _ = cpu_hierarchy()
    path = t.state / "figures.json"
    command = python(account() + "burn(1.5)\ntime.sleep(0.3)")
    go, ready = os.pipe()
    child = os.fork()
    if not child:
        os.read(go, 1)
        os.execv(t.built("deepmon-execd"), [
            "deepmon-execd", "run", "--json", "--output", str(path), "--sys-root", str(t.state / "sim/sys"),
            "--cgroup-root", "/sys/fs/cgroup", "--idle-policy", "separate", "--idle-package-watts", "10",
            "--idle-core-watts", "0", "--idle-dram-watts", "2", "--sample-interval", "0.05", "--", *command])
    try:
        simulator = t.enter(RaplSim(t.state / "sim", t.built("rapl-sim"), period_ms=10,
                                    cgroups={"run": root / f"deepmon-run-{child}-1.scope"}))
        stolen = host.Stolen()
        os.write(ready, b"x")
        _, status = os.waitpid(child, 0)
        child = None
    finally:
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    t.equal(status, 0, "status")
    time.sleep(0.1)
    report = json.loads(path.read_text())
    true = simulator.truth().records[-1]["cgroups"]["run"]["dynamic_uj"]
    for domain in ("package", "core", "dram"):
        joules, watts = value(report, f"{domain}_energy_joules"), {"package": 30, "core": 16, "dram": 5}[domain]
        t.within(joules, true[domain] / 1e6, 0.05 + min(0.08, stolen.seconds() * watts / (true[domain] / 1e6)),
                 f"J of {domain}, by the simulator's model of the cgroup")
        t.true(value(report, f"host_{domain}_energy_joules") >= joules, "the host used as much at least")
    t.within(value(report, "package_power_watts"),
             value(report, "package_energy_joules") / value(report, "elapsed_ns") * 1e9, 1e-9, "W")
    t.true("energy" not in report["not_measured"], "energy was measured", report["not_measured"])


def test_repeat(t):
    report, printed = run(t, python(account() + "print('x'); burn(0.1)"), "--repeat", "4", "--experiment", "try 1")
    t.equal(printed, "x\n" * 4, "what four runs print")
    t.equal((report["runs"], report["experiment"]), (4, "try 1"), "runs and experiment")
    cpu = report["figures"]["cpu_time_ns"]
    t.equal(cpu["runs"], 4, "runs with CPU time")
    t.between(cpu["mean"], 0.1e9, 0.4e9, "mean of CPU time")
    t.true(0 < cpu["sd"] < cpu["mean"] and 0 < cpu["error_percent"] < 100, "its spread", cpu)
    t.within(cpu["error_percent"], 100 * cpu["sd"] / 2 / cpu["mean"], 1e-6, "standard error of 4 runs, per cent")


def test_what_can_not_be_measured_is_told_with_its_reason(t):
    report, _ = run(t, ["true"], "--sys-root", str(t.state), "--cgroup-root", "/sys/fs/cgroup",
                    "--network", "off", "--memory", "off")
    absent = report["not_measured"]
    t.true("powercap" in absent["energy"], "why there is no energy", absent)
    t.true("Network" in absent["network"] and "Memory" in absent["memory"], "which options are off", absent)
    keys = set(report["figures"])
    t.true(not any("joules" in key or "tcp" in key for key in keys), "no such figures", keys)
    text = subprocess.run([t.built("deepmon-execd"), "run", "--network", "off", "--", "true"],
                          capture_output=True, timeout=30, check=True).stderr.decode()
    t.one_line(text.splitlines(), "network: not measured: the option Network is off")


def test_exit_statuses(t):
    host.require_bpf()
    for command, status in ((["true"], 0), (["sh", "-c", "exit 3"], 3), (["/no/such/program"], 127),
                            (["/etc/passwd"], 126), (["sh", "-c", "kill -TERM $$"], 128 + signal.SIGTERM)):
        report, _ = run(t, command, status=status)
        t.equal(report["status"], status, f"status of {command}")
    counter = t.state / "counter"
    run(t, ["sh", "-c", f"echo x >> {counter}; exit $(($(wc -l < {counter}) - 1))"], "--repeat", "3", status=1)
    for arguments, words in (([], ("no command",)), (["--repeat", "0", "--", "true"], ("repeat", "1 to")),
                             (["true"], ("true", "before the command")), (["--bogus", "1", "--", "x"], ("bogus",)),
                             (["--interval"], ("interval", "value"))):
        done = subprocess.run([t.built("deepmon-execd"), "run", *arguments], capture_output=True, timeout=20,
                              check=False)
        t.equal(done.returncode, 125, f"status of run {arguments}")
        t.one_line(done.stderr.decode().splitlines(), *words)


def test_signals_are_passed_on(t):
    host.require_bpf()
    told = t.state / "told"
    script = f'trap "echo usr1 >> {told}" USR1; trap "echo term >> {told}; exit 9" TERM; echo up > {told}; ' \
             "while :; do sleep 0.05; done"
    process = subprocess.Popen([t.built("deepmon-execd"), "run", "--repeat", "5", "--", "sh", "-c", script],
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        wait_until(told.exists, 10, "the command's start")
        process.send_signal(signal.SIGUSR1)
        wait_until(lambda: "usr1" in told.read_text(), 10, "the command's hearing of SIGUSR1")
        process.send_signal(signal.SIGTERM)
        text = process.communicate(timeout=20)[1].decode()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    t.equal(process.returncode, 9, f"status ({text})")
    t.equal(told.read_text().split(), ["up", "usr1", "term"], "what the command heard, in one run of five")
    t.one_line(text.splitlines(), "mean of 1 run:")


def test_what_is_left_running_is_ended(t):
    pid = t.state / "pid"
    run(t, ["sh", "-c", f"sleep 1000 & echo $! > {pid}"])
    try:
        state = open(f"/proc/{pid.read_text().strip()}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        state = "gone"
    t.true(state in ("gone", "Z"), "the child that was left has ended (or waits for init)", state)
    root, _ = cpu_hierarchy()
    report, printed = run(t, python(account() + f"""
name = [line.rstrip().split(":", 2)[2] for line in open("/proc/self/cgroup") if "deepmon-run" in line][0]
nested = {str(root)!r} + name + "/nested"
os.mkdir(nested)
open(nested + "/cgroup.procs", "w").write("0")
burn(0.3)
print(usage_ns())
"""))
    t.within(value(report, "cpu_time_ns"), int(printed), 0.1, "ns, most of it in a cgroup nested in the command's")


def test_what_a_killed_one_leaves_is_swept_by_the_next(t):
    host.require_bpf()
    told = t.state / "told"
    command = ["sh", "-c", f"echo $$ > {told}.new; mv {told}.new {told}; exec sleep 1000"]
    process = subprocess.Popen([t.built("deepmon-execd"), "run", "--", *command], stdin=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        wait_until(told.exists, 10, "the command's start")
    finally:
        process.kill()
        process.wait()
    sleeping = int(told.read_text())
    left = left_behind()
    t.true(left, "cgroups left, in which the command still is")
    subprocess.run([t.built("deepmon-execd"), "run", "--output", "/dev/null", "--", "true"], check=True, timeout=60)
    t.equal(left_behind(), left, "the same: nobody ends a command that goes on, nor takes its cgroup")
    os.kill(sleeping, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{sleeping}/exe").exists(), 10, "its end")
    run(t, ["true"])
    t.equal(left_behind(), [], "cgroups left when the command has ended, too")


def test_without_privileges(t):
    host.require_bpf()
    setpriv = find_program("setpriv", None, "util-linux")
    binary = t.built("deepmon-execd")
    try:
        subprocess.run([setpriv, "--reuid=65534", "--clear-groups", binary, "--version"], check=True,
                       capture_output=True, timeout=10)
    except subprocess.CalledProcessError as error:
        raise Skip("another user may not execute what was built here") from error
    done = subprocess.run([setpriv, "--reuid=65534", "--clear-groups", binary, "run", "--", "true"],
                          capture_output=True, timeout=20, check=False)
    t.equal(done.returncode, 125, "status")
    t.one_line(done.stderr.decode().splitlines(), "run:", "deepmon-run-", "Permission denied")


def test_many_arguments_and_hostile_ones(t):
    report, printed = run(t, ["sh", "-c", "echo $#", "sh", bytes(range(1, 256)), "ü", 'quote " and \\', ""])
    t.equal(report["command"][5:], ["ü", 'quote " and \\', ""], "arguments")
    t.equal(len(report["command"][4]), 255, "characters of one that is no UTF-8")
    t.equal(printed, "4\n", "how many the command got")
