# SPDX-License-Identifier: GPL-3.0-only
"""A real nginx, and its own account of the requests that it served."""

import re
from dataclasses import dataclass
from pathlib import Path

from .process import Daemon, find_program, free_port, port_is_free, wait_until

CONFIGURATION = """
daemon off;
worker_processes {workers};
pid {state}/nginx.pid;
error_log {state}/error.log;
events {{ worker_connections 2048; }}
http {{
  default_type application/octet-stream;
  log_format account '$status $bytes_sent $request_length $request_completion "$request"';
  access_log {state}/access.log account;
  client_body_temp_path {state}/body;
  proxy_temp_path {state}/proxy;
  fastcgi_temp_path {state}/fastcgi;
  uwsgi_temp_path {state}/uwsgi;
  scgi_temp_path {state}/scgi;
  sendfile on;
  keepalive_requests 100000000;
  client_max_body_size 0;
  large_client_header_buffers 4 64k;
  gzip on;  # for who accepts it: then in chunks, or with HTTP/1.0 until the connection's end
  gzip_types application/octet-stream;
  gzip_http_version 1.0;
  gzip_proxied any;
  server {{
    {listen}
    root {state}/www;
    location /put/ {{ dav_methods PUT; }}
    location /none {{ return 204; }}
    location /moved {{ return 301 /; }}
    location /broken {{ return 503; }}
  }}
}}
"""

SMALL = b"hello, world\n"


@dataclass
class Served:
    """One line of the access log."""
    status: int
    bytes_sent: int  # with the head, without a 100 Continue
    request_length: int
    complete: bool  # all of the response was sent
    request: str

    @property
    def is_http(self):
        """Whether its request line is one."""
        return re.fullmatch(r"[A-Z]+ \S.* HTTP/1\.[01]", self.request) is not None


class Nginx(Daemon):
    """Its files: / (small), /big, /none (204), /moved (301), /broken (503); /put/ takes them.

    `prefix` comes before its command: how it gets into a cgroup or a network namespace.
    """

    name = "nginx"

    def __init__(self, state, addresses=("127.0.0.1",), prefix=(), workers=1, big=1_000_000):
        super().__init__(state)
        self.addresses, self.prefix, self.workers, self.big = addresses, prefix, workers, big
        self.port = free_port()

    def prepare(self):
        www = self.state / "www"
        (www / "put").mkdir(parents=True, exist_ok=True)
        (www / "index.html").write_bytes(SMALL)
        with open(www / "big", "wb") as file:
            file.truncate(self.big)
        for directory in (self.state, www, www / "put"):
            directory.chmod(0o777)  # the worker is nobody
        for parent in self.state.parents:
            if parent.owner() == "root" and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o111)
        listen = "\n    ".join(f"listen {self.at(address)};" for address in self.addresses)
        (self.state / "nginx.conf").write_text(
            CONFIGURATION.format(state=self.state, listen=listen, workers=self.workers))

    def at(self, address):
        return f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"

    def url(self, path="/", address=None):
        return f"http://{self.at(address or self.addresses[0])}{path}"

    def command(self):
        nginx = find_program("nginx", None, "nginx")
        return [*self.prefix, nginx, "-p", self.state, "-c", self.state / "nginx.conf"]

    def ready(self):
        return (self.state / "nginx.pid").exists() and (self.prefix_hides_port() or
                                                         not port_is_free(self.port, 1))

    def prefix_hides_port(self):
        return "netns" in map(str, self.prefix) or "127.0.0.1" not in self.addresses

    def served(self):
        """What it has logged, once that is all: lines are written when a request is over."""
        log = self.state / "access.log"
        size = -1

        def settled():
            nonlocal size
            before, size = size, log.stat().st_size
            return before == size

        wait_until(settled, 10, "the end of nginx's log", poll=0.3)
        return [parse(line) for line in log.read_text(errors="replace").splitlines()]


def parse(line):
    status, sent, length, completion, request = line.split(" ", 4)
    return Served(int(status), int(sent), int(length), completion == "OK", request[1:-1])
