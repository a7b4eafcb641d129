# SPDX-License-Identifier: GPL-3.0-only
"""What the kernel itself tells of BPF programs: which a process has, and how long they ran."""

import contextlib
import ctypes
import os
from dataclasses import dataclass
from pathlib import Path

from stage.host import BPF_SYSCALL
from stage.process import Skip

PROG_GET_NEXT_ID, PROG_GET_FD_BY_ID, OBJ_GET_INFO_BY_FD, ENABLE_STATS = 11, 13, 15, 32
STATS_RUN_TIME = 0

# Offsets in struct bpf_prog_info; older kernels fill less of it.
INFO_SIZE = 256
NAME_AT, NAME_SIZE, RUN_TIME_AT, RUN_COUNT_AT = 64, 16, 192, 200


def call(command, attributes):
    number = BPF_SYSCALL.get(os.uname().machine)
    if number is None:
        raise Skip(f"the bpf system call's number on {os.uname().machine} is not known here", needs="bpf")
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(number, command, ctypes.byref(attributes), ctypes.sizeof(attributes))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def words(*values):
    return (ctypes.c_uint32 * 8)(*values)


@dataclass
class Runs:
    """How often a program ran while the statistics were on, and for how long in all."""
    count: int
    time_ns: int

    def __sub__(self, before):
        return Runs(self.count - before.count, self.time_ns - before.time_ns)


class Program:
    """A loaded program, held so that its id stays its own."""

    def __init__(self, number):
        self.fd = call(PROG_GET_FD_BY_ID, words(number))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def info(self):
        memory = ctypes.create_string_buffer(INFO_SIZE)
        address = ctypes.addressof(memory)
        call(OBJ_GET_INFO_BY_FD, words(self.fd, INFO_SIZE, address & 0xffffffff, address >> 32))
        return memory.raw

    @property
    def name(self):
        return self.info()[NAME_AT:NAME_AT + NAME_SIZE].split(b"\0")[0].decode()

    def runs(self):
        info = self.info()
        return Runs(*(int.from_bytes(info[at:at + 8], "little" if little_endian() else "big")
                      for at in (RUN_COUNT_AT, RUN_TIME_AT)))


def little_endian():
    return memoryview(words(1)).cast("B")[0] == 1


@contextlib.contextmanager
def statistics():
    """The kernel times every program while this holds; that itself costs some 50 ns a run."""
    fd = call(ENABLE_STATS, words(STATS_RUN_TIME))
    try:
        yield
    finally:
        os.close(fd)


def program_ids():
    """Of all programs of this host."""
    number = 0
    while True:
        attributes = words(number)
        try:
            call(PROG_GET_NEXT_ID, attributes)
        except FileNotFoundError:
            return
        number = attributes[1]
        yield number


def name_of(number):
    """"" for one that is gone meanwhile."""
    try:
        with Program(number) as program:
            return program.name
    except FileNotFoundError:
        return ""


def ids_of_process(pid):
    """The programs that a process has open."""
    found = set()
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            lines = dict(line.split(":", 1) for line in entry.read_text().splitlines() if ":" in line)
        except OSError:
            continue
        if "prog_id" in lines and "prog_type" in lines:
            found.add(int(lines["prog_id"]))
    return found
