# SPDX-License-Identifier: GPL-3.0-only
"""collectd's stock writers, and somebody for them to write to."""

import contextlib
import http.server
import socket
import subprocess
import threading

from .collectd import plugin_block, stock_plugins
from .process import Skip

PACKAGES = {"rrdtool": "librrd8", "write_prometheus": "libmicrohttpd12 libprotobuf-c1",
            "write_http": "libcurl3-gnutls libyajl2"}


def require(name):
    """Skip if one of collectd's own plugins lacks its library."""
    path = stock_plugins() / f"{name}.so"
    linked = subprocess.run(["ldd", path], capture_output=True, check=False).stdout.decode()
    if not path.exists() or "not found" in linked:
        raise Skip(f"collectd's plugin {name} lacks something here (Debian package "
                   f"{PACKAGES.get(name, 'collectd-core')})", needs="collectd")


def configured(name, options=None):
    """Configuration that loads one of collectd's own plugins."""
    require(name)
    return f"LoadPlugin {name}\n{plugin_block(name, options or {})}"


def write_http(server, *options):
    require("write_http")
    url = f"http://127.0.0.1:{server.server_address[1]}"
    return "\n".join(["LoadPlugin write_http", "<Plugin write_http>", '  <Node "test">', f'    URL "{url}"',
                      '    Format "JSON"', "    BufferSize 65536", *options, "  </Node>", "</Plugin>"])


def write_influxdb_udp(port):
    """With rates: counters as they are would be integers in the field of the gauges' floats."""
    require("write_influxdb_udp")
    return ("LoadPlugin write_influxdb_udp\n<Plugin write_influxdb_udp>\n"
            f'  Server "127.0.0.1" "{port}"\n  StoreRates true\n</Plugin>')


class Handler(http.server.BaseHTTPRequestHandler):
    """Keeps what is posted."""

    def do_POST(self):  # pylint: disable=invalid-name
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


@contextlib.contextmanager
def http_receiver():
    """A server whose `bodies` are what was posted to it."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.bodies = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def udp_receiver():
    """A socket on a port of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        yield receiver
