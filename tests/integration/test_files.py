# SPDX-License-Identifier: GPL-3.0-only
"""Operations on regular files, against the account of who makes them."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from stage import host
from stage.cgroups import Container
from stage.lineprotocol import find
from stage.process import find_program, free_port, wait_until

from support import collectd, csv, execd

MIB = 1 << 20
SIZE = 16 * MIB
# What fio does beside its job: libraries, its own /proc and /sys, and the report.
BESIDE = {"read_bytes": 200_000, "written_bytes": 20_000, "read_calls": 200, "write_calls": 40, "sync_calls": 1}
COUNTS = ("read_bytes", "written_bytes", "read_calls", "write_calls")

# So many files at once that none makes room for those of others on this host.
EACH = ["--container-files", "1000", "--file-path-max", "1000", "--max-files", "65536"]

# fio's engines, and how each is told to go.
ENGINES = {
    "psync": ["--ioengine=psync"],
    "sync": ["--ioengine=sync"],
    "pvsync": ["--ioengine=pvsync"],
    "pvsync2": ["--ioengine=pvsync2"],
    "psync_direct": ["--ioengine=psync", "--direct=1"],
    "libaio": ["--ioengine=libaio", "--iodepth=4"],
    "libaio_direct": ["--ioengine=libaio", "--direct=1", "--iodepth=16"],
    "io_uring": ["--ioengine=io_uring", "--iodepth=16"],
    "io_uring_direct": ["--ioengine=io_uring", "--direct=1", "--iodepth=8"],
    "io_uring_polled": ["--ioengine=io_uring", "--sqthread_poll=1", "--iodepth=8"],
    "threads": ["--ioengine=psync", "--thread", "--numjobs=8", "--group_reporting"],
    # Its fsyncs would fail: fio leaves them the number of a buffer.
    "io_uring_fixed": ["--ioengine=io_uring", "--registerfiles=1", "--fixedbufs=1", "--iodepth=8", "--fsync=0"],
}


# ---- What is told -------------------------------------------------------------------------------


def told(report, container, what="file_io", **tags):
    points = find(report, f"deepmon_container_{what}", container_name=container.name, **tags)
    return points[0].fields if points else {}


def counts(fields):
    """Those of the fields, in order; what is not told of has none."""
    return tuple(fields.get(name, 0) for name in COUNTS)


def told_of_files(reports, container, measurement="deepmon_container_file"):
    """{path: counts}, each as of the last of the reports that told of it."""
    return {point.tags["file"]: counts(point.fields) for report in reports
            for point in find(report, measurement, container_name=container.name)}


def all_reports(parent):
    """Once all that has been done is told."""
    parent.wait_for_batches(len(parent.batches) + 2, 10)
    return parent.reports()


def do(t, container, function, *arguments):
    """Lets it do that, and waits for its end. It stays, so that its container does."""
    done = t.state / f"done-{os.urandom(4).hex()}"

    def run():
        function(*arguments)
        done.touch()
        signal.pause()

    container.run(run)
    wait_until(done.exists, 120, "the container's work")


def program(name, package, *arguments, log="/dev/null"):
    """Runs a program in this process's place of work."""
    with open(log, "w", encoding="utf-8") as output:
        subprocess.run([find_program(name, None, package), *map(str, arguments)], check=False, stdout=output,
                       stderr=output)


# ---- fio ----------------------------------------------------------------------------------------


def fio(directory, name, *arguments):
    program("fio", "fio", f"--name={name}", f"--filename={directory}/{name}.data", f"--size={SIZE}",
            "--rw=randrw", "--rwmixread=60", "--output-format=json", f"--output={directory}/{name}.json",
            *arguments, log=directory / f"{name}.log")


def fios_account(directory, name):
    try:
        job = json.loads((directory / f"{name}.json").read_text())["jobs"][0]
    except (OSError, ValueError) as error:
        raise AssertionError(f"fio {name}: {(directory / f'{name}.log').read_text()[-300:]}") from error
    return {"read_bytes": job["read"]["io_bytes"], "written_bytes": job["write"]["io_bytes"],
            "read_calls": job["read"]["total_ios"], "write_calls": job["write"]["total_ios"],
            "sync_calls": job["sync"]["total_ios"]}


def hold_against_fio(t, block):
    """Its own report, exactly by file; and what is told of the container is that and little more."""
    host.require_bpf()
    find_program("fio", None, "fio")
    parent = execd(t, "--file-io", "full", *EACH, interval=0.5)
    parent.wait_for_batches(2, 10)
    containers = {}
    for name, arguments in ENGINES.items():
        (t.state / f"{name}.data").write_bytes(bytes(SIZE))
        containers[name] = t.enter(Container())
        do(t, containers[name], fio, t.state, name, "--fsync=100", f"--bs={block}", *arguments)
    reports = all_reports(parent)
    for name, container in containers.items():
        account, fields = fios_account(t.state, name), told(reports[-1], container)
        file = told_of_files(reports, container).get(str(t.state / f"{name}.data"))
        t.true(account["read_calls"] > 0 and account["write_calls"] > 0, f"{name}: a workload", account)
        with t.apart():
            t.equal(file, counts(account), f"{name}: what is told of its file, and fio's report")
        for field, value in account.items():
            with t.apart():
                t.between(fields.get(field, -1), value, value + BESIDE[field], f"{name}: {field}, and fio's own")


def test_fio_4k(t):
    hold_against_fio(t, "4k")


def test_fio_1m(t):
    hold_against_fio(t, "1m")


def count_blocks(t, container, path):
    """Has the kernel count the container's I/O on that file's device; whether it does."""
    controller, device = Container.controller("io", "blkio"), os.stat(path).st_dev
    if controller is None or not os.major(device):
        t.note("block I/O of this place is counted for no cgroup")
        return False
    root, v1 = controller
    if v1:
        rule = root / container.path.lstrip("/") / "blkio.throttle.read_bps_device"
        rule.write_text(f"{os.major(device)}:{os.minor(device)} 1000000000000")
    return True


def test_fio_mmap(t):
    """What goes through mapped memory is no operation: it is not seen, as the README says. Block I/O shows it."""
    host.require_bpf()
    find_program("fio", None, "fio")
    parent = execd(t, "--file-io", "full", "--idle-reread", "0", interval=0.5)
    parent.wait_for_batches(2, 10)
    container = t.enter(Container())
    (t.state / "mapped.data").write_bytes(os.urandom(SIZE))
    os.sync()
    blocks = count_blocks(t, container, t.state)
    do(t, container, fio, t.state, "mapped", "--ioengine=mmap", "--bs=4k", "--rw=randread")
    report, account = all_reports(parent)[-1], fios_account(t.state, "mapped")
    fields = told(report, container)
    t.equal(account["read_bytes"], SIZE, "bytes that fio read")
    for field in COUNTS:
        t.between(fields.get(field, 0), 0, BESIDE[field], f"{field} beside those of fio by mapped memory")
    if blocks:
        read = sum(point.fields["read_bytes"]
                   for point in find(report, "deepmon_container_block", container_name=container.name))
        t.between(read, SIZE * 0.9, SIZE * 4, "bytes read from the disk")


def test_requests_past_the_limit(t):
    """More of io_uring at once than are timed: all are counted."""
    host.require_bpf()
    find_program("fio", None, "fio")
    parent = execd(t, "--file-io", "full", "--max-file-requests", "16", *EACH, interval=0.5)
    parent.wait_for_batches(2, 10)
    container = t.enter(Container())
    (t.state / "many.data").write_bytes(bytes(SIZE))
    do(t, container, fio, t.state, "many", "--ioengine=io_uring", "--direct=1", "--iodepth=256", "--bs=4k",
       "--iodepth_batch_submit=256")
    file = told_of_files(all_reports(parent), container).get(str(t.state / "many.data"))
    t.equal(file, counts(fios_account(t.state, "many")), "what is told of its file, and fio's report")


def test_latencies(t):
    """fio's own percentiles. Its time of a call is ours and what lies between it and the kernel."""
    host.require_bpf()
    find_program("fio", None, "fio")
    parent = execd(t, "--file-io", "full", signal="STDIN", ticking=False)
    parent.tick()
    parent.wait_for_batches(1, 10)
    container = t.enter(Container())
    (t.state / "timed.data").write_bytes(bytes(SIZE))
    percentiles = "40:50:60:85:90:95:98:99:99.5"
    do(t, container, fio, t.state, "timed", "--ioengine=psync", "--direct=1", "--bs=256k", "--loops=60",
       f"--percentile_list={percentiles}")
    parent.tick()
    parent.wait_for_batches(2, 10)
    report = parent.reports()[-1]
    job = json.loads((t.state / "timed.json").read_text())["jobs"][0]
    for direction in ("read", "write"):
        fields = told(report, container, "file_latency", latency=f"file_{direction}")
        theirs = {float(key): value / 1e9 for key, value in job[direction]["clat_ns"]["percentile"].items()}
        for percent, below, above in ((50, 40, 60), (90, 85, 95), (99, 98, 99.5)):
            with t.apart():
                # fio's buckets are as wide as 1/64, ours 1/64, too.
                t.between(fields.get(f"latency_p{percent}_seconds", -1), theirs[below] * 0.9, theirs[above] * 1.03,
                          f"{direction} p{percent}, of fio {theirs[percent]:.6f}")


# ---- System calls -------------------------------------------------------------------------------


def every_call(directory):
    """Each once or so; returns nothing, for it ends in its container. CALLS says what it did."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = os.open(directory / "calls", os.O_RDWR | os.O_CREAT)
    other = os.open(directory / "other", os.O_RDWR | os.O_CREAT)
    os.write(fd, b"x" * 1000)
    os.pwrite(fd, b"x" * 200, 1000)
    os.writev(fd, [b"x" * 30, b"y" * 40])
    os.pwritev(fd, [b"x" * 5, b"y" * 6], 0)
    os.pwritev(fd, [b"x" * 7, b"y" * 8], 0, os.RWF_SYNC)
    os.lseek(fd, 0, os.SEEK_SET)
    os.read(fd, 500)
    os.pread(fd, 400, 100)
    os.readv(fd, [bytearray(10), bytearray(20)])
    os.preadv(fd, [bytearray(3), bytearray(4)], 0)
    os.preadv(fd, [bytearray(2), bytearray(2)], 0, os.RWF_NOWAIT)
    os.pread(fd, 100, 1 << 20)  # past the end: nothing, and no error
    os.sendfile(other, fd, 0, 600)
    os.copy_file_range(fd, other, 50, 0, 0)
    ours, theirs = os.pipe()
    os.splice(fd, theirs, 80, offset_src=0)
    os.splice(ours, other, 80, offset_dst=0)
    os.write(theirs, b"x" * 5000)  # no regular file
    os.read(ours, 5000)
    os.fsync(fd)
    os.fdatasync(fd)
    libc.sync_file_range(fd, ctypes.c_int64(0), ctypes.c_int64(0), 2)
    with contextlib.suppress(OSError):
        os.pread(os.open(directory / "calls", os.O_WRONLY), 100, 0)  # fails
    os.fsync(other)


CALLS = {
    "calls": (500 + 400 + 30 + 7 + 4 + 0 + 600 + 50 + 80, 1000 + 200 + 70 + 11 + 15, 9, 5),
    "other": (0, 600 + 50 + 80, 0, 3),
}
SYNCS = 4


def test_every_call(t):
    host.require_bpf()
    parent = execd(t, "--file-io", "full", *EACH, "--top-files", "1000", interval=0.5)
    parent.wait_for_batches(2, 10)
    container = t.enter(Container())
    do(t, container, every_call, t.state)
    reports = all_reports(parent)
    for measurement in ("deepmon_container_file", "deepmon_file"):
        files = told_of_files(reports, container, measurement)
        for name, expected in CALLS.items():
            with t.apart():
                t.equal(files.get(str(t.state / name)), expected, f"{name} in {measurement}: {', '.join(COUNTS)}")
    t.equal(told(reports[-1], container).get("sync_calls"), SYNCS, "syncs")
    for latency in ("file_read", "file_write", "file_sync"):
        points = [point for report in reports for point in find(report, "deepmon_container_file_latency",
                                                                 container_name=container.name, latency=latency)]
        t.true(points and 0 < points[0].fields["latency_mean_seconds"] < 10, f"the mean of {latency}", points)


def test_programs(t):
    """dd and cp, against what they are told to move."""
    host.require_bpf()
    parent = execd(t, "--file-io", "full", *EACH, interval=0.5)
    parent.wait_for_batches(2, 10)
    source, sparse = t.state / "source", t.state / "copy"
    source.write_bytes(os.urandom(SIZE))
    by_dd, by_cp = t.enter(Container()), t.enter(Container())
    do(t, by_dd, program, "dd", "coreutils", f"if={source}", f"of={t.state}/dd", "bs=16k")
    do(t, by_cp, program, "cp", "coreutils", source, sparse)
    reports = all_reports(parent)
    blocks = SIZE // 16384
    files = told_of_files(reports, by_dd)
    t.equal(files.get(str(source)), (SIZE, 0, blocks + 1, 0), "what dd reads, and once the end")
    t.equal(files.get(str(t.state / "dd")), (0, SIZE, 0, blocks), "what dd writes")
    files = told_of_files(reports, by_cp)
    t.equal(files.get(str(source), (0,))[0], SIZE, "bytes that cp reads")
    t.equal(files.get(str(sparse), (0, 0))[1], SIZE, "bytes that cp writes")


NGINX = """
daemon off; master_process off; pid {state}/nginx.pid; error_log {state}/nginx.log;
events {{ }}
http {{ access_log off; sendfile on; client_body_temp_path {state}; proxy_temp_path {state};
fastcgi_temp_path {state}; uwsgi_temp_path {state}; scgi_temp_path {state};
server {{ listen 127.0.0.1:{port}; root {state}/root; }} }}
"""


def test_nginx(t):
    """It sends files by sendfile: as many bytes as curl got."""
    host.require_bpf()
    nginx, port, requests = find_program("nginx", None, "nginx"), free_port(), 20
    parent = execd(t, "--file-io", "full", *EACH, interval=0.5)
    parent.wait_for_batches(2, 10)
    (t.state / "root").mkdir()
    (t.state / "root" / "page").write_bytes(os.urandom(MIB))
    (t.state / "nginx.conf").write_text(NGINX.format(state=t.state, port=port))
    t.state.chmod(0o755)
    container = t.enter(Container())
    container.run(os.execv, nginx, ["nginx", "-c", str(t.state / "nginx.conf"), "-e", str(t.state / "nginx.log")])
    page = f"http://127.0.0.1:{port}/page"

    def fetch():
        return subprocess.run(["curl", "-sf", "-o", t.state / "got", page], check=False).returncode == 0

    wait_until(fetch, 10, "nginx")
    for _ in range(requests - 1):
        t.true(fetch(), "a page")
    files = told_of_files(all_reports(parent), container)
    t.equal(files.get(str(t.state / "root" / "page"), (0,))[0], requests * MIB, "bytes that nginx reads of the page")


# ---- Which files --------------------------------------------------------------------------------

COLD, HOT = 100_000, {"one": 3000, "two": 2000, "three": 1000}
HOT_BYTES, COLD_BYTES = 4096, 512


def touch_many(directory):
    """100,000 files once, each in turn with those that are used again and again, which come late."""
    hot = {name: os.open(directory / name, os.O_RDWR | os.O_CREAT) for name in HOT}
    for number in range(COLD):
        fd = os.open(directory / f"cold{number % 1000}", os.O_RDWR | os.O_CREAT)
        os.write(fd, bytes(COLD_BYTES))
        os.close(fd)
        os.unlink(directory / f"cold{number % 1000}")
        for name, times in HOT.items():
            if number >= COLD // 2 and number % (COLD // 2 // times) == 0:
                os.pwrite(hot[name], bytes(HOT_BYTES), 0)


def test_the_hottest_of_many(t):
    """In a bounded number of places; what is told and the rest are all that the container did."""
    host.require_bpf()
    directory = Path(t.enter(tempfile.TemporaryDirectory(dir="/dev/shm")))
    parent = execd(t, "--file-io", "full", "--container-files", "3", "--max-files", "512", signal="STDIN",
                   ticking=False)
    parent.tick()
    parent.wait_for_batches(1, 10)
    container = t.enter(Container())
    do(t, container, touch_many, directory)
    parent.tick()
    parent.wait_for_batches(2, 10)
    report = parent.reports()[-1]
    files = told_of_files([report], container)
    rest = files.pop("(other)")
    t.equal(set(files), {str(directory / name) for name in HOT}, "the hottest")
    for name, times in HOT.items():
        written = (COLD - COLD // 2) // (COLD // 2 // times) * HOT_BYTES
        missed = find(report, "deepmon_container_file", container_name=container.name,
                      file=str(directory / name))[0].fields["missed_bytes"]
        t.note(f"{name}: {files[str(directory / name)][1]} of {written} bytes told, {missed} may be missing")
        t.between(files[str(directory / name)][1], written - missed, written, f"{name}: bytes written")
    whole = counts(told(report, container))
    t.true(whole[3] >= COLD, "as many writes", whole)
    t.equal(tuple(map(sum, zip(rest, *files.values()))), whole, "what is told of files, and the rest")


def test_host(t):
    """What is told of the host's files and the rest are the totals."""
    host.require_bpf()
    parent = execd(t, "--file-io", "full", "--top-files", "2", interval=0.5)
    parent.wait_for_batches(2, 10)
    container = t.enter(Container())

    def write():
        for name in ("big", "bigger"):
            with open(t.state / name, "wb", buffering=0) as file:
                for _ in range(200 if name == "big" else 400):
                    file.write(bytes(MIB))

    do(t, container, write)
    reports = all_reports(parent)
    files = told_of_files(reports, container, "deepmon_file")
    for report in reports:
        told_of = [point for point in find(report, "deepmon_file") if point.tags["file"] != "(other)"]
        t.true(len(told_of) <= 2, "two files at most in a report", len(told_of))
    for name, times in (("big", 200), ("bigger", 400)):
        t.between(files.get(str(t.state / name), (0, 0))[1], times * MIB // 4, times * MIB, f"{name} is told of")


# ---- Paths --------------------------------------------------------------------------------------


def poke(path):
    with open(path, "r+b", buffering=0) as file:
        file.write(b"x")


def test_names(t):
    """Renamed and deleted files, and one whose path is longer than what is told."""
    host.require_bpf()
    parent = execd(t, "--file-io", "full", "--container-files", "100", "--file-path-max", "100", interval=0.3)
    parent.wait_for_batches(2, 10)
    container, deep = t.enter(Container()), "d" * 60
    directory = Path(t.enter(tempfile.TemporaryDirectory(dir="/var/tmp")))

    def work():
        (directory / deep / deep).mkdir(parents=True)
        with open(directory / "before", "wb", buffering=0) as file, \
                open(directory / "gone", "wb", buffering=0) as gone, \
                open(directory / deep / deep / "file", "wb", buffering=0) as cut:
            (directory / "before").rename(directory / "after")
            (directory / "gone").unlink()
            for _ in range(40):
                for each in (file, gone, cut):
                    each.write(b"x")
                time.sleep(0.05)

    do(t, container, work)
    paths = set(told_of_files(all_reports(parent), container))
    t.true(str(directory / "after") in paths, "the renamed", sorted(paths))
    t.true(str(directory / "gone") + " (deleted)" in paths, "the deleted", sorted(paths))
    whole = str(directory / deep / deep / "file")
    t.true("..." + whole[-100:] in paths, "the end of the long one", sorted(paths))


MOUNTS = """
set -e
mount --make-rprivate /
mount -t tmpfs none "$1"
mkdir "$1/lower" "$1/upper" "$1/work" "$1/root" "$1/data"
echo 0123456789 > "$1/lower/read"; echo 0123456789 > "$1/lower/written"; echo 0123456789 > "$1/data/bound"
mount -t overlay overlay -o "lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work" "$1/root"
mkdir "$1/root/srv" "$1/root/bin"
cp "$2" "$1/root/bin/busybox"
mount --bind "$1/data" "$1/root/srv"
exec chroot "$1/root" /bin/busybox sh -c 'for i in 0 1 2 3 4 5 6 7 8 9; do
busybox cat /read /srv/bound; echo more >> /written; busybox sleep 0.1; done'
"""


def test_mounts(t):
    """An overlay, and a bind mount in it, as a container has them: paths are those that it sees."""
    host.require_bpf()
    busybox, unshare = find_program("busybox", None, "busybox-static"), find_program("unshare", None, "util-linux")
    parent = execd(t, "--file-io", "full", "--container-files", "100", interval=0.3)
    parent.wait_for_batches(2, 10)
    container, place = t.enter(Container()), t.state / "place"
    place.mkdir()
    do(t, container, program, unshare, "util-linux", "-m", "sh", "-c", MOUNTS, "sh", place, busybox)
    paths = set(told_of_files(all_reports(parent), container))
    for path in ("/read", "/written", "/srv/bound"):
        with t.apart():
            t.true(path in paths, f"{path} is told of", sorted(paths))


# ---- The front ends -----------------------------------------------------------------------------


def test_collectd_files(t):
    host.require_bpf()
    more, directory = csv(t)
    collectd(t, {"FileIO": "full", "ContainerFiles": 5}, interval=1, more=more)
    poked, container = t.state / "poked", t.enter(Container())
    poked.write_bytes(b"x")

    def poke_on():
        while True:
            poke(poked)
            time.sleep(0.1)

    container.run(poke_on)
    kinds = {"bytes": {"total_bytes-file_read", "total_bytes-file_written", "bytes-file_missed"},
             "operations": {"total_operations-file_read", "total_operations-file_written"}}
    for kind, expected in kinds.items():
        wait_until(lambda: {name for name in expected if list(directory.glob(
            f"*/deepmon-container_file-{container.name}/{name}-*poked*"))} == expected, 30, f"a file's {kind}")
    t.true(list(directory.glob(f"*/deepmon-container-{container.name}/latency-p99-file_write-*")), "its percentiles",
           sorted(path.name for path in directory.glob(f"*/deepmon-container-{container.name}/*")))


def test_without_full(t):
    """Asked for files, and not to count them: that is said."""
    host.require_bpf()
    for mode in ("off", "counts"):
        parent = execd(t, "--file-io", mode, "--top-files", "3", interval=0.3)
        parent.wait_for_batches(2, 10)
        t.one_line(parent.stderr_lines, "TopFiles", "FileIO full")
        t.equal(find(parent.points(), "deepmon_file"), [], "files")
