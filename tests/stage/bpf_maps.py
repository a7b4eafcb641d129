# SPDX-License-Identifier: GPL-3.0-only
"""The BPF maps that a process has open, and how many entries its hashes have."""

import ctypes
import os
from dataclasses import dataclass

from bench.bpf import INFO_SIZE, OBJ_GET_INFO_BY_FD, call, words

from .leftovers import OPEN, held_by

MAP_GET_NEXT_KEY = 4
HASHES = (1, 5, 9, 10)  # hash, per-CPU hash, and both with LRU
# Offsets in struct bpf_map_info.
NAME_AT, NAME_SIZE = 24, 16


@dataclass
class Hash:
    """One map: its entries by now, and the most that it takes."""
    entries: int
    most: int


def info_of(fd):
    """(type, bytes of a key, most entries, name)."""
    memory = ctypes.create_string_buffer(INFO_SIZE)
    address = ctypes.addressof(memory)
    call(OBJ_GET_INFO_BY_FD, words(fd, INFO_SIZE, address & 0xffffffff, address >> 32))
    kind, _, key_size, _, most = (ctypes.c_uint32 * 5).from_buffer(memory)
    return kind, key_size, most, memory.raw[NAME_AT:NAME_AT + NAME_SIZE].split(b"\0")[0].decode()


def count(fd, key_size, most):
    """Of a hash that is written meanwhile, at most `most`: a key that goes makes it begin anew."""
    key, following = ctypes.create_string_buffer(key_size), ctypes.create_string_buffer(key_size)
    attributes = (ctypes.c_uint64 * 4)(fd, 0, ctypes.addressof(following))
    for entries in range(most):
        try:
            call(MAP_GET_NEXT_KEY, attributes)
        except FileNotFoundError:
            return entries
        key.raw = following.raw
        attributes[1] = ctypes.addressof(key)
    return most


def hashes_of(pid):
    """{name: Hash}; of two maps of one name that with more entries."""
    found = {}
    for kind, number in held_by(pid):
        if kind != "map_id":
            continue
        try:
            fd = call(OPEN[kind], words(number))
        except FileNotFoundError:
            continue
        try:
            map_type, key_size, most, name = info_of(fd)
            if map_type in HASHES:
                entries = count(fd, key_size, most)
                if name not in found or entries > found[name].entries:
                    found[name] = Hash(entries, most)
        finally:
            os.close(fd)
    return found
