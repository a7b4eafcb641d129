#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-only
"""Runs the integration tests: tests/integration/run.py [part of a name]..."""

import sys
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from stage import tap  # noqa: E402

if __name__ == "__main__":
    sys.exit(tap.main(HERE))
