# SPDX-License-Identifier: GPL-3.0-only
"""A strict reader of InfluxDB line protocol: for the tests, which look at what deepmon-execd wrote."""

from dataclasses import dataclass


@dataclass
class Point:
    measurement: str
    tags: dict
    fields: dict  # int, float, bool or str, as the line has it
    time_ns: int

    @property
    def series(self):
        return (self.measurement, *sorted(self.tags.items()))


def split_unescaped(text, separator, quotes=False):
    """Splits at a separator that has no backslash before it and is not within quotes.

    A backslash means something only before what may be escaped there; before anything else it is itself.
    """
    parts, part, index, inside = [], [], 0, False
    while index < len(text):
        char = text[index]
        if char == "\\" and text[index + 1:index + 2] in (tuple('"\\') if inside else tuple(",= ")):
            part.append(text[index:index + 2])
            index += 2
            continue
        if quotes and char == '"':
            inside = not inside
        if char == separator and not inside:
            parts.append("".join(part))
            part = []
        else:
            part.append(char)
        index += 1
    return parts + ["".join(part)]


def unescape(text, characters):
    for character in characters:
        text = text.replace("\\" + character, character)
    return text


def parse_value(text):
    if text.startswith('"'):
        if len(text) < 2 or not text.endswith('"'):
            raise ValueError(f"string without its end: {text}")
        return unescape(text[1:-1], '"\\')
    if text.endswith("i"):
        return int(text[:-1])
    if text in ("true", "false"):
        return text == "true"
    return float(text)


def parse_pair(text, quotes=False):
    parts = split_unescaped(text, "=", quotes)
    if len(parts) != 2 or not all(parts):
        raise ValueError(f"no key=value: {text!r}")
    return unescape(parts[0], ",= "), parts[1]


def parse_line(line):
    """One line with a timestamp; ValueError says what is wrong with it."""
    # Quotation marks mean something among the fields alone.
    series = split_unescaped(line, " ")[0]
    parts = [series, *split_unescaped(line[len(series) + 1:], " ", quotes=True)]
    if len(parts) != 3:
        raise ValueError(f"{len(parts)} parts, not 3: {line!r}")
    head, *tags = split_unescaped(parts[0], ",")
    pairs = [parse_pair(tag) for tag in tags]
    fields = [parse_pair(each, quotes=True) for each in split_unescaped(parts[1], ",", quotes=True)]
    if len(dict(pairs)) != len(pairs) or len(dict(fields)) != len(fields):
        raise ValueError(f"a tag or field stands twice: {line!r}")
    return Point(unescape(head, ", "), {key: unescape(value, ",= ") for key, value in pairs},
                 {key: parse_value(value) for key, value in fields}, int(parts[2]))


def parse(text):
    """The points of a text of lines."""
    return [parse_line(line) for line in text.splitlines() if line]


def by_time(points):
    """Points in batches of one timestamp each, in the order of their times."""
    batches = {}
    for point in points:
        batches.setdefault(point.time_ns, []).append(point)
    return [batches[time] for time in sorted(batches)]


def find(points, measurement, **tags):
    """The points of a measurement that have those tags."""
    return [point for point in points if point.measurement == measurement
            and all(point.tags.get(key) == value for key, value in tags.items())]
