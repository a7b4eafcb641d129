# SPDX-License-Identifier: GPL-3.0-only
"""deepmon-execd as an agent sees it: its modes, how it ends, and the lines that it writes."""

import signal
import subprocess
import time

from stage import host
from stage.cgroups import Container
from stage.lineprotocol import parse

from support import SECOND, execd, influxd


def once(t):
    """Runs --once; (what it printed, seconds)."""
    start = time.monotonic()
    done = subprocess.run([t.built("deepmon-execd"), "--once"], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=15, check=False)
    t.equal(done.returncode, 0, f"status of --once (stderr: {done.stderr.decode(errors='replace').strip()})")
    return done.stdout.decode(), time.monotonic() - start


def test_once_is_accepted_by_influxdb(t):
    host.require_bpf()
    influx = influxd(t)
    text, seconds = once(t)
    lines = text.splitlines()
    t.note(f"{len(lines)} lines in {seconds:.1f} s")
    t.true(lines, "--once prints a batch")
    t.equal((influx.write(text).error, text[-1]), ("", "\n"), "InfluxDB's error, and the batch's last byte")
    kept = {row["measurement"] for row in influx.query("SHOW MEASUREMENTS")}
    t.note(f"measurements: {sorted(row['name'] for row in influx.query('SHOW MEASUREMENTS'))}")
    t.true(kept, "measurements in InfluxDB")
    series = influx.query("SELECT count(*) FROM /.*/ GROUP BY *")
    t.equal(len(series), len(lines), "series of one point each, for as many lines")


def test_once_measures_rates(t):
    """A single report would have no gauges: --once must take two samples."""
    host.require_bpf()
    points = parse(once(t)[0])
    percents = [point for point in points if "cpu_usage_percent" in point.fields]
    t.true(percents, "cpu_usage_percent in the batch")


def test_lines(t):
    host.require_bpf()
    influx = influxd(t)
    parent = execd(t, interval=0.5, forward=influx.write)
    parent.wait_for_batches(4, 10)
    parent.stop()
    t.equal(parent.errors, [], "what InfluxDB said")
    types, lines = {}, 0
    for batch in parent.batches:
        # The stage may be late and take two batches for one, but not half of one.
        late = (batch.received_ns - max(point.time_ns for point in parse("\n".join(batch.lines)))) / SECOND
        t.between(late, -0.001, 5, "seconds from the sample to its arrival (timestamps in ns)")
    for points in parent.reports():
        lines += len(points)
        t.equal(len({point.series for point in points}), len(points), "different series in a batch")
        for point in points:
            t.true("host" not in point.tags, "no host tag: the agent adds it", point)
            t.equal(list(point.tags), sorted(point.tags), "tags in order")
            for field, value in point.fields.items():
                kind = types.setdefault((point.measurement, field), type(value))
                t.equal(type(value), kind, f"type of {point.measurement} {field}")
    t.equal((parent.accepted, parent.rejected), (lines, 0), "lines accepted and rejected")
    stored = influx.query("SELECT count(*) FROM /.*/ GROUP BY *")
    count = sum(max(value or 0 for key, value in row.items() if key.startswith("count_")) for row in stored)
    t.between(count, lines - len(stored), lines, "points stored (a field may be absent in some)")


def test_signal_none_keeps_its_interval(t):
    host.require_bpf()
    parent = execd(t, interval=0.5)
    parent.wait_for_batches(5, 10)
    times = [report[0].time_ns for report in parent.reports()]
    steps = [(later - earlier) / SECOND for earlier, later in zip(times, times[1:])]
    t.note(f"steps of {', '.join(f'{step:.3f}' for step in steps)} s")
    t.within(sum(steps) / len(steps), 0.5, 0.1, "mean step")


def test_stdin_gives_one_batch_for_each_newline(t):
    host.require_bpf()
    parent = execd(t, signal="STDIN", ticking=False)
    time.sleep(1)
    t.equal(len(parent.batches), 0, "batches before the first newline")
    for count in (1, 2, 3):
        parent.tick()
        parent.wait_for_batches(count, 5)
        time.sleep(0.4)
        t.equal(len(parent.batches), count, f"batches after {count} newlines")
    # Newlines that came together, as after a stall.
    parent.process.stdin.write(b"\n\n")
    time.sleep(1)
    t.equal(len(parent.reports()), 4, "reports after 3 newlines and two together")
    parent.stop()
    t.one_line(parent.stderr_lines, "1 reports were left out while", "held up")


def check_end(t, mode, ended, what):
    t.note(f"{mode}: {what} took {ended.seconds * 1000:.0f} ms")
    t.equal(ended.status, 0, f"{mode}: exit status after {what}")
    t.between(ended.seconds, 0, 1, f"{mode}: seconds to end after {what}")


def test_end_of_stdin_ends_it(t):
    host.require_bpf()
    for mode in ("none", "STDIN"):
        parent = execd(t, signal=mode, interval=0.5)
        parent.wait_for_batches(2, 10)
        ended = parent.stop()
        t.equal(ended.means, "stdin closed", f"{mode}: what it took")
        check_end(t, mode, ended, "the end of stdin")


def test_end_of_stdin_ends_it_in_a_long_interval(t):
    host.require_bpf()
    parent = execd(t, interval=60)
    time.sleep(1)
    check_end(t, "none", parent.stop(), "the end of stdin")


def test_sigterm_ends_it(t):
    host.require_bpf()
    for mode in ("none", "STDIN"):
        parent = execd(t, signal=mode, interval=0.5)
        parent.wait_for_batches(1, 10)
        parent.process.send_signal(signal.SIGTERM)
        check_end(t, mode, parent.wait(5), "SIGTERM")


def test_an_agents_signals_do_not_kill_it(t):
    host.require_bpf()
    parent = execd(t, interval=0.5)
    time.sleep(0.1)
    parent.process.send_signal(signal.SIGUSR1)  # while it may still be opening its programs
    parent.wait_for_batches(1, 10)
    for name in ("SIGUSR1", "SIGUSR2", "SIGHUP"):
        parent.process.send_signal(getattr(signal, name))
        parent.wait_for_batches(len(parent.batches) + 2, 5)
        t.equal(parent.process.poll(), None, f"exit status after {name}")


def gone_reader(t, interval, read):
    """Closes the only reader of its standard output, when `read` has had enough of it: it ends."""
    process = subprocess.Popen([t.built("deepmon-execd"), "--signal", "none", "--interval", interval],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        size = read(process.stdout)
        process.stdout.close()
        start = time.monotonic()
        t.equal(process.wait(5), 0, f"status, at intervals of {interval} s")
        t.note(f"at intervals of {interval} s: ended after {time.monotonic() - start:.2f} s")
    finally:
        process.kill()
        process.stdin.close()
        process.wait()
    return size


def read_report(pipe):
    """The bytes of the first report, the last lines of which are about deepmon itself."""
    size = 0
    for line in pipe:
        size += len(line)
        if line.startswith(b"deepmon_self "):
            return size
    return size


def test_a_reader_that_is_gone_ends_it(t):
    """The agent died, and something else holds our standard input: no collector may go on."""
    host.require_bpf()
    gone_reader(t, "0.2", read_report)
    # It is noticed at once, not when there is something to write.
    gone_reader(t, "3600", lambda pipe: time.sleep(1))
    # A report may be more than the buffer of a stream, or than a pipe takes.
    for containers, least in ((20, 4096), (250, 65536)):
        for _ in range(containers):
            t.enter(Container()).run(time.sleep, 600)
        size = gone_reader(t, "0.2", read_report)
        t.true(size > least, f"bytes of a report, more than {least}", size)
