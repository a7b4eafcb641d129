#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-only
"""Makes a picture of a screen: svg.py SCREEN > PICTURE, of what `tmux capture-pane -e` gives."""

import re
import sys
import unicodedata
from xml.sax.saxutils import escape

CELL, LINE, SIZE, EDGE = 8.4, 18, 14, 12  # pixels; of the text in a cell of 14 px
BACK, FORE = "#1c2128", "#cdd5dd"
COLORS = {31: "#f0716c", 32: "#6cc070", 33: "#d9b44a", 36: "#5fb8c4"}  # those that terminal.c has
STYLE = re.compile(r"\x1b\[([0-9;]*)m")


def width(text):
    """In columns."""
    return sum(0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
               for one in text)


class Pen:
    """How the next characters look."""

    def __init__(self):
        self.set(0)

    def set(self, code):
        if code == 0:
            self.bold = self.faint = self.reverse = False
            self.color = FORE
        elif code == 1:
            self.bold = True
        elif code == 2:
            self.faint = True
        elif code == 7:
            self.reverse = True
        elif code in COLORS:
            self.color = COLORS[code]
        elif code == 39:
            self.color = FORE
        elif code != 49:
            raise SystemExit(f"svg.py: no style is known for {code}")


def draw(pen, text, column, line):
    """A run of characters of one style."""
    left, columns = EDGE + column * CELL, width(text)
    top = EDGE + line * LINE
    color = pen.color
    if pen.reverse:
        # A little more than its cells, for there is no seam between two.
        yield (f'<rect x="{left:.1f}" y="{top}" width="{columns * CELL + 0.5:.1f}" height="{LINE}" '
               f'fill="{color}"/>')
        color = BACK
    if not text.strip():
        return
    lead = len(text) - len(text.lstrip(" "))
    text = text.strip(" ")
    yield (f'<text x="{left + lead * CELL:.1f}" y="{top + 13.5}" textLength="{width(text) * CELL:.1f}" '
           f'lengthAdjust="spacingAndGlyphs" fill="{color}"'
           + (' font-weight="bold"' if pen.bold else "") + (' opacity="0.6"' if pen.faint else "")
           + f">{escape(text)}</text>")


def parts(line):
    """A line's texts between its styles, and at the gaps in them: a gap is not stretched."""
    for number, part in enumerate(STYLE.split(line)):
        if number % 2:
            yield [int(code or 0) for code in part.split(";")], ""
        else:
            for text in re.findall(r".+?(?:(?=  )|$)|  +", part):
                yield [], text


def main(path):
    with open(path, encoding="utf-8") as file:
        lines = file.read().rstrip("\n").split("\n")
    columns = max(width(STYLE.sub("", line)) for line in lines)
    wide, high = columns * CELL + 2 * EDGE, len(lines) * LINE + 2 * EDGE
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide:.0f}" height="{high}" '
          f'viewBox="0 0 {wide:.0f} {high}" font-family="ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace" '
          f'font-size="{SIZE}" xml:space="preserve">')
    print(f'<rect width="100%" height="100%" rx="6" fill="{BACK}"/>')
    pen = Pen()
    for number, line in enumerate(lines):
        column = 0
        for codes, text in parts(line):
            for code in codes:
                pen.set(code)
            for element in draw(pen, text, column, number) if text else ():
                print(element)
            column += width(text)
    print("</svg>")


if __name__ == "__main__":
    main(sys.argv[1])
