#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-only
"""The Debian package and the drop-in under a real systemd: tests/kernels/systemd.py, after make deb.

Boots Debian 12's kernel and its systemd under QEMU's software emulation, with collectd's own unit in it: as root
bound to the drop-in's capabilities, and then with its last two lines, as a user that has no others.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import images  # noqa: E402
from stage import tap  # noqa: E402
from stage.chroot import Chroot, dependencies  # noqa: E402
from stage.process import StageError, find_program, spawn, stop_process  # noqa: E402

SERIES = "6.1"
BOOT_SECONDS = 400
MAKE_SECONDS = 400
KERNEL_LINE = "console=ttyS0 quiet panic=-1 tsc=reliable systemd.show_status=0"
DROP_INS = "/etc/systemd/system/collectd.service.d"
# CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE, CAP_PERFMON, CAP_BPF, as /proc/PID/status has them.
CAPABILITIES = f"{1 << 2 | 1 << 19 | 1 << 38 | 1 << 39:016x}"

COLLECTD = """\
Hostname "guest"
FQDNLookup false
Interval 1
LoadPlugin logfile
<Plugin logfile>
  File "/var/lib/collectd/log"
</Plugin>
LoadPlugin csv
<Plugin csv>
  DataDir "/var/lib/collectd/csv"
</Plugin>
LoadPlugin deepmon
"""

REPORTER = """\
[Unit]
After=collectd.service
[Service]
Type=oneshot
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
ExecStart=/bin/sh /report.sh
"""

REPORT = f"""\
kernel_time=/var/lib/collectd/csv/guest/deepmon-total-kernel
report() {{
    for i in $(seq 60); do ls $kernel_time/* > /dev/null 2>&1 && break; sleep 1; done
    echo; echo "begin $1"
    systemctl show collectd -p ActiveState,DropInPaths,NRestarts
    grep -E '^(Uid|CapEff|CapBnd):' /proc/$(systemctl show -p MainPID --value collectd)/status
    sed 's/^/log: /' /var/lib/collectd/log
    ls $kernel_time | sed 's/^/csv: /'
    echo "end $1"
}}
report root
sed -i 's/^#\\([A-Z]\\)/\\1/' {DROP_INS}/deepmon.conf
rm -rf /var/lib/collectd
systemctl daemon-reload
systemctl restart collectd
report user
systemctl --force --force poweroff
"""


def furnish(debian, package):
    """Installs the package, and does what README.md says of the drop-in."""
    debian.path("/tmp/deepmon.deb").write_bytes(package.read_bytes())
    debian.ask("dpkg", "-i", "/tmp/deepmon.deb")
    debian.ask("cp", "-r", "/usr/share/deepmon/collectd.service.d", "/etc/systemd/system/")
    debian.path("/etc/collectd").mkdir(exist_ok=True)
    debian.path("/etc/collectd/collectd.conf").write_text(COLLECTD)
    debian.path("/etc/systemd/system/reporter.service").write_text(REPORTER)
    debian.path("/report.sh").write_text(REPORT)
    debian.ask("ln", "-s", "/etc/systemd/system/reporter.service", "/etc/systemd/system/multi-user.target.wants/")
    debian.ask("ln", "-s", "/lib/systemd/systemd", "/init")
    debian.ask("rm", "-rf", "/tmp/deepmon.deb", "/usr/share/doc", "/usr/share/locale", "/var/lib/apt", "/var/cache/apt")


def pack(debian, archive):
    busybox = find_program("busybox", "kernels", "busybox-static")
    with open(archive, "wb") as out:
        subprocess.run(["sh", "-c", f"find . -xdev | {busybox} cpio -o -H newc 2>/dev/null | gzip -1"],
                       cwd=debian.root, stdout=out, check=True)


def boot(t, kernel, archive):
    """What was on the console."""
    console = t.state / "console"
    with open(console, "wb") as log:
        machine = spawn([find_program("nice", None, "coreutils"), "-n", "10",
                         find_program("qemu-system-x86_64", "kernels", "qemu-system-x86"), "-accel",
                         "tcg,thread=single", "-cpu", "max", "-smp", "2", "-m", "2048", "-net", "none", "-nographic",
                         "-no-reboot", "-kernel", kernel, "-initrd", archive, "-append", KERNEL_LINE],
                        stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            machine.wait(BOOT_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise StageError(f"the guest took more than {BOOT_SECONDS} s; see {console}") from error
        finally:
            stop_process(machine)
    return console.read_text(errors="replace").replace("\r", "")


def check(t, text, who):
    found = re.search(rf"^begin {who}\n(.*?)^end {who}$", text, re.MULTILINE | re.DOTALL)
    t.true(found, f"a report of collectd as {who}", text[-500:])
    lines = found[1].splitlines()
    settings = dict(line.split("=", 1) for line in lines if re.match(r"\w+=", line))
    status = dict(line.split(":", 1) for line in lines if re.match(r"(Uid|Cap\w+):", line))
    t.equal(settings, {"ActiveState": "active", "DropInPaths": f"{DROP_INS}/deepmon.conf", "NRestarts": "0"},
            f"what systemd says as {who}")
    t.equal((status["CapEff"].strip(), status["CapBnd"].strip()), (CAPABILITIES, CAPABILITIES),
            f"capabilities as {who}")
    t.equal(status["Uid"].split()[0] == "0", who == "root", f"whether it is root ({status['Uid'].split()[0]})")
    log = [line for line in lines if line.startswith("log: ")]
    t.equal([line for line in log if "eBPF" in line], [], f"what is refused as {who}")
    t.true([line for line in lines if line.startswith("csv: deepmon_cpu_ns")], f"kernel's CPU time as {who}", log)
    t.note(f"collectd's unit with the drop-in, uid {status['Uid'].split()[0]}, CapEff {CAPABILITIES}: values of eBPF")


def test_systemd(t):
    package = next((t.build / "deb").glob("deepmon_*.deb"))
    kernel = images.fetch(t.build / "kernels", SERIES)
    debian = t.enter(Chroot(t.state, t.build, [*dependencies(package), "collectd-core", "systemd-sysv"],
                           seconds=MAKE_SECONDS))
    furnish(debian, package)
    archive = t.state / "initramfs.gz"
    pack(debian, archive)
    text = boot(t, kernel, archive)
    archive.unlink()
    for who in ("root", "user"):
        check(t, text, who)


if __name__ == "__main__":
    tap.TEST_SECONDS = BOOT_SECONDS + MAKE_SECONDS + 100
    sys.exit(tap.run({"systemd": test_systemd}, Path(os.environ.get("BUILD", "build")).absolute()))
