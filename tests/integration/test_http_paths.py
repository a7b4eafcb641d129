# SPDX-License-Identifier: GPL-3.0-only
"""HTTP of containers by method and path, held against the access log of a real nginx: to the byte."""

import re
import socket
import time
from collections import Counter

from stage import host
from stage.lineprotocol import find
from stage.nginx import Nginx
from stage.process import find_program, free_port, wait_until

from support import collectd, csv, execd
from test_peers import containers, hear
from test_transactions import STATUSES, ab, account, run

OTHER = "(other)"
SUMS = ("transactions", "unanswered", "request_bytes", "response_bytes", *STATUSES)
LATENCIES = ("latency_mean_seconds", "latency_p50_seconds", "latency_p99_999_seconds")
ID = re.compile(r"[0-9]+|(?=.*[0-9])[-0-9a-fA-F]{8,}")


def path_of(target, fold=True, most=80):
    """What a request's path is told as."""
    path = re.split(r"[?# ]", target)[0]
    absolute = re.match(r"[^/:][^/:]*://[^/]*", path)
    if absolute:
        path = path[absolute.end():] or "/"
    if fold:
        first, *rest = path.split("/")
        path = "/".join([first, *(":id" if ID.fullmatch(segment) else segment for segment in rest)])
    return path if len(path) <= most else path[:most] + "..."


def by_path(served, **how):
    """nginx's log, in our words: {(method, path): sums}"""
    requests = {}
    for one in served:
        method, target = one.request.rsplit(" ", 1)[0].split(" ", 1)
        requests.setdefault((method, path_of(target, **how)), []).append(one)
    return {key: account(some) for key, some in requests.items()}


class Watched:
    """deepmon-execd that reports when it is asked to, and a server's and a client's container."""

    def __init__(self, t, *options, paths=50):
        host.require_bpf()
        self.t = t
        self.server, self.client = containers(t)
        self.parent = execd(t, "--network", "on", "--http", "on", "--http-paths", str(paths), *options,
                            signal="STDIN", ticking=False)
        self.last = []
        self.report()

    def report(self):
        count = self.whole()
        self.parent.tick()
        wait_until(lambda: self.whole() > count, 20, "a report")
        self.last = self.parent.reports()[-1]

    def whole(self):
        return sum(line.startswith("deepmon_self") for batch in list(self.parent.batches)
                   for line in batch.lines)

    def ever(self, container):
        """{(role, method, path): the last that was told of it}"""
        found = {}
        for report in self.parent.reports():
            for point in find(report, "deepmon_http_path_transactions", container_name=container.name):
                found[tuple(point.tags.get(tag, "") for tag in ("role", "method", "path"))] = point.fields
        return found

    def paths(self, container, role):
        """{(method, path): sums}, without (other)"""
        return {key[1:]: {name: fields.get(name) for name in SUMS}
                for key, fields in self.ever(container).items() if key[0] == role}

    def all(self, container):
        points = find(self.last, "deepmon_container_transactions", container_name=container.name,
                      protocol="http", role="both")
        return points[0].fields if points else {}

    def check_closes(self, container):
        """All that was ever told of paths and (other) is the container's HTTP, exactly."""
        ever = self.ever(container).values()
        whole = self.all(container)
        self.t.equal({name: sum(fields[name] for fields in ever) for name in SUMS},
                     {name: whole.get(name, 0) for name in SUMS}, "paths and (other) together")

    def check(self, served, **how):
        """Both ends tell of each path what nginx logged of it."""
        self.report()
        expected = by_path(served, **how)
        for container, role in ((self.server, "server"), (self.client, "client")):
            with self.t.apart():
                self.t.equal(self.paths(container, role), expected, f"paths as {role}")
            with self.t.apart():
                self.check_closes(container)


def watched_nginx(t, *options, **how):
    watched = Watched(t, *options, **how)
    return watched, t.enter(Nginx(t.state / "nginx", prefix=watched.server.cgroup.prefix()))


def converse(watched, nginx, pieces, answers, pause=0.05):
    """A client in its container sends these pieces one by one, and reads until so many answers have come, and all of
    the last: its body may be a segment of its own."""
    def client(tell):
        with socket.create_connection(("127.0.0.1", nginx.port)) as connection:
            got = b""
            for piece in pieces:
                connection.sendall(piece)
                if pause:
                    time.sleep(pause)
            while got.count(b"HTTP/1.1 ") < answers:
                data = connection.recv(65536)
                if not data:
                    break
                got += data
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
            tell(got.count(b"HTTP/1.1 "))

    watched.t.equal(watched.client.run(client), (answers,), "answers to the client")


def get(target, method=b"GET"):
    return method + b" " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n"


# ---- Against the log ----------------------------------------------------------------------------


def test_keep_alive_and_not(t):
    watched, nginx = watched_nginx(t)
    for options in ((), ("-k",)):
        for path, requests in (("/", 700), ("/none", 300), ("/moved", 200), ("/broken", 100),
                               ("/absent?a=/b", 150), ("/big", 20)):
            ab(watched.client.cgroup, nginx.url(path), *options, requests=requests)
        ab(watched.client.cgroup, nginx.url("/"), "-i", *options, requests=50)  # HEAD
    served = nginx.served()
    watched.check(served)
    t.equal(len(by_path(served)), 7, "paths in nginx's log")
    for fields in (watched.ever(watched.server)[("server", "GET", "/")],
                   watched.ever(watched.client)[("client", "GET", "/")]):
        t.true(all(0 < fields[name] < 10 for name in LATENCIES), "latencies", fields)
    t.true(("", "", OTHER) not in watched.ever(watched.server), "nothing else is told of", served[:3])


def test_curl_with_bodies(t):
    watched, nginx = watched_nginx(t)
    curl = find_program("curl", None, "curl")
    body = t.state / "body"
    body.write_bytes(b"x" * 3_000_000)
    for name in ("one", "17", "two"):
        said = run(watched.client.cgroup, curl, "-sS", "-T", body, nginx.url(f"/put/{name}"))
        t.equal(said, "", "what curl says")
    run(watched.client.cgroup, curl, "-sS", "-o", "/dev/null", nginx.url("/big"), nginx.url("/none"),
        nginx.url("/big?again"))
    watched.check(nginx.served())


def test_pipelined(t):
    """Answers come in order, and each goes to its own request's path."""
    watched, nginx = watched_nginx(t)
    targets = [b"/none", b"/", b"/moved", b"/broken?x", b"/absent/1", b"/none?y", b"/absent/x"]
    for round_ in range(40):
        depth = 1 + round_ % 16
        converse(watched, nginx, [b"".join(get(targets[(round_ + i) % len(targets)]) for i in range(depth))],
                 depth, pause=0)
    watched.check(nginx.served())


def test_pipelined_deeper_than_is_kept(t):
    """Past 16 outstanding requests the path is not known: those are in (other), and nowhere else."""
    watched, nginx = watched_nginx(t)
    for _ in range(5):
        converse(watched, nginx, [b"".join(get(b"/none" if i % 2 else b"/moved") for i in range(60))], 60,
                 pause=0)
    expected = by_path(nginx.served())
    watched.report()
    for container, role in ((watched.server, "server"), (watched.client, "client")):
        watched.check_closes(container)
        told = watched.paths(container, role)
        for key, sums in told.items():
            for name in SUMS:
                t.between(sums[name], 0, expected[key][name], f"{name} of {key}")
    other = watched.ever(watched.client)[("", "", OTHER)]
    t.equal(other["transactions"], 5 * (60 - 16), "transactions in (other)")
    t.equal(other["transactions"], other["responses_2xx"] + other["responses_3xx"], "their statuses")


def test_unanswered(t):
    """A server that answers the first of four and closes: the others are unanswered, each under its path."""
    watched = Watched(t)
    port = free_port()

    def serve(tell):
        with socket.create_server(("127.0.0.1", port)) as listener:
            tell(port)
            connection, _ = listener.accept()
            with connection:
                got = b""
                while got.count(b"\r\n\r\n") < 4:
                    got += connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                connection.shutdown(socket.SHUT_WR)
                connection.recv(1)

    def ask(tell):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(get(b"/a") + get(b"/b/1") + get(b"/b/2") + get(b"/a?c"))
            while connection.recv(65536):
                pass
        tell(0)

    t.equal(hear(watched.server.start(serve)), (port,), "what the server says")
    t.equal(watched.client.run(ask), (0,), "what the client says")
    watched.report()
    for container, role in ((watched.server, "server"), (watched.client, "client")):
        counts = {path: (sums["transactions"], sums["unanswered"]) for (_, path), sums in
                  watched.paths(container, role).items()}
        t.equal(counts, {"/a": (1, 1), "/b/:id": (0, 2)}, f"answered and unanswered as {role}")
        watched.check_closes(container)


def test_wrk_pipelines(t):
    """It leaves while some are under way, up to 8 on each of 8 connections; the others are as logged."""
    watched, nginx = watched_nginx(t)
    script = t.state / "pipeline.lua"
    script.write_text("""
        local paths = {"/", "/none", "/moved", "/broken", "/absent/12", "/absent/13"}
        request = function()
          local all = {}
          for i = 1, 8 do all[i] = wrk.format(nil, paths[math.random(#paths)]) end
          return table.concat(all)
        end
    """)
    run(watched.client.cgroup, find_program("wrk", None, "wrk"), "-t1", "-c8", "-d1", "-s", script,
        nginx.url())
    expected = by_path(nginx.served())
    watched.report()
    told = watched.paths(watched.server, "server")
    t.equal(set(told), set(expected), "paths")
    for key, sums in told.items():
        logged = expected[key]["transactions"]
        t.between(sums["transactions"], logged - 8 * 8, logged, f"answers of {key}")
        t.between(sums["unanswered"], 0, 8 * 8, f"requests left of {key}")
    status = {"/": "responses_2xx", "/none": "responses_2xx", "/moved": "responses_3xx",
              "/broken": "responses_5xx", "/absent/:id": "responses_4xx"}
    for (_, path), sums in told.items():
        t.equal(sums[status[path]], sums["transactions"], f"statuses of {path}")
    watched.check_closes(watched.server)
    watched.check_closes(watched.client)


# ---- What a path is -----------------------------------------------------------------------------


def test_ids_and_cuts(t):
    watched, nginx = watched_nginx(t, "--http-path-max", "24")
    targets = [b"/users/1234/orders/0f3a5b7c", b"/users/99/orders/123e4567-e89b-12d3-a456-426614174000",
               b"/users/none/orders/7", b"http://a/users/5", b"http://a", b"/a" * 40, b"/a" * 40 + b"?b",
               b"/" + b"7" * 300 + b"/x", b"/none#x"]
    converse(watched, nginx, [get(target) for target in targets], len(targets))
    watched.check(nginx.served(), most=24)
    paths = {path for _, path in watched.paths(watched.server, "server")}
    t.equal(paths, {"/users/:id/orders/:id", "/users/none/orders/:id", "/users/:id", "/", "/a" * 12 + "...",
                    "/:id/x", "/none"}, "paths")


def test_ids_kept(t):
    watched, nginx = watched_nginx(t, "--http-path-ids", "keep")
    targets = [b"/users/1234", b"/users/1235", b"/users/1234?a"]
    converse(watched, nginx, [get(target) for target in targets], len(targets))
    watched.check(nginx.served(), fold=False)
    t.equal(len(watched.paths(watched.client, "client")), 2, "paths")


def test_a_head_cut_anywhere(t):
    """A byte at a time, and at every place into two calls."""
    watched, nginx = watched_nginx(t)
    head = get(b"/absent/12?q=/1", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n")
    converse(watched, nginx, [head[i:i + 1] for i in range(len(head))], 1, pause=0.002)
    for i in range(1, len(head)):
        converse(watched, nginx, [head[:i], head[i:]], 1, pause=0.002)
    watched.check(nginx.served())


def test_what_is_no_text(t):
    """Bytes that are no UTF-8, and names that are ours."""
    watched, nginx = watched_nginx(t)
    targets = [b"/\xff\x80a", "/ü/日".encode(), b"/\x7f", b"/a\xc3", b"(other)", b"*"]
    for target in targets:
        converse(watched, nginx, [get(target)], 1)
    watched.report()
    paths = {path for _, path in watched.paths(watched.client, "client")}
    t.equal(paths, {"/%FF%80a", "/ü/日", "/%7F", "/a%C3", "%28other)", "*"}, "paths")
    watched.check_closes(watched.client)
    watched.check_closes(watched.server)


# ---- Bounds -------------------------------------------------------------------------------------


def test_more_paths_than_room(t):
    """1,000 paths, room for 64: those that found none are in (other), which makes up what nginx logged."""
    watched, nginx = watched_nginx(t, "--max-http-paths", "64", paths=1000)
    for round_ in range(2):
        for first in range(0, 1000, 100):
            converse(watched, nginx, [get(b"/p/x%d" % i) for i in range(first, first + 100)], 100, pause=0)
    served = nginx.served()
    expected = by_path(served)
    watched.report()
    t.equal(len(expected), 1000, "paths in nginx's log")
    for container, role in ((watched.server, "server"), (watched.client, "client")):
        told = watched.paths(container, role)
        t.note(f"{len(told)} paths told as {role}")
        whole = watched.all(container)
        t.equal({name: whole[name] for name in SUMS}, account(served), f"HTTP as {role}")
        watched.check_closes(container)
        for key, sums in told.items():
            t.true(all(sums[name] <= expected[key][name] for name in SUMS), f"{key} is not more", sums)
    # Who else is a container on this host may have some, too.
    t.between(len(watched.paths(watched.server, "server")) + len(watched.paths(watched.client, "client")),
              16, 64, "paths told")
    refused = find(watched.last, "deepmon_self")[0].fields["http_paths_refused"]
    t.true(refused > 0, "refusals are counted", refused)


def test_more_paths_than_told(t):
    """The two with most requests are told, and what they had before they were among them is in (other)."""
    watched, nginx = watched_nginx(t, paths=2)
    for paths in (["/", "/", "/", "/none", "/none", "/moved"], ["/moved"] * 5 + ["/none"] * 2 + ["/"]):
        converse(watched, nginx, [get(path.encode()) for path in paths], len(paths))
        watched.report()
        told = Counter(point.tags["path"] for point in
                       find(watched.last, "deepmon_http_path_transactions",
                            container_name=watched.server.name))
        most = {path for path, _ in Counter(paths).most_common(2)}
        t.equal(set(told), most | {OTHER}, "paths told")
    counts = {path: sums["transactions"] for (_, path), sums in
              watched.paths(watched.server, "server").items()}
    t.equal(counts, {"/": 3, "/none": 4, "/moved": 5}, "transactions told of each")
    other = watched.ever(watched.server)[("", "", OTHER)]
    t.equal(other["transactions"], 2, "transactions in (other)")
    t.true(not set(LATENCIES) & set(other), "no latencies of (other)", other)
    watched.check_closes(watched.server)
    watched.check_closes(watched.client)


def test_off_unless_asked_for(t):
    watched, nginx = watched_nginx(t, paths=0)
    converse(watched, nginx, [get(b"/")], 1)
    watched.report()
    t.equal(watched.all(watched.server)["transactions"], 1, "transactions")
    t.equal(find(watched.last, "deepmon_http_path_transactions"), [], "records of paths")
    t.true("http_paths_refused" not in find(watched.last, "deepmon_self")[0].fields, "no counter of refusals")


def test_without_http(t):
    """Asked for paths, and not for HTTP: that is said."""
    host.require_bpf()
    parent = execd(t, "--network", "on", "--http-paths", "3", interval=0.3)
    parent.wait_for_batches(2, 10)
    t.one_line(parent.stderr_lines, "HTTPPaths", "HTTP on")


# ---- collectd -----------------------------------------------------------------------------------


def test_collectd_paths(t):
    """Each path has series of its own, however long it is and whatever looks like a slash in a file's name."""
    host.require_bpf()
    more, directory = csv(t)
    collectd(t, {"Network": "on", "HTTP": "on", "HTTPPaths": 20, "HTTPPathMax": 240}, interval=1, more=more)
    server, client = containers(t)
    nginx = t.enter(Nginx(t.state / "nginx", prefix=server.cgroup.prefix()))
    targets = ["/a/b", "/a_b", "/" + "x" * 200 + "1", "/" + "x" * 200 + "2"]

    def ask_on(_):
        while True:
            for target in targets:
                with socket.create_connection(("127.0.0.1", nginx.port)) as connection:
                    connection.sendall(get(target.encode()))
                    connection.recv(65536)
            time.sleep(0.1)

    client.start(ask_on)

    def series():
        """By the path's beginning."""
        names = [path.name.rsplit("-", 3)[0] for path in directory.glob(
            f"*/deepmon-http_path-{client.name}/http_response_codes-status_4xx-client-GET-*")]
        return Counter("x" if "_xxx" in name else "a" for name in set(names))

    wait_until(lambda: series() == {"a": 2, "x": 2}, 30, "series of four paths")
    t.true(list(directory.glob(f"*/deepmon-http_path-{server.name}/latency-p99-server-GET-*")), "percentiles")
