# SPDX-License-Identifier: GPL-3.0-only
"""A real InfluxDB 1.x on loopback, with its collectd input."""

import json
import shutil
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from .process import Daemon, Skip, StageError, find_program, free_port

STOCK_TYPES = Path("/usr/share/collectd/types.db")

# The collectd input refuses to start without parse-multivalue-plugin.
CONFIG = """\
reporting-disabled = true
bind-address = "127.0.0.1:{rpc_port}"

[meta]
  dir = "{state}/meta"

[data]
  dir = "{state}/data"
  wal-dir = "{state}/wal"
  query-log-enabled = false

[monitor]
  store-enabled = false

[http]
  bind-address = "127.0.0.1:{http_port}"
  log-enabled = false

[[collectd]]
  enabled = true
  bind-address = "127.0.0.1:{collectd_port}"
  database = "collectd"
  typesdb = "{state}/typesdb"
  security-level = "none"
  parse-multivalue-plugin = "split"
  batch-size = 100
  batch-timeout = "200ms"
"""


@dataclass
class WriteResult:
    status: int
    error: str  # InfluxDB's own words, "" when all was well
    rejected: int  # lines that it did not take


class Influxd(Daemon):
    """InfluxDB with the databases `deepmon` (HTTP) and `collectd` (fed by collectd's network plugin)."""

    name = "influxd"
    # 1.6.7 never finishes closing a collectd input that has had data; its state here is disposable.
    stop_seconds = 2

    def __init__(self, state, our_types=None):
        super().__init__(state)
        self.our_types = our_types
        self.http_port = self.collectd_port = None

    def prepare(self):
        if not STOCK_TYPES.exists():
            raise Skip(f"{STOCK_TYPES} is missing (Debian package collectd-core)", needs="collectd")
        types = self.state / "typesdb"
        types.mkdir(exist_ok=True)
        shutil.copy(STOCK_TYPES, types / "types.db")
        if self.our_types and Path(self.our_types).exists():
            shutil.copy(self.our_types, types / "deepmon.db")
        self.http_port, self.collectd_port, rpc_port = free_port(), free_port(), free_port()
        (self.state / "influxd.conf").write_text(CONFIG.format(
            state=self.state, rpc_port=rpc_port, http_port=self.http_port,
            collectd_port=self.collectd_port))

    def command(self):
        return [find_program("influxd", "influxdb", "influxdb"), "-config", self.state / "influxd.conf"]

    def start(self):
        super().start()
        for database in ("deepmon", "collectd"):
            self.query(f"CREATE DATABASE {database}")

    def ready(self):
        try:
            status, _ = self.http("/ping")
        except OSError:
            return False
        return status == 204

    def http(self, path, body=None):
        """Status and body of an answer, errors included."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", data=body)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")

    def query(self, text, database="deepmon"):
        """Rows as dicts: the columns, the series' tags and, as "measurement", its name. Times are ns."""
        arguments = urllib.parse.urlencode({"q": text, "db": database, "epoch": "ns"})
        status, body = self.http("/query", arguments.encode())
        answer = json.loads(body)
        errors = [answer.get("error")] + [each.get("error") for each in answer.get("results", [])]
        if status != 200 or any(errors):
            raise StageError(f"InfluxDB refused {text!r}: {next(filter(None, errors), status)}")
        return [dict(zip(series["columns"], row), measurement=series.get("name"), **series.get("tags", {}))
                for result in answer.get("results", ())
                for series in result.get("series", ())
                for row in series.get("values", ())]

    def write(self, body, database="deepmon"):
        """Writes line protocol with timestamps in ns, as an agent would.

        An error of /write does not always tell of every bad line, so after one the lines go one by one:
        the good ones overwrite themselves and the bad ones are counted.
        """
        body = body.encode() if isinstance(body, str) else body
        result = self.write_once(body, database)
        lines = body.strip().splitlines()
        if result.status == 204 or len(lines) <= 1:
            return result
        single = [self.write_once(line, database) for line in lines]
        errors = [each.error for each in single if each.rejected]
        return WriteResult(result.status, "; ".join(errors) or result.error, len(errors))

    def write_once(self, body, database):
        status, text = self.http(f"/write?db={database}&precision=ns", body)
        if status == 204:
            return WriteResult(status, "", 0)
        try:
            error = json.loads(text)["error"]
        except (ValueError, KeyError, TypeError):
            error = text.strip()
        return WriteResult(status, error, len(body.strip().splitlines()))
