# SPDX-License-Identifier: GPL-3.0-only
"""What this host can do: asked for before a test, so that what it cannot is skipped with a reason."""

import ctypes
import os
from pathlib import Path

from .process import Skip, StageError

BPF_SYSCALL = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}
PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241, "riscv64": 241, "ppc64le": 319, "s390x": 331}
BPF_MAP_CREATE = 0
BPF_MAP_TYPE_ARRAY = 2


def require_root():
    if os.geteuid() != 0:
        raise Skip("only root can make cgroups and load BPF programs here", needs="bpf")


def require_bpf():
    """Skips where BPF cannot be had at all; a deepmon that fails where it can be had is a failure."""
    require_root()
    if not Path("/sys/kernel/btf/vmlinux").exists():
        raise Skip("the kernel has no BTF (/sys/kernel/btf/vmlinux)", needs="bpf")
    number = BPF_SYSCALL.get(os.uname().machine)
    if number is None:
        return
    attributes = (ctypes.c_uint32 * 32)(BPF_MAP_TYPE_ARRAY, 4, 8, 1)
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(number, BPF_MAP_CREATE, ctypes.byref(attributes), ctypes.sizeof(attributes))
    if fd < 0:
        raise Skip(f"a BPF map cannot be made here: {os.strerror(ctypes.get_errno())}", needs="bpf")
    os.close(fd)


def has_pmu():
    """Whether the CPU's cycles can be counted, as deepmon would: on CPU 0, for all processes."""
    number = PERF_EVENT_OPEN.get(os.uname().machine)
    if number is None:
        raise Skip(f"perf_event_open's number is not known of {os.uname().machine}")
    attributes = (ctypes.c_uint32 * 28)(0, 112)  # type: hardware; size; config: cycles
    fd = ctypes.CDLL(None).syscall(number, ctypes.byref(attributes), -1, 0, -1, 0)
    if fd >= 0:
        os.close(fd)
    return fd >= 0


class Stolen:
    """How long, in CPU seconds, a hypervisor has kept our CPUs from us since this began.

    To deepmon that is time of who was kept waiting, as CPUs x elapsed is its whole; the kernel's cgroups are
    not charged for it. On bare metal there is none.
    """

    def __init__(self):
        self.begin = self.ticks()

    @staticmethod
    def ticks():
        return int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8])

    def seconds(self):
        return (self.ticks() - self.begin) / os.sysconf("SC_CLK_TCK")


def has_rapl(sys_root="/sys"):
    """Whether some powercap zone can be read, as deepmon would."""
    for zone in Path(sys_root, "class/powercap").glob("*:*"):
        try:
            int((zone / "energy_uj").read_text())
        except (OSError, ValueError):
            continue
        return True
    return False


def built(build, name):
    """A product of make; missing is an error and not a reason to skip."""
    path = Path(build, name).absolute()
    if not path.exists():
        raise StageError(f"{path} is missing: build it first (make)")
    return path
