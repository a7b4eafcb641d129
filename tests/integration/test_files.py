# SPDX-License-Identifier: GPL-3.0-only
"""Operations on regular files, against the account of who makes them."""

import json
import signal
import subprocess

from stage import host
from stage.cgroups import Container
from stage.lineprotocol import find
from stage.process import find_program, wait_until

from support import execd

MIB = 1 << 20
SIZE = 16 * MIB
# What fio does beside its job: libraries, its own /proc and /sys, and the report.
BESIDE = {"read_bytes": 200_000, "written_bytes": 20_000, "read_calls": 200, "write_calls": 40, "sync_calls": 1}

# fio's engines, and how each is told to go.
ENGINES = {
    "psync": ["--ioengine=psync"],
    "sync": ["--ioengine=sync"],
    "vsync": ["--ioengine=pvsync"],
    "vsync2": ["--ioengine=pvsync2"],
    "direct": ["--ioengine=psync", "--direct=1"],
    "libaio": ["--ioengine=libaio", "--direct=1", "--iodepth=16"],
    "libaio_buffered": ["--ioengine=libaio", "--iodepth=4"],
    "io_uring": ["--ioengine=io_uring", "--iodepth=16"],
    "io_uring_direct": ["--ioengine=io_uring", "--direct=1", "--iodepth=8"],
}


def fio(directory, name, arguments):
    """In its container; the file is there already."""
    with open(directory / f"{name}.log", "w", encoding="utf-8") as log:
        subprocess.run([find_program("fio", "fio", "fio"), f"--name={name}", f"--filename={directory}/{name}.data",
                        f"--size={SIZE}", "--rw=randrw", "--rwmixread=60", "--output-format=json",
                        f"--output={directory}/{name}.json", "--fsync=100", *arguments],
                       check=False, stdout=log, stderr=log)
    (directory / f"{name}.done").touch()
    signal.pause()


def fios_account(directory, name):
    job = json.loads((directory / f"{name}.json").read_text())["jobs"][0]
    return {"read_bytes": job["read"]["io_bytes"], "written_bytes": job["write"]["io_bytes"],
            "read_calls": job["read"]["total_ios"], "write_calls": job["write"]["total_ios"],
            "sync_calls": job["sync"]["total_ios"]}


def told(report, container, what="file_io", **tags):
    points = find(report, f"deepmon_container_{what}", container_name=container.name, **tags)
    return points[0].fields if points else {}


def test_fio(t):
    host.require_bpf()
    parent = execd(t, "--file-io", "full", interval=0.5)
    parent.wait_for_batches(2, 10)
    containers = {}
    for block in ("4k", "1m"):
        for engine, arguments in ENGINES.items():
            name = f"{engine}-{block}"
            (t.state / f"{name}.data").write_bytes(bytes(SIZE))
            containers[name] = t.enter(Container())
            containers[name].run(fio, t.state, name, [*arguments, f"--bs={block}"])
            wait_until((t.state / f"{name}.done").exists, 60, f"fio {name}")
    parent.wait_for_batches(len(parent.batches) + 3, 10)
    report = parent.reports()[-1]
    for name, container in containers.items():
        fields = told(report, container)
        for field, value in fios_account(t.state, name).items():
            with t.apart():
                t.between(fields.get(field, -1), value, value + BESIDE[field], f"{name}: {field}, and fio's own")
