# SPDX-License-Identifier: GPL-3.0-only
"""A stand-in for InfluxDB 2.x's /api/v2/query: the part of Flux that deepmon-top asks in, answered in annotated CSV
as InfluxData documents both. No InfluxDB 2.x is in the registries."""

import csv
import io
import json
import re
import time
from datetime import datetime, timezone
from urllib.parse import parse_qs, urlsplit

SECOND = 1_000_000_000
PIPELINE = re.compile(r'from\(bucket: "((?:[^"\\]|\\.)*)"\) \|> range\(start: -(\d+)ms, stop: 1h\) '
                      r'\|> filter\(fn: \(r\) => (.*)\) \|> tail\(n: (\d+)\) '
                      r'\|> drop\(columns: \["_start", "_stop"\]\)')
TOKEN = re.compile(r' *(r\["\w+"\]|"(?:[^"\\]|\\.)*"|/(?:[^/\\]|\\.)*/|==|=~|[()]|\w+)')


class Refused(Exception):
    """A status, and what the server says to it."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status = status
        self.body = json.dumps({"code": code, "message": message}).encode()


def predicate(text):
    """Of a row {column: text}: what the function of a filter says of it."""
    words, at = [], 0
    while at < len(text):
        found = TOKEN.match(text, at)
        if not found:
            raise Refused(400, "invalid", f"compilation failed: error at {text[at:at + 40]}")
        words.append(found[1])
        at = found.end()
    python = []
    for word in words:
        if word.startswith("r["):
            python.append(f"row.get({word[2:-1]})")
        elif word.startswith("/"):
            python.append(f"pattern({word[1:-1]!r})")
        elif word == "=~":
            python.append("@")
        elif word in ("and", "or", "(", ")", "==") or word.startswith('"'):
            python.append(word)
        elif word in ("if", "exists", "then", "else"):
            python.append({"if": "choose(", "exists": "", "then": ",", "else": ","}[word])
        else:
            raise Refused(400, "invalid", f"undefined identifier {word}")
    # The one conditional stands in brackets of its own.
    source = re.sub(r"\( choose\( (.*?) \) @", r"( choose( \1 )) @", " ".join(python))
    code = compile(source, "filter", "eval")
    names = {"pattern": Pattern, "choose": lambda found, then, other: other if found is None else then}
    return lambda row: eval(code, names, {"row": row})  # pylint: disable=eval-used


class Pattern:
    """The right side of =~, which begins anywhere."""

    def __init__(self, text):
        self.text = text

    def __rmatmul__(self, value):
        return value is not None and re.search(self.text, value) is not None


def rfc3339(time_ns):
    moment = datetime.fromtimestamp(time_ns // SECOND, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + f".{time_ns % SECOND:09d}".rstrip("0").rstrip(".") + "Z"


class Flux:
    """What stands at /api/v2/query: `points` are stage.lineprotocol's, of one bucket."""

    def __init__(self, bucket, token, organisation):
        self.bucket, self.token, self.organisation = bucket, token, organisation
        self.points = []
        self.queries = []

    def __call__(self, handler):
        try:
            body = self.answer(handler)
            handler.reply(200, body)
        except Refused as refused:
            handler.reply(refused.status, refused.body)

    def answer(self, handler):
        if handler.headers.get("Authorization") != f"Token {self.token}":
            raise Refused(401, "unauthorized", "unauthorized access")
        asked = json.loads(handler.body)
        if parse_qs(urlsplit(handler.path).query).get("org") != [self.organisation]:
            raise Refused(404, "not found", "organization name not found")
        if asked["type"] != "flux" or asked["dialect"] != {"header": True,
                                                           "annotations": ["datatype", "group", "default"]}:
            raise Refused(400, "invalid", "bad dialect")
        self.queries.append(asked["query"])
        found = PIPELINE.fullmatch(asked["query"])
        if not found:
            raise Refused(400, "invalid", "compilation failed")
        bucket, window_ms, condition, count = found.groups()
        if bucket != self.bucket:
            raise Refused(404, "not found", f'could not find bucket "{bucket}"')
        since_ns = time.time_ns() - int(window_ms) * 1_000_000
        # A point of a measurement that the condition does not name is not looked at further.
        points = [point for point in self.points
                  if point.time_ns >= since_ns and f'"{point.measurement}"' in condition]
        return self.tables(points, predicate(condition), int(count))

    @staticmethod
    def tables(points, passes, count):
        series = {}
        for point in points:
            for field, value in point.fields.items():
                row = {"_measurement": point.measurement, "_field": field, **point.tags}
                if passes(row):
                    series.setdefault(tuple(sorted(row.items())), {})[point.time_ns] = value
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        before = None
        for table, (key, values) in enumerate(sorted(series.items())):
            row = dict(key)
            value = next(iter(values.values()))
            kind = "string" if isinstance(value, str) else "double" if isinstance(value, float) else "long"
            if (kind, row.keys()) != before:
                if before:
                    out.write("\r\n")
                writer.writerow(["#datatype", "string", "long", "dateTime:RFC3339", kind, *["string"] * len(row)])
                writer.writerow(["#group", "false", "false", "false", "false", *["true"] * len(row)])
                writer.writerow(["#default", "_result", "", "", "", *[""] * len(row)])
                writer.writerow(["", "result", "table", "_time", "_value", *row])
            before = kind, row.keys()
            for time_ns in sorted(values)[-count:]:
                writer.writerow(["", "", table, rfc3339(time_ns), values[time_ns], *row.values()])
        return (out.getvalue() + "\r\n").encode()
