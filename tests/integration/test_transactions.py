# SPDX-License-Identifier: GPL-3.0-only
"""Transactions over TCP and of HTTP, held against what real servers and clients say of them themselves."""

import json
import math
import os
import random
import re
import socket
import struct
import subprocess
import threading
import time

from stage import host
from stage.cgroups import Cgroup
from stage.late import REQUESTS as DELAYED, ask_late, serve_late
from stage.lineprotocol import find
from stage.namespaces import LinkedNamespaces
from stage.nginx import Nginx
from stage.process import Daemon, find_program, free_port, port_is_free, wait_until

from support import execd, system_name

REQUESTS = 5000
CONNECTIONS = 8
STATUSES = ("responses_2xx", "responses_3xx", "responses_4xx", "responses_5xx")


class Watched:
    """deepmon-execd that reports when it is asked to, and a server's and a client's cgroup."""

    def __init__(self, t, *options, http="on"):
        host.require_bpf()
        self.server, self.client = t.enter(Cgroup()), t.enter(Cgroup())
        self.parent = execd(t, "--network", "on", "--http", http, *options, signal="STDIN", ticking=False)
        self.last = []
        self.report()

    def report(self):
        """What there is to tell by now."""
        count = self.whole()
        self.parent.tick()
        wait_until(lambda: self.whole() > count, 20, "a report")
        self.last = self.parent.reports()[-1]
        return self.last

    def whole(self):
        """How many reports have come to their last line."""
        return sum(line.startswith("deepmon_self") for batch in list(self.parent.batches)
                   for line in batch.lines)

    def told(self, cgroup, protocol, role):
        """The fields of its transactions in the last report; none if it has none."""
        points = find(self.last, "deepmon_system_transactions", cgroup=system_name(cgroup),
                      protocol=protocol, role=role)
        return points[0].fields if points else {}


def run(cgroup, *command, prefix=(), seconds=100):
    """What a command in the cgroup says."""
    done = subprocess.run([*cgroup.prefix(), *prefix, *map(str, command)], capture_output=True,
                          timeout=seconds, check=False)
    return done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")


def number(text, pattern):
    found = re.search(pattern, text)
    if not found:
        raise AssertionError(f"no {pattern} in: {text[-500:]}")
    return int(found.group(1))


def wrk(cgroup, url, *options, prefix=()):
    """How many responses it got."""
    program = find_program("wrk", None, "wrk")
    said = run(cgroup, program, "-t1", f"-c{CONNECTIONS}", "-d1", *options, url, prefix=prefix)
    return number(said, r"(\d+) requests in")


def ab(cgroup, url, *options, requests=REQUESTS, prefix=()):
    """How many responses it got, which are all that it asked for."""
    program = find_program("ab", None, "apache2-utils")
    said = run(cgroup, program, "-q", "-n", requests, "-c", CONNECTIONS, *options, url, prefix=prefix)
    return number(said, r"Complete requests:\s+(\d+)")


def account(served):
    """What nginx's log says, in our words."""
    counts = {status: sum(1 for one in served if one.status // 100 == int(status[10])) for status in STATUSES}
    return {"transactions": len(served), "unanswered": 0, **counts,
            "request_bytes": sum(one.request_length for one in served),
            "response_bytes": sum(one.bytes_sent for one in served)}


def check_all(t, watched, served):
    """Both ends are as nginx says, to the byte: nothing was cut off."""
    watched.report()
    expected = account(served)
    for cgroup, role in ((watched.server, "server"), (watched.client, "client")):
        for same in (role, "both"):
            fields = watched.told(cgroup, "http", same)
            with t.apart():
                t.equal({key: fields.get(key) for key in expected}, expected, f"HTTP as {same}")


def check_cut(t, watched, served, got, most_cut=CONNECTIONS):
    """The client left while some were under way: they are answered for one end, and not for the other."""
    watched.report()
    server = watched.told(watched.server, "http", "server")
    client = watched.told(watched.client, "http", "client")
    t.note(f"nginx logged {len(served)}, the client got {got}; server {server.get('transactions')} + "
           f"{server.get('unanswered')} unanswered, client {client.get('transactions')} + "
           f"{client.get('unanswered')}")
    with t.apart():
        t.equal(server["transactions"] + server["unanswered"], len(served), "requests of the server")
    with t.apart():
        t.equal(sum(server[status] for status in STATUSES), server["transactions"], "statuses of the server")
    with t.apart():
        t.between(client["transactions"], got, got + most_cut, "responses to the client")
    with t.apart():
        t.between(client["transactions"], len(served) - most_cut, len(served), "responses to the client")


# ---- nginx --------------------------------------------------------------------------------------


def test_one_connection_a_request(t):
    watched = Watched(t)
    nginx = t.enter(Nginx(t.state / "nginx", prefix=watched.server.prefix()))
    t.equal(ab(watched.client, nginx.url()), REQUESTS, "responses to ab")
    check_all(t, watched, nginx.served())
    for cgroup, role in ((watched.server, "server"), (watched.client, "client")):
        t.equal(watched.told(cgroup, "tcp", role)["transactions"], REQUESTS, f"TCP as {role}")
        t.equal(watched.told(cgroup, "tcp", "client" if role == "server" else "server"), {}, "the other role")


def test_keep_alive_over_ipv6(t):
    watched = Watched(t)
    nginx = t.enter(Nginx(t.state / "nginx", ("127.0.0.1", "::1"), prefix=watched.server.prefix()))
    for path in ("/", "/none", "/moved", "/broken"):
        t.equal(ab(watched.client, nginx.url(path, "::1"), "-k"), REQUESTS, f"responses to ab, {path}")
    check_all(t, watched, nginx.served())
    figures = watched.told(watched.server, "http", "server")
    t.equal([figures[status] for status in STATUSES], [2 * REQUESTS, REQUESTS, 0, REQUESTS], "statuses")


def test_wrk_keeps_connections(t):
    watched = Watched(t)
    nginx = t.enter(Nginx(t.state / "nginx", prefix=watched.server.prefix(), workers=2))
    got = wrk(watched.client, nginx.url())
    check_cut(t, watched, nginx.served(), got)


def test_wrk_closes_each(t):
    watched = Watched(t)
    nginx = t.enter(Nginx(t.state / "nginx", prefix=watched.server.prefix()))
    got = wrk(watched.client, nginx.url(), "-H", "Connection: close")
    check_cut(t, watched, nginx.served(), got)


PIPELINE = """
init = function(args)
  local all = {}
  for i = 1, 16 do all[i] = wrk.format("GET", i % 4 == 0 and "/none" or i % 4 == 1 and "/broken" or "/") end
  pipeline = table.concat(all)
end
request = function() return pipeline end
"""


def test_wrk_pipelines(t):
    """16 requests at once. What wrk leaves unread at its end nginx has read, but never served or logged."""
    watched = Watched(t)
    nginx = t.enter(Nginx(t.state / "nginx", prefix=watched.server.prefix()))
    script = t.state / "pipeline.lua"
    script.write_text(PIPELINE)
    got = wrk(watched.client, nginx.url(), "-s", script)
    served = nginx.served()
    watched.report()
    server, client = watched.told(watched.server, "http", "server"), watched.told(watched.client, "http", "client")
    t.note(f"nginx logged {len(served)}, wrk got {got}: {server}, {client}")
    cut = 16 * CONNECTIONS
    t.between(server["transactions"], len(served) - cut, len(served), "answers of the server")
    t.between(server["unanswered"], 0, cut, "requests left")
    t.between(client["transactions"], got, got + cut, "responses to the client")
    t.between(client["responses_5xx"], client["transactions"] / 4 - cut, client["transactions"] / 4 + cut,
              "a quarter of them")


def test_a_pipeline_to_its_end(t):
    """The shell writes them all and then reads: nothing is left, and each is counted."""
    watched = Watched(t)
    nginx = t.enter(Nginx(t.state / "nginx", prefix=watched.server.prefix()))
    requests = t.state / "requests"
    paths = ["/", "/none", "/moved", "/broken", "/", "/missing"] * 500
    requests.write_text("".join(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n" for path in paths) +
                        "GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
    bash = find_program("bash", None, "bash")
    run(watched.client, bash, "-c", f"exec 3<>/dev/tcp/127.0.0.1/{nginx.port}; cat {requests} >&3; cat <&3 > /dev/null")
    served = nginx.served()
    t.equal(len(served), len(paths) + 1, "requests that nginx logged")
    check_all(t, watched, served)


BODY = 8 << 20  # more than a socket's buffers take


def answer_before_the_end(listener):
    """Two requests come by one call of the client's, which can't end before the first is answered."""
    connection, _ = listener.accept()
    connection.recv(len(b"GET / HTTP/1.1\r\n\r\n"))
    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    time.sleep(0.5)
    while connection.recv(1 << 20):
        pass
    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    connection.close()


def write_and_read_at_once(port):
    with socket.create_connection(("127.0.0.1", port)) as connection:

        def write():
            connection.sendall(b"GET / HTTP/1.1\r\n\r\nPUT / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % BODY +
                               bytes(BODY))
            connection.shutdown(socket.SHUT_WR)

        writer = threading.Thread(target=write)
        writer.start()
        while connection.recv(65536):
            pass
        writer.join()


def test_an_answer_read_before_its_request_is_told(t):
    """A request is told when its call ends: the client has no figure then, rather than a wrong one."""
    watched = Watched(t)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        watched.server.run(answer_before_the_end, listener)
        os.waitpid(watched.client.run(write_and_read_at_once, listener.getsockname()[1]), 0)
    watched.report()
    server, client = (watched.told(cgroup, "http", role)
                      for cgroup, role in ((watched.server, "server"), (watched.client, "client")))
    t.equal([server.get("transactions"), server.get("unanswered")], [2, 0], "of the server, both")
    t.equal([client.get("transactions", 0), client.get("unanswered", 0)], [0, 0], "of the client")
    t.equal(watched.told(watched.client, "tcp", "client").get("transactions"), 1, "of the client's TCP")


def test_long_bodies_both_ways(t):
    """curl: files up and down, with Expect: 100-continue, in chunks, until the end, and HEAD without a body."""
    watched = Watched(t)
    nginx = t.enter(Nginx(t.state / "nginx", prefix=watched.server.prefix(), big=30_000_000))
    upload = t.state / "upload"
    # A body that looks like requests, at the beginning of each write.
    upload.write_bytes(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 400_000)
    curl = find_program("curl", None, "curl")
    run(watched.client, curl, "-s", "-o", "/dev/null", nginx.url("/big"), "-o", "/dev/null", nginx.url("/big"))
    for more in (["-H", "Expect: 100-continue"], ["-H", "Expect:"], ["-H", "Transfer-Encoding: chunked"]):
        run(watched.client, curl, "-s", *more, "-T", upload, nginx.url(f"/put/{len(more[1])}"), nginx.url("/"))
    run(watched.client, curl, "-s", "--head", nginx.url("/big"), nginx.url("/none"))
    for version in ("--http1.1", "--http1.0"):
        run(watched.client, curl, "-s", version, "--compressed", "-o", "/dev/null", nginx.url("/big"))
    served = nginx.served()
    t.note(f"{len(served)} requests: {[(one.status, one.request) for one in served]}")
    t.equal(len(served), 12, "requests that nginx logged")
    check_all(t, watched, served)  # the interim responses, too


def take_by_splice(address, length, told):
    """Reads heads, and splices bodies of that length out of the socket, of ten responses."""
    out, into = os.pipe()
    with socket.create_connection(address) as connection, open("/dev/null", "wb") as nowhere:
        for _ in range(10):
            connection.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += connection.recv(1)
            left = length
            while left:
                count = os.splice(connection.fileno(), into, min(left, 65536))
                left -= count
                while count:
                    count -= os.splice(out, nowhere.fileno(), count)
    os.write(told, b"x")  # and the connection is closed
    time.sleep(60)


def test_bodies_taken_by_splice(t):
    """No call tells of them; TCP's own numbers do."""
    watched = Watched(t)
    nginx = t.enter(Nginx(t.state / "nginx", prefix=watched.server.prefix(), big=300_000))
    told = os.pipe()
    watched.client.run(take_by_splice, ("127.0.0.1", nginx.port), 300_000, told[1])
    os.read(told[0], 1)
    served = nginx.served()
    t.equal(len(served), 10, "requests that nginx logged")
    watched.report()
    figures = watched.told(watched.client, "http", "client")
    t.equal((figures["transactions"], figures["unanswered"]), (10, 0), "responses to the client")
    t.true("latency_mean_seconds" not in figures, "nobody told when they were over", figures)
    t.equal(watched.told(watched.server, "http", "server")["transactions"], 10, "responses of the server")


def test_two_network_namespaces(t):
    watched = Watched(t)
    spaces = t.enter(LinkedNamespaces())
    nginx = t.enter(Nginx(t.state / "nginx", (spaces.addresses[0],),
                          prefix=[*watched.server.prefix(), *spaces.prefix(spaces.left)]))
    got = wrk(watched.client, nginx.url(), prefix=spaces.prefix(spaces.right))
    check_cut(t, watched, nginx.served(), got)
    t.equal(watched.told(watched.server, "http", "client"), {}, "the server as client")
    t.equal(watched.told(watched.client, "http", "server"), {}, "the client as server")


# ---- Not HTTP -----------------------------------------------------------------------------------


class Redis(Daemon):
    name = "redis"

    def __init__(self, state, prefix):
        super().__init__(state)
        self.prefix, self.port = prefix, free_port()

    def command(self):
        return [*self.prefix, find_program("redis-server", None, "redis-server"), "--port", self.port,
                "--bind", "127.0.0.1", "--save", "", "--unixsocket", self.state / "socket", "--daemonize", "no"]

    def ready(self):
        return not port_is_free(self.port, socket.SOCK_STREAM)


def redis(t, watched):
    return t.enter(Redis(t.state / "redis", watched.server.prefix()))


def test_redis_is_plain_tcp(t):
    watched = Watched(t)
    server = redis(t, watched)
    watched.report()
    before = watched.told(watched.server, "tcp", "server").get("transactions", 0)
    benchmark, cli = (find_program(f"redis-{name}", None, "redis-tools") for name in ("benchmark", "cli"))
    run(watched.client, cli, "-p", server.port, "config", "resetstat")
    run(watched.client, benchmark, "-p", server.port, "-n", REQUESTS, "-c", CONNECTIONS, "-t", "set,get", "-q")
    said = run(watched.client, cli, "-p", server.port, "info", "stats")
    commands = number(said, r"total_commands_processed:(\d+)")
    watched.report()
    # Redis does not count the one that asks for the count. The benchmark begins with two CONFIG GET of which
    # it does not wait for the first: they are one transaction.
    for cgroup, role in ((watched.server, "server"), (watched.client, "client")):
        figures = watched.told(cgroup, "tcp", role)
        with t.apart():
            t.equal(figures["transactions"] - (before if role == "server" else 0), commands,
                    f"commands as {role}")
        with t.apart():
            t.equal(watched.told(cgroup, "http", role), {}, "redis is no HTTP")


def test_a_unix_socket_is_not_counted(t):
    watched = Watched(t)
    server = redis(t, watched)
    watched.report()
    before = watched.told(watched.server, "tcp", "server")
    benchmark = find_program("redis-benchmark", None, "redis-tools")
    said = run(watched.client, benchmark, "-s", server.state / "socket", "-n", REQUESTS, "-t", "get", "-q")
    t.true("GET" in said, "the benchmark ran", said)
    watched.report()
    t.equal(watched.told(watched.server, "tcp", "server"), before, "the server")
    t.equal(watched.told(watched.client, "tcp", "client"), {}, "the client")


# ---- Percentiles --------------------------------------------------------------------------------

PERCENTILES = (50, 75, 90, 99, 99.9, 99.99, 99.999)


def read_all(pipe):
    text = b""
    while True:
        text += os.read(pipe, 1 << 20)
        try:
            return json.loads(text)
        except ValueError:
            pass


def quantile(ordered, percent):
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]


def field_of(percent):
    return f"latency_p{str(percent).replace('.', '_')}_seconds"


def test_percentiles_are_those_of_every_request(t):
    """Within 1 % of those of a file of all latencies; and so are those that the buckets give."""
    watched = Watched(t, "--latency-buckets", "true")
    pipes = [os.pipe() for _ in range(3)]
    watched.server.run(serve_late, pipes[0][1], pipes[1][1])
    port = struct.unpack("q", os.read(pipes[0][0], 8))[0]
    watched.client.run(ask_late, port, pipes[2][1])
    server, client = sorted(read_all(pipes[1][0])), sorted(read_all(pipes[2][0]))
    report = watched.report()
    for cgroup, role, true in ((watched.server, "server", server), (watched.client, "client", client)):
        # The last of TCP's on each connection is over when that is: here, for the client alone.
        for protocol in ("http", "tcp") if role == "client" else ("http",):
            figures = watched.told(cgroup, protocol, role)
            t.equal(figures["transactions"], DELAYED, f"{protocol} as {role}")
            for percent in PERCENTILES:
                with t.apart():
                    t.within(figures[field_of(percent)], quantile(true, percent), 0.01,
                             f"{protocol} as {role}, {percent} %")
            with t.apart():
                t.within(figures["latency_mean_seconds"], sum(true) / len(true), 0.01,
                         f"{protocol} as {role}, mean")
        counts = sorted((float(point.tags["gt"]), float(point.tags["le"]), point.fields["count"]) for point in
                        find(report, "deepmon_system_buckets", cgroup=system_name(cgroup),
                             latency=f"http_{role}"))
        t.equal(sum(count for _, _, count in counts), DELAYED, f"latencies in buckets as {role}")
        spread = [(low + high) / 2 for low, high, count in counts for _ in range(count)]
        for percent in PERCENTILES:
            with t.apart():
                t.within(quantile(spread, percent), quantile(true, percent), 0.01, f"{role}, buckets {percent} %")
    # An interval in which nothing happened has no percentiles, and its counters go on.
    watched.report()
    figures = watched.told(watched.client, "http", "client")
    t.equal(figures["transactions"], DELAYED, "transactions later")
    t.equal([name for name in figures if name.startswith("latency")], [], "latencies of a quiet interval")


def test_past_max_latency_pages(t):
    """What finds no page is counted all the same, and told as refused."""
    watched = Watched(t, "--max-latency-pages", "16")
    nginx = t.enter(Nginx(t.state / "nginx", prefix=watched.server.prefix()))
    groups = [t.enter(Cgroup()) for _ in range(12)]
    for group in groups:
        t.equal(ab(group, nginx.url(), "-k", requests=200), 200, "responses to ab")
    report = watched.report()
    for group in groups:
        with t.apart():
            t.equal(watched.told(group, "http", "client")["transactions"], 200, "transactions")
    fields = find(report, "deepmon_self")[0].fields
    t.note(f"pages {fields['latency_pages']}, refused {fields['latencies_refused']}")
    t.equal(fields["latency_pages"], 16, "pages in use")
    t.true(fields["latencies_refused"] > 0, "some were refused", fields)
    t.note(t.one_line(watched.parent.stderr_lines, "MaxLatencyPages", "16", "percentile"))


# ---- Connections that were there before ----------------------------------------------------------


def talk(connection, listener, told, go):
    """On one connection, both ends: requests before deepmon begins and after."""
    accepted, _ = listener.accept()

    def exchange(count):
        for _ in range(count):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            accepted.recv(1000)
            accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            connection.recv(1000)

    exchange(10)
    os.write(told, b"x")
    os.read(go, 1)
    exchange(100)
    connection.close()
    accepted.recv(1)
    accepted.close()
    os.write(told, b"x")
    time.sleep(60)


def test_a_connection_that_was_open_before(t):
    """Its ends know who was connected to whom, and it is followed from its next byte."""
    host.require_bpf()
    group, told, go = t.enter(Cgroup()), os.pipe(), os.pipe()

    def both():
        listener = socket.create_server(("127.0.0.1", 0))
        talk(socket.create_connection(listener.getsockname()), listener, told[1], go[0])

    group.run(both)
    os.read(told[0], 1)
    watched = Watched(t)
    os.write(go[1], b"x")
    os.read(told[0], 1)
    watched.report()
    for protocol in ("tcp", "http"):
        for role, count in (("client", 100), ("server", 100), ("both", 200)):
            with t.apart():
                t.equal(watched.told(group, protocol, role).get("transactions"), count, f"{protocol} as {role}")


# ---- Input that is meant to harm -----------------------------------------------------------------

FLOOD = int(os.environ.get("FLOOD", "3000"))  # short connections


def harm(port, told):
    """What nobody should send. Tells how many whole requests were among it."""
    dice = random.Random(7)
    whole = 0

    def send(*pieces, pause=0.0):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            try:
                for piece in pieces:
                    connection.sendall(piece)
                    time.sleep(pause)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            except OSError:
                pass

    for size in (1, 10, 100, 1000, 10_000, 100_000):
        for _ in range(20):
            send(dice.randbytes(size))
    send(b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    send(b"\n" * 1_000_000)
    send(b"G" * 1_000_000)
    request = b"DELETE /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    for at in range(1, len(request)):
        send(request[:at], request[at:], pause=0.001)
        whole += 1
    send(*(request[at:at + 1] for at in range(len(request))), pause=0.001)
    whole += 1
    os.write(told, struct.pack("q", whole))
    time.sleep(60)


def test_hostile_input(t):
    """Whatever comes, HTTP is what nginx takes for it: no more and no less."""
    watched = Watched(t)
    nginx = t.enter(Nginx(t.state / "nginx", prefix=watched.server.prefix()))
    told = os.pipe()
    watched.client.run(harm, nginx.port, told[1])
    whole = struct.unpack("q", os.read(told[0], 8))[0]
    served = nginx.served()
    taken = [one for one in served if one.is_http]
    t.note(f"{len(served)} lines of nginx's log, {len(taken)} of them requests: "
           f"{sorted({one.status for one in served})}")
    watched.report()
    for cgroup, role in ((watched.server, "server"), (watched.client, "client")):
        figures = watched.told(cgroup, "http", role)
        t.note(f"as {role}: {figures}")
        refused = sum(1 for one in taken if one.status // 100 == 4)
        # Too long a line nginx refuses before it ends, and so knows no request; the client has sent one.
        unread = sum(1 for one in served if one.status == 414)
        with t.apart():
            t.between(figures["responses_4xx"], refused, refused + (unread if role == "client" else 0),
                      f"requests refused, as {role}")
        with t.apart():
            t.equal(figures["transactions"], figures["responses_4xx"], f"nothing else, as {role}")
    t.equal(sum(1 for one in taken if one.request.startswith("DELETE")), whole, "requests cut across writes")


def test_a_flood_of_short_connections(t):
    """Each is counted, and nothing is kept of it."""
    watched = Watched(t)
    nginx = t.enter(Nginx(t.state / "nginx", prefix=watched.server.prefix()))
    ab(watched.client, nginx.url(), requests=100)
    before = find(watched.report(), "deepmon_self")[0].fields
    t.equal(ab(watched.client, nginx.url("/none"), requests=FLOOD), FLOOD, "responses to ab")
    check_all(t, watched, nginx.served())
    after = find(watched.last, "deepmon_self")[0].fields
    t.note(f"pages {before['latency_pages']} and {after['latency_pages']}, "
           f"resident {before['resident_bytes']} and {after['resident_bytes']} bytes")
    # Two ends, two protocols, and some twenty octaves from 1 µs to 1 s.
    t.between(after["latency_pages"], before["latency_pages"], before["latency_pages"] + 80, "pages")
    t.between(after["resident_bytes"], 0, before["resident_bytes"] + 4_000_000, "resident memory")
