# SPDX-License-Identifier: GPL-3.0-only
"""Names of any bytes at all as line protocol, read by a real InfluxDB and written by InfluxData's own client."""

import json
import math
import random
import re
import struct
import subprocess

from stage import lineprotocol

from support import SOURCE, influxd, node_with

LINES = SOURCE / "tests" / "lines"
CLIENT = "@influxdata/influxdb-client"

# Beside single bytes: what ends, escapes or quotes something, next to each other.
SPECIAL = [b"\\", b"\\\\", b",", b"=", b" ", b'"', b"\n", b"\r\n", b"\t", b"\xc3\xa4", b"\xe2\x82\xac",
           b"\xf0\x9f\x90\xb3", b"\xed\xa0\x80", b"\xc0\xaf", b"a"]


def hostile_names():
    """Every byte but NUL, which ends a name, at each place of one; and all pairs of the special ones."""
    for byte in range(1, 256):
        char = bytes([byte])
        yield from (char, b"x" + char, char + b"x", b"x" + char + b"x", char + char, b"x" + char + char)
    for first in SPECIAL:
        for second in SPECIAL:
            yield from (first + second, b"x" + first + second, first + second + b"x", first + b"x" + second)
    yield from (b"x" * 200, b"\\" * 200, b'web 1,a=b "q"\\', b"time", b"_field")


def told(name, tag):
    """What of a name is to arrive: the specification, in other words than the C has it."""
    text = re.sub("[\x00-\x1f\x7f]", "_", name.decode("utf-8", "surrogateescape"))
    text = re.sub("[\udc80-\udcff]", "_", text)
    return (text.rstrip("\\") or "_") if tag else text


def lines(t, data, *arguments):
    return subprocess.run([t.built("lines"), *arguments], input=data, capture_output=True, check=True,
                          timeout=30).stdout


def written(t, names):
    return lines(t, b"".join(name + b"\0" for name in names))


def expected(names):
    """{number: (value, key, text)} of the lines."""
    found = {}
    for index, name in enumerate(names):
        for more, key in enumerate((name, b"k" + name)):
            found[2 * index + more] = (told(name, True), told(key, True), told(name, False))
    return found


def test_any_name_arrives_in_influxdb(t):
    names = [name for name in dict.fromkeys(hostile_names()) if name != b"time"]  # a tag it forbids
    influx = influxd(t)
    body = written(t, names)
    result = influx.write(body)
    t.equal((result.rejected, result.error), (0, ""), "lines that InfluxDB refused")
    arrived = {}
    for row in influx.query("SELECT text, cpu_time_ns FROM deepmon_container GROUP BY number, value"):
        arrived[int(row["number"])] = (row["value"], row["text"])
        t.equal(row["cpu_time_ns"], int(row["number"]), "the number")
    wanted = expected(names)
    t.note(f"{len(names)} names on {len(wanted)} lines")
    for what, value_of in (("tags' values", lambda row: row[0]), ("texts", lambda row: row[-1])):
        wrong = [(value_of(wanted[number]), number in arrived and value_of(arrived[number])) for number in wanted
                 if number not in arrived or value_of(wanted[number]) != value_of(arrived[number])]
        t.equal(wrong[:5], [], f"{what} that are others in InfluxDB ({len(wrong)} of {len(wanted)})")
    keys = {row["tagKey"] for row in influx.query("SHOW TAG KEYS FROM deepmon_container")}
    t.equal(keys ^ ({key for _, key, _ in wanted.values()} | {"number", "value"}), set(),
            "tags' keys on one side alone")


def test_any_name_is_read_by_another_decoder(t):
    """That of the tests, which the others rely on."""
    names = list(dict.fromkeys(hostile_names()))
    points = lineprotocol.parse(written(t, names).decode())
    wanted = expected(names)
    t.equal(len(points), len(wanted), "points")
    for number, point in enumerate(points):
        value, key, text = wanted[number]
        t.equal((point.tags["value"], point.tags.get(key), point.fields["text"]), (value, "key", text),
                f"name {names[number // 2]!r}")


def test_any_number_comes_back_from_influxdb(t):
    """64 bits each, as an integer, of which InfluxDB has 63 bits, and as a double."""
    edges = [bits + more for bits in (0, 1 << 31, 1 << 32, 1 << 53, 1 << 63, 0x3ff << 52, 0x7ff << 52, 0x10 << 48)
             for more in (-1, 0, 1)]
    doubles = [0.1, 0.1 + 0.2, 1 / 3, 100.0, 1e21, 1e23, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308]
    numbers = [bits % (1 << 64) for bits in edges]
    numbers += [struct.unpack("Q", struct.pack("d", value))[0] for value in doubles]
    numbers += [random.getrandbits(64) for _ in range(2000)]
    body = lines(t, struct.pack(f"{len(numbers)}Q", *numbers), "numbers")
    influx = influxd(t)
    result = influx.write(body)
    t.equal((result.rejected, result.error), (0, ""), "lines that InfluxDB refused")
    rows = {int(row["number"]): row for row in
            influx.query("SELECT cpu_time_ns, cpu_usage_percent FROM deepmon_container GROUP BY number")}
    for index, bits in enumerate(numbers):
        (value,) = struct.unpack("d", struct.pack("Q", bits))
        wanted = value if math.isfinite(value) else None  # what is no number is left out
        whole, double = rows[index]["cpu_time_ns"], rows[index]["cpu_usage_percent"]
        # JSON has a double without a fraction as 281202512569107940, which Python takes for an integer.
        t.equal((whole, None if double is None else float(double)), (min(bits, (1 << 63) - 1), wanted),
                f"what InfluxDB has of the bits {bits:#x}")
    t.note(f"{len(numbers)} numbers")


def test_the_same_escaping_as_influxdatas_client(t):
    node, directory = node_with(t, CLIENT)
    # What either leaves out or replaces is compared above; here are those that arrive as they are.
    names = [name for name in dict.fromkeys(hostile_names()) if told(name, True).encode() == name
             and told(name, False).encode() == name]
    done = subprocess.run([node, LINES / "escape.mjs", directory], capture_output=True, check=True, timeout=30,
                          input=json.dumps([name.decode() for name in names]).encode())
    theirs = json.loads(done.stdout)
    ours = written(t, names).decode().splitlines()
    t.note(f"{len(names)} names")
    t.true(len(names) > 500, "names to compare", len(names))
    for index, (name, (tag, quoted)) in enumerate(zip(names, theirs)):
        line = f"deepmon_container,number={2 * index},value={tag},{tag}=key cpu_time_ns={2 * index}i,text={quoted} " \
               "1700000000000000000"
        t.equal(ours[2 * index], line, f"the line of {name!r}")
